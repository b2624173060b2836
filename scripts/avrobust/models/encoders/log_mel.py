"""A net on pictures that listens: zhang2025's sound branch (ICLR 2025, section 3), features for every step."""

import torch
from torch import Tensor, nn

from avrobust.lazy import built
from avrobust.models.log_mel import LogMel, averaging_matrix
from avrobust.models.pictures import PictureNet
from avrobust.models.registry import VISUAL_ENCODERS

# More steps than a clip has: a map that has a position for each of these has one for each of fewer.
MANY = 100
# A width of which torchvision's nets have eight channels at least.
NARROW = 1 / 8


class LogMelEncoder(nn.Module):
    """Convolutions on the log-mel picture of a sound, the last map averaged over the frequencies and to steps of time.

    Input: (N, 1, L) waveform in [-1, 1]. Output: (N, T, D), T = L / `samples_per_step`, rounded, at least 1, so that a
    part of the sound gives as many steps as it lasts; D is `projection`, or else the net's own.

    `net`: `{name, options}` of a net on pictures (`avrobust.models.pictures`), which gets one channel. `front`: the
    options of `avrobust.models.log_mel.LogMel`.

    Raises:
        ValueError: the net's map has no position for each step, or it has none.
    """

    def __init__(self, net: dict, samples_per_step: int, front: dict, projection: int | None = None):
        super().__init__()
        self.front = LogMel(**front)
        options = {**net.get("options", {}), "channels": 1}
        self.net = built(VISUAL_ENCODERS, {**net, "options": options})
        if not isinstance(self.net, PictureNet) or self.net.projection is not None:
            raise ValueError(f"net {net['name']} must be one that gives its map, without a projection of its own")
        self.samples_per_step = samples_per_step
        self.projection = nn.Identity() if projection is None else nn.Linear(self.net.out_features, projection)
        self.out_features = projection or self.net.out_features
        # Of a narrow net, whose map is as large: torch needs a second and a half to begin with tensors without values.
        with torch.random.fork_rng(devices=[]):
            narrow = {**options, "width": min(options.get("width", 1), NARROW)}
            like = built(VISUAL_ENCODERS, {**net, "options": narrow}).eval()
        for steps in (1, MANY):
            columns = 1 + steps * samples_per_step // self.front.sizes[2]
            try:
                with torch.inference_mode():
                    positions = like.feature_map(torch.zeros(1, 1, self.front.filters.shape[1], columns)).shape[3]
            except RuntimeError as error:
                raise ValueError(f"{samples_per_step} samples, one step, give {net['name']} no map: {error}") from None
            if positions < steps:
                raise ValueError(
                    f"{steps} steps of {samples_per_step} samples give {net['name']} a map of {positions} positions in "
                    "time; give longer steps, a shorter hop or a smaller stride"
                )

    def forward(self, waveform: Tensor) -> Tensor:
        steps = max(1, round(waveform.shape[-1] / self.samples_per_step))
        maps = self.net.feature_map(self.front(waveform)).mean(dim=2)
        average = averaging_matrix(maps.shape[2], steps, maps.device).to(maps.dtype)
        return self.projection((maps @ average).transpose(1, 2))
