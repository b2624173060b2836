"""Encoders of the other papers: shapes for any number of steps, gradients, torchvision's own functions and weights."""

from pathlib import Path

import pytest
import torch
import torchvision
import yaml
from nets import narrow_net, narrow_spec
from torch.utils._python_dispatch import TorchDispatchMode

from avrobust import imagenet
from avrobust.lazy import load
from avrobust.models.build import ModelSpec, Part, build
from avrobust.models.encoders.alexnet import AlexNet
from avrobust.models.encoders.conv1d import Conv1d
from avrobust.models.encoders.log_mel import LogMelEncoder
from avrobust.models.encoders.resnet18 import ResNet18
from avrobust.models.encoders.torchvision import Torchvision
from avrobust.models.encoders.vgg11_bn import VGG11BN
from avrobust.models.folding import folded
from avrobust.models.pooling import pooled
from avrobust.models.registry import FUSIONS
from avrobust.models.weights import load_weights
from avrobust.program import UserError

FRONT = {"sample_rate": 8000, "n_fft": 256, "window": 256, "hop": 64, "mels": 32}
NARROW = {"width": 0.125}


def sound_net(name: str = "vgg11_bn", **options) -> LogMelEncoder:
    given = {"vgg11_bn": {"stride": 8}, "resnet18": {"stride": 8}, "alexnet": {"stride": 16}}[name]
    net = {"name": name, "options": {**NARROW, **given}}
    front = {**FRONT, "n_fft": 1024, "mels": 64} if name == "alexnet" else FRONT
    return LogMelEncoder(net, **{"samples_per_step": 8000, "front": front, **options})


FRAME_NETS = {
    "resnet18": lambda: ResNet18(0.125, projection=24),
    "alexnet": lambda: AlexNet(0.125, stride=16, projection=24),
    "vgg11_bn": lambda: VGG11BN(0.125, projection=24),
    "torchvision": lambda: Torchvision("squeezenet1_1", projection=24),
}


@pytest.mark.parametrize("encoder", [AlexNet, Conv1d, ResNet18, VGG11BN])
def test_the_size_of_a_feature_that_a_plan_reads_is_the_nets(encoder):
    assert [encoder(width).out_features for width in (0.125, 0.25)] == [
        int(encoder.own_features * width) for width in (0.125, 0.25)
    ]


@pytest.mark.parametrize("steps", [1, 3, 7])
@pytest.mark.parametrize("name", FRAME_NETS)
def test_frames_give_a_feature_for_each(name, steps):
    torch.manual_seed(0)
    net, frames = FRAME_NETS[name]().eval(), torch.rand(2, steps, 3, 40, 40)
    with torch.no_grad():
        features = net(frames)
        assert features.shape == (2, steps, net.out_features) == (2, steps, 24)
        torch.testing.assert_close(features[:, steps - 1], net(frames[:, steps - 1]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 3, 7])
@pytest.mark.parametrize("name", ["vgg11_bn", "resnet18", "alexnet"])
def test_sound_gives_a_feature_for_each_step_of_time(name, steps):
    net = sound_net(name, projection=24).eval()
    with torch.no_grad():
        assert net(torch.rand(2, 1, 8000 * steps + 9) - 0.5).shape == (2, steps, 24)


def test_a_step_hears_its_own_time():
    """A click in the fourth of five seconds changes the feature of that step most."""
    net, silence = sound_net().eval(), torch.zeros(1, 1, 40_000)
    click = silence.clone()
    click[..., 28_000] = 1.0
    with torch.no_grad():
        change = (net(click) - net(silence)).abs().sum(dim=2)[0]
    assert change.argmax() == 3


def test_a_map_without_a_position_for_a_step_is_refused():
    with pytest.raises(ValueError, match="100 samples, one step, give vgg11_bn no map"):
        sound_net(samples_per_step=100)
    with pytest.raises(ValueError, match="no map"):  # VGG halves the frequencies five times
        sound_net(front={**FRONT, "mels": 16})
    # Eight columns make a position, and a step has seven: enough for one step, not for each of many.
    with pytest.raises(ValueError, match="100 steps of 448 samples give vgg11_bn a map of 87 positions"):
        sound_net(samples_per_step=7 * FRONT["hop"])
    assert sound_net(samples_per_step=8 * FRONT["hop"])(torch.zeros(1, 1, 80 * 8 * FRONT["hop"])).shape == (1, 80, 64)
    with pytest.raises(UserError, match="log_mel: 100 samples"):
        options = {"net": {"name": "vgg11_bn"}, "samples_per_step": 100, "front": FRONT}
        build(ModelSpec("audio", Part("log_mel", options)), 3)


def inputs(count: int = 3) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    return {
        "audio": torch.rand(count, 1, 24_000, generator=generator) - 0.5,
        "visual": torch.rand(count, 3, 3, 40, 40, generator=generator),
    }


def of_steps(fusion: str, head: str = "linear", task: str = "single") -> ModelSpec:
    """AcV of zhang2025, narrow: AlexNet on three frames, VGG on three seconds of sound."""
    net = {"name": "vgg11_bn", "options": {**NARROW, "stride": 8}}
    audio = Part("log_mel", {"net": net, "samples_per_step": 8000, "front": FRONT, "projection": 24})
    visual = Part("alexnet", {**NARROW, "stride": 16, "projection": 24})
    encoders = {"audio": audio, "visual": visual}
    encoders = {name: encoders[name] for name in load(FUSIONS, fusion).modalities}
    return ModelSpec(fusion, **encoders, head=head, task=task)


@pytest.mark.parametrize("head", ["linear", "attention"])
@pytest.mark.parametrize("fusion", ["sum", "concat", "film", "gated_sum", "gated_concat", "audio", "visual"])
def test_every_fusion_and_head_takes_features_of_steps_and_gradients_pass(fusion, head):
    torch.manual_seed(0)
    net = build(of_steps(fusion, head), 5).eval()
    if head == "linear":
        torch.nn.init.normal_(net.classifier.weight)
    given = {name: x.requires_grad_() for name, x in inputs().items()}
    features = {name: net.encode(name, given[name]) for name in net.modalities}
    assert all(feature.shape == (3, 3, 24) for feature in features.values())
    logits = net.head(features)
    assert logits.shape == (3, 5)
    if head == "linear":
        torch.testing.assert_close(logits, net.head({name: pooled(feature) for name, feature in features.items()}))
    logits[:, 0].sum().backward()
    for name in net.modalities:
        gradient = given[name].grad
        assert gradient.isfinite().all() and (gradient.flatten(1).abs().amax(dim=1) > 0).all()


class Recorded(TorchDispatchMode):
    """Notes the names of all operators that are called."""

    def __init__(self):
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.add(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


# Operators that torch lists as without a deterministic implementation on CUDA, by words of their names, and unfold's.
RANDOM_ON_CUDA = (
    "adaptive_avg_pool2d_backward", "adaptive_avg_pool3d_backward", "adaptive_max_pool2d_backward",
    "avg_pool3d_backward", "max_pool3d_with_indices_backward", "reflection_pad", "replication_pad", "upsample",
    "unfold_backward", "index_add", "scatter_add", "put_", "kthvalue", "median", "cumsum", "grid_sampler",
)  # fmt: skip


@pytest.mark.parametrize(
    "make",
    [
        lambda: build(of_steps("concat"), 5),
        lambda: build(of_steps("sum", "attention", "multiple"), 5),
        lambda: narrow_net("gated_concat"),
        lambda: Torchvision("resnet18"),
        lambda: Torchvision("r2plus1d_18"),
        lambda: sound_net("resnet18"),
    ],
)
def test_no_gradient_passes_an_operator_that_is_random_on_cuda(make):
    torch.manual_seed(0)
    net = make().eval()
    if isinstance(net, Torchvision):
        given = torch.rand(1, 2, 2, 3, 16, 16) if net.video else torch.rand(1, 2, 3, 40, 40)
    elif isinstance(net, LogMelEncoder):
        given = inputs(1)["audio"]
    else:
        given = inputs(1)
        if net.encoders["audio"].__class__ is Conv1d:
            given["visual"] = given["visual"][:, 0]
    for leaf in given.values() if isinstance(given, dict) else [given]:
        leaf.requires_grad_()
    with Recorded() as recorded:
        net(given).sum().backward()
    assert "convolution_backward" in recorded.names
    assert not [name for name in recorded.names if any(word in name for word in RANDOM_ON_CUDA)]


def test_what_is_random_on_cuda_would_be_noticed():
    x = torch.rand(1, 2, 6, 6, requires_grad=True)
    with Recorded() as recorded:
        torch.nn.functional.adaptive_avg_pool2d(torch.nn.functional.pad(x, (1,) * 4, "reflect"), 3).sum().backward()
    found = {word for name in recorded.names for word in RANDOM_ON_CUDA if word in name}
    assert found == {"reflection_pad", "adaptive_avg_pool2d_backward"}


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    return (pixels - torch.tensor(imagenet.MEAN).view(3, 1, 1)) / torch.tensor(imagenet.STD).view(3, 1, 1)


@pytest.mark.parametrize(("ours", "name", "channels"), [(AlexNet, "alexnet", 256), (VGG11BN, "vgg11_bn", 512)])
def test_at_full_width_they_are_torchvisions_with_its_weights(ours, name, channels, tmp_path):
    torch.manual_seed(1)
    theirs = torchvision.models.get_model(name, weights=None).eval()
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    pixels = torch.rand(1, 3, 96, 96)
    for net in (ours(), Torchvision(name), ours(projection=7)):
        load_weights(net, tmp_path / "weights.pth")
        if net.out_features == 7:
            continue  # the projection is our own
        assert net.out_features == channels
        with torch.no_grad():
            wanted = theirs.features(normalised(pixels)).mean((2, 3))
            torch.testing.assert_close(net.eval()(pixels), wanted, rtol=1e-4, atol=1e-5)
    with pytest.raises(UserError, match="holds other weights than the encoder's"):
        load_weights(ours(0.5), tmp_path / "weights.pth")


def test_windows_of_frames_go_through_torchvisions_net_on_videos():
    torch.manual_seed(0)
    net, frames = Torchvision("r2plus1d_18").eval(), torch.rand(1, 2, 4, 3, 16, 16)
    theirs = torchvision.models.video.r2plus1d_18(weights=None).eval()
    theirs.fc = torch.nn.Identity()
    theirs.load_state_dict(net.net.state_dict())
    mean = torch.tensor([0.43216, 0.394666, 0.37645]).view(3, 1, 1, 1)
    std = torch.tensor([0.22803, 0.22145, 0.216989]).view(3, 1, 1, 1)
    with torch.no_grad():
        features = net(frames)
        assert features.shape == (1, 2, 512)
        wanted = theirs((frames[:, 1].transpose(1, 2) - mean) / std)
    torch.testing.assert_close(features[:, 1], wanted, rtol=1e-4, atol=1e-5)


def test_an_architecture_that_ends_otherwise_is_refused():
    with pytest.raises(ValueError, match="vit_b_16 ends otherwise"):
        Torchvision("vit_b_16")


def test_folding_away_batch_normalisation_holds_for_steps():
    torch.manual_seed(0)
    net = build(of_steps("concat"), 5)
    for _ in range(3):  # statistics that are not the first ones
        net.train()(inputs())
    one = {name: x[:1] for name, x in inputs().items()}
    quick = folded(net, one)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in quick.modules())


def test_parts_are_names_or_names_with_options_and_mistakes_are_said():
    assert ModelSpec("audio", {"name": "conv1d", "options": {"width": 0.5}}) == ModelSpec(
        Part("audio"), Part("conv1d", {"width": 0.5})
    )
    with pytest.raises(UserError, match=r"conv1d: .*'widht'; its options are width"):
        build(ModelSpec("audio", Part("conv1d", {"widht": 0.5})), 3)
    with pytest.raises(ValueError, match="features of different sizes"):
        build(ModelSpec("concat", Part("conv1d", {"width": 0.5}), "resnet18"), 3)
    with pytest.raises(ValueError, match="a task is one of single, multiple"):
        ModelSpec("audio", "conv1d", task="several")
    assert build(narrow_spec(), 3).dimensions == {"audio": 64, "visual": 64}


@pytest.mark.parametrize(("way", "deviation"), [("torch", (3 * 3 * 8 * 3) ** -0.5), ("he", (2 / (9 * 8)) ** 0.5)])
def test_initial_weights_are_an_option(way, deviation):
    """torch: uniform, of variance 1 / (3 * inputs); He: normal, 2 / outputs; kernels of 3 x 3 for 8 channels."""
    torch.manual_seed(0)
    net = VGG11BN(1 / 64, initialisation=way)
    weights = torch.cat([m.weight.flatten() for m in net.modules() if getattr(m, "in_channels", 0) == 8])
    assert len(weights) == 3 * 8 * 8 * 9 and weights.std().item() == pytest.approx(deviation, rel=0.1)
    with pytest.raises(ValueError, match="initialisation is one of torch, he, glorot"):
        VGG11BN(1 / 64, initialisation="ones")


def test_published_weights_are_torchvisions_and_their_names_begin_with_their_digest():
    path = Path(__file__).parents[2] / "workflow/weights.yaml"
    models = map(torchvision.models.get_model_weights, torchvision.models.list_models())
    known = {weights.url for of_one in models for weights in of_one}
    for facts in yaml.safe_load(path.read_text(encoding="utf-8")).values():
        assert facts["url"] in known
        assert facts["url"].endswith(f"-{facts['sha256']}.pth")
