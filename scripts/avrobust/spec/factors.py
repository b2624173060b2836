"""Factors of a figure: what varies from panel to panel, from bar to bar, along an axis; and what is then read."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from avrobust.program import UserError
from avrobust.spec.any_of import AnyOf
from avrobust.spec.conditions import CLEAN, Reading, place, reading
from avrobust.spec.record import record

_PLACEHOLDER = re.compile(r"<(\w+)>")
# Factors of these names are read under; others only fill places such as `variant: <net>+<defence>`.
PARTS = ("dataset", "variant", "surrogate", "victim", "attack", "modality", "budget", "steps")
_CONDITION = re.compile(r"mean\((?P<over>\w+)(?: (?P<how>!=|in) (?P<what>[\w+ -]+))?\)")


@dataclass(frozen=True)
class Factor:
    """`values`: each value and what is printed for it, in their order; `name` heads its column in the data."""

    name: str
    values: Mapping[str, str]

    def only(self, values: Sequence[str]) -> "Factor":
        """The same factor with some of its values."""
        return Factor(self.name, {value: self.values[value] for value in values})


# What does not vary.
FIXED = Factor("", {"": ""})


@dataclass(frozen=True)
class Mean:
    """A mean over a factor: of all its values, or of those that `keeps`.

    `how`: "" (all), "in" (the names of `what`), or "!=" (where what is read of `what` is another net).
    """

    over: str
    how: str = ""
    what: Sequence[str] = ()

    def keeps(self, value: str, read: Mapping[str, str]) -> bool:
        """Whether a value belongs to it, with what is read there."""
        if self.how == "in":
            return value in self.what
        return self.how != "!=" or read[self.over] != read[self.what[0]]


def factor(value: object, where: str) -> Factor:
    """Return the factor that came as JSON, {name, values}; a `UserError` says what is wrong."""
    given = record(Factor, value, where)
    if not isinstance(given.values, Mapping) or not given.values:
        raise UserError(f"{where}: values of {given.name} must be given")
    return Factor(given.name, dict(given.values))


def mean(text: str, where: str) -> Mean:
    """Return what `mean(victim)`, `mean(victim != surrogate)` or `mean(net in AcV AcR)` stands for.

    Raises `UserError` if it is none of these.
    """
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise UserError(
            f"{where}: {text!r} is no mean; write mean(victim), mean(victim != surrogate) or mean(net in A B)"
        )
    what = tuple((found["what"] or "").split())
    if found["how"] == "!=" and len(what) != 1:
        raise UserError(f"{where}: {text!r} must name one part to differ from")
    return Mean(found["over"], found["how"] or "", what)


def filled(read: Mapping, chosen: Mapping[str, str], where: str) -> dict:
    """Return what is read where factors have the values `chosen`: their places filled, surrogate and victim named.

    Raises `UserError` if a place is of no factor.
    """
    whole = {**read, **{name: value for name, value in chosen.items() if name in PARTS and name not in read}}
    made = {}
    for name, value in whole.items():
        if unknown := [one for one in _PLACEHOLDER.findall(str(value)) if one not in chosen]:
            known = ", ".join(filter(None, chosen)) or "none"
            raise UserError(f"{where}: {name}: <{unknown[0]}> is none of its factors: {known}")
        made[name] = _PLACEHOLDER.sub(lambda found: chosen[found[1]], value) if isinstance(value, str) else value
    if "steps" in made:
        made["steps"] = int(made["steps"])
    return place(made)


def complete(read: Mapping, where: str) -> Reading:
    """Return a `Reading` of what was filled; a `UserError` says what is missing."""
    try:
        return reading(read)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None


def complete_or_worst(read: Mapping, where: str) -> Reading | AnyOf:
    """Return what was filled; where its attack is a list, the worst of these. A `UserError` says what is missing."""
    attack = read.get("attack")
    if isinstance(attack, str) or attack is None:
        return complete(read, where)
    return AnyOf(tuple(complete({**read, "attack": one}, where) for one in attack))


def unattacked(one: Reading) -> Reading:
    """Return the clean clips of the same victim, which stand in the same file."""
    return one._replace(condition=CLEAN)


def each_of(one: Reading | AnyOf) -> Sequence[Reading]:
    """Return what is read of one cell each."""
    return one.readings if isinstance(one, AnyOf) else (one,)
