"""The control of density-convexity mix-up: as many clips are mixed, of whatever class."""

from collections.abc import Sequence

from torch import Tensor

from avrobust.keyed import generator
from avrobust.training.prepare.selected_mixup import SelectedMixup


class UnselectedMixup(SelectedMixup):
    """As many clips of each batch as `SelectedMixup` of the same options mixes, they and their partners of any class.

    What the selection does beside mixing is what sets the two apart. A clip is not its own partner, unless it is alone.
    """

    def chosen(self, clip_ids: Sequence[str], labels: Tensor, epoch: int) -> dict[int, tuple[float, int]]:
        """Return the places of the clips that are mixed, each with its own share and its partner's place."""
        drawn = []
        for place, clip in enumerate(clip_ids):
            draw = generator("unselected", self.setting.seed, epoch, clip)
            drawn.append((draw.random(), place, draw.beta(self.alpha, self.alpha)))
        drawn.sort()
        following = drawn[1:] + drawn[:1]
        pairs = [(place, (share, partner)) for (_, place, share), (_, partner, _) in zip(drawn, following, strict=True)]
        return dict(pairs[: len(super().chosen(clip_ids, labels, epoch))])
