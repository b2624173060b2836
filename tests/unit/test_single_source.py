"""SSDF: a head that leaves out the modality that does not fit, what it is trained on, and what it learns."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from killed import TwoBatches, assert_goes_on
from nets import CROSS_ENTROPY, Flatten, clips, linear_net, narrow_net, narrow_spec
from torch import Tensor, nn

from avrobust.data.batches import Batch
from avrobust.models.build import ModelSpec, build
from avrobust.models.files import Trained
from avrobust.models.fusions.concat import Concat
from avrobust.models.heads.gated_experts import GatedExperts
from avrobust.models.late_fusion import LateFusion
from avrobust.models.task import TASKS
from avrobust.objectives.odd_one_out import OddOneOut
from avrobust.objectives.told import told
from avrobust.program import UserError
from avrobust.training import loop
from avrobust.training.clips import TrainingClips
from avrobust.training.prepare.adversarial import Adversarial
from avrobust.training.prepare.plain import Setting
from avrobust.training.prepare.single_source import SingleSource
from avrobust.training.recipe import TrainingRecipe
from avrobust.training.start import continued_model
from avrobust.views.view import pixels, waveform

CPU, CLASSES = torch.device("cpu"), 3
VISUAL, AUDIO, NONE = 0, 1, 2
FUSIONS = ("concat", "sum")


def head(fusion: str = "concat", gates: tuple[float, ...] = (), features: int = 4, classes: int = 2) -> GatedExperts:
    """A head whose odd-one-out net says `gates` of every clip; without them it is as it was made, of drawn weights."""
    torch.manual_seed(0)
    made = GatedExperts(features, classes, "single", fusion, hidden=8)
    nn.init.normal_(made.linear.weight)
    if gates:
        nn.init.zeros_(made.detector[2].weight)
        made.detector[2].bias.data = torch.tensor(gates).log()
    return made


# --- The head

FUSED = torch.tensor([[1.0, 2, 3, -1]])  # f_v = (1, 2), f_a = (3, -1)


@given(count=st.integers(1, 6), scale=st.floats(0, 100), seed=st.integers(0, 99))
def test_gates_sum_to_1_and_lie_between_0_and_1(count, scale, seed):
    fused = scale * torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))
    gates = head().gates(fused)
    assert gates.shape == (count, 3) and (gates >= 0).all()
    torch.testing.assert_close(gates.sum(dim=1), torch.ones(count))


def test_experts_leave_out_one_modality_each_and_the_last_one_none():
    """By hand, with a joint layer that doubles and adds 1."""
    for fusion, without_visual, without_audio, whole in (
        ("concat", [0, 0, 3, -1], [1, 2, 0, 0], [1, 2, 3, -1]),
        ("sum", [3, -1], [1, 2], [4, 1]),
    ):
        made = head(fusion)
        assert made.experts(FUSED)[0].tolist() == [without_visual, without_audio, whole], "at first the fusion's own"
        made.joint.weight.data *= 2
        made.joint.bias.data += 1
        assert made.experts(FUSED)[0, 2].tolist() == [2 * value + 1 for value in whole]


def test_logits_are_linear_in_the_gated_mixture_by_hand():
    """Gates 1/8, 2/8, 5/8. concat: (7/8 f_v, 6/8 f_a). sum: 6/8 f_a + 7/8 f_v = (2.25 + 0.875, -0.75 + 1.75)."""
    for fusion, mixture in (("concat", [0.875, 1.75, 2.25, -0.75]), ("sum", [3.125, 1.0])):
        made = head(fusion, (1 / 8, 2 / 8, 5 / 8))
        wanted = torch.tensor([mixture]) @ made.linear.weight.T + made.linear.bias
        torch.testing.assert_close(made(FUSED), wanted)
        steps = torch.cat([FUSED - 1, FUSED + 1]).unsqueeze(0)  # two steps in time, whose mean it is
        torch.testing.assert_close(made(steps), wanted)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("left_out", [VISUAL, AUDIO])
def test_a_modality_that_is_surely_attacked_is_not_heard(fusion, left_out):
    """Whatever becomes of its feature changes no logit."""
    made = head(fusion, tuple(1.0 if number == left_out else 1e-30 for number in range(3)))
    moved = FUSED.clone()
    moved[:, slice(0, 2) if left_out == VISUAL else slice(2, 4)] += 100
    torch.testing.assert_close(made(moved), made(FUSED))
    assert not torch.allclose(made(FUSED + 100), made(FUSED))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_training_that_goes_on_from_the_undefended_net_begins_with_its_answers(fusion):
    """Where the gate hears both; every weight of the encoders is the same."""
    parts, start = narrow_spec(fusion), narrow_net(fusion)

    def continued(of: str) -> LateFusion:
        wanted = {"name": "gated_experts", "options": {"fusion": of, "hidden": 8}}
        spec = ModelSpec("concat", parts.audio, parts.visual, head=wanted)
        return continued_model(spec, Trained(start, CROSS_ENTROPY, list("abcde"), {}), 3, {}, {})[1]

    model, inputs = continued(fusion).eval(), clips(4)
    nn.init.zeros_(model.classifier.detector[2].weight)
    model.classifier.detector[2].bias.data = torch.tensor([0.0, 0.0, 50.0])
    with torch.no_grad():
        torch.testing.assert_close(model(inputs), start(inputs))
    for name, value in start.encoders.state_dict().items():
        assert torch.equal(model.encoders.state_dict()[name], value)
    other = "sum" if fusion == "concat" else "concat"
    with pytest.raises(UserError, match=r"gated_experts: the head to start from is not linear on \d+ features"):
        continued(other)


def test_what_the_head_cannot_be_made_of_is_named():
    with pytest.raises(UserError, match="gated_experts: fusion is concat or sum, not 'film'"):
        GatedExperts(4, 2, "single", "film")
    parts = narrow_spec("sum")
    with pytest.raises(UserError, match="gated_experts takes both features side by side; give fusion concat, not sum"):
        build(ModelSpec("sum", parts.audio, parts.visual, head="gated_experts"), 5)


# --- The loss


def test_the_loss_by_hand():
    """Gates 1/8, 2/8, 5/8 and classes at odds of 1 : 3; an attacked clip counts half in the first term."""
    net = LateFusion({"audio": Flatten(), "visual": Flatten()}, Concat(2), head(gates=(1 / 8, 2 / 8, 5 / 8)))
    features = {"visual": FUSED[:, :2].repeat(3, 1), "audio": FUSED[:, 2:].repeat(3, 1)}
    logits = torch.tensor([[0.0, math.log(3)]]).repeat(3, 1)
    targets = torch.tensor([[0, VISUAL], [1, AUDIO], [1, NONE]])
    own = [math.log(4), math.log(4 / 3), math.log(4 / 3)]
    odd = [math.log(8), math.log(4), math.log(8 / 5)]
    for weight, attacked in ((1.0, 1.0), (0.3, 0.5), (0.0, 1.0)):
        loss = told(OddOneOut({}, 2, weight, attacked), net)(features, logits, targets)
        counts = (attacked, attacked, 1.0)
        assert loss.tolist() == pytest.approx([c * a + weight * b for c, a, b in zip(counts, own, odd, strict=True)])


def test_an_attack_on_such_a_net_maximises_the_cross_entropy_of_the_class_and_a_training_must_say_what_is_attacked():
    net = LateFusion({"audio": Flatten(), "visual": Flatten()}, Concat(2), head())
    features, logits, labels = {"visual": FUSED[:, :2], "audio": FUSED[:, 2:]}, torch.randn(1, 2), torch.tensor([1])
    loss = told(OddOneOut({}, 2), net.eval())
    torch.testing.assert_close(loss(features, logits, labels), F.cross_entropy(logits, labels, reduction="none"))
    net.train()
    with pytest.raises(UserError, match="nobody says it; give prepare: single_source"):
        loss(features, logits, labels)
    with pytest.raises(UserError, match="needs a head that says which modality is attacked; give gated_experts"):
        told(OddOneOut({}, 2), linear_net(4, 2))


# --- What it is trained on

STEPS, SAMPLES, SIDE = 2, 16, 3
SETTING = Setting(
    OddOneOut({}, CLASSES), CPU, seed=7, classes=CLASSES,
    inputs={"audio": waveform(1, STEPS * SAMPLES), "visual": pixels(STEPS, 3, SIDE, SIDE)},
)  # fmt: skip
PGD = {"update": "pgd_random", "steps": 3, "objective": "cross_entropy"}
BUDGET = {"audio": 0.1, "visual": 0.5}


class Steps(nn.Module):
    """A feature for each step of a clip."""

    out_features = 8

    def __init__(self, size: int):
        super().__init__()
        self.size, self.layer = size, nn.Linear(size, 8)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.layer(x.flatten(1).unflatten(1, (-1, self.size))))


def net(seed: int = 0) -> LateFusion:
    torch.manual_seed(seed)
    encoders = {"audio": Steps(SAMPLES), "visual": Steps(3 * SIDE * SIDE)}
    made = LateFusion(encoders, Concat(8), GatedExperts(16, CLASSES, "single", hidden=16))
    nn.init.normal_(made.classifier.linear.weight)
    return made.train()


def batch(count: int = 12) -> Batch:
    """Sounds and pictures that lie around a pattern of their class."""
    draw = torch.Generator().manual_seed(3)
    labels = torch.arange(count) % CLASSES
    sounds = torch.rand(CLASSES, 1, STEPS * SAMPLES, generator=draw) - 0.5
    frames = torch.rand(CLASSES, STEPS, 3, SIDE, SIDE, generator=draw)
    noise = (torch.randn(count, *shape, generator=draw) * 0.02 for shape in (sounds.shape[1:], frames.shape[1:]))
    return {
        "audio": (sounds[labels] + next(noise)).clamp(-1, 1),
        "visual": (255 * (0.2 + 0.6 * frames[labels] + next(noise)).clamp(0, 1)).to(torch.uint8),
        "label": labels, "clip_id": [f"clip{number}" for number in range(count)],
    }  # fmt: skip


def part(whole: Batch, places: list[int]) -> Batch:
    return {
        name: [values[place] for place in places] if isinstance(values, list) else values[places]
        for name, values in whole.items()
    }


def test_each_clip_is_shown_clean_and_with_either_modality_attacked_and_the_target_says_which():
    """What is said to be attacked is what differs, within its ball; all else is as it was, to the bit."""
    prepare, whole = SingleSource(SETTING, PGD, BUDGET), batch()
    model = net()
    inputs, targets = prepare(model, whole, epoch=1)
    clean = {"audio": whole["audio"], "visual": whole["visual"] / 255}
    assert model.training and targets.shape == (3 * 12, 2)
    assert targets[:, 0].tolist() == whole["label"].tolist() * 3
    assert targets[:, 1].bincount().tolist() == [12, 12, 12]
    reach = {"audio": 0.1, "visual": 0.5 * 0.229}  # of a pixel, counted in standard deviations
    for place, source in enumerate(targets[:, 1].tolist()):
        for number, name in ((VISUAL, "visual"), (AUDIO, "audio")):
            moved = (inputs[name][place] - clean[name][place % 12]).abs().max().item()
            assert 0.5 * reach[name] < moved <= reach[name] + 1e-6 if source == number else moved == 0


@pytest.mark.parametrize(("number", "name"), [(VISUAL, "visual"), (AUDIO, "audio")])
def test_an_attacked_clip_is_what_an_adversarial_training_against_that_modality_alone_sees(number, name):
    inputs, targets = SingleSource(SETTING, PGD, BUDGET)(net(), batch(), epoch=2)
    alone, _ = Adversarial(SETTING, PGD, {name: BUDGET[name]})(net(), batch(), epoch=2)
    ours = targets[:, 1] == number
    assert all(torch.equal(inputs[one][ours], alone[one]) for one in ("audio", "visual"))


def test_no_clip_depends_on_its_batch():
    prepare, whole = SingleSource(SETTING, PGD, BUDGET), batch()
    inputs, targets = prepare(net(), whole, 1)
    for places in ([0, 1, 2, 3, 4], [11, 7]):
        fewer, told_of = prepare(net(), part(whole, places), 1)
        rows = [12 * form + place for form in range(3) for place in places]
        assert torch.equal(told_of, targets[rows])
        for name in fewer:
            torch.testing.assert_close(fewer[name], inputs[name][rows], rtol=0, atol=1e-6)


def test_what_crafting_takes_is_counted():
    """Three gradients in each modality, none of which passes the other's encoder; clean features once."""
    prepare = SingleSource(SETTING, PGD, BUDGET)
    prepare(net(), batch(), 1)
    assert prepare.facts() == {"gradients_a_clip": 6, "encoder_steps_a_clip": 2 * STEPS * (3 + 1)}


def test_what_it_cannot_prepare_is_named():
    with pytest.raises(UserError, match="learns which modality is attacked; give odd_one_out, not CrossEntropy"):
        SingleSource(replace(SETTING, objective=CROSS_ENTROPY), PGD, BUDGET)
    for budget in ({"audio": 0.1}, {"audio": 0.1, "visual": 0.0}):
        with pytest.raises(UserError, match="each modality is attacked by itself, and the budget has none of visual"):
            SingleSource(SETTING, PGD, budget)(net(), batch(), 1)


# --- The training


def trained(folder: Path, epochs: int, seed: int) -> tuple[LateFusion, dict]:
    """A net after a training that goes on with what `folder` holds, and what the loop returned."""
    whole, recipe = batch(16), TrainingRecipe(epochs, 8, dict.fromkeys(("audio", "visual", "head"), 0.1))
    batches = TwoBatches(lambda positions: part(whole, [*positions.tolist(), *(8 + positions).tolist()]), seed=5)
    made, model = TrainingClips(batches, batches, [whole], 16, 16), net(seed)
    place = (TASKS["single"], folder / "resume.pt", "key", CPU)
    return model, loop.train(model, made, recipe, SETTING.objective, SingleSource(SETTING, PGD, BUDGET), *place)


def test_it_learns_the_classes_and_which_modality_is_attacked(tmp_path):
    """Chance is a third of both, and the weights of the gate follow what is attacked."""
    model, result = trained(tmp_path, 40, seed=0)
    assert result["history"][-1]["loss"] < 0.6 * result["history"][0]["loss"]
    inputs, targets = SingleSource(SETTING, PGD, BUDGET)(model, batch(), epoch=99)
    with torch.no_grad():
        model.eval()
        features = {name: model.encode(name, x) for name, x in inputs.items()}
        fused = model.fusion(features)
        found, classes = model.classifier.odd_one_out(fused).argmax(dim=1), model.head(features).argmax(dim=1)
        gates = model.classifier.gates(fused)
    assert (found == targets[:, 1]).double().mean() > 0.6
    assert (classes == targets[:, 0]).double().mean() > 0.8
    for number in (VISUAL, AUDIO):
        heard = gates[:, number]
        assert heard[targets[:, 1] == number].mean() > 1.5 * heard[targets[:, 1] != number].mean()


def test_a_killed_training_goes_on_with_the_same_bits(tmp_path):
    assert_goes_on(lambda seed: trained(tmp_path, 3, seed)[1], tmp_path / "resume.pt")
