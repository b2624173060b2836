"""CRMT: the head that weighs modalities, both objectives by hand, the table of how fast scores change."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from nets import CROSS_ENTROPY, FORMS, Flatten, build_objective, clips, linear_net, narrow_net, narrow_spec
from torch import Tensor, nn

from avrobust.models.build import ModelSpec, build
from avrobust.models.files import Trained
from avrobust.models.fusions.concat import Concat
from avrobust.models.heads.orthogonal import Orthogonal
from avrobust.models.late_fusion import LateFusion
from avrobust.objectives.certified_margin import CertifiedMargin
from avrobust.objectives.told import told
from avrobust.objectives.uncertain_margin import UncertainMargin
from avrobust.program import UserError
from avrobust.training import loop
from avrobust.training.descent import descent_of
from avrobust.training.prepare.plain import Plain, Setting
from avrobust.training.recipe import TrainingRecipe
from avrobust.training.start import continued_model

CPU = torch.device("cpu")


class Mapped(nn.Module):
    """A linear map of the input as the feature."""

    def __init__(self, matrix: Tensor):
        super().__init__()
        self.register_buffer("matrix", matrix)
        self.out_features = len(matrix)

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.matrix.T


def head_of(features: int, classes: int, seed: int = 0, **options: bool) -> Orthogonal:
    torch.manual_seed(seed)
    head = Orthogonal(2 * features, classes, "single", **options).double()
    nn.init.uniform_(head.modality_weights, 0.2, 1.5)
    nn.init.normal_(head.bias)
    return head


def mapped_net(classes: int = 4, features: int = 6, values: int = 5, seed: int = 0) -> LateFusion:
    """Linear encoders of both modalities, each of a map of its own, the sound's ten times as steep."""
    head = head_of(features, classes, seed)
    maps = {name: torch.randn(features, values, dtype=torch.float64) for name in ("audio", "visual")}
    return LateFusion(
        {"audio": Mapped(10 * maps["audio"]), "visual": Mapped(maps["visual"])}, Concat(features), head
    ).eval()


def inputs_of(count: int, values: int = 5, seed: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(count, values, generator=generator, dtype=torch.float64) for name in ("audio", "visual")}


# --- The head


def test_rows_are_centred_and_of_length_1_and_logits_are_the_weighted_scores():
    head = head_of(3, 2)
    rows = head.rows()
    torch.testing.assert_close(rows.mean(dim=2), torch.zeros(2, 2).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(rows.norm(dim=2), torch.ones(2, 2).double())
    head.directions.data[0, 0] = torch.tensor([1.0, 2, 6])  # less its mean -2, -1, 3; of length sqrt(14)
    visual, audio = torch.tensor([[1.0, 0, 2]]).double(), torch.tensor([[0.0, 4, 1]]).double()
    z = (-2 + 6) / math.sqrt(14)
    assert head.scores(torch.cat([visual, audio], 1))[0, 0, 0].item() == pytest.approx(z)
    by_hand = head.modality_weights[0, 0] * z + head.modality_weights[1, 0] * (audio @ head.rows()[1, 0]) + head.bias[0]
    assert head(torch.cat([visual, audio], 1))[0, 0].item() == pytest.approx(by_hand.item())
    for number, (name, feature) in enumerate((("visual", visual), ("audio", audio))):
        torch.testing.assert_close(head.score(name, feature), head.scores(torch.cat([visual, audio], 1))[:, number])
    steps = torch.randn(2, 7, 6).double()
    torch.testing.assert_close(head(steps), head(steps.mean(dim=1)))


def test_a_shared_head_has_the_same_rows_for_both():
    head = head_of(3, 2, shared=True)
    assert torch.equal(head.rows()[0], head.rows()[1]) and head.directions.shape == (1, 2, 3)
    assert not torch.equal(head.modality_weights[0], head.modality_weights[1])


@pytest.mark.parametrize(("fusion", "shared"), [("concat", False), ("sum", True)])
def test_a_training_that_goes_on_from_a_linear_head_begins_with_its_answers(fusion, shared):
    """Rows of mean 0, of which nothing is lost; every weight of the encoders is the same."""
    spec, start = narrow_spec(fusion), narrow_net(fusion)
    count = 1 if shared else 2
    rows = start.classifier.weight.data.unflatten(1, (count, -1))
    rows -= rows.mean(dim=2, keepdim=True)
    wanted = ModelSpec("concat", spec.audio, spec.visual, head={"name": "orthogonal", "options": {"shared": shared}})
    _, model = continued_model(wanted, Trained(start, CROSS_ENTROPY, list("abcde"), {}), 3, {}, {})
    inputs = clips(4)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(inputs), start(inputs), rtol=1e-4, atol=1e-4)
    for name, value in start.encoders.state_dict().items():
        assert torch.equal(model.encoders.state_dict()[name], value)
    other = ModelSpec("concat", spec.audio, spec.visual, head={"name": "orthogonal", "options": {"shared": not shared}})
    with pytest.raises(UserError, match=r"orthogonal: the head to start from is not linear on (64|128) features"):
        continued_model(other, Trained(start, CROSS_ENTROPY, list("abcde"), {}), 3, {}, {})


def test_a_training_that_goes_on_from_the_same_head_has_its_weights():
    spec = narrow_spec()
    spec = ModelSpec("concat", spec.audio, spec.visual, head="orthogonal")
    start = build(spec, 5, seed=1)
    _, model = continued_model(spec, Trained(start, CROSS_ENTROPY, list("abcde"), {}), 3, {}, {})
    assert all(torch.equal(value, start.state_dict()[name]) for name, value in model.state_dict().items())


def test_added_features_are_refused():
    spec = narrow_spec("sum")
    with pytest.raises(UserError, match="orthogonal takes both features side by side; give fusion concat, not sum"):
        build(ModelSpec("sum", spec.audio, spec.visual, head="orthogonal"), 5)


# --- The uncertain margin


def test_the_uncertain_margin_by_hand():
    """Scores of three classes: 1, 0, 2 of the frame and 0, 3, 0 of the sound; y is the first, so the other margins are
    -1 and 1, 3 and 0."""

    class Head(nn.Module):
        modality_weights = nn.Parameter(torch.ones(2, 3))

        def scores(self, fused: Tensor) -> Tensor:
            return torch.tensor([[[1.0, 0, 2], [0, 3, 0]]])

    net = LateFusion({"audio": Flatten(), "visual": Flatten()}, Concat(2), Head())
    features = {"audio": torch.zeros(1, 2), "visual": torch.zeros(1, 2)}
    logits, labels = torch.zeros(1, 3), torch.tensor([0])
    others = math.log(math.exp(-1) + math.exp(1) + math.exp(3) + math.exp(0))
    for weight in (2.0, 0.5):
        loss = told(UncertainMargin({}, 3, weight), net)(features, logits, labels)
        assert loss.tolist() == pytest.approx([math.log(3) + weight * others])
    assert told(UncertainMargin({}, 3), net)(features, logits, labels).item() == pytest.approx(math.log(3) + 2 * others)


def test_a_net_without_such_a_head_is_refused():
    for name in ("uncertain_margin", "certified_margin"):
        with pytest.raises(UserError, match=f"objective {name} needs a head that weighs modalities"):
            told(build_objective(name, {}, 5), narrow_net())


# --- The table


def test_of_linear_encoders_the_table_is_the_lengths_of_the_scores_rows():
    """z_k = w_k A x: how fast it changes is |w_k A|, of both modalities. The released code leaves the sound's at 0."""
    net = mapped_net()
    objective = CertifiedMargin({}, 4).double()
    batches = inputs_of(6)
    objective.measure(net, [{name: x[:4] for name, x in batches.items()}, {name: x[4:] for name, x in batches.items()}])
    rows = net.classifier.rows()
    for number, name in enumerate(("visual", "audio")):
        expected = (rows[number] @ net.encoders[name].matrix).norm(dim=1)
        torch.testing.assert_close(objective.lipschitz[number], expected.detach())
    assert objective.lipschitz[1].min() > 3 * objective.lipschitz[0].max()
    assert all(parameter.grad is None for parameter in net.parameters())


def test_of_other_encoders_it_is_the_largest_over_the_clips_and_each_class_is_its_own():
    """By the Jacobian of every clip by itself."""
    net = narrow_net()
    net.classifier = Orthogonal(128, 5, "single")
    objective, inputs = CertifiedMargin({}, 5), clips(3)
    objective.measure(
        net.train(), [{name: x[:2] for name, x in inputs.items()}, {name: x[2:] for name, x in inputs.items()}]
    )
    assert net.training
    net.eval()
    for number, name in enumerate(("visual", "audio")):
        found = []
        for clip in range(3):
            x = inputs[name][clip : clip + 1]
            jacobian = torch.autograd.functional.jacobian(
                lambda x, name=name: net.classifier.score(name, net.encode(name, x))[0], x
            )
            found.append(jacobian.flatten(1).norm(dim=1))
        torch.testing.assert_close(objective.lipschitz[number], torch.stack(found).amax(0), rtol=1e-3, atol=1e-5)


# --- The certified margin


def radii(net: LateFusion, inputs: dict[str, Tensor], labels: Tensor) -> Tensor:
    objective = CertifiedMargin({}, 4).double()
    objective.measure(net, [inputs])
    features = {name: net.encode(name, inputs[name]) for name in inputs}
    return -told(objective, net)(features, net.head(features), labels)


def test_no_change_below_the_margin_takes_a_clip_from_its_class():
    """Of a linear net the distance to each other class is known: the margin is no longer, and above 0 if recognised."""
    net, inputs = mapped_net(), inputs_of(40)
    logits = net(inputs)
    labels = logits.argmax(dim=1)
    weights = torch.cat(
        [
            net.classifier.modality_weights[number].unsqueeze(1)
            * net.classifier.rows()[number]
            @ net.encoders[name].matrix
            for number, name in enumerate(("visual", "audio"))
        ],
        dim=1,
    )
    own = weights[labels].unsqueeze(1) - weights
    distances = (logits.gather(1, labels.unsqueeze(1)) - logits) / own.norm(dim=2)
    exact = distances.masked_fill(F.one_hot(labels, 4).bool(), math.inf).amin(dim=1)
    certified = radii(net, inputs, labels)
    assert (certified > 0).all() and (certified <= exact + 1e-9).all()
    assert (certified > 0.3 * exact).float().mean() > 0.5, "a bound that says something"
    assert (radii(net, inputs, (labels + 1) % 4) < 0).all()


def test_where_the_rows_of_two_classes_are_opposite_the_margin_is_the_distance():
    """Of two features centred rows of length 1 are (1, -1) / sqrt(2), or the opposite; the encoder doubles."""
    head = Orthogonal(4, 2, "single").double()
    head.directions.data = torch.tensor([[[1.0, 0], [0, 1]]] * 2).double()
    head.modality_weights.data = torch.tensor([[0.5, 1.5], [2.0, 1.0]]).double()
    double = 2 * torch.eye(2).double()
    net = LateFusion({"audio": Mapped(double), "visual": Mapped(double)}, Concat(2), head).eval()
    inputs = {"audio": torch.tensor([[3.0, 0]]).double(), "visual": torch.tensor([[1.0, 0]]).double()}
    # z of the first class is sqrt(2) (x - y), of the second the opposite. Frame: sqrt(2), sound: 3 sqrt(2). Logits 0.5
    # sqrt(2) + 2 * 3 sqrt(2) and -1.5 sqrt(2) - 3 sqrt(2); their difference grows by 2 (0.5 + 1.5) and 2 (2 + 1).
    margin = math.sqrt(2) * (6.5 + 4.5)
    objective = CertifiedMargin({}, 2).double()
    objective.measure(net, [inputs])
    features = {name: net.encode(name, inputs[name]) for name in inputs}
    found = -told(objective, net)(features, net.head(features), torch.tensor([0]))
    assert found.item() == pytest.approx(margin / math.hypot(4, 6))


# --- Only the modality weights


def batch() -> dict:
    inputs = clips(8)
    return {
        "audio": inputs["audio"], "visual": (255 * inputs["visual"]).to(torch.uint8), "label": torch.arange(8) % 5,
        "clip_id": [f"clip{number}" for number in range(8)],
    }  # fmt: skip


def test_the_second_phase_moves_the_modality_weights_alone_and_enlarges_the_margin():
    """No other weight, and no statistic of batch normalisation, by a bit."""
    net = narrow_net()
    net.classifier = head = Orthogonal(128, 5, "single")
    inputs = clips(8)
    objective = CertifiedMargin({}, 5)
    objective.measure(net, [inputs])
    before = copy.deepcopy(net.state_dict())
    recipe = TrainingRecipe(1, 8, dict.fromkeys(("audio", "visual", "head"), 1.0), only="classifier.modality_weights")
    loop._hold_all_but(recipe.only, net)
    plain = Plain(Setting(objective, CPU, seed=7, classes=5, inputs=FORMS))
    descent = descent_of(net, objective, recipe, 1)
    losses = [loop.train_epoch(net, [batch()], descent, objective, plain, epoch, recipe) for epoch in range(1, 8)]
    assert losses[-1] < losses[0]
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"classifier.modality_weights"}
    assert not torch.equal(head.modality_weights.data, before["classifier.modality_weights"])


def test_a_part_that_the_net_has_not_is_named():
    with pytest.raises(
        UserError, match=r"a training of 'classifier\.wait' only: the net has no such parameter or module"
    ):
        loop._hold_all_but("classifier.wait", linear_net(4, 2))
