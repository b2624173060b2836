"""Nets of which a mean is taken, and whose gradients meet whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# In the name of a surrogate: the victim's, as in all-<victim>.
OF_VICTIM = "<victim>"

# How the nets of an ensemble are made one where nothing is said.
MEAN_LOGITS = "mean_logits"


@dataclass(frozen=True)
class Ensemble:
    """A surrogate of several nets, which attacks so many clips of a split, of all classes alike; None for all.

    `joined`: how the nets are made one, of `avrobust.models.registry.ENSEMBLES`.
    """

    nets: tuple[str, ...]
    clips: int | None = None
    joined: str = MEAN_LOGITS


@dataclass(frozen=True)
class Nets:
    """A mean over `nets`, called `name`; `others`: those that are not the surrogate itself."""

    name: str
    nets: tuple[str, ...]
    others: bool = False

    def __str__(self) -> str:
        return f"mean of {'other ' if self.others else ''}{self.name}"


@dataclass(frozen=True)
class Best:
    """The one of `attacks`, a list called `name`, that succeeds most on other clips than it is read of."""

    name: str
    attacks: tuple[str, ...]

    def __str__(self) -> str:
        return f"best of {self.name}"


def attacks(told: object) -> str | Best:
    """Return an attack's name as it is, and as `Best` what came as JSON: {"best": "masks", "of": [...]}."""
    return Best(told["best"], tuple(told["of"])) if isinstance(told, Mapping) else told


def nets(told: object) -> str | Nets:
    """Return a net's name as it is, and as `Nets` what came as JSON: {"mean": "nets", "of": [...], "others": true}."""
    if not isinstance(told, Mapping):
        return told
    return Nets(told["mean"], tuple(told["of"]), told.get("others", False))


def pairs(surrogate: str | Nets, victim: str | Nets) -> Sequence[tuple[str, str]]:
    """Return every (surrogate, victim), all with all; the surrogate `<victim>` is each victim itself.

    Raises:
        ValueError: none is left.
    """
    victims = victim.nets if isinstance(victim, Nets) else (victim,)
    surrogates = surrogate.nets if isinstance(surrogate, Nets) else (surrogate,)
    others = isinstance(victim, Nets) and victim.others
    named = [(one.replace(OF_VICTIM, net), net) for one in surrogates for net in victims]
    found = [(one, net) for one, net in named if not (others and one == net)]
    if not found:
        raise ValueError(f"no net is left of {victim} beside {surrogate}")
    return found
