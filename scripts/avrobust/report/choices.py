"""What a paper leaves open, and what was taken: a ledger of its choices."""

from collections.abc import Mapping

from avrobust.csv_text import write_csv_text
from avrobust.files import write_text
from avrobust.report.given import Given
from avrobust.report.text import grid
from avrobust.spec.artefacts.choices import ELSEWHERE, Choice, Choices

COLUMNS = ("number", "name", "question", "default", "alternatives", "chosen", "set_in", "why", "sensitivity", "scale")


def write(choices: Choices, given: Given, to: Mapping[str, str]) -> str:
    """Write the ledger; return a line for the log."""
    write_text(to[".csv"], csv_of_choices(choices))
    write_text(to[".md"], markdown(choices))
    return f"{choices.paper}: {len(choices.choices)} choices"


def csv_of_choices(given: Choices) -> str:
    """One line per choice, by number."""
    lines = ([_value(given, choice, column) for column in COLUMNS] for choice in given.choices)
    return write_csv_text(COLUMNS, lines)


def markdown(given: Choices) -> str:
    """The ledger as a table for readers; what is not the default stands in bold."""
    others = [choice for choice in given.choices if given.taken(choice) not in (choice.default, ELSEWHERE)]
    differing = ", ".join(f"{choice.key} ({choice.number})" for choice in others) if others else "none"
    lines = [
        f"# Choices for {given.citation or given.paper}",
        "",
        f"{len(given.choices)} points that the paper leaves open, or on which it and its released code disagree.",
        f"Taken otherwise than by default: {differing}.",
        *_of_scale(given),
        "",
    ]
    rows = []
    for choice in given.choices:
        taken = given.taken(choice)
        shown = f"**{taken}** (default: {choice.default})" if choice in others else taken
        rest = [one for one in (choice.default, *choice.alternatives) if one != taken]
        cells = [str(choice.number), shown, choice.question, "; ".join(rest), choice.set_in]
        rows.append([*cells, choice.why, choice.sensitivity])
    header = ["", "taken", "question", "alternatives", "set in", "why", "to see what hangs on it"]
    return "\n".join([*lines, *grid(header, rows, numbers=("",))]) + "\n"


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
