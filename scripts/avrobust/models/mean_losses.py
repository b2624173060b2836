"""Several nets that are attacked as one by the mean of their losses (Liu et al., ICLR 2017), not of their logits."""

from collections.abc import Mapping

from torch import Tensor

from avrobust.models.ensemble import Ensemble


class MeanLosses(Ensemble):
    """The same nets with logits of their own, for objectives that say `takes_nets`: they are the mean of all nets'."""

    separate = True

    def head(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the logits of each net, (N, M, classes)."""
        return self.heads(features).transpose(0, 1)
