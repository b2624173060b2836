"""CSV files that a user may have written: read with good will, and nothing in them is passed over."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from avrobust.data.manifest import check_columns, numbered, readable
from avrobust.program import UserError


def users_rows(
    path: str | Path,
    columns: Iterable[str],
    optional: Iterable[str] = (),
    other_names: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (place for messages, row) of a CSV file that a user may have written, with `columns` and `optional` ones.

    Of the header's names neither case nor the spaces around them count, nor do those around values, and spaces within
    names stand for underscores; `other_names`: name -> column. A column without a name may only be empty.

    Raises UserError as `rows` does, and for a column that is not known or stands there twice: none is passed over.
    """
    known = [*columns, *optional]
    with readable(path), Path(path).open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        written = next(reader, None) or []
        header = ["_".join(cell.split()).lower() for cell in written]
        header = [other_names.get(name, name) for name in header]
        for separator, said in ((";", "semicolons"), ("\t", "tabs")):
            if len(written) == 1 and separator in written[0]:
                raise UserError(f"{path}, row 1: separated by {said}; save it with commas between the columns")
        check_columns(path, header, columns)
        for name, cell in zip(header, written, strict=True):
            if not name:
                continue
            if name not in known:
                raise UserError(
                    f"{path}, row 1: column {cell!r} is not known, and nothing is ignored; the columns are "
                    f"{', '.join(known)}: correct its name or take it out"
                )
            if header.count(name) > 1:
                twice = " and ".join(repr(other) for one, other in zip(header, written, strict=True) if one == name)
                raise UserError(f"{path}, row 1: column {name} stands there twice, as {twice}; take one out")
        unnamed = [str(place) for place, name in enumerate(header) if not name]
        header = [name or str(place) for place, name in enumerate(header)]
        for where, row in numbered(path, header, reader, 2):
            for place in unnamed:
                if cell := row.pop(place).strip():
                    raise UserError(f"{where}: {cell!r} in a column without a name; name the column or take it out")
            yield where, {name: cell.strip() for name, cell in row.items()}
