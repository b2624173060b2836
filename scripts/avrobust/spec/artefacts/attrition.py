"""How many of the wanted clips are there, class by class and split by split.

The layout is a JSON object: `datasets`, their names in the order of their files.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from avrobust.spec.kind import Kind
from avrobust.spec.record import record


@dataclass(frozen=True)
class Layout:
    """Which datasets are counted."""

    datasets: Sequence[str]


def layout(spec: object) -> Layout:
    """Check a layout that came as JSON (see above); a `UserError` names what is wrong."""
    return record(Layout, spec, "attrition")


ATTRITION = Kind(shown=(".csv",), others=(), reads=("classes", "availability"), parse=layout)
