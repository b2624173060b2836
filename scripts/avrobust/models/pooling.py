"""One feature for a clip out of one for each of its steps."""

from torch import Tensor


def pooled(feature: Tensor) -> Tensor:
    """Return (N, D): the mean over the steps of (N, T, D); a feature without steps as it is."""
    return feature.mean(dim=1) if feature.ndim == 3 else feature
