"""`AttendedConcat` with scaled logits: Vaswani et al. (NeurIPS 2017), equation 1."""

from torch import Tensor

from avrobust.models.fusions.attended_concat import AttendedConcat, Features


class ScaledAttendedConcat(AttendedConcat):
    """`AttendedConcat` with the logits divided by sqrt(D).

    For features so long that the unscaled softmax puts all its weight on one position and stops learning.
    """

    def attention_logits(self, features: Features) -> Tensor:
        """Return f_a^T f_v^i / sqrt(D) at each position, (N, h, w)."""
        return super().attention_logits(features) / features["audio"].shape[1] ** 0.5
