"""What a paper leaves open, and what was taken: a ledger of its choices.

`name` is the choice's key in the paper's section of config.yaml; a choice without one is fixed, or it is set elsewhere
(`set_in`), such as by the attack that a table reads. One that is set by a key of its own in config.yaml (`set_in` is
"config.yaml: failed_clips") takes what `chosen` says of that key. Several choices may hang on one name.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from avrobust.program import UserError
from avrobust.spec.kind import Kind
from avrobust.spec.record import record

_TOP_LEVEL = re.compile(r"config\.yaml: (\w+)")
ELSEWHERE = "what config.yaml says"


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
    """All open points of a paper, and what was taken.

    `chosen`: what this run uses, by name. `set_by_scale`: what the scale has values of its own for.
    """

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
        return ELSEWHERE if choice.key else choice.default


def choices(spec: object) -> Choices:
    """Return choices that came as JSON, by number; a `UserError` names what is wrong."""
    given = record(Choices, spec, "choices")
    found = [record(Choice, value, f"choice {number}") for number, value in enumerate(given.choices, 1)]
    found.sort(key=lambda choice: choice.number)
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


CHOICES = Kind(
    shown=(".csv",),
    others=(".md",),
    reads=(),
    parse=choices,
    facts=("paper", "citation", "chosen", "scale", "set_by_scale"),
    stacked=True,
)
