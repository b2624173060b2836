"""The worst of several attacks, clip by clip."""

from typing import NamedTuple

from avrobust.spec.conditions import Reading


class AnyOf(NamedTuple):
    """Several readings of the same clips in one: recognised is what is recognised under every one of them."""

    readings: tuple[Reading, ...]
