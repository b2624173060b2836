"""Whether an answer in words names a class: by the class's own name or by what else it is called, as whole words.

The words of classes are data: a CSV with the columns class, words, origin.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from avrobust.csv_text import read_csv
from avrobust.program import UserError

COLUMNS = ("class", "words", "origin")


def read_synonyms(path: str | Path) -> dict[str, list[str]]:
    """Return what each class is called beside its own name.

    Raises:
        UserError: the file has other columns, or a row without a word.
    """
    header, lines = read_csv(path)
    if tuple(header) != COLUMNS:
        raise UserError(f"{path}: the header must be {','.join(COLUMNS)}, got {','.join(header)}")
    found: dict[str, list[str]] = {}
    for number, line in enumerate(lines, 2):
        if not plain(line["words"]):
            raise UserError(f"{path}, record {number}: no word for {line['class']!r}; write one or take the row out")
        found.setdefault(line["class"], []).append(line["words"])
    return found


def is_named(label: str, answer: str, synonyms: Mapping[str, Iterable[str]]) -> bool:
    """Whether an answer holds the name of a class, or one of its synonyms, in one piece; a plural s makes no odds."""
    said = f" {plain(answer)} "
    names = {plain(words) for words in (label, *synonyms.get(label, ()))}
    return any(f" {name}{plural} " in said for name in names for plural in ("", "s"))


def plain(text: str) -> str:
    """Return the words of a text in small letters, with one space between two; all but letters and digits is space."""
    return " ".join(re.findall(r"[^\W_]+", text.lower()))
