"""What training minimises: hand-worked values, gradients, and clips that do not see each other."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from nets import build_objective, linear_net

from avrobust.lazy import load
from avrobust.models.fusions.concat import Concat
from avrobust.models.heads.gated_experts import GatedExperts
from avrobust.models.heads.orthogonal import Orthogonal
from avrobust.objectives.prototype_conformity import PrototypeConformity
from avrobust.objectives.registry import OBJECTIVES
from avrobust.objectives.similarity import audio_visual_similarity
from avrobust.objectives.told import told
from avrobust.program import UserError
from avrobust.training.descent import descent_of
from avrobust.training.recipe import TrainingRecipe

OPTIONS = {
    "prototype_conformity": {"prox_weight": 0.5, "conprox_weight": 0.1, "prox_rate": 0.1, "conprox_rate": 1e-4},
}
# They do not look at the features.
OF_LOGITS = (
    *("cross_entropy", "binary_cross_entropy", "margin", "minus_probability", "targeted", "certified_margin"),
    "top1_margin",
    "odd_one_out",  # of clips of which nobody says what is attacked
)
NET = SimpleNamespace(fusion=Concat(2), classifier=Orthogonal(4, 3, "single").double())
# Of two features a centred row is (1, -1) or the opposite. Drawn at random all may be the same, and no margin be left.
NET.classifier.directions.data = torch.tensor([[[1.0, 0], [0, 1], [1, 0]]] * 2).double()
DETECTING_NET = SimpleNamespace(fusion=Concat(2), classifier=GatedExperts(4, 3, "single").double(), training=False)
# 3-4-5 and 5-12-13: |f_a| = 5, |f_v| = 13, f_a . f_v = 3 * 5 + 4 * 12 = 63.
AUDIO, VISUAL = torch.tensor([[3.0, 4.0]]), torch.tensor([[5.0, 12.0]])
COSINE = 63 / 65
LOGITS, LABELS = torch.tensor([[1.0, 1.0, 1.0]]), torch.tensor([1])
LOG_3 = 1.0986123


def objective(name: str, **options: object):
    torch.manual_seed(0)
    made = build_objective(name, {"audio": 2, "visual": 2}, 3, **OPTIONS.get(name, {}) | options).double()
    # Those that look at a net are told one.
    return told(made, DETECTING_NET if name == "odd_one_out" else NET) if hasattr(made, "of_net") else made


def clips(count: int, seed: int = 0, name: str = "") -> tuple[dict, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    features = {name: torch.rand(count, 2, generator=generator, dtype=torch.float64) for name in ("audio", "visual")}
    logits = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(3, (count,), generator=generator)
    return features, logits, F.one_hot(labels, 3) if name == "binary_cross_entropy" else labels


def test_cosine_by_hand():
    features = {"audio": torch.cat([AUDIO, AUDIO, AUDIO]), "visual": torch.stack([VISUAL[0], 2 * AUDIO[0], -AUDIO[0]])}
    assert audio_visual_similarity(features).tolist() == pytest.approx([COSINE, 1, -1])


def test_the_cosine_of_steps_is_that_of_their_means():
    steps = {"audio": torch.tensor([[[3.0, 0.0], [3.0, 8.0]]]), "visual": VISUAL}  # mean (3, 4)
    assert audio_visual_similarity(steps).tolist() == pytest.approx([COSINE])


def test_the_cosine_of_nothing_is_0_and_has_a_gradient():
    audio = torch.zeros(1, 2, requires_grad=True)
    similarity = audio_visual_similarity({"audio": audio, "visual": VISUAL})
    similarity.sum().backward()
    assert similarity.item() == 0 and audio.grad.isfinite().all()


@pytest.mark.parametrize(("weight", "expected"), [(1.0, COSINE), (0.8, 0.8 * COSINE), (0.0, 0.0)])
def test_min_similarity_by_hand(weight, expected):
    loss = objective("min_similarity", weight=weight)({"audio": AUDIO, "visual": VISUAL}, LOGITS, LABELS)
    assert loss.tolist() == pytest.approx([LOG_3 + expected])


@pytest.mark.parametrize("weight", [1.0, 0.8])
def test_max_similarity_by_hand(weight):
    loss = objective("max_similarity", weight=weight)({"audio": AUDIO, "visual": VISUAL}, LOGITS, LABELS)
    assert loss.tolist() == pytest.approx([LOG_3 + weight * (1 - COSINE)])


def test_the_margin_by_hand():
    """The clip's own logit is 2: the best of the others is 5, 2 or -1, so 3, 0 and -3; no more than 1 if told so."""
    logits = torch.tensor([[5.0, 2.0, 1.0], [2.0, 2.0, 2.0], [-1.0, 2.0, -4.0]])
    labels = torch.tensor([1, 1, 1])
    assert objective("margin")({}, logits, labels).tolist() == [3, 0, -3]
    assert objective("margin", most=1.0)({}, logits, labels).tolist() == [1, 0, -3]


def test_the_margin_of_the_first_class_by_hand():
    """Clean, the first class leads with 5, and then has 1, 4 and 2: the best other one less that. No label counts."""
    clean, logits = (
        torch.tensor([[5.0, 2.0, 1.0]] * 3),
        torch.tensor([[1.0, 3.0, 0.0], [4.0, 4.0, 1.0], [2.0, 1.0, -1.0]]),
    )
    made = objective("top1_margin")
    for labels in (torch.tensor([0, 1, 2]), torch.tensor([[0.0, 1, 1], [0, 0, 0], [1, 1, 1]])):
        assert made.relative_to_logits(clean)({}, logits, labels).tolist() == [2, 0, -1]
        assert made({}, clean, labels).tolist() == [-3, -3, -3]


def test_the_probability_by_hand():
    """Odds 1 : 3 : 6, of which the clip's own are 3."""
    logits = torch.tensor([[0.0, math.log(3), math.log(6)]])
    assert objective("minus_probability")({}, logits, torch.tensor([1])).tolist() == pytest.approx([-0.3])


def test_the_target_is_another_class_by_hand():
    """Of the last of three classes the next one is the first, the one before the second; odds 1 : 3 : 6."""
    logits, labels = torch.tensor([[0.0, math.log(3), math.log(6)]]), torch.tensor([2])
    for shift, share in ((1, 0.1), (-1, 0.3), (2, 0.3)):
        assert objective("targeted", shift=shift)({}, logits, labels).item() == pytest.approx(math.log(share))
    with pytest.raises(UserError, match="shift 3 leads from each of 3 classes to itself"):
        objective("targeted", shift=3)


def test_what_counts_from_a_clips_own_class_says_that_it_needs_one():
    """By this a mixture of clips, and an attack on nets of several labels, refuse it before they begin."""
    saying = {name for name in OBJECTIVES if getattr(load(OBJECTIVES, name), "needs_one_label", False)}
    assert saying == {
        *("margin", "minus_probability", "prototype_conformity", "targeted"),
        *("uncertain_margin", "certified_margin", "odd_one_out"),
    }


def test_min_and_max_similarity_pull_apart():
    features, logits, labels = clips(7)
    low, high = (objective(name)(features, logits, labels) for name in ("min_similarity", "max_similarity"))
    cross_entropy = F.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(low + high, 2 * cross_entropy + 1)


def conformity() -> PrototypeConformity:
    """Centres of three classes in the plane, the same for both modalities."""
    made = PrototypeConformity({"audio": 2, "visual": 2}, 3, 0.5, 0.1, prox_rate=0.1, conprox_rate=0.2)
    for centres, values in (
        (made.prox_centres, [[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]),
        (made.conprox_centres, [[0.0, 1.0], [9.0, 9.0], [2.0, 0.0]]),
    ):
        for name in ("audio", "visual"):
            centres[name].data = torch.tensor(values)
    return made


def test_prototype_conformity_by_hand():
    """f = (1, 1), y = 1: prox = 0 + 1 = 1; conprox = mean of (1 + 0) and (1 + 1) = 1.5; twice, for two modalities."""
    feature = torch.tensor([[1.0, 1.0]])
    loss = conformity()({"audio": feature, "visual": feature}, LOGITS, LABELS)
    assert loss.tolist() == pytest.approx([LOG_3 + 2 * (0.5 * 1.0 - 0.1 * 1.5)])


def test_far_features_of_both_modalities_count_whole():
    """Features of ResNet-18 and of the sound's net are 20 to 60 long; the released range of a distance ends at 1e12.

    Audio (60, 0): prox 59^2; conprox mean of 60^2 + 1 and 58^2. Visual (0, -1e4): prox 1 + 1e8; conprox mean of
    (1e4 + 1)^2 and 4 + 1e8. Beyond 1e6 a squared distance is 1e12; a clip on its centre is 1e-12 away.
    """
    made = conformity().double()

    def loss(audio: list[float], visual: list[float]) -> float:
        features = {"audio": torch.tensor([audio]).double(), "visual": torch.tensor([visual]).double()}
        return made(features, LOGITS.double(), LABELS).item() - math.log(3)

    audio = 0.5 * 59**2 - 0.1 * (60**2 + 1 + 58**2) / 2
    visual = 0.5 * (1 + 1e8) - 0.1 * (10_001**2 + 4 + 1e8) / 2
    assert loss([60.0, 0.0], [0.0, -1e4]) == pytest.approx(audio + visual, rel=1e-12)
    assert loss([3e6, 0.0], [3e6, 0.0]) == pytest.approx(2 * (0.5 - 0.1) * 1e12, rel=1e-12)
    made.conprox_weight = 0.0
    assert loss([1.0, 0.0], [1.0, 0.0]) == pytest.approx(2 * 0.5 * 1e-12, rel=1e-3)


def test_each_step_of_the_centres_is_free_of_the_weights():
    """Plain gradient descent on prox, and on minus conprox, at the stated rates: by hand from the mean over clips."""
    made = conformity()
    rates = {"audio": 0.1, "visual": 0.1, "head": 0.1}
    optimizer = descent_of(linear_net(2, 2), made, TrainingRecipe(1, 1, rates), 2)
    feature = torch.tensor([[1.0, 1.0]])
    for _ in range(2):
        before = {name: centre.detach().clone() for name, centre in made.named_parameters()}
        optimizer.zero_grad()
        made({"audio": feature, "visual": feature}, LOGITS, LABELS).mean().backward()
        optimizer.step()
        own = before["prox_centres.audio"][1]
        torch.testing.assert_close(made.prox_centres["audio"][1], own - 0.1 * 2 * (own - feature[0]))
        torch.testing.assert_close(made.prox_centres["audio"][0], before["prox_centres.audio"][0])
        other = before["conprox_centres.audio"][0]
        torch.testing.assert_close(made.conprox_centres["audio"][0], other + 0.2 * (other - feature[0]))
        torch.testing.assert_close(made.conprox_centres["audio"][1], before["conprox_centres.audio"][1])


def test_both_kinds_of_centres_are_apart():
    made = objective("prototype_conformity")
    names = {name for name, _ in made.named_parameters()}
    assert names == {f"{kind}_centres.{modality}" for kind in ("prox", "conprox") for modality in ("audio", "visual")}
    assert not torch.equal(made.prox_centres["audio"], made.conprox_centres["audio"])


@pytest.mark.parametrize("name", OBJECTIVES)
@given(count=st.integers(1, 9), seed=st.integers(0, 99))
def test_one_number_per_clip_that_depends_on_no_other_clip(name, count, seed):
    features, logits, labels = clips(count, seed, name)
    made = objective(name)
    loss = made(features, logits, labels)
    assert loss.shape == (count,) and loss.isfinite().all()
    alone = [
        made({key: value[i : i + 1] for key, value in features.items()}, logits[i : i + 1], labels[i : i + 1])
        for i in range(count)
    ]
    torch.testing.assert_close(loss, torch.cat(alone))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradients_reach_the_logits_and_whatever_the_loss_looks_at(name):
    features, logits, labels = clips(4, name=name)
    made = objective(name)
    leaves = [logits.requires_grad_(), *(feature.requires_grad_() for feature in features.values())]
    gradients = torch.autograd.grad(made(features, logits, labels).sum(), leaves, allow_unused=True)
    assert gradients[0].abs().sum() > 0
    for gradient in gradients[1:]:
        assert (gradient is None) if name in OF_LOGITS else gradient.abs().sum() > 0


def test_gradients_by_hand():
    """Of the cosine, d/df_a = f_v / (|f_a| |f_v|) - cos f_a / |f_a|^2: (5, 12) / 65 - 63/65 (3, 4) / 25.

    Of PCL at f = (1, 1), y = 1: 2 * 0.5 (f - (1, 0)) - 0.1 * 2 (f - the mean (1, 0.5) of the two other centres).
    """

    def gradients(made, audio: torch.Tensor, visual: torch.Tensor) -> list[list[float]]:
        leaves = {"audio": audio.clone().requires_grad_(), "visual": visual.clone().requires_grad_()}
        made(leaves, LOGITS, LABELS).sum().backward()
        return [leaf.grad[0].tolist() for leaf in leaves.values()]

    of_cosine = torch.tensor([-64 / 1625, 48 / 1625]), torch.tensor([192 / 10985, -80 / 10985])
    for name, factor in (("min_similarity", 0.8), ("max_similarity", -0.8)):
        for got, wanted in zip(gradients(objective(name, weight=0.8), AUDIO, VISUAL), of_cosine, strict=True):
            assert got == pytest.approx((factor * wanted).tolist(), abs=1e-6)
    feature = torch.tensor([[1.0, 1.0]])
    assert gradients(conformity(), feature, feature) == [pytest.approx([0.0, 0.9])] * 2


def test_every_objective_is_built_by_its_name():
    for name in OBJECTIVES:
        made = objective(name)
        assert isinstance(getattr(made, "func", made), load(OBJECTIVES, name))
