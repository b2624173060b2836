"""The loss of a batch: what is computed once, where gradients are taken, and what is drawn for a clip."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from nets import CROSS_ENTROPY, UNITS, budgets, build_attack, build_objective, clips, narrow_net

from avrobust.attacks.context import Context
from avrobust.attacks.loop import Attack, perturb
from avrobust.attacks.loss import Loss, Point
from avrobust.attacks.threat import Threat
from avrobust.evaluation.cell import Cell, evaluate
from avrobust.evaluation.craft import clean_gradients
from avrobust.spec.conditions import Condition

LABELS = torch.tensor([0, 1, 2, 3])
IDS = ["a", "b", "c", "d"]
BOTH, CONTEXT = ("audio", "visual"), Context(["a", "b", "c", "d"], 0, "mine")


def loss_of(net=None, objective=CROSS_ENTROPY) -> Loss:
    net = net or narrow_net().double()
    inputs = {key: value.to(next(net.parameters()).dtype) for key, value in clips(4).items()}
    return Loss(net, objective, inputs, LABELS)


def louder(modality: str, x: torch.Tensor, context: Context) -> torch.Tensor:
    return 1.5 * x


def drawn(modality: str, x: torch.Tensor, context: Context) -> torch.Tensor:
    return x * context.uniform("gain").to(x).view(-1, *[1] * (x.dim() - 1))


def encoded(loss: Loss) -> Counter:
    """Count the clips that each encoder sees."""
    seen = Counter()
    for name, encoder in loss.model.encoders.items():
        encoder.register_forward_hook(lambda module, given, made, name=name: seen.update({name: len(given[0])}))
    return seen


def test_three_conditions_of_five_attacks_encode_no_clip_twice_at_the_same_place():
    """FGSM takes the gradients at the clean clips alone, and I-, MI- and NI-FGSM their first ones there."""
    loss = loss_of()
    seen = encoded(loss)
    for name in ("fgsm", "i_fgsm", "mi_fgsm", "ni_fgsm"):
        options = {} if name == "fgsm" else {"steps": 2}
        for modalities in (BOTH, ("audio",), ("visual",)):
            perturb(loss, {key: UNITS[key].budget(0.01) for key in modalities}, build_attack(name, options))
    # Four clips: their gradients, their features for the other modality's sake, and a second step of three attacks,
    # each with both and with one modality.
    assert seen == {"audio": 4 * (1 + 1 + 3 * 2), "visual": 4 * (1 + 1 + 3 * 2)}


@pytest.mark.parametrize(("touches", "again"), [(("audio",), 0), (BOTH, 4)])
def test_the_modality_that_is_not_attacked_is_encoded_again_only_if_a_point_touches_it(touches, again):
    loss = loss_of()
    loss.features("visual")
    seen = encoded(loss)
    loss.gradients(loss.inputs, ("audio",), [Point(louder, touches=touches)], CONTEXT)
    assert seen == Counter(audio=4, visual=again)


def test_a_cpu_takes_one_point_at_a_time():
    """`attack_batch_size` is what fits its memory."""
    assert loss_of().points_at_once == 1


def test_a_gradient_over_points_is_the_weighted_sum_however_many_go_together():
    """By hand: of 1.5 x the gradient is 1.5 times that at 1.5 x."""
    loss = loss_of()
    points = [Point(louder, 0.5), Point(drawn, 2.0), Point(louder, 0.25, ("visual",)), Point(drawn, 1.0, ("audio",))]
    one = loss.gradients(loss.inputs, BOTH, points, CONTEXT)
    gain = CONTEXT.uniform("gain").double().view(-1, 1, 1)
    expected = {key: torch.zeros_like(value) for key, value in loss.inputs.items()}
    for weight, sound, frame in ((0.5, 1.5, 1.5), (2, gain, gain[..., None]), (0.25, 1, 1.5), (1, gain, 1)):
        factors = {"audio": sound, "visual": frame}
        found = loss.gradients({key: factors[key] * loss.inputs[key] for key in BOTH}, BOTH)
        expected = {key: expected[key] + weight * factors[key] * found[key] for key in BOTH}
    for together in (1, 2, 3, 4):
        loss.points_at_once = together
        several = loss.gradients(loss.inputs, BOTH, points, CONTEXT)
        for key in BOTH:
            torch.testing.assert_close(one[key], expected[key], rtol=0, atol=1e-12)
            torch.testing.assert_close(several[key], one[key], rtol=0, atol=1e-12)


def test_points_that_do_not_fit_into_memory_together_are_taken_in_parts():
    loss = loss_of()
    points = [Point(drawn, 0.2)] * 5
    expected = loss.gradients(loss.inputs, BOTH, points, CONTEXT)
    encode, sizes = loss.model.encode, []

    def narrow(name, x):
        sizes.append(len(x))
        if len(x) > 8:
            raise torch.OutOfMemoryError("no room")
        return encode(name, x)

    loss.model.encode, loss.points_at_once = narrow, 2**10
    made = loss.gradients(loss.inputs, BOTH, points, CONTEXT)
    assert sizes == [20, 8, 8, 8, 8, 4, 4] and loss.points_at_once == 2
    for key in BOTH:
        torch.testing.assert_close(made[key], expected[key], rtol=0, atol=1e-12)
    narrow_batch = loss_of()
    narrow_batch.model.encode = lambda name, x: narrow(name, torch.cat([x, x, x]))
    with pytest.raises(torch.OutOfMemoryError):
        narrow_batch.gradients(loss.inputs, BOTH, points, CONTEXT)


def test_an_objective_may_compare_with_the_clean_clip():
    """The distance of features from the clean ones: 0 there, and an attack drives it up."""

    class Moved:
        def __init__(self, clean=None):
            self.clean = clean

        def relative_to(self, clean):
            return Moved(clean)

        def __call__(self, features, logits, labels):
            return sum((features[name] - self.clean[name]).square().sum(dim=1) for name in features)

    loss = loss_of(objective=Moved())
    assert loss.value(loss.inputs).tolist() == [0, 0, 0, 0]
    made = perturb(loss, {key: UNITS[key].budget(0.01) for key in BOTH}, build_attack("pgd_random"), CONTEXT)
    assert (loss.value(made) > 0.01).all()


def test_an_objective_may_compare_with_what_the_net_says_of_the_clean_clip():
    """The first clips alone are compared with their own; whether a class is first no more is what the sign says."""
    loss = loss_of(objective=build_objective("top1_margin", {}, 5))
    with torch.no_grad():
        first = loss.model(loss.inputs).argmax(dim=1)
    assert (loss.value(loss.inputs) < 0).all()
    made = perturb(loss, {"visual": UNITS["visual"].budget(0.1)}, build_attack("pgd"), CONTEXT)
    with torch.no_grad():
        flipped = loss.model(made).argmax(dim=1) != first
    assert flipped.any() and torch.equal(loss.value(made) > 0, flipped)
    few = {name: x[:2] for name, x in loss.inputs.items()}
    assert torch.equal(loss.first(few).value({name: x[:2] for name, x in made.items()}) > 0, flipped[:2])


def test_the_value_is_the_objective_at_the_inputs():
    loss = loss_of()
    other = {key: 0.9 * value for key, value in loss.inputs.items()}
    expected = torch.nn.functional.cross_entropy(loss.model(other), LABELS, reduction="none")
    torch.testing.assert_close(loss.value(other), expected)
    assert not loss.value(loss.inputs).requires_grad


def test_what_is_combined_with_the_gradient_sees_the_iterate():
    """MIG's factor, the distance from a baseline: where an input is at it, nothing moves until it has left it."""
    loss, seen = loss_of(), []

    def factor(modality, x, gradient, budget):
        seen.append(x)
        return (x - budget.low) * gradient

    attack = Attack(2, combine=factor)
    made = perturb(loss, {key: UNITS[key].budget(0.01) for key in BOTH}, attack)
    for key in BOTH:
        at_baseline = loss.inputs[key] == UNITS[key].low
        moved = made[key] != loss.inputs[key]
        assert at_baseline.any() and not moved[at_baseline].any() and moved.double().mean() > 0.3
    assert seen[0] is loss.inputs["audio"]
    torch.testing.assert_close((seen[2] - seen[0]).abs().amax(), torch.tensor(0.005).double())


def test_every_restart_draws_its_own_points():
    """From the clean clip, too: the first gradient that all conditions share is that of the first run."""
    loss = loss_of()
    noisy = Point(lambda modality, x, context: x + 0.3 * context.normal("noise", *x.shape[1:]).to(x))
    balls, attack = {"visual": UNITS["visual"].budget(0.1)}, Attack(1, points=lambda step: [noisy], random=True)
    runs = [perturb(loss_of(), balls, attack, replace(CONTEXT, restart=restart)) for restart in range(3)]
    values = torch.stack([loss.value(run) for run in runs])
    assert values.argmax(dim=0).any(), "the first run is the worst of every clip"
    worst = perturb(loss, balls, replace(attack, restarts=3), CONTEXT)
    torch.testing.assert_close(loss.value(worst), values.amax(dim=0), rtol=0, atol=1e-12)


def test_draws_belong_to_the_clip_and_to_nothing_in_its_batch():
    context = Context(IDS, 3, "mine", restart=1, step=2)
    for draw in ("uniform", "normal"):
        whole = getattr(context, draw)("x", 2, 3)
        assert whole.shape == (4, 2, 3) and len(whole.unique()) == 24
        alone = [getattr(replace(context, clip_ids=[clip]), draw)("x", 2, 3) for clip in reversed(IDS)]
        assert torch.equal(torch.cat(alone[::-1]), whole)
        others = [replace(context, **change) for change in ({"seed": 4}, {"attack": "a"}, {"restart": 0}, {"step": 1})]
        assert all(not torch.equal(getattr(other, draw)("x", 2, 3), whole) for other in others)
        assert not torch.equal(getattr(context, draw)("y", 2, 3), whole)
    assert context.uniform("x", 1000).min() >= 0 and context.uniform("x", 1000).max() < 1
    assert context.normal("x", 1000).std() == pytest.approx(1, abs=0.1)


def test_who_draws_must_be_told_the_clips():
    with pytest.raises(RuntimeError, match="mine draws 'x' at random, of clips whose ids it is not told"):
        Context(attack="mine").uniform("x")


def test_cells_of_the_same_net_and_objective_share_what_is_computed_once():
    """FGSM and I-FGSM encode the clips once between them for their first gradients, FGSM of a margin for itself."""
    net, inputs = narrow_net(), clips(4)
    seen = encoded(Loss(net, CROSS_ENTROPY, inputs, LABELS))
    batch = {**inputs, "label": LABELS, "clip_id": IDS}
    margin = build_objective("margin", {}, 5)
    threats = [Threat(build_attack(*one), net, CROSS_ENTROPY) for one in (("fgsm",), ("i_fgsm", {"steps": 1}))]
    asked = {"net": [Condition("both", "small")]}
    # The clean clips, and their gradients; what each makes of them is encoded for its answer.
    for together, count in ((threats, 8 + 2 * 4), ([*threats, Threat(build_attack("fgsm"), net, margin)], 12 + 3 * 4)):
        seen.clear()
        list(evaluate([Cell("net", str(n), one, {"net": net}, asked) for n, one in enumerate(together)], [batch],
                      budgets(small=0.01), torch.device("cpu")))  # fmt: skip
        assert seen["audio"] == seen["visual"] == count


def test_threats_of_the_same_random_points_draw_each_their_own():
    """To the bit what each makes by itself, though a bundle has them of one function."""
    points = [Point(drawn)]
    attack, net = Attack(1, points=lambda step: points, random=True), narrow_net()

    def first(name: str, loss: Loss) -> torch.Tensor:
        return clean_gradients(Threat(attack, net, CROSS_ENTROPY, name=name), loss, IDS)["visual"]

    loss = Loss(net, CROSS_ENTROPY, clips(4), LABELS)
    together = [first(name, loss) for name in "ab"]
    alone = [first(name, Loss(net, CROSS_ENTROPY, clips(4), LABELS)) for name in "ab"]
    assert all(torch.equal(*pair) for pair in zip(together, alone, strict=True))
    assert not torch.equal(*together)


def test_the_first_clips_alone_encode_nothing_that_all_have_encoded():
    """Features and first gradients of the first two are those of all four, to the bit."""
    loss = Loss(narrow_net(), CROSS_ENTROPY, clips(4), LABELS)
    seen, gradients = encoded(loss), loss.first_gradients(BOTH)
    features = {key: loss.features(key) for key in BOTH}
    before = Counter(seen)
    part = loss.first({key: x[:2] for key, x in loss.inputs.items()})
    made = perturb(part, {key: UNITS[key].budget(0.01) for key in BOTH}, build_attack("fgsm"))
    assert seen == before and all(made[key].shape[0] == 2 for key in BOTH)
    assert all(torch.equal(part.first_gradients(BOTH)[key], gradients[key][:2]) for key in BOTH)
    assert all(torch.equal(part.features(key), features[key][:2]) for key in BOTH)
