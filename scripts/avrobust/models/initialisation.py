"""The initial weights of convolutions."""

from collections.abc import Callable

from torch import nn

WAYS: dict[str, Callable] = {
    # As torch makes layers: uniform, by the number of inputs.
    "torch": lambda weight: None,
    # He et al. (ICCV 2015), by the number of outputs, as torchvision's nets have it.
    "he": lambda weight: nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu"),
    # Glorot & Bengio (AISTATS 2010).
    "glorot": nn.init.xavier_uniform_,
}


def initialise(net: nn.Module, way: str) -> None:
    """Draw the weights of the convolutions of `net` anew, `torch` (not), `he` or `glorot`; biases stay as they are.

    Raises:
        ValueError: `way` is none of these.
    """
    if way not in WAYS:
        raise ValueError(f"initialisation is one of {', '.join(WAYS)}, not {way!r}")
    for module in net.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            WAYS[way](module.weight)
