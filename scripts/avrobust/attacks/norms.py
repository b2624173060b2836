"""The norms of a budget: how long a perturbation is, the steepest way, back into the ball, and a random point of it.

`length`, `steepest` and `inside` speak of perturbations divided by their epsilon, so that every ball has radius 1. An
epsilon broadcasts against the inputs (N, ...).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

# (name of the draw, shape for one clip) -> (N, *shape).
Draw = Callable[..., Tensor]


class LInf:
    """The largest absolute value."""

    def length(self, perturbation: Tensor) -> Tensor:
        """Return the norm of each clip's perturbation: (N, ...) -> (N,)."""
        return perturbation.abs().flatten(1).amax(dim=1)

    def lengths(self, perturbation: Tensor) -> Tensor:
        """Return the norm of each clip's perturbation: (N, ...) -> (N, 1, ...)."""
        return perturbation.abs().amax(dim=tuple(range(1, perturbation.dim())), keepdim=True)

    def steepest(self, gradient: Tensor, epsilon: Tensor) -> Tensor:
        """Return the perturbation / epsilon of length 1 that a function of this gradient rises by most: its signs."""
        return gradient.sign()

    def project(self, iterate: Tensor, clean: Tensor, epsilon: Tensor) -> Tensor:
        """Return the point of the ball around `clean` next to `iterate`."""
        return iterate.clamp(clean - epsilon, clean + epsilon)

    def inside(self, name: str, shape: tuple[int, ...], uniform: Draw, normal: Draw) -> Tensor:
        """Return points drawn uniformly of the unit ball, (N, *shape)."""
        return 2 * uniform(name, *shape) - 1


@dataclass(frozen=True)
class L2:
    """The Euclidean norm over the last `axes` axes, each vector there on its own; over a clip's whole input if None."""

    axes: int | None

    def lengths(self, vectors: Tensor) -> Tensor:
        """Return the norm of each vector: (N, ...) -> the same, of size 1 in the axes of a vector."""
        squares = vectors.pow(2).sum(dim=self._dims(vectors.dim()), keepdim=True)
        # Not sqrt, which is the processor's own (docs/results.md), nor vector_norm, which loses digits of many values.
        return squares.rsqrt().reciprocal()

    def _dims(self, count: int) -> tuple[int, ...]:
        return tuple(range(1 if self.axes is None else max(1, count - self.axes), count))

    def length(self, perturbation: Tensor) -> Tensor:
        """Return the norm of each clip's longest vector: (N, ...) -> (N,)."""
        return self.lengths(perturbation).flatten(1).amax(dim=1)

    def steepest(self, gradient: Tensor, epsilon: Tensor) -> Tensor:
        """Return the perturbation / epsilon of length 1 that a function of this gradient rises by most, 0 of 0."""
        gradient = gradient * epsilon
        # Divided by the largest value first: the square of a small gradient is 0 in float32.
        largest = gradient.abs().amax(dim=self._dims(gradient.dim()), keepdim=True)
        scaled = gradient / largest.clamp_min(torch.finfo(gradient.dtype).tiny)
        return scaled / self.lengths(scaled).clamp_min(1)

    def project(self, iterate: Tensor, clean: Tensor, epsilon: Tensor) -> Tensor:
        """Return the point of the ball around `clean` next to `iterate`."""
        perturbation = iterate - clean
        length = self.lengths(perturbation / epsilon.clamp_min(torch.finfo(iterate.dtype).tiny))
        return torch.where(length > 1, clean + perturbation / length, iterate)

    def inside(self, name: str, shape: tuple[int, ...], uniform: Draw, normal: Draw) -> Tensor:
        """Return points drawn uniformly of the unit ball, (N, *shape): a random direction, and the d-th root of u."""
        direction = normal(name, *shape)
        dims = self._dims(direction.dim())
        balls = tuple(1 if axis + 1 in dims else size for axis, size in enumerate(shape))
        dimensions = prod(direction.shape[axis] for axis in dims)
        return direction / self.lengths(direction) * uniform(f"{name}, radius", *balls) ** (1 / dimensions)


Norm = LInf | L2
LINF = LInf()

# Name -> (trailing axes of one time step) -> norm.
NORMS: dict[str, Callable[[int], Norm]] = {
    "linf": lambda step_axes: LINF,
    "l2_step": L2,
    "l2_clip": lambda step_axes: L2(None),
}
