"""What SSDF is trained on (Yang et al., CVPR 2021, section 3.3): clean clips, and each with one modality attacked."""

from collections.abc import Mapping

import torch
from torch import Tensor

from avrobust.attacks.loop import perturb
from avrobust.attacks.loss import Loss
from avrobust.data.batches import Batch
from avrobust.models.late_fusion import LateFusion
from avrobust.models.modes import evaluating
from avrobust.objectives.odd_one_out import detecting_head
from avrobust.program import UserError
from avrobust.training.prepare.adversarial import Adversarial, mixed_with
from avrobust.training.prepare.plain import Plain, Setting


class SingleSource(Adversarial):
    """Every clip three times: after an attack on its frames alone, on its sound alone, and as it is.

    The targets say beside the class which modality is attacked, by its place among those of the head, and their number
    for none. The net is attacked as in `Adversarial`, and in both modalities from the same clip.

    `attack`, `budget`, `epsilon_space`, `batch_norm`: as in `Adversarial`.

    Raises:
        UserError: the objective does not take what is attacked.
    """

    tells_source = True
    # How often a step shows a clip.
    shown = 3

    def __init__(
        self,
        setting: Setting,
        attack: Mapping,
        budget: object,
        epsilon_space: str = "normalised",
        batch_norm: str = "running",
    ):
        super().__init__(setting, attack, budget, epsilon_space, batch_norm)
        if not getattr(setting.objective, "needs_source", False):
            raise UserError(
                "single_source: an objective is needed that learns which modality is attacked; give odd_one_out, not "
                f"{type(setting.objective).__name__}"
            )

    def __call__(self, model: LateFusion, batch: Batch, epoch: int) -> tuple[dict[str, Tensor], Tensor]:
        """Return modality -> (3 N, ...) and the targets (3 N, 2): classes, and what is attacked.

        Raises:
            UserError: the budget leaves a modality as it is, so that there would be nothing to detect.
        """
        inputs, labels = Plain.__call__(self, model, batch, epoch)
        sources = detecting_head(model).modalities
        budgets = {name: given for name, given in self.given(inputs).items() if given.active}
        if left := [name for name in sources if name not in budgets]:
            raise UserError(f"single_source: each modality is attacked by itself, and the budget has none of {left[0]}")
        forms = []
        with evaluating(model), self.normalised(model):
            threat = self.threat(model, epoch)
            partner = mixed_with(batch, inputs) if threat.attack.needs_partner else None
            loss, context = Loss(threat.model, threat.objective, inputs, labels, partner=partner), threat.context
            for number, name in enumerate(sources):
                with self.spent.crafting(model, 0 if number else len(labels)):
                    forms.append(perturb(loss, {name: budgets[name]}, threat.attack, context(batch["clip_id"])))
        forms.append(inputs)
        told = torch.arange(len(forms), device=labels.device).repeat_interleave(len(labels))
        seen = {name: torch.cat([one[name] for one in forms]) for name in inputs}
        return seen, torch.stack([labels.repeat(len(forms)), told], dim=1)
