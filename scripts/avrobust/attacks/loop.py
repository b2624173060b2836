"""The loop that every attack is: Tian & Xu (CVPR 2021), equation 1, solved by projected steps.

An attack is a composition: how many steps of which length, where gradients are taken, which direction to go from
them, and how to get back into the ball. Gradients are of per-clip losses with respect to the inputs, so no clip depends
on its neighbours in the batch, unless the direction mixes them, and no parameter receives a gradient.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from avrobust.attacks.budget import Budget
from avrobust.attacks.context import Context
from avrobust.attacks.fit import Fit
from avrobust.attacks.loss import Inputs, Loss, Point
from avrobust.program import UserError

# (modality, gradient (N, ...)) -> the vector (N, ...) whose steepest way an attack goes.
Direction = Callable[[str, Tensor], Tensor]


def plain() -> Direction:
    """FGSM and PGD: the gradient itself (Goodfellow et al., ICLR 2015)."""
    return lambda modality, gradient: gradient


def ball_then_range(modality: str, iterate: Tensor, clean: Tensor, budget: Budget) -> Tensor:
    """Return `iterate` taken back into the ball around `clean`, then to the valid range, in which `clean` lies."""
    return budget.clamp(budget.norm.project(iterate, clean, budget.epsilon))


@dataclass(frozen=True)
class Attack:
    """`steps` steps of length `step_size` * epsilon along `direction()`, each followed by `project`.

    `step_size`: None for 1 / `steps`. An attack of 0 steps is its `start` alone and takes no gradient. `direction`
    makes a fresh function (modality, gradient) -> vector for every batch, so that momentum starts at zero; the step
    goes the steepest way of that vector in the budget's norm, in l-infinity along its signs. `project`: (modality,
    iterate, clean input, budget) -> iterate.

    `points`: step -> points whose gradients are summed, in the place of the gradient at the iterate. `combine`:
    (modality, iterate, gradient, budget) -> gradient, before `direction` gets it. `look_ahead`: (direction, modality,
    length of a step in natural units) -> what is added to the iterate where gradients are taken, from the second step
    on; it is never kept. `start`: (modality, clean input, budget, context) -> iterate in the place of the clean input.
    Of `restarts` runs each clip keeps the one with the highest loss. `objective`: what is maximised where a paper's
    file does not say, (dimensions, classes) -> module as in `avrobust.objectives`; None for the training loss.
    `needs_partner`: whether a point mixes clips with those of other classes, which the loss must then be told.
    `fit`: how one perturbation for all clips is found before any of them is attacked, which `start` then gets in the
    context; `fitted_by`: the name of the attack whose perturbation it gets in the place of one of its own.

    What an attack promises, and every cell checks: `keeps_ball`, `keeps_range`; only the authors' own variants break
    one of them. `random`: whether other seeds give other results. `mixes_clips`: the clips of a batch influence each
    other, so that it must be told how many it gets at a time (`avrobust.spec.attacks.AttackSpec`).
    """

    steps: int
    step_size: float | None = None
    direction: Callable[[], Direction] = plain
    project: Callable[[str, Tensor, Tensor, Budget], Tensor] = ball_then_range
    points: Callable[[int], Sequence[Point]] | None = None
    combine: Callable[[str, Tensor, Tensor, Budget], Tensor] | None = None
    look_ahead: Callable[[Direction, str, Tensor], Tensor] | None = None
    start: Callable[[str, Tensor, Budget, Context], Tensor] | None = None
    restarts: int = 1
    objective: Callable[..., nn.Module] | None = None
    needs_partner: bool = False
    fit: Fit | None = None
    fitted_by: str = ""
    keeps_ball: bool = True
    keeps_range: bool = True
    random: bool = False
    mixes_clips: bool = False

    def __post_init__(self):
        for name, least in (("steps", 1 if self.start is None else 0), ("restarts", 1)):
            if getattr(self, name) < least:
                raise UserError(f"{name} of an attack are {least} or more, not {getattr(self, name)}")

    @property
    def step_length(self) -> float:
        """The length of a step as a share of epsilon; 0 where there is none."""
        if not self.steps:
            return 0.0
        return 1 / self.steps if self.step_size is None else self.step_size

    @property
    def takes_modalities_apart(self) -> bool:
        """Whether what becomes of a modality is the same whatever becomes of the other: no gradient beyond the clip."""
        if self.fit or self.fitted_by:
            return False
        return self.restarts == 1 and (not self.steps or (self.steps == 1 and self.start is None))

    def fitted_as(self, name: str) -> str:
        """Return whose fitted perturbation an attack called `name` adds; nothing where it needs none."""
        return name if self.fit else self.fitted_by

    def in_steps(self, steps: int | None) -> "Attack":
        """Return the same attack in another number of steps; None for its own.

        Raises:
            UserError: it takes none.
        """
        if steps is None:
            return self
        if not self.steps:
            raise UserError(f"an attack that takes no step cannot take {steps}; leave the number of steps out")
        return replace(self, steps=steps)


def perturb(
    loss: Loss, budgets: Mapping[str, Budget], attack: Attack, context: Context | None = None
) -> dict[str, Tensor]:
    """Return adversarial inputs: the attacked modalities changed, every other tensor the very same object.

    `budgets`: modality -> budget, absent or zero for a modality that is not attacked; `context`: whose clips those of
    `loss` are, which an attack that draws at random must be told.
    """
    context = loss.told(context)
    budgets = {name: budgets[name] for name in loss.modalities if name in budgets and budgets[name].active}
    if not budgets:
        return dict(loss.inputs)
    kept = _run(loss, budgets, attack, context)
    if attack.restarts == 1:
        return kept
    highest = loss.value(kept)
    for restart in range(1, attack.restarts):
        made = _run(loss, budgets, attack, replace(context, restart=restart))
        value = loss.value(made)
        higher = value > highest
        highest = torch.where(higher, value, highest)
        for name in budgets:
            kept[name] = torch.where(higher.view(-1, *[1] * (kept[name].dim() - 1)), made[name], kept[name])
    return kept


def _run(loss: Loss, budgets: Mapping[str, Budget], attack: Attack, context: Context) -> dict[str, Tensor]:
    clean, attacked = loss.inputs, tuple(budgets)
    adversarial, direction = dict(clean), attack.direction()
    if attack.start is not None:
        adversarial |= {name: attack.start(name, clean[name], budgets[name], context) for name in attacked}
    for step in range(attack.steps):
        lengths = {name: attack.step_length * budget.epsilon for name, budget in budgets.items()}
        if step == 0 and context.restart == 0 and attack.start is None:
            gradients = loss.first_gradients(attacked, attack.points, context, attack.random)
        else:
            gradients = loss.gradients(
                _ahead(adversarial, lengths, direction, attack) if step else adversarial,
                attacked,
                attack.points and attack.points(step),
                replace(context, step=step),
            )
        for name, budget in budgets.items():
            iterate, gradient = adversarial[name], gradients[name]
            if attack.combine is not None:
                gradient = attack.combine(name, iterate, gradient, budget)
            # In the iterate's order in memory, which is not that of a picture's gradient: several times faster.
            way = budget.norm.steepest(direction(name, gradient), budget.epsilon).contiguous()
            moved = iterate + lengths[name] * way
            adversarial[name] = attack.project(name, moved, clean[name], budget)
    return adversarial


def _ahead(adversarial: Inputs, lengths: Mapping[str, Tensor], direction: Direction, attack: Attack) -> Inputs:
    if attack.look_ahead is None:
        return adversarial
    ahead = {name: adversarial[name] + attack.look_ahead(direction, name, length) for name, length in lengths.items()}
    return {**adversarial, **ahead}
