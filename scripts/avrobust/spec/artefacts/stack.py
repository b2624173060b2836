"""The same table or ledger of several papers below each other.

The layout is a JSON object: `papers`, their keys in the order of the tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from avrobust.spec.kind import Kind
from avrobust.spec.record import record


@dataclass(frozen=True)
class Layout:
    """Whose tables are stacked."""

    papers: Sequence[str]


STACK = Kind(shown=(".csv",), others=(), reads=("tables",), parse=partial(record, Layout, where="stack"))
