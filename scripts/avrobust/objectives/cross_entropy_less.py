"""Cross-entropy less terms of the features: Zhang et al. (ICLR 2025), equation 4."""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from avrobust.objectives.cross_entropy import cross_entropy

CROSS_ENTROPY = "cross_entropy"


class CrossEntropyLess(nn.Module):
    """Cross-entropy - sum over `terms` of weight * term, per clip.

    `terms`: name -> (weight, features -> (N,)); those of weight 0 are left out. A term with a method `relative_to`
    (clean features) -> term is told those.
    """

    needs_one_label = takes_nets = True

    def __init__(
        self, dimensions: Mapping[str, int], classes: int, terms: Mapping[str, tuple[float, Callable[..., Tensor]]]
    ):
        super().__init__()
        self._terms = {name: (weight, of) for name, (weight, of) in terms.items() if weight}

    @property
    def names(self) -> tuple[str, ...]:
        """The parts that it is the sum of."""
        return (CROSS_ENTROPY, *self._terms)

    def relative_to(self, clean: Mapping[str, Tensor]) -> "CrossEntropyLess":
        """Return the same of clips whose features are `clean`, before any attack: modality -> (N, ...)."""
        told = {
            name: (weight, of.relative_to(clean) if hasattr(of, "relative_to") else of)
            for name, (weight, of) in self._terms.items()
        }
        return CrossEntropyLess({}, 0, told)

    def term(self, name: str, features: Mapping[str, Tensor], logits: Tensor, labels: Tensor) -> Tensor:
        """Return (N,), one of the parts with its sign and weight."""
        if name == CROSS_ENTROPY:
            return cross_entropy(logits, labels)
        weight, of = self._terms[name]
        return -weight * of(features)

    def forward(self, features: Mapping[str, Tensor], logits: Tensor, labels: Tensor) -> Tensor:
        """Return (N,) from features (N, T, D) and logits (N, C), or both of M nets (N, M, ...), and labels (N,)."""
        return sum(self.term(name, features, logits, labels) for name in self.names)
