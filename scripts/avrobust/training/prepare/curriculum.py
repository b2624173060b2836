"""Adversarial training with a curriculum: Zhang et al. (ICLR 2025), section 5.

A perturbation is crafted on a few steps in time of a clip and copied to all others; how many, and how strong the attack
is, goes from little to much and back again, cycle by cycle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf

import torch
from torch import Tensor, nn

from avrobust.attacks.budget import Budget
from avrobust.attacks.context import Context
from avrobust.attacks.loop import Attack, ball_then_range, perturb
from avrobust.attacks.loss import HERE, Loss, Place, Point
from avrobust.attacks.threat import Threat
from avrobust.data.batches import Batch
from avrobust.keyed import generator
from avrobust.models.late_fusion import LateFusion
from avrobust.models.modes import evaluating
from avrobust.program import UserError
from avrobust.spec.curriculum import Stage, Stages, count_sampled, half_up
from avrobust.training.prepare.adversarial import Adversarial, mixed_with
from avrobust.training.prepare.plain import Plain, Setting
from avrobust.training.segments import Sampling


@dataclass(frozen=True)
class Crafted:
    """A batch of N clips after the attack, and all that it went through.

    `inputs`, `moved`: modality -> (N, ...), before and after; `labels`: their targets; `budgets`: of the attacked
    modalities. `perturbations`: of each of these those of the segments, as `Sampling.nothing` has them. `loss`: of what
    the net gets; `attack`: that of `threat`, whose points are of the sampled steps.
    """

    stage: Stage
    sampling: Sampling
    inputs: Mapping[str, Tensor]
    labels: Tensor
    budgets: Mapping[str, Budget]
    loss: Loss
    attack: Attack
    threat: Threat
    context: Context
    perturbations: Mapping[str, Tensor]
    moved: dict[str, Tensor]

    def copies(self) -> list[dict[str, Tensor]]:
        """Return what the net gets in the first step, copy by copy: modality -> sampled steps as `Sampling.part`."""
        context = self.loss.told(self.context)
        return [
            {
                name: point.place(name, x, context) if name in point.touches else x
                for name, x in self.loss.inputs.items()
            }
            for point in self.attack.points(0)
        ]

    @property
    def dropped(self) -> Tensor:
        """Which fused features are 0 meanwhile, (N, D) of bool."""
        fusion = self.loss.model.fusion
        if isinstance(fusion, _Masked):
            return fusion.mask == 0
        return torch.zeros(len(self.labels), fusion.out_features, dtype=torch.bool)


class Curriculum(Adversarial):
    """The clips after an attack on a part of them, whose perturbations are copied to the whole, and their labels.

    A clip is cut into segments at random boundaries, and some of its steps in time are sampled: what the encoders see
    while the attack runs is these steps alone, frames and sound. All steps of a segment share one perturbation, and
    part of the fused features is dropped, the same ones in every step of the attack. Then every step and sample of the
    clip is moved by what its segment is, inside its ball and range. The net is attacked in evaluation mode. What is
    drawn at random depends on seed, epoch and clip.

    `attack`, `budget`, `epsilon_space`: as in `Adversarial`; the attack takes the steps that `steps` says, each of its
    own length or else of 1 / steps. `segments`: at most so many. `sampled`, `dropped`, per cent of the clip's steps and
    of the fused features, `schedule`, `cycle` and `steps`: as in `avrobust.spec.curriculum.Stages`.

    Raises:
        UserError: clips without steps in time, an attack that looks at the whole input or starts again, or numbers
            that are none of these.
    """

    def __init__(
        self,
        setting: Setting,
        attack: Mapping,
        budget: object,
        epsilon_space: str = "normalised",
        segments: int = 4,
        sampled: float | Sequence[float] = (5, 20),
        dropped: float | Sequence[float] = (5, 20),
        schedule: str = "cosine",
        cycle: int = 5,
        steps: int = 10,
    ):
        super().__init__(setting, attack, budget, epsilon_space)
        forms = setting.inputs
        if set(forms) != {"audio", "visual"} or len(forms["visual"].shape) != 4 or not forms["visual"].is_picture:
            raise UserError("curriculum: clips have no steps in time; give a view of several pictures and their sound")
        if segments < 1:
            raise UserError(f"curriculum: segments are 1 or more, not {segments}")
        try:
            self.stages = Stages(sampled, dropped, schedule, cycle, steps)
        except ValueError as error:
            raise UserError(f"curriculum: {error}") from None
        self.segments = segments
        self.clip_steps = forms["visual"].shape[0]
        self._stage: Stage | None = None

    def __call__(self, model: LateFusion, batch: Batch, epoch: int) -> tuple[dict[str, Tensor], Tensor]:
        """Return modality -> (N, ...) after the attack and the targets as they are."""
        crafted = self.craft(model, batch, epoch)
        return crafted.moved, crafted.labels

    def craft(self, model: LateFusion, batch: Batch, epoch: int) -> Crafted:
        """Return a batch after the attack with all that the attack went through."""
        inputs, labels = Plain.__call__(self, model, batch, epoch)
        stage = self._stage = self.stages.at(epoch)
        draws = [generator("curriculum", self.setting.seed, epoch, clip) for clip in batch["clip_id"]]
        count = count_sampled(stage.sampled, self.clip_steps)
        sampling = Sampling.drawn(self.clip_steps, count, self.segments, draws).to(self.setting.device)
        budgets = {name: of for name, of in self.given(inputs).items() if of.active}
        with evaluating(model), self.spent.crafting(model, len(labels)):
            threat = self.threat(model, epoch)
            net = _without(threat.model, stage.dropped, draws)
            clips = _Shared(sampling, inputs, budgets)
            partner = mixed_with(batch, inputs) if threat.attack.needs_partner else {}
            attack = clips.seen_by(threat.attack.in_steps(stage.attack_steps))
            loss = clips.loss(net, threat.objective, labels, partner)
            context = threat.context(batch["clip_id"])
            found = perturb(loss, clips.budgets, attack, context)
        shared = {name: found[name] for name in budgets}
        moved = {name: clips.whole(name, shared[name]) if name in shared else x for name, x in inputs.items()}
        return Crafted(stage, sampling, inputs, labels, budgets, loss, attack, threat, context, shared, moved)

    def facts(self) -> dict[str, float]:
        """Return what the epoch crafted with, and what that took of each clip."""
        stage = self._stage
        of_stage = {"sampled": stage.sampled, "dropped": stage.dropped, "attack_steps": stage.attack_steps}
        return {**of_stage, **super().facts()}


class _Shared:
    """Clips of which the sampled steps are seen, moved by what their segments share.

    To the attack an input of an attacked modality is the perturbation of its segments, from 0 on; the net gets what
    `place` makes of it.
    """

    def __init__(self, sampling: Sampling, inputs: Mapping[str, Tensor], budgets: Mapping[str, Budget]):
        self.sampling, self.inputs, self.ranges = sampling, inputs, budgets
        self.parts = {name: sampling.part(name, x) for name, x in inputs.items()}
        # The range is that of the clip: a perturbation of several steps has none.
        self.budgets = {name: replace(budget, low=-inf, high=inf) for name, budget in budgets.items()}

    def loss(self, net: LateFusion, objective: nn.Module, labels: Tensor, partner: Mapping[str, Tensor]) -> Loss:
        """Return the loss at perturbations of the segments; `partner`: whole clips to mix with."""
        places = {
            name: self.sampling.nothing(name, x) if name in self.budgets else self.parts[name]
            for name, x in self.inputs.items()
        }
        clean = {}
        if hasattr(objective, "relative_to"):
            with torch.no_grad():
                clean = {name: net.encode(name, self.parts[name]) for name in net.modalities}
        mixed = {name: self.sampling.part(name, x) for name, x in partner.items()}
        return Loss(net, objective, places, labels, clean, mixed)

    def seen_by(self, attack: Attack) -> Attack:
        """Return the same attack, whose points are of the clips' sampled steps."""
        if attack.combine is not None or attack.restarts > 1:
            raise UserError("curriculum: the attack looks at the input itself or starts again; give another")
        points = attack.points or (lambda step: [HERE])

        def of_step(step: int) -> list[Point]:
            return [
                replace(one, place=partial(self._place, one.place, one.touches), touches=(*self.budgets, *one.touches))
                for one in points(step)
            ]

        return replace(attack, points=of_step)

    def whole(self, name: str, perturbation: Tensor) -> Tensor:
        """Return the clips of a modality moved by their segments' perturbations, inside ball and range."""
        clean = self.inputs[name]
        return ball_then_range(name, clean + self.sampling.copied(name, perturbation, clean), clean, self.ranges[name])

    def _place(self, place: Place, touches: Sequence[str], modality: str, x: Tensor, context: Context) -> Tensor:
        if modality in self.budgets:
            moved = self.parts[modality] + self.sampling.shared(modality, x)
            # At the end of the range the input stops, and its gradient goes on, as where a step is projected.
            x = moved + (self.ranges[modality].clamp(moved) - moved).detach()
        if modality not in touches:
            return x
        return place(modality, x, replace(context, parts=self.sampling.count))


class _Masked(nn.Module):
    """A fusion of whose features some are 0 for each clip, the others the larger for it."""

    def __init__(self, fusion: nn.Module, mask: Tensor):
        super().__init__()
        self.fusion, self.mask, self.modalities = fusion, mask, fusion.modalities

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        fused = self.fusion(features)
        return fused * (self.mask.unsqueeze(1) if fused.dim() == 3 else self.mask)


def _without(model: LateFusion, dropped: float, draws: Sequence) -> LateFusion:
    """Return the net without a share of its fused features, in per cent, drawn for each clip.

    An explicit mask, because evaluation mode puts every dropout to rest; those that are left are scaled as it does.
    """
    size = model.fusion.out_features
    count = half_up(dropped * size / 100)
    if not count:
        return model
    order = torch.tensor([draw.permutation(size).tolist() for draw in draws])
    mask = torch.full((len(draws), size), size / (size - count)).scatter_(1, order[:, :count], 0.0)
    device = next(model.parameters()).device
    net = LateFusion(model.encoders, _Masked(model.fusion, mask.to(device)), model.classifier, model.defences)
    net.precision, net.task = model.precision, model.task
    return net.train(False)
