"""What a paper leaves open, and what was taken: a ledger of its choices.

The choices are a JSON object:

    paper, citation  key and name of the paper
    chosen           what this run uses: {"epsilon": "corrected", "failed_clips": "drop", ...}
    scale            name of the scale; set_by_scale: what it has values of its own for: ["training"]
    choices          [{"number": 1, "name": "epsilon", "question": "...", "default": "corrected",
                       "alternatives": ["printed"], "set_in": "config.yaml: tian2021.epsilon",
                       "why": "...", "sensitivity": "..."}, ...]

`name` is the choice's key in the paper's section of config.yaml; a choice without one is fixed, or it is set elsewhere
(`set_in`), such as by the attack that a table reads. One that is set by a key of its own in config.yaml (`set_in` is
"config.yaml: failed_clips") takes what `chosen` says of that key. Several choices may hang on one name.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from avrobust.csv_text import write_csv_text
from avrobust.program import UserError
from avrobust.report.spec import record

COLUMNS = ("number", "name", "question", "default", "alternatives", "chosen", "set_in", "why", "sensitivity", "scale")
_TOP_LEVEL = re.compile(r"config\.yaml: (\w+)")
_ELSEWHERE = "what config.yaml says"


@dataclass(frozen=True)
class Choice:
    """One open point; `name` is empty where the paper's section of config.yaml has no key for it."""

    number: int
    question: str
    default: str
    alternatives: Sequence[str]
    set_in: str
    why: str
    sensitivity: str
    name: str = ""

    @property
    def key(self) -> str:
        """The key under which `chosen` has it, empty if none can."""
        top_level = _TOP_LEVEL.fullmatch(self.set_in)
        return self.name or (top_level[1] if top_level else "")


@dataclass(frozen=True)
class Choices:
    """All open points of a paper, and what was taken."""

    paper: str
    choices: Sequence[Choice]
    chosen: Mapping[str, str]
    citation: str = ""
    scale: str = ""
    set_by_scale: Sequence[str] = ()

    def taken(self, choice: Choice) -> str:
        """What this run uses."""
        if choice.key in self.chosen:
            return self.chosen[choice.key]
        return _ELSEWHERE if choice.key else choice.default


def choices(spec: object) -> Choices:
    """Check choices that came as JSON (see above), and sort them by number; a `UserError` names what is wrong."""
    given = record(Choices, spec, "choices")
    found = [record(Choice, value, f"choice {number}") for number, value in enumerate(given.choices, 1)]
    found.sort(key=lambda choice: choice.number)
    numbers = [choice.number for choice in found]
    if twice := sorted({number for number in numbers if numbers.count(number) > 1}):
        raise UserError(f"choice {twice[0]}: occurs twice")
    if missing := sorted({choice.name for choice in found if choice.name} - {*given.chosen}):
        raise UserError(f"chosen: {', '.join(missing)} must be given")
    if unknown := sorted({*given.chosen} - {choice.key for choice in found}):
        raise UserError(f"chosen: no choice is called {', '.join(unknown)}; add it to the choices of {given.paper}")
    for choice in found:
        allowed = [choice.default, *choice.alternatives]
        if choice.key in given.chosen and given.chosen[choice.key] not in allowed:
            taken = given.chosen[choice.key]
            raise UserError(f"choice {choice.number}: {choice.key} is {taken!r}, which is none of {', '.join(allowed)}")
    return replace(given, choices=tuple(found))


def csv_of_choices(given: Choices) -> str:
    """One line per choice, by number."""
    lines = ([_value(given, choice, column) for column in COLUMNS] for choice in given.choices)
    return write_csv_text(COLUMNS, lines)


def markdown(given: Choices) -> str:
    """The ledger as a table for readers; what is not the default stands in bold."""
    others = [choice for choice in given.choices if given.taken(choice) not in (choice.default, _ELSEWHERE)]
    differing = ", ".join(f"{choice.key} ({choice.number})" for choice in others) if others else "none"
    lines = [
        f"# Choices for {given.citation or given.paper}",
        "",
        f"{len(given.choices)} points that the paper leaves open, or on which it and its released code disagree.",
        f"Taken otherwise than by default: {differing}.",
        *_of_scale(given),
        "",
        _line(["", "taken", "question", "alternatives", "set in", "why", "to see what hangs on it"]),
        _line(["---:", *["---"] * 6]),
    ]
    for choice in given.choices:
        taken = given.taken(choice)
        shown = f"**{taken}** (default: {choice.default})" if choice in others else taken
        rest = [one for one in (choice.default, *choice.alternatives) if one != taken]
        cells = [str(choice.number), shown, choice.question, "; ".join(rest), choice.set_in]
        lines.append(_line([*cells, choice.why, choice.sensitivity]))
    return "\n".join(lines) + "\n"


def _of_scale(given: Choices) -> list[str]:
    """Say that a scale's own sizes take the place of what is chosen."""
    if not given.set_by_scale:
        return []
    parts = ", ".join(given.set_by_scale)
    own = f"> Scale `{given.scale}` has its own {parts}: where these differ, they are used and not what is taken here."
    return ["", own]


def _value(given: Choices, choice: Choice, column: str) -> object:
    if column == "chosen":
        return given.taken(choice)
    if column == "scale":
        return given.scale
    return "; ".join(choice.alternatives) if column == "alternatives" else getattr(choice, column)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
