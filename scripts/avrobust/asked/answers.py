"""What a model that answers in words said of clips: a CSV, a row for each clip and attack; `clean` is no attack."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from avrobust.csv_text import read_csv, write_csv_text
from avrobust.files import write_text
from avrobust.program import UserError

CLEAN = "clean"


class Answer(NamedTuple):
    """The answer to one clip of a dataset, attacked by the gradients of `surrogate`."""

    dataset: str
    surrogate: str
    clip_id: str
    label: str
    attack: str
    answer: str


def write_answers(path: str | Path, answers: Iterable[Answer]) -> None:
    """Write answers as CSV, each on one line: an answer of several lines has spaces in their place."""
    lines = (answer._replace(answer=" ".join(answer.answer.split())) for answer in answers)
    write_text(path, write_csv_text(Answer._fields, lines))


def read_answers(paths: Iterable[str | Path]) -> list[Answer]:
    """Return the answers of some files.

    Raises:
        UserError: a file has other columns.
    """
    found = []
    for path in paths:
        header, lines = read_csv(path)
        if tuple(header) != Answer._fields:
            raise UserError(f"{path}: the header must be {','.join(Answer._fields)}, got {','.join(header)}")
        found += [Answer(**line) for line in lines]
    return found
