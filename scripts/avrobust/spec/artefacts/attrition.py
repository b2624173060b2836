"""How many of the wanted clips are there, class by class and split by split.

The layout is a JSON object: `datasets`, their names in the order of their files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from avrobust.spec.kind import Kind
from avrobust.spec.record import record


@dataclass(frozen=True)
class Layout:
    """Which datasets are counted."""

    datasets: Sequence[str]


ATTRITION = Kind(
    shown=(".csv",), others=(), reads=("classes", "availability"), parse=partial(record, Layout, where="attrition")
)
