"""Files of the shape of classes in the space of a net's fused features: what they hold, stated once, and who reads it.

Li et al. (ICASSP 2022), section 4: a row for each class of a net's training clips, and the clips of those that are
drawn. `scripts/geometry.py` writes them.
"""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from avrobust import parquet
from avrobust.program import UserError

# Per cent of a class's clips within the inner radius of a density.
TAUS = (60, 80)
# When a point counts as of a class: its probability is at least that, or no other class's is larger.
THRESHOLDS = {"01": 0.1, "05": 0.5}

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
        *(pa.field(f"kappa_{name}", pa.float64()) for name in ("argmax", *THRESHOLDS, "01_released")),
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

    def rows(self, dataset: str, variant: str, seed: int) -> list[dict]:
        """Return all rows of a net, column -> value, None where it is not defined; `UserError` if it is not there."""
        if seed not in self.seeds(dataset, variant):
            raise UserError(
                f"no measured classes of {dataset}/{variant}, seed {seed} among those given; add their file"
            )
        return parquet.read(self._paths[dataset, variant][seed], self.schema.names).to_pylist()


def _words(said: dict[str, str]) -> str:
    return "/".join(said[name] for name in IDENTITY)
