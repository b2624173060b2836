"""Density-convexity mix-up (Li et al., ICASSP 2022, section 6): of classes that lie densely and are not convex."""

import logging
from collections.abc import Sequence

from torch import Tensor

from avrobust import parquet
from avrobust.keyed import generator
from avrobust.metrics.selection import select
from avrobust.program import UserError
from avrobust.spec.geometry import KAPPA, KAPPAS, TAUS
from avrobust.training.prepare.mixup import Mixup
from avrobust.training.prepare.plain import Setting

log = logging.getLogger(__name__)


class SelectedMixup(Mixup):
    """Clips of eligible classes, mixed with one of another eligible class in the batch; all others as they are.

    Eligible is a class of which rho is above a density and kappa below `convexity`, in the space of the net `geometry`
    (a variant's name; its file comes with the setting). `density`: the number itself, or `quantile`: that above which
    the share `densest` of the classes lie. Are they fewer than two, it is the median of the classes; are they still,
    all clips are mixed as by `Mixup` with the same `alpha` and `probability`. `tau`: 60 or 80, of rho. `kappa`: one of
    `avrobust.spec.geometry.KAPPAS`; by the task if not given: of the largest logit where a clip is of one class, of a
    probability of 0.1 otherwise. A clip of an eligible class is mixed with `probability`, where the batch has one of an
    eligible class that it is not of, by a share of Beta(`alpha`, `alpha`): of 1, any share is as likely. All draws
    depend on seed, epoch and clip.
    """

    def __init__(
        self,
        setting: Setting,
        geometry: str,
        tau: int = 60,
        convexity: float = 0.5,
        density: float | str = "quantile",
        densest: float = 0.2,
        probability: float = 0.5,
        kappa: str | None = None,
        alpha: float = 1.0,
    ):
        super().__init__(setting, alpha, probability)
        if setting.geometry is None:
            raise UserError(f"selected_mixup: no classes of {geometry} are given; add --geometry")
        if tau not in TAUS:
            raise UserError(f"selected_mixup: tau is 60 or 80, not {tau!r}")
        if isinstance(density, str) and density != "quantile":
            raise UserError(f"selected_mixup: density is a number or quantile, not {density!r}")
        if not 0 < densest < 1:
            raise UserError(f"selected_mixup: densest must be a share of the classes, from 0 to 1, not {densest!r}")
        kappa = kappa or KAPPA[getattr(setting.objective, "task", "single")]
        if kappa not in KAPPAS:
            raise UserError(f"selected_mixup: kappa is one of {', '.join(KAPPAS)}, not {kappa!r}")
        chosen = select(_read(setting, f"rho{tau}", kappa), kappa, tau, convexity, density, densest)
        if chosen.is_median:
            log.info(
                "selected_mixup: fewer than two classes of %s are eligible; the median density, %.4g, is taken",
                *(geometry, chosen.density),
            )
        self.density = chosen.density
        self.eligible = {label for label, name in enumerate(setting.class_names) if name in chosen.names}
        if len(self.eligible) < 2:
            self.eligible = set()
            log.info(
                "selected_mixup: fewer than two classes of %s are eligible; clips are mixed whatever theirs", geometry
            )
        self._seen, self._mixed = 0, 0

    def partners(self, clip_ids: Sequence[str], labels: Tensor, epoch: int) -> dict[int, tuple[float, int]]:
        """Return the places of the clips that are mixed, each with its own share and its partner's place."""
        chosen = self.chosen(clip_ids, labels, epoch)
        self._seen += len(clip_ids)
        self._mixed += len(chosen)
        return chosen

    def chosen(self, clip_ids: Sequence[str], labels: Tensor, epoch: int) -> dict[int, tuple[float, int]]:
        """Return the same of clips of eligible classes; of any where there are no two."""
        if not self.eligible:
            return super().partners(clip_ids, labels, epoch)
        classes, found = [of & self.eligible for of in classes_of(labels)], {}
        ours = sorted((clip, place) for place, clip in enumerate(clip_ids) if classes[place])
        for clip, place in ours:
            draw = generator("mixup", self.setting.seed, epoch, clip)
            others = [other for _, other in ours if classes[other] - classes[place]]
            if others and draw.random() < self.probability:
                partner = others[draw.integers(len(others))]
                found[place] = draw.beta(self.alpha, self.alpha), partner
        return found

    def facts(self) -> dict[str, float]:
        """Return how many classes are eligible, 0 where any is mixed; above which rho; the share of clips mixed."""
        seen, mixed = self._seen, self._mixed
        self._seen, self._mixed = 0, 0
        return {"eligible_classes": len(self.eligible), "density": self.density, "mixed_share": mixed / seen}


def classes_of(labels: Tensor) -> list[set[int]]:
    """Return the classes of each clip, from labels (N,), or (N, classes) of 0 and 1."""
    if labels.dim() == 1:
        return [{label} for label in labels.tolist()]
    return [set(of.nonzero()[:, 0].tolist()) for of in labels]


def _read(setting: Setting, density: str, convexity: str) -> list[dict]:
    """Return the classes of the file; UserError if they are not those of the clips."""
    rows = parquet.read(setting.geometry, ("class_name", density, convexity)).to_pylist()
    if unknown := [row["class_name"] for row in rows if row["class_name"] not in setting.class_names]:
        raise UserError(f"{setting.geometry}: {unknown[0]!r} is no class of these clips; measure a net of theirs")
    return rows
