"""The localisation net: attention worked by hand, and the frame encoder that leaves its map."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nets import clips, narrow_spec

from avrobust.lazy import load
from avrobust.models.build import build
from avrobust.models.encoders.resnet18 import ResNet18
from avrobust.models.fusions.attended_concat import AttendedConcat
from avrobust.models.fusions.concat import Concat
from avrobust.models.fusions.scaled_attended_concat import ScaledAttendedConcat
from avrobust.models.registry import FUSIONS

# One clip, D = 4, three positions in a row: with f_a = (1, 1, 0, 0) * ln 2 the logits are ln 2 * (1, 0, 3).
AUDIO = torch.tensor([[1.0, 1.0, 0.0, 0.0]]) * math.log(2)
VISUAL = torch.tensor([[1.0, 0.0, 5.0, 0.0], [0.0, 0.0, 0.0, 2.0], [1.0, 2.0, 0.0, 0.0]]).T[None, :, None, :]
FEATURES = {"audio": AUDIO, "visual": VISUAL}


def test_attention_by_hand():
    fusion = AttendedConcat(4)
    # exp of the logits: 2, 1 and 8.
    torch.testing.assert_close(fusion.attention(FEATURES), torch.tensor([[[2.0, 1.0, 8.0]]]) / 11)
    attended = torch.tensor([[2 * 1 + 8 * 1, 8 * 2, 2 * 5, 1 * 2.0]]) / 11
    torch.testing.assert_close(fusion(FEATURES), torch.cat([attended, AUDIO], dim=1))
    assert fusion.out_features == 8
    assert fusion.modalities == Concat.modalities


def test_scaled_attention_by_hand():
    fusion = ScaledAttendedConcat(4)
    # Half the logits, as sqrt(4) = 2: the square roots of the weights above.
    roots = torch.tensor([[[2.0, 1.0, 8.0]]]).sqrt()
    torch.testing.assert_close(fusion.attention(FEATURES), roots / roots.sum())
    torch.testing.assert_close(fusion(FEATURES)[0, 3], 2 * roots[0, 0, 1] / roots.sum())


@given(st.integers(0, 2**31), st.floats(0.01, 100), st.integers(1, 4), st.integers(1, 5))
def test_weights_are_a_distribution_and_clips_do_not_mix(seed, scale, height, width):
    generator = torch.Generator().manual_seed(seed)
    features = {
        "audio": scale * torch.randn(3, 8, generator=generator),
        "visual": scale * torch.randn(3, 8, height, width, generator=generator),
    }
    for fusion in (AttendedConcat(8), ScaledAttendedConcat(8)):
        weights = fusion.attention(features)
        assert weights.shape == (3, height, width) and (weights >= 0).all()
        torch.testing.assert_close(weights.sum(dim=(1, 2)), torch.ones(3))
        alone = fusion({name: feature[1:2] for name, feature in features.items()})
        torch.testing.assert_close(fusion(features)[1:2], alone)


def test_a_map_of_one_value_is_the_pooled_feature():
    pooled = {"audio": torch.randn(2, 6), "visual": torch.randn(2, 6)}
    spread = {**pooled, "visual": pooled["visual"][:, :, None, None].expand(2, 6, 3, 3)}
    torch.testing.assert_close(AttendedConcat(6)(spread), Concat(6)(pooled))


@pytest.mark.parametrize("name", ["attended_concat", "scaled_attended_concat"])
def test_the_whole_net_learns_and_is_attacked_in_both_modalities(name):
    torch.manual_seed(0)
    spec = narrow_spec(name, pooling="none", stride=8)
    net = build(spec, 5).eval()
    torch.nn.init.normal_(net.classifier.weight)
    inputs = {modality: values.requires_grad_() for modality, values in clips(2).items()}
    features = {modality: net.encode(modality, inputs[modality]) for modality in net.modalities}
    assert features["visual"].shape == (2, 64, 4, 4)
    assert net.fusion.attention(features).shape == (2, 4, 4)
    # The weights alone: the sound moves the attended feature although it is not part of it.
    attended = net.fusion(features)[:, :64].square().sum()
    for gradient in torch.autograd.grad(attended, list(inputs.values()), retain_graph=True):
        assert gradient.abs().max() > 0
    net.head(features).square().sum().backward()
    for encoder in net.encoders.values():
        assert all(parameter.grad.abs().max() > 0 for parameter in encoder.parameters() if parameter.dim() > 1)


@pytest.mark.parametrize(("stride", "shape"), [(32, (2, 3)), (16, (4, 6)), (8, (8, 12))])
def test_stride_is_pixels_per_position(stride, shape):
    pixels = torch.rand(2, 3, 64, 96)
    net = ResNet18(0.125, "none", stride).eval()
    with torch.no_grad():
        assert net(pixels).shape == (2, 64, *shape)
        assert torch.equal(net(pixels), net.feature_map((pixels - net.mean) / net.std))


def test_every_stride_has_the_weights_of_the_plain_net():
    nets = {}
    for stride in (8, 16, 32):
        torch.manual_seed(7)
        nets[stride] = ResNet18(0.125, "average", stride).eval()
    torch.manual_seed(7)
    plain = ResNet18(0.125).eval()
    for net in nets.values():
        assert net.state_dict().keys() == plain.state_dict().keys()
        assert all(torch.equal(value, plain.state_dict()[name]) for name, value in net.state_dict().items())
    pixels = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(nets[32](pixels), plain(pixels))
        assert torch.equal(nets[32].feature_map((pixels - plain.mean) / plain.std).mean((2, 3)), plain(pixels))
        assert not torch.allclose(nets[16](pixels), plain(pixels))
    # The stages' own strides: He et al. halve at the start of stages 2, 3 and 4.
    halvings = {
        stride: [getattr(net, f"layer{stage}")[0].conv1.stride[0] for stage in (1, 2, 3, 4)]
        for stride, net in nets.items()
    }
    assert halvings == {32: [1, 2, 2, 2], 16: [1, 2, 2, 1], 8: [1, 2, 1, 1]}


@pytest.mark.parametrize(
    ("choice", "message"), [({"stride": 4}, "stride is one of 32, 16, 8, not 4"), ({"pooling": "sum"}, "not 'sum'")]
)
def test_other_choices_are_refused(choice, message):
    with pytest.raises(ValueError, match=message):
        ResNet18(0.125, **choice)


def test_both_fusions_are_registered():
    assert load(FUSIONS, "attended_concat") is AttendedConcat
    assert load(FUSIONS, "scaled_attended_concat") is ScaledAttendedConcat
