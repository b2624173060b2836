"""How many of the wanted clips are there, class by class and split by split.

The layout is a JSON object: `datasets`, their names in the order of their files, and what the user's own are called.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from avrobust.spec.kind import Kind
from avrobust.spec.record import record


@dataclass(frozen=True)
class Layout:
    """Which datasets are counted. `names`: dataset -> how it is printed, where its name is not."""

    datasets: Sequence[str]
    names: Mapping[str, str] = field(default_factory=dict)


ATTRITION = Kind(
    shown=(".csv",), others=(), reads=("classes", "availability"), parse=partial(record, Layout, where="attrition")
)
