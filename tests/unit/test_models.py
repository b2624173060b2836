"""The nets: sizes from the paper, agreement with torchvision, fusions by hand."""

import copy
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from nets import FUSIONS, build_objective, clips, narrow_net, narrow_spec

from avrobust import imagenet
from avrobust.models.build import ModelSpec, Part, build
from avrobust.models.encoders.conv1d import Conv1d
from avrobust.models.encoders.resnet18 import ResNet18
from avrobust.models.files import load_model, read_tensors, save_model, write_tensors
from avrobust.models.fusions.audio_only import AudioOnly
from avrobust.models.fusions.concat import Concat
from avrobust.models.fusions.film import FiLM
from avrobust.models.fusions.gated_concat import GatedConcat
from avrobust.models.fusions.gated_sum import GatedSum
from avrobust.models.fusions.sum import Sum
from avrobust.models.fusions.visual_only import VisualOnly
from avrobust.models.modes import evaluating
from avrobust.models.weights import load_weights
from avrobust.program import UserError

SCRIPTS = Path(__file__).parents[2] / "scripts"


def test_audio_net_has_the_papers_parameters_and_lengths():
    net = Conv1d().eval()
    assert sum(parameter.numel() for parameter in net.parameters()) == 1_566_528
    with torch.no_grad():
        assert net.layers(torch.zeros(1, 1, 1, 65_535)).shape == (1, 512, 1, 16)
        assert net.layers(torch.zeros(1, 1, 1, 33_075)).shape == (1, 512, 1, 8)
        assert net(torch.zeros(2, 1, 65_535)).shape == (2, 512)


def test_audio_feature_is_the_maximum_over_time():
    net, wave = Conv1d(width=0.125).eval(), torch.randn(3, 1, 8192)
    with torch.no_grad():
        assert torch.equal(net(wave), net.layers(wave[:, :, None]).squeeze(2).max(dim=-1).values)


def test_audio_net_is_convolutions_over_time():
    """The first layer beside torch's own convolution of one dimension."""
    net, wave = Conv1d(width=0.125).double(), torch.randn(2, 1, 8191, dtype=torch.float64)
    first = net.layers[0]
    expected = torch.nn.functional.conv1d(wave, first.weight.squeeze(2), first.bias, stride=2, padding=1)
    torch.testing.assert_close(first(wave[:, :, None]).squeeze(2), expected)


@pytest.fixture(scope="module")
def torchvision_net():
    torch.manual_seed(3)
    return torchvision.models.resnet18(weights=None).eval()


def test_frame_net_is_torchvisions_resnet18_without_its_classifier(torchvision_net, tmp_path):
    # The published file has no counts of batches.
    weights = {name: value for name, value in torchvision_net.state_dict().items() if "num_batches" not in name}
    torch.save(weights, tmp_path / "weights.pth")
    net = ResNet18().eval()
    load_weights(net, tmp_path / "weights.pth")
    net, theirs = net.double(), copy.deepcopy(torchvision_net).double()
    pixels = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    normalised = (pixels - torch.tensor(imagenet.MEAN).view(3, 1, 1)) / torch.tensor(imagenet.STD).view(3, 1, 1)
    theirs.fc = torch.nn.Identity()
    with torch.no_grad():
        torch.testing.assert_close(net(pixels), theirs(normalised), rtol=1e-6, atol=1e-6)
    assert sum(p.numel() for p in net.parameters()) == 11_176_512


def test_the_narrowest_frame_nets_are_trained_by_common_instructions():
    """In a process of its own, because what is tried here ends a process."""
    code = (
        "from avrobust.runtime import prepare\n"
        "prepare('cpu', 1)\n"
        "import torch\n"
        "from avrobust.models.encoders.resnet18 import ResNet18\n"
        "for width in (1 / 16, 3 / 32):\n"
        "    net = ResNet18(width).train()\n"
        "    for _ in range(15):\n"
        "        net(torch.rand(4, 3, 32, 32)).square().sum().backward()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_frame_net_pools_by_average_or_maximum():
    average, largest = ResNet18(0.125, "average").eval(), ResNet18(0.125, "max").eval()
    largest.load_state_dict(average.state_dict())
    pixels = torch.rand(2, 3, 96, 64)
    with torch.no_grad():
        maps = average.feature_map((pixels - average.mean) / average.std)
        assert maps.shape == (2, 64, 3, 2)
        torch.testing.assert_close(average(pixels), maps.mean((2, 3)))
        torch.testing.assert_close(largest(pixels), maps.amax((2, 3)))
    with pytest.raises(ValueError, match="median"):
        ResNet18(pooling="median")


def test_fusions_by_hand():
    features = {"audio": torch.tensor([[0.0, 2.0]]), "visual": torch.tensor([[3.0, -1.0]])}

    def logistic(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    first = [logistic(0) * 3, logistic(2) * -1]
    second = [logistic(3) * 0, logistic(-1) * 2]
    film = FiLM(2)
    with torch.no_grad():
        film.alpha.weight.copy_(torch.tensor([[1.0, 1.0], [0.0, 3.0]]))
        film.alpha.bias.copy_(torch.tensor([0.5, -1.0]))
    expected = {
        AudioOnly(2): [0, 2],
        VisualOnly(2): [3, -1],
        Sum(2): [3, 1],
        Concat(2): [3, -1, 0, 2],
        film: [(0 + 2 + 0.5) * 3 + 0, (6 - 1) * -1 + 2],
        GatedSum(2): [first[0] + second[0], first[1] + second[1]],
        GatedConcat(2): [*first, *second],
    }
    for fusion, value in expected.items():
        torch.testing.assert_close(fusion(features), torch.tensor([value], dtype=torch.float32))
        assert fusion(features).shape[1] == fusion.out_features


@pytest.mark.parametrize("fusion", [*FUSIONS, "audio", "visual"])
def test_forward_is_head_of_encoded_and_ignores_unused_modalities(fusion):
    net, inputs = narrow_net(fusion, classes=7), clips(3)
    with torch.no_grad():
        logits = net(inputs)
        encoded = {name: net.encode(name, inputs[name]) for name in net.modalities}
        assert torch.equal(logits, net.head(encoded))
        assert torch.equal(logits, net({name: inputs[name] for name in net.modalities}))
    assert logits.shape == (3, 7)


def test_each_part_begins_with_weights_of_its_own():
    """Those of a seed and the part's name: not of what was drawn before it, nor of the parts beside it."""
    one, again, of_another_head, of_another_seed = (
        build(spec, classes, seed)
        for spec, classes, seed in (
            (narrow_spec(), 5, 1), (narrow_spec(), 5, 1), (narrow_spec("sum"), 7, 1), (narrow_spec(), 5, 2),
        )
    )  # fmt: skip
    states = one.state_dict(), again.state_dict()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    for name, weight in one.encoders.named_parameters():
        assert torch.equal(weight, of_another_head.encoders.get_parameter(name)), name
        if weight.dim() > 1:
            assert not torch.equal(weight, of_another_seed.encoders.get_parameter(name)), name
    assert not torch.equal(one.classifier.weight, of_another_seed.classifier.weight)


def test_classifier_starts_small():
    net = build(narrow_spec(), 27)
    assert 0.5e-4 < net.classifier.weight.std() < 2e-4


def test_a_net_without_what_its_fusion_takes_is_refused():
    with pytest.raises(ValueError, match="concat"):
        build(ModelSpec("concat", "conv1d"), 5)


def test_an_unknown_part_is_a_mistake_that_lists_the_known_ones():
    with pytest.raises(UserError, match=r"'lstm'.*conv1d"):
        build(ModelSpec("audio", "lstm"), 5)


def test_evaluating_gives_each_module_its_own_mode_back():
    net = narrow_net().train()
    net.encoders["visual"].bn1.eval()
    with evaluating(net):
        assert not any(module.training for module in net.modules())
    assert net.training and net.encoders["audio"].training
    assert not net.encoders["visual"].bn1.training


def test_a_model_file_gives_the_same_net_and_the_same_bytes_and_damage_is_named(tmp_path):
    nets, inputs = {"best": narrow_net(classes=2), "latest": narrow_net(classes=2, seed=1)}, clips(2)
    spec = narrow_spec()
    options = {"prox_weight": 1.0, "conprox_weight": 0.5, "prox_rate": 0.1, "conprox_rate": 0.1}
    objective_spec = Part("prototype_conformity", options)
    objectives = {
        state: build_objective("prototype_conformity", net.dimensions, 2, **options) for state, net in nets.items()
    }
    states = {
        state: {"model": net.state_dict(), "objective": objectives[state].state_dict()} for state, net in nets.items()
    }
    kept = {"audio": torch.rand(3, 64), "visual": torch.rand(3, 64)}
    for name in ("model.pt", "again.pt"):
        save_model(tmp_path / name, spec, objective_spec, ["a", "b"], states["best"], states["latest"], kept)
    path = tmp_path / "model.pt"
    assert path.read_bytes() == (tmp_path / "again.pt").read_bytes()
    labels, losses = torch.tensor([0, 1]), []
    for state, net in nets.items():
        trained = load_model(path, state, torch.device("cpu"))
        assert trained.classes == ["a", "b"]
        assert all(torch.equal(trained.training_features[name], kept[name]) for name in kept)
        with torch.no_grad():
            logits = net(inputs)
            assert torch.equal(trained.model(inputs), logits)
            features = {name: net.encode(name, inputs[name]) for name in net.modalities}
            losses.append(objectives[state](features, logits, labels))
            assert torch.equal(trained.objective(features, logits, labels), losses[-1])
    assert not torch.equal(*losses), "two states"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"model\.pt is no whole model file"):
        load_model(path, "best", torch.device("cpu"))


def test_equal_contents_are_equal_bytes_whatever_they_were_read_from(tmp_path):
    """A training that was interrupted writes the file of one that was not, though its texts are other objects."""
    first, second = torch.arange(3.0), torch.arange(4.0)
    once = {"best": {"weight": first}, "latest": {"weight": second}, "classes": ["cello", "cello"]}
    write_tensors(tmp_path / "once.pt", once)
    read = read_tensors(tmp_path / "once.pt", torch.device("cpu"))
    mixed = {"best": read["best"], "latest": {"".join(["wei", "ght"]): second}, "classes": ["cello", "".join("cello")]}
    write_tensors(tmp_path / "again.pt", mixed)
    assert (tmp_path / "once.pt").read_bytes() == (tmp_path / "again.pt").read_bytes()
    write_tensors(tmp_path / "other.pt", {**once, "classes": ["cello", "viola"]})
    assert (tmp_path / "once.pt").read_bytes() != (tmp_path / "other.pt").read_bytes()
