"""Which clips an attack is at, what is drawn at random for them, and what may be mixed with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from avrobust.keyed import seed_of

# Clips whose frames do not say it are of so many parts in time.
PARTS = 20


@dataclass(frozen=True)
class Context:
    """The ids of clips under attack.

    Whatever is drawn for a clip depends on `seed`, `attack` (its name), `restart`, `step`, the clip's id and the name
    of the draw, and neither on its place in a batch nor on its neighbours. A draw of the same name is the same for both
    modalities.

    `partner`: modality -> (N, ...), for each clip one of another class, as it is; empty where nobody asked for it.
    `parts`: of how many equal parts in time a clip is, as many as its frames.

    `fitted`: modality -> (...), what was found beforehand for all clips under `condition`, in natural units.
    """

    clip_ids: Sequence[str] = ()
    seed: int = 0
    attack: str = ""
    restart: int = 0
    step: int = 0
    partner: Mapping[str, Tensor] = field(default_factory=dict)
    parts: int = PARTS
    condition: str = ""
    fitted: Mapping[str, Tensor] = field(default_factory=dict)

    def uniform(self, name: str, *shape: int) -> Tensor:
        """Return (N, *shape) of [0, 1), on the CPU."""
        return self._drawn(torch.rand, name, shape)

    def normal(self, name: str, *shape: int) -> Tensor:
        """Return (N, *shape) of the standard normal distribution, on the CPU."""
        return self._drawn(torch.randn, name, shape)

    def normal_for_all(self, name: str, *shape: int) -> Tensor:
        """Return `shape` of the standard normal distribution, on the CPU: one draw for all clips under a condition."""
        return torch.randn(shape, generator=self._generator(f"under {self.condition}", name))

    def _drawn(self, draw: object, name: str, shape: tuple[int, ...]) -> Tensor:
        if not self.clip_ids:
            raise RuntimeError(f"the attack {self.attack} draws {name!r} at random, of clips whose ids it is not told")
        return torch.stack([draw(shape, generator=self._generator(clip_id, name)) for clip_id in self.clip_ids])

    def _generator(self, clip_id: str, name: str) -> torch.Generator:
        key = (self.seed, self.attack, self.restart, self.step, clip_id, name)
        return torch.Generator().manual_seed(seed_of(*key))
