"""The loop that every attack is: Tian & Xu (CVPR 2021), equation 1, solved by projected steps.

An attack is a composition: how many steps of which length, which direction to go from a gradient, and how
to get back into the ball. Gradients are taken of the sum of per-clip losses with respect to the inputs, so
no clip depends on its neighbours in the batch, unless the direction mixes them, and no parameter receives a gradient.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from avrobust.attacks.budget import Budget
from avrobust.models.late_fusion import LateFusion

Inputs = Mapping[str, Tensor]
Objective = Callable[[Inputs, Tensor, Tensor], Tensor]
Direction = Callable[[str, Tensor], Tensor]
Projection = Callable[[str, Tensor, Tensor, Budget], Tensor]


@dataclass(frozen=True)
class Attack:
    """`steps` steps of length `step_size` * epsilon along `direction()`, each followed by `project`.

    `direction` makes a fresh function (modality, gradient) -> direction for every batch, so that momentum
    starts at zero; `project` is (modality, iterate, clean input, budget) -> iterate. `keeps_ball` and
    `keeps_range` are what the attack promises and every cell checks; only the authors' own variants break
    one of them. `mixes_clips` is of such a variant too: the clips of a batch influence each other, so that it must be
    told how many it gets at a time (`avrobust.attacks.threat.AttackSpec`).
    """

    steps: int
    step_size: float
    direction: Callable[[], Direction]
    project: Projection
    keeps_ball: bool = True
    keeps_range: bool = True
    mixes_clips: bool = False


def input_gradients(
    model: LateFusion,
    inputs: Inputs,
    labels: Tensor,
    objective: Objective,
    attacked: tuple[str, ...],
    features: Inputs,
) -> dict[str, Tensor]:
    """Return the gradient of each clip's objective with respect to its `attacked` inputs.

    `inputs`: modality -> (N, ...); `labels`: (N,); `features`: the features of the modalities that are not
    attacked, which are constants. The model must be in evaluation mode.
    """
    leaves = {name: inputs[name].detach().requires_grad_() for name in attacked}
    with torch.enable_grad():
        encoded = {
            name: model.encode(name, leaves[name]) if name in leaves else features[name] for name in model.modalities
        }
        loss = objective(encoded, model.head(encoded), labels).sum()
        gradients = torch.autograd.grad(loss, list(leaves.values()))
    return dict(zip(leaves, gradients, strict=True))


def perturb(
    model: LateFusion,
    inputs: Inputs,
    labels: Tensor,
    budgets: Mapping[str, Budget],
    attack: Attack,
    objective: Objective,
    features: Inputs,
    first_gradients: Inputs | None = None,
) -> dict[str, Tensor]:
    """Return adversarial inputs: the attacked modalities changed, every other tensor the very same object.

    `inputs`: modality -> (N, ...) in natural units; `labels`: (N,); `budgets`: modality -> budget, absent or
    zero for a modality that is not attacked; `features`: the clean features of at least those modalities.
    `first_gradients` are the gradients at the clean clip where the caller has them already: they are the
    same for every budget and every choice of modalities. The model must be in evaluation mode.
    """
    attacked = tuple(name for name in model.modalities if name in budgets and budgets[name].active)
    adversarial = dict(inputs)
    if not attacked:
        return adversarial
    direction = attack.direction()
    gradients = first_gradients
    for _ in range(attack.steps):
        if gradients is None:
            gradients = input_gradients(model, adversarial, labels, objective, attacked, features)
        for name in attacked:
            step = attack.step_size * budgets[name].epsilon * direction(name, gradients[name])
            adversarial[name] = attack.project(name, adversarial[name] + step, inputs[name], budgets[name])
        gradients = None
    return adversarial
