"""How alike the features of the two modalities are."""

from collections.abc import Callable, Mapping

from torch import Tensor

from avrobust.program import UserError

# eta of equation 2.
SMALLEST_NORM_PRODUCT = 1e-8


def audio_visual_similarity(features: Mapping[str, Tensor]) -> Tensor:
    """Return the cosine of the angle between f_a and f_v, (N, D) or (N, T, D) -> (N,) in [-1, 1]; means over steps.

    Of M nets, (N, M, T, D), the mean of theirs. Tian & Xu (CVPR 2021), equation 2. In [0, 1] as long as both features
    are non-negative, as the encoders' are.
    """
    audio, visual = (
        feature.mean(dim=-2) if feature.dim() > 2 else feature for feature in (features["audio"], features["visual"])
    )
    norms = audio.norm(dim=-1) * visual.norm(dim=-1)
    cosines = (audio * visual).sum(dim=-1) / norms.clamp_min(SMALLEST_NORM_PRODUCT)
    return cosines if cosines.dim() == 1 else cosines.mean(dim=1)


def absolute_similarity(features: Mapping[str, Tensor]) -> Tensor:
    """Return how far both features are from a right angle, (N,) in [0, 1]: the absolute value of their cosine."""
    return audio_visual_similarity(features).abs()


SIMILARITIES = {"signed": audio_visual_similarity, "absolute": absolute_similarity}


def similarity(cosine: str) -> Callable[[Mapping[str, Tensor]], Tensor]:
    """Return the similarity of a name: `signed` or `absolute`.

    Raises:
        UserError: it is neither.
    """
    if cosine not in SIMILARITIES:
        raise UserError(f"cosine {cosine!r} is none of {', '.join(SIMILARITIES)}")
    return SIMILARITIES[cosine]
