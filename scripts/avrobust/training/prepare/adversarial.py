"""Adversarial training (Madry et al., ICLR 2018): the net learns from what an attack makes of each batch."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from avrobust.attacks.budget import Budget, units
from avrobust.attacks.budget_files import read_budgets
from avrobust.attacks.loop import perturb
from avrobust.attacks.loss import Loss
from avrobust.attacks.threat import Threat, bind
from avrobust.data.batches import Batch
from avrobust.data.partners import partners
from avrobust.keyed import seed_of
from avrobust.models.files import Trained
from avrobust.models.late_fusion import LateFusion
from avrobust.models.modes import evaluating
from avrobust.program import UserError
from avrobust.spec import budgets
from avrobust.spec.attacks import AttackSpec
from avrobust.training.batch_statistics import STATISTICS
from avrobust.training.prepare.plain import Plain, Setting
from avrobust.training.spent import Spent


class Adversarial(Plain):
    """The clips after an attack on the net as it is, and their labels.

    The net is attacked in evaluation mode and then trained on the result alone. Its batch normalisation goes meanwhile
    by the running statistics, which stay as they are, or by those of the batch: `batch_norm`. What is drawn at random
    depends on seed, epoch and clip.

    `attack`: as in a paper's file, `{update: pgd, steps: 10}`. `budget`: as in `avrobust.spec.budgets`, in units of
    `epsilon_space` (`avrobust.attacks.budget.units`).
    """

    def __init__(
        self,
        setting: Setting,
        attack: Mapping,
        budget: object,
        epsilon_space: str = "normalised",
        batch_norm: str = "running",
    ):
        super().__init__(setting)
        if batch_norm not in STATISTICS:
            raise UserError(f"adversarial: batch_norm {batch_norm!r} is none of {', '.join(STATISTICS)}")
        self.normalised = STATISTICS[batch_norm]
        self.attack = AttackSpec.of(attack)
        if self.attack.batch_size is not None or self.attack.precision is not None:
            raise UserError(f"adversarial: {self.attack.update} attacks the net that is trained, batch by batch")
        try:
            named = budgets.named({"budget": budget})
        except ValueError as error:
            raise UserError(f"adversarial: {error}") from None
        self.budget = read_budgets(named, setting.budget_files)["budget"]
        # Once for all batches: an objective may draw weights, from a generator of its own in a resumed training too.
        self._threat = cache(self._bound)
        self.spent = Spent()
        of = units(epsilon_space, setting.inputs, setting.scales)
        self.units = {name: unit.to(setting.device) for name, unit in of.items()}

    def __call__(self, model: LateFusion, batch: Batch, epoch: int) -> tuple[dict[str, Tensor], Tensor]:
        """Return modality -> (N, ...) after the attack and the targets as they are."""
        inputs, labels = super().__call__(model, batch, epoch)
        with evaluating(model), self.normalised(model), self.spent.crafting(model, len(labels)):
            threat = self.threat(model, epoch)
            partner = mixed_with(batch, inputs) if threat.attack.needs_partner else None
            loss = Loss(threat.model, threat.objective, inputs, labels, partner=partner)
            return perturb(loss, self.given(inputs), threat.attack, threat.context(batch["clip_id"])), labels

    def facts(self) -> dict[str, float]:
        """Return what the epoch's attacks took of each clip, and count the next."""
        return self.spent.taken()

    def given(self, inputs: Mapping[str, Tensor]) -> dict[str, Budget]:
        """Return the budget of each modality that has one and is there."""
        return {
            name: self.units[name].budget(**part, clean=inputs[name])
            for name, part in self.budget.items()
            if name in inputs
        }

    def threat(self, model: LateFusion, epoch: int) -> Threat:
        """Return the attack on the net in an epoch."""
        return replace(self._threat(model), name=f"training, epoch {epoch}")

    def _bound(self, model: LateFusion) -> Threat:
        attacked = Trained(model, self.setting.objective, [""] * self.setting.classes, {})
        with torch.random.fork_rng():
            torch.manual_seed(seed_of(self.setting.seed, "attacked objective"))
            return bind(self.attack, attacked, seed=self.setting.seed)


def mixed_with(batch: Batch, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return for each clip of a batch the inputs of one of another class in it, modality -> (N, ...).

    Of a batch of one class alone each clip is its own, and a mixture of both is the clip.
    """
    labels = batch["label"]
    classes = (
        [[label] for label in labels.tolist()]
        if labels.dim() == 1
        else [row.nonzero()[:, 0].tolist() for row in labels]
    )
    places = torch.tensor(partners(batch["clip_id"], classes))
    return {name: x[places.to(x.device)] for name, x in inputs.items()}
