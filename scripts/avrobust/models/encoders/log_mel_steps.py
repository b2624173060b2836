"""The log-mel picture of a sound as it is, a column a step: the sound features of Li et al. (ICASSP 2022)."""

from torch import Tensor, nn

from avrobust.models.log_mel import LogMel


class LogMelSteps(nn.Module):
    """The first `steps` columns of `avrobust.models.log_mel.LogMel`, of which `front` are the options; no weights.

    Input: (N, 1, L) waveform in [-1, 1]. Output: (N, `steps`, mels), in the unit of `front`.

    Raises:
        ValueError: sizes of `front` that contradict each other, or, when called, a sound of fewer columns.
    """

    def __init__(self, steps: int, front: dict):
        super().__init__()
        self.steps, self.front = steps, LogMel(**front)
        self.out_features = self.front.filters.shape[1]

    def forward(self, waveform: Tensor) -> Tensor:
        columns = self.front(waveform).squeeze(1).transpose(1, 2)
        if columns.shape[1] < self.steps:
            raise ValueError(f"{waveform.shape[2]} samples make {columns.shape[1]} columns, no {self.steps} steps")
        return columns[:, : self.steps]
