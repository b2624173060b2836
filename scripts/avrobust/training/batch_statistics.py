"""By which statistics a net is normalised while its clips are attacked."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm


@contextmanager
def of_the_batch(model: nn.Module) -> Iterator[None]:
    """Let batch normalisations go by the batch that they see, which moves no running statistics; undone exactly."""
    layers = [layer for layer in model.modules() if isinstance(layer, BatchNorm)]
    modes = [(layer.training, layer.track_running_stats) for layer in layers]
    try:
        for layer in layers:
            layer.training, layer.track_running_stats = True, False
        yield
    finally:
        for layer, (training, tracks) in zip(layers, modes, strict=True):
            layer.training, layer.track_running_stats = training, tracks


# As a paper's file calls them; the running ones are those of evaluation mode.
STATISTICS: Mapping[str, Callable[[nn.Module], AbstractContextManager]] = {
    "running": nullcontext,
    "batch": of_the_batch,
}
