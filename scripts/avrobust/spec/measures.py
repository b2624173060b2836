"""Percentages by name: what each is of the accuracies, clean and under attack. Stated here once, for all artefacts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from avrobust.spec.achieved import NORMS
from avrobust.spec.conditions import CLEAN, Reading
from avrobust.spec.geometry import KAPPAS, TAUS

# In the place of a modality: the one that is read.
READ = "read"
_THIRD = 1 / 3


@dataclass(frozen=True)
class Measure:
    """`constant` plus the sum of accuracies, which go from 0 to 1: `weights` by the modality under attack.

    `if_recognised`: accuracies are among the clips alone that the victim recognises clean, a ratio of two of them.
    """

    weights: Mapping[str, float]
    constant: float = 0.0
    if_recognised: bool = False

    def over(self, readings: Sequence[Reading]) -> tuple[dict[Reading, float], float]:
        """Return what it is as the mean over `readings`: weights of accuracies, and a constant."""
        found: dict[Reading, float] = {}
        for reading in readings:
            for name, weight in self.weights.items():
                modality = reading.condition.modality if name == READ else name
                condition = CLEAN if modality == CLEAN.modality else reading.condition._replace(modality=modality)
                one = reading._replace(condition=condition)
                found[one] = found.get(one, 0.0) + weight / len(readings)
        return found, self.constant

    @property
    def is_clean(self) -> bool:
        """Whether no attack matters to it."""
        return set(self.weights) == {"clean"}


MEASURES: Mapping[str, Measure] = {
    "clean": Measure({"clean": 1}),
    "X_A": Measure({"audio": 1}),
    "X_V": Measure({"visual": 1}),
    "X_AV": Measure({"both": 1}),
    "Avg": Measure({"audio": _THIRD, "visual": _THIRD, "both": _THIRD}),
    # Section 4.6 of Tian & Xu: their RI is the difference of two of these.
    "total": Measure({"clean": 1, "audio": _THIRD, "visual": _THIRD, "both": _THIRD}),
    # How much better a net does without its sound than without its frame.
    "visual_bias": Measure({"audio": 1, "visual": -1}),
    "accuracy": Measure({READ: 1}),
    # Zhang et al.: misclassified adversarial clips, of all, which counts those that are misclassified clean.
    "success": Measure({READ: -1}, 1),
    # As in the literature on transfer: of the clips that the victim recognises clean.
    "success_if_recognised": Measure({READ: -1}, 1, if_recognised=True),
    # What success begins with before anything is attacked.
    "clean_error": Measure({"clean": -1}, 1),
}
# Those that are read under one modality, whichever that is.
OF_ONE_CONDITION = tuple(name for name, measure in MEASURES.items() if READ in measure.weights)
# Of the two features of a clip under the condition that is read: a mean that is no percentage.
COSINE = "cosine"
# What crafting takes of a clip in a training, as its provenance says it: counts of a net, of no condition and no clip.
COUNTED = ("gradients_a_clip", "encoder_steps_a_clip")
# What is said of a ranking of all clips, class by class, and of the clips that are ranked, under the condition that is
# read: shares, but for d', norms and what is in per cent.
RANKINGS = ("map", "auc", "d_prime", "map_drop")
PERCENTAGES = ("top1", "flipped")
# Of these, what counts right answers, which clips of several labels have not.
RIGHT = ("top1",)
# Of the drop of a class's average precision, with what its training clips are like in the net's own feature space:
# Pearson's and Spearman's, and these given the logarithm of the number of training clips and the clean precision.
GEOMETRIES = ("kappa", *(f"rho{tau}" for tau in TAUS))
# Forms of these that choices are between; `kappa` is the one of the net's task.
FORMS = (*KAPPAS, *(f"rho{tau}_{form}" for tau in TAUS for form in ("99", "printed")))
CORRELATIONS = tuple(
    f"{partial}{how}_{what}"
    for partial in ("", "partial_")
    for how in ("pearson", "spearman")
    for what in (*GEOMETRIES, *FORMS)
)
# Of the training clips of each class alone, whatever is attacked: a mean over classes, all or those that a net of the
# same test is trained on mixtures of.
SELECTED = "_selected"
OF_CLASSES = (*GEOMETRIES, *(f"{what}{SELECTED}" for what in GEOMETRIES))
RANKED = (*RANKINGS, *PERCENTAGES, *NORMS, *CORRELATIONS)
# Per cent of the clips that a model which answers in words recognises clean, and misses under an attack.
MISSED = "missed"
