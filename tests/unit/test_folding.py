"""Nets whose batch normalisation became part of their convolutions."""

import logging

import pytest
import torch
from nets import narrow_spec
from torch import nn

from avrobust.models.build import build
from avrobust.models.folding import LARGE, folded
from avrobust.models.late_fusion import LateFusion

# One net without large kernels, and one with some.
WIDTHS = pytest.mark.parametrize("model", [0.125, 1.0], indirect=True)


@pytest.fixture
def model(request: pytest.FixtureRequest):
    """A net whose normalisations are far from the identity; the parameter is its width."""
    torch.manual_seed(0)
    width = getattr(request, "param", 0.125)
    model = build(narrow_spec(width=width), 5)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 2)
    return model.double().eval()


@pytest.fixture
def clips():
    """Two clips in natural units."""
    torch.manual_seed(1)
    return {
        "audio": torch.rand(2, 1, 4096, dtype=torch.float64) * 2 - 1,
        "visual": torch.rand(2, 3, 48, 48, dtype=torch.float64),
    }


@WIDTHS
def test_nothing_is_left_to_normalise_and_the_gradients_are_the_same(model, clips):
    quick = folded(model, {name: values[:1] for name, values in clips.items()})
    assert not [module for module in quick.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert not any(parameter.requires_grad for parameter in quick.parameters())
    gradients = []
    for net in (model, quick):
        inputs = {name: values.clone().requires_grad_() for name, values in clips.items()}
        logits = net(inputs)
        gradients.append([logits.detach(), *torch.autograd.grad(logits.square().sum(), list(inputs.values()))])
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12 * theirs.abs().max().item())


def test_the_net_itself_stays_as_it_was(model, clips):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    folded(model, clips)
    assert any(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@WIDTHS
def test_large_kernels_and_the_maps_that_they_get_are_in_the_default_format(model, clips):
    net = folded(model, clips)
    kernels = {module: module.weight for module in net.modules() if isinstance(module, nn.Conv2d)}
    large = [module for module, kernel in kernels.items() if kernel.numel() >= LARGE]
    seen: list[torch.Tensor] = []
    for module in large:
        module.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    net(clips)
    assert bool(large) == (model.encoders["visual"].out_features == 512)
    assert len(seen) == len(large) and all(tensor.is_contiguous() for tensor in seen)
    for module, kernel in kernels.items():
        assert kernel.is_contiguous(memory_format=torch.contiguous_format if module in large else torch.channels_last)


class NormalisesLater(nn.Module):
    """Registers a normalisation behind its convolution and applies it behind the activation."""

    out_features = 4

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv1d(1, 4, 3)
        self.normalisation = nn.BatchNorm1d(4)
        self.normalisation.running_mean.fill_(0.5)

    def forward(self, x):
        return self.normalisation(self.convolution(x).relu()).amax(dim=-1)


class Sole(nn.Module):
    """The feature of the only modality."""

    out_features = 4

    def forward(self, features):
        return features["audio"]


def test_an_encoder_of_another_order_is_attacked_as_it_is(caplog):
    torch.manual_seed(0)
    model = LateFusion({"audio": NormalisesLater()}, Sole(), nn.Linear(Sole.out_features, 3)).eval()
    clip = {"audio": torch.rand(1, 1, 64)}
    with caplog.at_level(logging.WARNING):
        quick = folded(model, clip)
    assert "audio encoder" in caplog.text
    assert torch.equal(quick(clip), model(clip))
