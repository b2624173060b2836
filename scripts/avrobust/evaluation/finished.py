"""Batches of a bundle that are finished: a file each beside the bundle, so that a killed job goes on after them."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from avrobust.evaluation.cell import Part
from avrobust.files import replacing


class Finished:
    """What a bundle has so far, in `folder`; `key` is of all that shapes its rows, and what has another is removed."""

    def __init__(self, folder: Path, key: str):
        self.folder, self.key = folder, key

    def parts(self, group: int) -> list[Part]:
        """Return the parts of the cells number `group` that are whole, up to the first that is not, in order."""
        found: list[Part] = []
        while (part := self._read(self._path(group, len(found)))) is not None:
            found.append(part)
        return found

    def add(self, group: int, number: int, part: Part) -> None:
        """Keep a part."""
        said = {"key": self.key, "clips": str(part.clips), "without_gradient": json.dumps(part.without_gradient)}
        said["shares"] = json.dumps(part.shares)
        with replacing(self._path(group, number)) as temporary:
            pq.write_table(part.rows.replace_schema_metadata(said), temporary, write_page_checksum=True)

    def remove(self) -> None:
        """Remove all that was kept."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, group: int, number: int) -> Path:
        return self.folder / f"{group}-{number:05}.parquet"

    def _read(self, path: Path) -> Part | None:
        try:
            table = pq.read_table(path, page_checksum_verification=True)
        except (OSError, pa.ArrowException):
            return None
        said = {name.decode(): value.decode() for name, value in (table.schema.metadata or {}).items()}
        if said.get("key") != self.key:
            return None
        counts, shares = (tuple(json.loads(said[name])) for name in ("without_gradient", "shares"))
        return Part(int(said["clips"]), table.replace_schema_metadata(None), counts, shares)
