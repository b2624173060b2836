"""Training on the clips as they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from avrobust.data.batches import Batch, inputs_of
from avrobust.models.late_fusion import LateFusion
from avrobust.views.view import Input


@dataclass(frozen=True)
class Setting:
    """What every preparation is given beside its options.

    What is minimised, where, the key of all draws, how many classes, and modality -> the form of its input.
    `budget_files`: budgets that a job has made (`avrobust.attacks.budget_files`). `geometry`: the classes of another
    net as scripts/geometry.py measured them. `class_names`: of the labels, in their order. `scales`: what an epsilon
    counts in where the net standardises an input (`avrobust.models.late_fusion.LateFusion.scales`).
    """

    objective: nn.Module
    device: torch.device
    seed: int
    classes: int
    inputs: Mapping[str, Input]
    budget_files: Sequence[Path] = ()
    geometry: Path | None = None
    class_names: Sequence[str] = ()
    scales: Mapping[str, Tensor] = field(default_factory=dict)


class Plain:
    """The inputs in natural units, and the labels."""

    def __init__(self, setting: Setting):
        self.setting = setting

    def __call__(self, model: LateFusion, batch: Batch, epoch: int) -> tuple[dict[str, Tensor], Tensor]:
        """Return modality -> (N, ...) and the targets, (N,) or (N, classes), both on the device."""
        return inputs_of(batch, self.setting.device), batch["label"].to(self.setting.device)

    def facts(self) -> dict[str, float]:
        """Return what the history keeps of the epoch that is over, the same names in each, and begin the next."""
        return {}
