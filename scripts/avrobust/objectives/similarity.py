"""How alike the features of the two modalities are."""

from collections.abc import Mapping

from torch import Tensor

from avrobust.models.pooling import pooled

# eta of equation 2.
SMALLEST_NORM_PRODUCT = 1e-8


def audio_visual_similarity(features: Mapping[str, Tensor]) -> Tensor:
    """Return the cosine of the angle between f_a and f_v, (N, D) or (N, T, D) -> (N,) in [-1, 1]; means over steps.

    Tian & Xu (CVPR 2021), equation 2. In [0, 1] as long as both features are non-negative, as the encoders' are.
    """
    audio, visual = pooled(features["audio"]), pooled(features["visual"])
    norms = audio.norm(dim=1) * visual.norm(dim=1)
    return (audio * visual).sum(dim=1) / norms.clamp_min(SMALLEST_NORM_PRODUCT)
