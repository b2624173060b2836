"""Whether the class that a net puts first changes, whatever the labels: Li et al. (ICASSP 2022), theorem 1."""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from avrobust.objectives.margin import Margin


class Top1Margin(nn.Module):
    """The best other logit less that of the class that is first for the clean clip: above 0 where it is so no more."""

    task = "any"  # a plan reads it: of clips with one label or several

    def __init__(self, dimensions: Mapping[str, int], classes: int):
        super().__init__()
        self.margin = Margin(dimensions, classes)

    def relative_to_logits(self, clean: Tensor) -> Callable[..., Tensor]:
        """Return the same that knows the net's logits (N, C) of the clean clips."""
        first = clean.argmax(dim=1)
        return lambda features, logits, labels: self.margin(features, logits, first)

    def forward(self, features: Mapping[str, Tensor], logits: Tensor, labels: Tensor) -> Tensor:
        """Return (N,) from logits (N, C), C > 1, taken for those of the clean clips; labels are not looked at."""
        return self.margin(features, logits, logits.argmax(dim=1))
