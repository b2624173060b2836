"""The external feature memory (ExFMem) of Tian & Xu (CVPR 2021), section 3.3.2."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from avrobust.defences.ista import safe_step, sparse_codes


class FeatureMemory(nn.Module):
    """Replaces the feature of a clip by a mixture of itself and its sparse approximation by training features.

    It has no parameters: the memory is filled once, by `remember`, and saved with the net.

    Buffers:
        bank: (features, columns), one training feature per column.
        step: scalar, ISTA's step; 0 as long as the memory is empty.
    """

    bank: Tensor
    step: Tensor

    def __init__(
        self,
        features: int,
        columns: int,
        *,
        mixing: float,
        penalty: float,
        iterations: int,
        tolerance: float,
        training_group: int,
        evaluation_group: int,
    ):
        """Make an empty memory of `columns` features of length `features`.

        `mixing` is the share of the approximation, in [0, 1]; `penalty`, `iterations`, `tolerance` are those of
        `sparse_codes`, and the groups its `group` in training and in evaluation mode. Released code: mixing 0.5
        (Kinetics-Sounds: 0.6), penalty 0.1, 2001 iterations, tolerance 8e-4, groups of the clips of one GPU: 12 or 8
        in training, 4 in evaluation.
        """
        super().__init__()
        self.mixing = mixing
        self.penalty = penalty
        self.iterations = iterations
        self.tolerance = tolerance
        self.training_group = training_group
        self.evaluation_group = evaluation_group
        self.register_buffer("bank", torch.zeros(features, columns))
        self.register_buffer("step", torch.zeros((), dtype=torch.float64))
        self._derived: tuple | None = None

    @property
    def clips_together(self) -> int:
        """Of how many consecutive clips the result of each depends on in evaluation mode; 1 if only on itself."""
        return self.evaluation_group if self.tolerance > 0 else 1

    @torch.no_grad()
    def remember(self, bank: Tensor, given_step: float) -> None:
        """Fill the memory with `bank` (features, columns); ISTA's step is `given_step`, or less if that is too long.

        Raises:
            ValueError: wrong shape, a value or step that is not finite, or a step that is not positive.
        """
        if bank.shape != self.bank.shape:
            raise ValueError(f"a bank of shape {tuple(self.bank.shape)} is needed, got {tuple(bank.shape)}")
        if not bank.isfinite().all():
            raise ValueError("the bank has values that are not finite")
        if not (math.isfinite(given_step) and given_step > 0):
            raise ValueError(f"the step must be positive and finite, got {given_step}")
        self.bank.copy_(bank)
        self.step.copy_(safe_step(self.bank, given_step))

    def forward(self, features: Tensor) -> Tensor:
        """Return mixing * D h + (1 - mixing) * f for features f (N, features) with codes h over the bank D.

        Raises:
            RuntimeError: the memory is empty.
        """
        gram, step = self._gram_and_step()
        codes = sparse_codes(
            features,
            self.bank,
            gram,
            step,
            penalty=self.penalty,
            iterations=self.iterations,
            tolerance=self.tolerance,
            group=self.training_group if self.training else self.evaluation_group,
        )
        return self.mixing * (codes @ self.bank.T) + (1 - self.mixing) * features

    def _gram_and_step(self) -> tuple[Tensor, float]:
        """Return D^T D and the step as a number, computed anew whenever a buffer was replaced or written to."""
        # Loading and `copy_` raise the version of a buffer; `to`, `double` and the like make another buffer. The
        # buffers are kept, so that no later one can have the address of one that is gone.
        buffers = (self.bank, self.step)
        seen = [(id(buffer), buffer._version) for buffer in buffers]
        if self._derived is None or self._derived[0] != seen:
            step = self.step.item()
            if step <= 0:
                raise RuntimeError("the feature memory is empty: call remember() or load a state dict first")
            self._derived = seen, buffers, self.bank.T @ self.bank, step
        _, _, gram, step = self._derived
        return gram, step

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is derived: it belongs to these very buffers, not to those of a copy."""
        return {**self.__dict__, "_derived": None}
