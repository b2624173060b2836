"""Adam (Kingma & Ba, ICLR 2015), weight decay as part of the gradient."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam

from avrobust.training.optimiser import Optimiser


class Adam(Optimiser):
    """p <- p - lr m / (sqrt(v) + eps), m and v the bias-corrected running means of the gradient and its square."""

    def __init__(
        self,
        groups: Sequence[dict],
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        super().__init__(groups, beta1=beta1, beta2=beta2, eps=eps, weight_decay=weight_decay)

    def _move(self, parameters: list[Tensor], gradients: list[Tensor], states: list[dict], group: dict) -> None:
        for parameter, state in zip(parameters, states, strict=True):
            if not state:
                state |= {"step": 0, "mean": torch.zeros_like(parameter), "square": torch.zeros_like(parameter)}
        adam(
            *(parameters, gradients),
            *([state[name] for state in states] for name in ("mean", "square")),
            max_exp_avg_sqs=[],
            state_steps=[torch.tensor(float(state["step"])) for state in states],
            **{name: group[name] for name in ("lr", "beta1", "beta2", "eps", "weight_decay")},
            amsgrad=False,
            maximize=False,
            foreach=True,
        )
        for state in states:
            state["step"] += 1
