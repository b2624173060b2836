"""Files of the shape of classes in the space of a net's fused features: what they hold, stated once, and who reads it.

Li et al. (ICASSP 2022), section 4: a row for each class of a net's training clips, and the clips of those that are
drawn. `scripts/geometry.py` writes them.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from avrobust import parquet
from avrobust.program import UserError
from avrobust.spec.geometry import KAPPAS, TAUS

# `n` clips and `dimensions` of the space; radii of a class around its mean within which so many per cent of its clips
# lie. rho<tau>: `avrobust.metrics.density`, `_99` with the radius of 99 % in the place of the farthest clip's,
# `_printed` with the paper's exponent 2. kappa_*: `avrobust.metrics.convexity`, `_released` of the released code's
# pairs. Null where one is not defined.
CLASS_ROWS = pa.schema(
    [
        pa.field("label", pa.int32()),
        pa.field("class_name", pa.string()),
        pa.field("n", pa.int32()),
        pa.field("dimensions", pa.int32()),
        *(pa.field(f"radius_{name}", pa.float64()) for name in (*TAUS, 99, "max")),
        *(pa.field(f"rho{tau}{form}", pa.float64()) for tau in TAUS for form in ("", "_99", "_printed")),
        *(pa.field(name, pa.float64()) for name in KAPPAS),
    ]
)  # fmt: skip
# A row for each clip of a class that is drawn: all its labels, its distance to the mean of that class, and its point.
CLIP_ROWS = pa.schema(
    [
        pa.field("label", pa.int32()),
        pa.field("class_name", pa.string()),
        pa.field("clip_id", pa.string()),
        pa.field("labels", pa.list_(pa.int32())),
        pa.field("distance", pa.float64()),
        pa.field("point", pa.list_(pa.float32())),
    ]
)
# What the metadata of either say.
IDENTITY = ("dataset", "variant", "seed")


class OfNets:
    """Files of one of the schemas above, found by dataset, variant and seed; each is read when it is asked for."""

    def __init__(self, schema: pa.Schema, paths: Iterable[str | Path]):
        """Look at what the files are of.

        Raises:
            UserError: a file holds something else, or is of the same as another one.
        """
        self.schema = schema
        self._paths: dict[tuple[str, str], dict[int, str | Path]] = {}
        for path in paths:
            said = parquet.metadata(path, schema.names, IDENTITY, "it holds no measured classes of this kind")
            seeds = self._paths.setdefault((said["dataset"], said["variant"]), {})
            if int(said["seed"]) in seeds:
                raise UserError(f"{path}: classes of {_words(said)} are given twice; leave one file out")
            seeds[int(said["seed"])] = path

    def seeds(self, dataset: str, variant: str) -> tuple[int, ...]:
        """Return the seeds of a net, ascending; `UserError` if it is not among the files."""
        if (dataset, variant) not in self._paths:
            given = ", ".join("/".join(one) for one in sorted(self._paths)) or "none"
            raise UserError(f"no measured classes of {dataset}/{variant} among those given ({given}); add their file")
        return tuple(sorted(self._paths[dataset, variant]))

    def table(self, dataset: str, variant: str, seed: int) -> pa.Table:
        """Return all rows of a net; `UserError` if it is not among the files."""
        if seed not in self.seeds(dataset, variant):
            raise UserError(
                f"no measured classes of {dataset}/{variant}, seed {seed} among those given; add their file"
            )
        return parquet.read(self._paths[dataset, variant][seed], self.schema.names)

    def rows(self, dataset: str, variant: str, seed: int) -> list[dict]:
        """Return the same as column -> value, None where it is not defined."""
        return self.table(dataset, variant, seed).to_pylist()


class ClassClips(NamedTuple):
    """The drawn clips of a class: ids (n), distances to its mean (n,), float32 points (n, D)."""

    clip_ids: list[str]
    distances: np.ndarray
    points: np.ndarray


def clips_of(table: pa.Table, name: str) -> ClassClips:
    """Return the clips of a class from a table of `CLIP_ROWS`; none if the class has none."""
    own = table.filter(pc.field("class_name") == name)
    points = own["point"].to_pylist()
    held = np.array(points, np.float32).reshape(len(points), len(points[0]) if points else 0)
    return ClassClips(own["clip_id"].to_pylist(), np.array(own["distance"].to_pylist()), held)


def _words(said: dict[str, str]) -> str:
    return "/".join(said[name] for name in IDENTITY)
