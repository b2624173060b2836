"""What a paper leaves open, and what was taken: a ledger of its choices."""

from collections.abc import Mapping
from dataclasses import asdict

import pandas as pd

from avrobust.files import write_text
from avrobust.report.given import Given
from avrobust.report.text import csv_of, grid
from avrobust.spec.artefacts.choices import ELSEWHERE, Choices

COLUMNS = ("number", "name", "question", "default", "alternatives", "chosen", "set_in", "why", "sensitivity", "scale")


def write(choices: Choices, given: Given, to: Mapping[str, str]) -> str:
    """Write the ledger; return a line for the log."""
    write_text(to[".csv"], csv_of(tidy(choices)))
    write_text(to[".md"], markdown(choices))
    return f"{choices.paper}: {len(choices.choices)} choices"


def tidy(given: Choices) -> pd.DataFrame:
    """One line per choice, by number."""
    lines = [
        {
            **asdict(choice),
            "alternatives": "; ".join(choice.alternatives),
            "chosen": given.taken(choice),
            "scale": given.scale,
        }
        for choice in given.choices
    ]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def markdown(given: Choices) -> str:
    """The ledger as a table for readers; what is not the default stands in bold."""
    others = [choice for choice in given.choices if given.taken(choice) not in (choice.default, ELSEWHERE)]
    differing = ", ".join(f"{choice.key} ({choice.number})" for choice in others) if others else "none"
    lines = [
        f"# Choices for {given.citation or given.paper}",
        "",
        f"{len(given.choices)} points that the paper leaves open, or contradicts itself or its released code on.",
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
