"""The nets of Li et al.: self-attention over steps, fusion of steps, inputs that are standardised inside."""

import math
from pathlib import Path

import pytest
import torch
from nets import CROSS_ENTROPY
from torch import nn

from avrobust.attacks.budget import units
from avrobust.evaluation.arguments import common_scales
from avrobust.models.build import ModelSpec, build
from avrobust.models.encoders.csn import CSN
from avrobust.models.encoders.standardised_video import StandardisedVideoTransformer
from avrobust.models.encoders.video_transformer import VideoTransformer
from avrobust.models.files import Trained
from avrobust.models.fusions.mid_fusion import MidFusion, side_by_side
from avrobust.models.fusions.pre_transformer_fusion import PreTransformerFusion
from avrobust.models.standardise import Standardise
from avrobust.models.transformer import Transformer
from avrobust.program import UserError
from avrobust.training.recipe import TrainingRecipe
from avrobust.views.view import Input

NARROW = {"width": 0.125, "mels": 32, "heads": 4, "dropout": 0.2}


def as_torchs(block: nn.Module, inner: int) -> nn.TransformerEncoderLayer:
    """torch's own layer with the weights of a block."""
    features = block.output.in_features
    layer = nn.TransformerEncoderLayer(features, block.heads, inner, batch_first=True)
    layer.self_attn.in_proj_weight.data = block.projections.weight.data
    layer.self_attn.in_proj_bias.data = block.projections.bias.data
    for name, own in (
        ("self_attn.out_proj", block.output),
        ("linear1", block.inner[0]),
        ("linear2", block.inner[2]),
        ("norm1", block.norms[0]),
        ("norm2", block.norms[1]),
    ):
        layer.get_submodule(name).load_state_dict(own.state_dict())
    return layer.double().eval()


@pytest.mark.parametrize("inner", [None, 24])
def test_a_block_is_torchs_own_layer_normalised_last(inner):
    torch.manual_seed(0)
    net = Transformer(16, passes=1, heads=4, inner=inner).double().eval()
    x = torch.randn(3, 7, 16, dtype=torch.float64)
    torch.testing.assert_close(net(x), as_torchs(net.blocks[0], inner or 16)(x))


def test_shared_weights_are_one_block_applied_again():
    torch.manual_seed(0)
    x = torch.randn(2, 5, 16)
    shared, apart = Transformer(16, heads=4).eval(), Transformer(16, shared=False, heads=4).eval()
    assert (len(shared.blocks), len(apart.blocks)) == (1, 2)
    torch.testing.assert_close(shared(x), shared.blocks[0](shared.blocks[0](x)))
    torch.testing.assert_close(apart(x), apart.blocks[1](apart.blocks[0](x)))


def test_a_transformer_without_a_pass_is_nothing():
    x = torch.randn(2, 5, 16)
    net = Transformer(16, passes=0)
    assert net(x) is x
    assert not list(net.parameters())


def test_dropout_is_of_the_training_alone():
    torch.manual_seed(0)
    x, net = torch.randn(2, 5, 16), Transformer(16, heads=4)
    assert not torch.equal(net(x), net(x))
    assert torch.equal(net.eval()(x), net(x))


def test_heads_that_do_not_divide_the_features_are_refused():
    with pytest.raises(ValueError, match="5 heads do not divide 16 features"):
        Transformer(16, heads=5)


def test_csn_leaves_a_fourth_of_the_steps():
    assert CSN(**NARROW)(torch.randn(2, 100, 32)).shape == (2, 25, 64)
    assert CSN(64, 0.125, heads=4)(torch.randn(1, 42, 64)).shape == (1, 10, 128)


def test_csn_is_the_papers_at_its_sizes():
    """Ten convolutions, five poolings, (N, 100, 1024) of 400 x 64."""
    net = CSN()
    kinds = [type(layer) for layer in net.layers]
    assert (kinds.count(nn.Conv2d), kinds.count(nn.MaxPool2d)) == (10, 5)
    assert [layer.out_channels for layer in net.layers if isinstance(layer, nn.Conv2d)] == [
        32, 32, 64, 64, 128, 128, 256, 256, 512, 512
    ]  # fmt: skip
    assert net.out_features == 1024
    assert net.transformer.blocks[0].heads == 8


def test_too_few_bands_are_refused():
    with pytest.raises(ValueError, match="nothing of 16 mel bands"):
        CSN(16)


def test_inputs_are_standardised_by_what_was_taken():
    layer = Standardise(3)
    layer.take(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 0.5, 0.0]))
    torch.testing.assert_close(layer(torch.tensor([[3.0, 2.0, 5.0]])), torch.tensor([[1.0, 0.0, 2.0]]))
    assert not list(layer.parameters())
    with pytest.raises(ValueError, match="moments of \\(2,\\) values, but the net takes 3"):
        layer.take(torch.zeros(2), torch.ones(2))


def test_csn_sees_an_offset_and_a_scale_that_the_moments_take_away():
    torch.manual_seed(0)
    net, picture = CSN(**NARROW).eval(), torch.randn(1, 40, 32)
    wanted = net(picture)
    mean, deviation = torch.randn(32), 1 + torch.rand(32)
    net.standardise.take(mean, deviation)
    torch.testing.assert_close(net(picture * deviation + mean), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("encoder", [VideoTransformer, StandardisedVideoTransformer])
def test_the_videos_branch_gives_features_that_are_not_negative(encoder):
    made = encoder(16, 24, heads=4).eval()(torch.rand(2, 10, 16))
    assert made.shape == (2, 10, 24)
    assert made.min() == 0


def test_mid_fusion_is_the_sum_of_a_linear_map_of_each():
    torch.manual_seed(0)
    net = MidFusion(6)
    audio, visual = torch.randn(2, 20, 6), torch.randn(2, 10, 6)
    of_audio, of_visual = net.linear.weight.split(6, dim=1)
    averaged = audio.unflatten(1, (10, 2)).mean(dim=2)
    torch.testing.assert_close(
        net({"audio": audio, "visual": visual}), averaged @ of_audio.T + visual @ of_visual.T + net.linear.bias
    )


def test_sound_of_fewer_steps_than_the_video_is_refused():
    with pytest.raises(ValueError, match="5 positions in time make no 10 steps"):
        side_by_side(torch.zeros(1, 5, 4), torch.zeros(1, 10, 4))


def test_pre_transformer_fusion_puts_steps_of_the_sound_beside_their_second():
    torch.manual_seed(0)
    net = PreTransformerFusion(4, together=3, passes=0)
    audio, visual = torch.randn(1, 6, 4), torch.randn(1, 2, 4)
    second = torch.cat([audio[0, 3], audio[0, 4], audio[0, 5], visual[0, 1]])
    torch.testing.assert_close(net({"audio": audio, "visual": visual})[0, 1], net.linear(second))
    with pytest.raises(UserError, match="5 steps of sound are not 3 for each of 2"):
        net({"audio": audio[:, :5], "visual": visual})


def net_of_both(visual: str = "video_transformer"):
    audio = {"name": "csn", "options": NARROW}
    visual = {"name": visual, "options": {"size": 16, "features": 64, "heads": 4}}
    return build(ModelSpec("mid_fusion", audio, visual, head="attention", task="multiple"), 5, seed=0).eval()


def test_an_epsilon_counts_in_units_of_the_deviation():
    """A perturbation of one deviation in one band is 1 long, whatever the deviation."""
    net = net_of_both()
    net.encoders["audio"].standardise.take(torch.zeros(32), torch.linspace(1, 32, 32))
    assert list(net.scales) == ["audio"]
    form = {name: Input((2, 32), "float16", -math.inf, math.inf, 1) for name in ("audio", "visual")}
    of = units("normalised", form, net.scales)
    moved = torch.zeros(1, 2, 32)
    moved[0, 1, 9] = 10.0
    assert of["audio"].norm(moved, "l2_step").item() == pytest.approx(1)
    assert of["visual"].norm(moved, "l2_step").item() == pytest.approx(10)


def test_nets_that_are_attacked_together_standardise_alike():
    """Else an epsilon would be of the units of whatever else is in the bundle; what a net does not take, it may."""

    def common(**nets):
        paths = {name: Path(f"{name}.pt") for name in nets}
        return common_scales(paths, {name: Trained(net, CROSS_ENTROPY, (), {}) for name, net in nets.items()})

    plain, standardised = net_of_both(), net_of_both("standardised_video_transformer")
    sound = build(ModelSpec("audio", {"name": "csn", "options": NARROW}), 5)
    assert list(common(sound=sound, a=standardised)) == ["audio", "visual"]
    assert list(common(sound=sound, a=plain)) == ["audio"]
    said = "^a.pt standardises visual and b.pt does not, so that an epsilon would be of two units; give both the same"
    for nets in ({"a": standardised, "b": plain}, {"b": plain, "a": standardised}):
        with pytest.raises(UserError, match=said):
            common(sound=sound, **nets)
    sound.encoders["audio"].standardise.take(torch.ones(32), torch.full((32,), 2.0))
    with pytest.raises(UserError, match=r"^a\.pt and sound\.pt standardise audio otherwise; train both with the same"):
        common(a=plain, sound=sound)


def test_a_clip_does_not_depend_on_its_batch():
    torch.manual_seed(0)
    net, inputs = net_of_both(), {"audio": torch.randn(4, 80, 32), "visual": torch.rand(4, 10, 16)}
    together = net(inputs)
    for clip in range(4):
        alone = net({name: x[clip : clip + 1] for name, x in inputs.items()})
        torch.testing.assert_close(alone[0], together[clip], rtol=1e-4, atol=1e-5)


def test_rates_that_warm_up_by_batches_overrule_those_of_steps():
    recipe = TrainingRecipe(10, 4, {}, warm_up=20, accumulation=3, batch_warm_up=10)
    found = [recipe.rate_factor(step, 10) for step in range(5)]
    assert found == pytest.approx([0.1, 0.4, 0.7, 1.0, 5 / 20])
