"""How much the features of a clip change in time: Zhang et al. (ICLR 2025), equation 2."""

from collections.abc import Mapping

from torch import Tensor

from avrobust.program import UserError

# A clip whose features hardly change is divided by this. A demo's clips have 6e-4 (sound) and 7e-7 (frames).
FLOOR = 1e-8


class TemporalVariance:
    """The sum over the modalities of Var_t[E f(t)], each as a multiple of what the clip itself had before the attack.

    E is the mean over a step's feature, Var that of all T steps, so that one step has 0. As printed, the terms can be a
    thousandth of the cross-entropy, and differ as much between the modalities; what they are measured in is left open.
    As a multiple of the batch's mean a clip would depend on its batch. Of M nets it is the mean of their multiples.

    `floor`: the least that is divided by. `clean`: modality -> (N,), or (N, M); None before `relative_to`.
    """

    def __init__(self, floor: float = FLOOR, clean: Mapping[str, Tensor] | None = None):
        self.floor, self.clean = floor, clean

    def relative_to(self, clean: Mapping[str, Tensor]) -> "TemporalVariance":
        """Return the same as multiples of that of `clean`, features of the clips before the attack."""
        before = {name: variance_in_time(name, feature).detach() for name, feature in clean.items()}
        return TemporalVariance(self.floor, {name: of.clamp_min(self.floor) for name, of in before.items()})

    def __call__(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return (N,) from features (N, T, D) or (N, M, T, D) of the same clips: 1 for each modality at the clean one.

        Raises:
            UserError: a feature has no steps of time.
        """
        if self.clean is None:
            raise RuntimeError("the variance in time is a multiple of that of clean clips, which nobody has told")
        multiples = sum(variance_in_time(name, feature) / self.clean[name] for name, feature in features.items())
        return multiples if multiples.dim() == 1 else multiples.mean(dim=1)


def variance_in_time(name: str, feature: Tensor) -> Tensor:
    """Return the variance over T of the means over D, (N, T, D) -> (N,), (N, M, T, D) -> (N, M)."""
    if feature.dim() < 3:
        raise UserError(
            f"the {name} feature of a clip is one for all of its time, whose variance is 0; take nets with steps of "
            "time, as `log_mel` and nets on several pictures are, or an attack without this term"
        )
    return feature.mean(dim=-1).var(dim=-1, correction=0)
