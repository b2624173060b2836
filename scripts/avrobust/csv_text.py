"""CSV as text, whole, for files that are small."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from avrobust.program import UserError


def write_csv_text(header: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """CSV with Unix line ends; None is an empty field."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    return stream.getvalue()


def read_csv(path: str | Path) -> tuple[list[str], list[dict[str, str]]]:
    """Header and lines; raises `UserError` if there is no header or a line of another length."""
    try:
        with Path(path).open(encoding="utf-8", newline="") as stream:
            header, *lines = csv.reader(stream)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as CSV with a header ({error})") from None
    for number, line in enumerate(lines, 2):
        if len(line) != len(header):
            raise UserError(f"{path}, record {number}: {len(line)} fields, but the header has {len(header)}")
    return header, [dict(zip(header, line, strict=True)) for line in lines]
