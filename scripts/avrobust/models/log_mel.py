"""The logarithm of a waveform's energy in mel bands, differentiable, and its steps averaged to a given number.

Whatever is in the way of a deterministic gradient on CUDA is left out: frames are cut by slices and padded by zeros,
and steps are averaged by a matrix (adaptive pooling to more than one position adds in any order).
"""

from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# What is added below the root: its gradient at silence is finite, and the magnitude of silence 1e-5.
SILENCE = 1e-10

# By torch.log: MKL's log10 and sqrt go by the processor (docs/results.md).
LOGARITHMS = {"natural": torch.log, "decibel": lambda energy: 10 / log(10) * torch.log(energy)}


class LogMel(nn.Module):
    """log(mel + `log_constant`) with mel the filterbank of the power or the magnitude of a Hann window's spectrum.

    `logarithm`: `natural`, or `decibel`, 10 log10 of power and magnitude alike, as in the released code of Li et al.

    Input: (N, 1, L) waveform in [-1, 1]. Output: (N, 1, `mels`, 1 + L // `hop`), one column every `hop` samples,
    centred there; beyond the ends the sound is 0. In the waveform's own precision, also below an autocast.

    `window` and `n_fft` in samples, the window filled up with zeros; the magnitude is sqrt(re^2 + im^2 + 1e-10). The
    filterbank is torchaudio's, without normalisation, from 0 Hz to half the `sample_rate` on the HTK scale.

    Raises:
        ValueError: sizes that contradict each other, or a band without any frequency of the spectrum.
    """

    filters: Tensor
    shape: Tensor

    def __init__(
        self,
        sample_rate: int,
        n_fft: int = 1024,
        window: int = 400,
        hop: int = 160,
        mels: int = 64,
        spectrum: str = "power",
        log_constant: float = 1e-6,
        logarithm: str = "natural",
    ):
        super().__init__()
        # Not at the top: half a second that only nets with this front pay.
        from torchaudio.functional import melscale_fbanks

        if spectrum not in ("power", "magnitude"):
            raise ValueError(f"spectrum is 'power' or 'magnitude', not {spectrum!r}")
        if logarithm not in LOGARITHMS:
            raise ValueError(f"logarithm is {' or '.join(map(repr, LOGARITHMS))}, not {logarithm!r}")
        if not 1 <= hop <= window <= n_fft:
            raise ValueError(f"1 <= hop <= window <= n_fft is needed, not {hop}, {window}, {n_fft}")
        if mels < 1:
            raise ValueError(f"mels: at least 1 is needed, not {mels}")
        filters = melscale_fbanks(n_fft // 2 + 1, 0.0, sample_rate / 2, mels, sample_rate)
        if empty := int((filters.amax(dim=0) == 0).sum()):
            raise ValueError(f"{empty} of {mels} mel bands are without a frequency; give fewer, or more n_fft")
        self.sizes = n_fft, window, hop
        self.spectrum, self.log_constant, self.logarithm = spectrum, log_constant, LOGARITHMS[logarithm]
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("shape", torch.hann_window(window), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        with torch.autocast(waveform.device.type, enabled=False):
            spectrum = torch.fft.rfft(self._frames(waveform.squeeze(1)) * self.shape, n=self.sizes[0])
            power = spectrum.real.square() + spectrum.imag.square()
            energy = power if self.spectrum == "power" else _root(power + SILENCE)
            return self.logarithm(energy @ self.filters + self.log_constant).transpose(1, 2).unsqueeze(1)

    def _frames(self, waveform: Tensor) -> Tensor:
        """Return (N, 1 + L // hop, window) of (N, L): overlapping pieces, out of blocks of `hop` samples."""
        _, window, hop = self.sizes
        count, blocks = 1 + waveform.shape[1] // hop, -(-window // hop)
        wanted, before = (count + blocks - 1) * hop, window // 2
        padded = F.pad(waveform, (before, max(0, wanted - before - waveform.shape[1])))[:, :wanted]
        pieces = padded.unflatten(1, (-1, hop))
        return torch.cat([pieces[:, first : first + count] for first in range(blocks)], dim=2)[:, :, :window]


def _root(positive: Tensor) -> Tensor:
    """The square root, the same on every processor."""
    return positive * positive.rsqrt()


def averaging_matrix(positions: int, steps: int, device: torch.device) -> Tensor:
    """Return (positions, steps), float32: column s averages the positions of the s-th of `steps` equal parts.

    Parts share a position where `steps` does not divide, as in torch's adaptive pooling.

    Raises:
        ValueError: fewer positions than steps: some steps would be the same.
    """
    if positions < steps:
        raise ValueError(f"{positions} positions in time make no {steps} steps; give a finer map or fewer steps")
    step, place = torch.arange(steps, device=device), torch.arange(positions, device=device).unsqueeze(1)
    inside = (place >= step * positions // steps) & (place < -(-(step + 1) * positions // steps))
    return inside / inside.sum(dim=0)
