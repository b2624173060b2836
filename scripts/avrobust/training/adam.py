"""Adam (Kingma & Ba, ICLR 2015), weight decay as part of the gradient."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.adam import adam


@dataclass(frozen=True)
class Adam:
    """p <- p - lr m / (sqrt(v) + eps), m and v the bias-corrected running means of the gradient and its square."""

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0

    def move(self, parameters: list[Tensor], gradients: list[Tensor], states: list[dict], rate: float) -> None:
        """Move `parameters` in place; `states`, empty at first, are kept for each from step to step."""
        for parameter, state in zip(parameters, states, strict=True):
            if not state:
                state |= {"step": 0, "mean": torch.zeros_like(parameter), "square": torch.zeros_like(parameter)}
        means, squares = ([state[name] for state in states] for name in ("mean", "square"))
        steps = [torch.tensor(float(state["step"])) for state in states]
        options = {"lr": rate, "amsgrad": False, "maximize": False}
        # On a CPU all but the fused one take a root of MKL's, which goes by the processor (docs/results.md).
        on_cpu = parameters[0].is_cpu
        if on_cpu:
            gradients = list(map(_in_order, gradients, parameters))
        options |= {"fused": on_cpu, "foreach": not on_cpu}
        adam(parameters, gradients, means, squares, [], steps, **vars(self), **options)
        for state in states:
            state["step"] += 1


def _in_order(gradient: Tensor, parameter: Tensor) -> Tensor:
    """The gradient in the parameter's order in memory, which torch's fused steps take for granted."""
    return gradient if gradient.stride() == parameter.stride() else torch.empty_like(parameter).copy_(gradient)
