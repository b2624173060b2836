"""Evaluation mode that is undone exactly."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from avrobust.program import UserError


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put every module into evaluation mode and give each its own mode back at the end.

    `model.train()` at the end would also wake modules that somebody had put to rest by hand.

    Raises:
        UserError: a module stays in training mode.
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        if awake := [type(module).__name__ for module in model.modules() if module.training]:
            raise UserError(f"{awake[0]} stays in training mode when told to leave it; let its `train` take the mode")
        yield
    finally:
        for module, training in modes:
            module.training = training
