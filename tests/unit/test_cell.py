"""Cells: rows, what is shared, and what must never be stored."""

import dataclasses
import math

import pytest
import torch
from nets import CROSS_ENTROPY, attacked_rows, batches, budgets, build_attack, shallow_net

from avrobust.attacks.budget import units
from avrobust.attacks.threat import Threat
from avrobust.evaluation.budgets import Budgets
from avrobust.evaluation.cell import UNBOUNDED_CLIPS, Cell, evaluate
from avrobust.metrics.schema import SCHEMA, in_order
from avrobust.spec.budgets import named
from avrobust.spec.conditions import UNBOUNDED, Condition
from avrobust.views.view import Input

CPU = torch.device("cpu")
STRENGTHS = {"weak": 0.01, "strong": 0.05}
GIVEN = budgets(**STRENGTHS)
CONDITIONS = [Condition(modality, budget) for modality in ("audio", "visual", "both") for budget in STRENGTHS]


def rows(name: str = "pgd", fusion: str = "concat", size: int = 6, attack=None):
    threat = Threat(attack or build_attack(name), shallow_net(fusion), CROSS_ENTROPY)
    return attacked_rows(threat, batches(size), CONDITIONS, GIVEN)[0]


def test_one_row_per_clip_and_condition_and_the_clean_ones():
    found = rows()
    assert found.schema.equals(SCHEMA)
    table = found.to_pandas()
    assert len(table) == 6 * (1 + len(CONDITIONS))
    assert not table.duplicated(["clip_id", "modality", "budget"]).any()
    assert (table.surrogate == "surrogate").all() and (table.attack == "attack").all() and table.steps.isna().all()
    clean = table[table.modality == "clean"]
    moved = ["norm_audio", "norm_visual", "epsilon_audio", "epsilon_visual"]
    assert (clean.budget == "").all() and (clean[moved] == 0).all().all()
    for attacked, other in (("audio", "visual"), ("visual", "audio")):
        one = table[table.modality == attacked]
        assert (one[[f"norm_{other}", f"epsilon_{other}"]] == 0).all().all()
        assert (one[f"epsilon_{attacked}"] == one.budget.map(STRENGTHS)).all()
    both = table[table.modality == "both"]
    assert (both.norm_audio <= both.epsilon_audio + 1e-6).all()
    assert (both.norm_visual - both.epsilon_visual).abs().max() < 1e-6


def test_predictions_and_losses_are_the_nets_own():
    net, (whole,) = shallow_net(), batches(6)
    clean = rows().to_pandas().query("modality == 'clean'")
    with torch.no_grad():
        logits = net({"audio": whole["audio"], "visual": whole["visual"].float() / 255})
    assert clean.prediction.tolist() == logits.argmax(1).tolist()
    expected = torch.nn.functional.cross_entropy(logits, whole["label"], reduction="none")
    assert clean.loss.tolist() == pytest.approx(expected.tolist(), rel=1e-5)


@pytest.mark.parametrize("name", ["fgsm", "pgd", "mim"])
def test_the_batch_size_changes_no_prediction(name):
    one, many = (rows(name, size=size).to_pandas() for size in (1, 4))
    columns = ["clip_id", "modality", "budget", "label", "prediction"]
    assert one[columns].equals(many[columns])
    assert (one.loss - many.loss).abs().max() < 1e-2


def test_attacking_costs_loss():
    table = rows("mim").to_pandas().groupby(["modality", "budget"]).loss.mean()
    for modality in ("audio", "visual", "both"):
        assert table["clean", ""] < table[modality, "weak"] < table[modality, "strong"]
        assert table[modality, "strong"] <= table["both", "strong"]


def test_a_unimodal_net_shrugs_at_the_other_modality():
    """Even where the clips bring it, because another net of the job takes it."""
    table = rows(fusion="visual").to_pandas()
    of = {modality: table[table.modality == modality] for modality in ("clean", "audio", "visual", "both")}
    for budget in STRENGTHS:
        assert of["audio"][of["audio"].budget == budget].loss.tolist() == of["clean"].loss.tolist()
        both, visual = (of[name][of[name].budget == budget] for name in ("both", "visual"))
        assert both.loss.tolist() == visual.loss.tolist() and (both.norm_audio == 0).all()
    assert table.cosine.isna().all()


def test_an_attack_that_leaves_its_ball_or_range_stores_nothing():
    escape = dataclasses.replace(build_attack("mim_official"), keeps_ball=True)
    with pytest.raises(RuntimeError, match="out of its ball"):
        rows(attack=escape)
    loud = dataclasses.replace(build_attack("fgsm_official"), keeps_range=True)
    with pytest.raises(RuntimeError, match="out of its valid range"):
        rows(attack=loud)


def test_what_float32_rounds_of_large_features_is_no_escape():
    """Of 512 values around 60, a deviation of 0.5 each, a step of 0.1 comes out up to some 1e-5 longer; a tenth is."""
    forms = {"audio": Input((10, 512), "float16", -math.inf, math.inf, 1)}
    given = Budgets(
        named({"step": {"norm": "l2_step", "epsilon": 0.1}}), units("pixel", forms, {"audio": torch.full((512,), 0.5)})
    )
    attack, condition = build_attack("pgd"), Condition("audio", "step")
    clean = {"audio": 60 + torch.rand(400, 10, 512, generator=torch.Generator().manual_seed(0))}
    (ball,) = given.under(condition, clean).values()
    ways = ball.norm.steepest(torch.randn(400, 10, 512, generator=torch.Generator().manual_seed(1)), ball.epsilon)
    for length in (1.0, 1.1):
        moved = {"audio": clean["audio"] + length * ball.epsilon * ways}
        longest = given.norms(condition, "audio", moved["audio"].double() - clean["audio"].double()).max().item()
        assert longest > 0.1 + 1e-6
        if length == 1:
            given.check_promises(attack, clean, moved, {"audio": ball}, condition)
        else:
            with pytest.raises(RuntimeError, match=r"audio moved by 0\.11.*, out of its ball"):
                given.check_promises(attack, clean, moved, {"audio": ball}, condition)


def test_a_modality_that_a_budget_does_not_name_is_left_alone():
    """Where both are attacked; whatever it moved all the same counts by its largest value."""
    forms = {name: Input((4,), "float16", -1.0, 1.0, 1) for name in ("audio", "visual")}
    given = Budgets(named({"sound": {"audio": {"norm": "l2_clip", "epsilon": 0.1}}}), units("pixel", forms))
    both = Condition("both", "sound")
    clean = {name: torch.zeros(2, 4) for name in forms}
    assert given.given(both).keys() == given.under(both, clean).keys() == {"audio"}
    assert given.norms(both, "visual", torch.tensor([[0.0, 0.3, -0.5, 0.1]])).item() == 0.5


def test_the_officials_are_stored_with_their_real_norms():
    table = rows("mim_official").to_pandas().query("modality == 'both' and budget == 'weak'")
    assert table.norm_audio.max() == pytest.approx(0.0125, abs=1e-6)
    assert 0.08 < table.norm_visual.max() <= 0.1125 + 1e-6


@pytest.mark.parametrize("blind", ["audio", "visual", "all"])
def test_clips_without_a_gradient_are_counted(blind):
    """A classifier that does not look at one of the features: nothing of that input reaches the loss."""
    net = shallow_net()
    half = net.classifier.weight.shape[1] // 2  # the frame's feature is the first
    with torch.no_grad():
        net.classifier.weight[:, :half] *= blind not in ("visual", "all")
        net.classifier.weight[:, half:] *= blind not in ("audio", "all")
    for seeing, count in ((shallow_net(), 0), (net, 6)):
        threat = Threat(build_attack("pgd"), seeing, CROSS_ENTROPY)
        assert attacked_rows(threat, batches(4), CONDITIONS, GIVEN)[1] == count


@pytest.mark.parametrize(
    ("name", "steps", "apart"),
    [
        ("fgsm", None, True),
        ("fgsm", 2, False),
        ("random_sign", None, True),
        ("pgd_random", 1, False),
        ("mim", 2, False),
    ],
)
def test_a_condition_is_the_same_beside_others(name, steps, apart):
    """Also where what is made of both modalities serves the conditions of one."""
    attack = build_attack(name)
    assert attack.in_steps(steps).takes_modalities_apart == apart
    threat = Threat(attack, shallow_net(), CROSS_ENTROPY)
    asked = [Condition(modality, budget, steps) for modality in ("audio", "both", "visual") for budget in STRENGTHS]
    together = attacked_rows(threat, batches(6), asked, GIVEN)[0]
    for one in asked:
        alone = attacked_rows(threat, batches(6), [one], GIVEN)[0].to_pandas()
        same = together.to_pandas().query(f"modality in ('clean', '{one.modality}') and budget in ('', '{one.budget}')")
        assert same.reset_index(drop=True).equals(alone)


def test_equal_budgets_are_attacked_once_and_written_by_every_name():
    """Also where only the modality that is attacked is given the same."""
    runs = []

    def counting():
        runs.append(1)
        return lambda modality, gradient: gradient.sign()

    attack = dataclasses.replace(build_attack("fgsm"), direction=counting)
    given = budgets(small=0.01, readme=[0.01, 0.02], uneven={"audio": 0.01, "visual": 0.3})
    asked = [Condition("audio", name) for name in ("small", "readme/1", "uneven", "readme/2")]
    threat = Threat(attack, shallow_net(), CROSS_ENTROPY)
    table = attacked_rows(threat, batches(6), [*asked, Condition("audio", "small", 2)], given)[0].to_pandas()
    assert len(runs) == 3, "0.01, 0.02, and 0.01 in two steps"
    one, *others = (table[(table.budget == name) & table.steps.isna()] for name in ("small", "readme/1", "uneven"))
    columns = ["clip_id", "prediction", "loss", "norm_audio", "norm_visual", "epsilon_audio"]
    assert all(one[columns].values.tolist() == other[columns].values.tolist() for other in others)
    assert table[table.budget == "readme/2"].epsilon_audio.tolist() == [0.02] * 6
    assert table[table.steps == 2].budget.tolist() == ["small"] * 6


def test_a_number_of_steps_is_that_of_the_condition():
    asked = [Condition("both", "weak"), Condition("both", "weak", 1)]
    threat = Threat(build_attack("pgd"), shallow_net(), CROSS_ENTROPY)
    table = attacked_rows(threat, batches(6), asked, GIVEN)[0].to_pandas()
    # Ten steps of an eighth reach the surface, one goes an eighth of the way.
    assert table[table.steps == 1].norm_audio.tolist() == pytest.approx([0.01 / 8] * 6, rel=1e-4)
    assert table[(table.modality == "both") & table.steps.isna()].norm_audio.max() == pytest.approx(0.01, rel=1e-4)


def test_another_norm_and_a_range_are_the_budgets_own():
    """In l2 of the clip: the row holds that norm; an SNR gives every clip an epsilon of its own."""
    told = {"norm": "l2_clip", "epsilon": 0.5}
    given = budgets(
        l2={"audio": told}, quiet={"audio": {"norm": "l2_clip", "snr": 20}}, half={"epsilon": 0.9, "range": [-0.5, 1]}
    )
    asked = [Condition("audio", "l2"), Condition("audio", "quiet"), Condition("both", "half")]
    threat = Threat(build_attack("fgsm"), shallow_net(), CROSS_ENTROPY)
    (batch,) = batches(6)
    batch["audio"] = batch["audio"].clamp(-0.5, 1)
    table = attacked_rows(threat, [batch], asked, given)[0].to_pandas()
    l2, quiet = (table[table.budget == name] for name in ("l2", "quiet"))
    assert (l2.epsilon_audio == 0.5).all() and l2.norm_audio.max() <= 0.5 + 1e-6 and l2.norm_audio.min() > 0.4
    wanted = batch["audio"].flatten(1).norm(dim=1) / 10
    assert quiet.epsilon_audio.tolist() == pytest.approx(wanted.tolist(), rel=1e-5)
    assert (quiet.norm_audio <= quiet.epsilon_audio + 1e-5).all()
    assert len(table[table.budget == "half"]) == 6


def test_an_epsilon_as_wide_as_the_budgets_own_range_is_written_as_wide():
    given = budgets(half={"epsilon": "range", "range": [-0.5, 1]})
    (batch,) = batches(6)
    batch["audio"] = batch["audio"].clamp(-0.5, 1)
    threat, condition = Threat(build_attack("fgsm"), shallow_net(), CROSS_ENTROPY), Condition("audio", "half")
    table = attacked_rows(threat, [batch], [condition], given)[0].to_pandas()
    half = table[table.budget == "half"]
    assert half.epsilon_audio.tolist() == [1.5] * 6
    assert given.under(condition, batch)["audio"].epsilon.item() == 1.5


def test_without_bounds_the_first_clips_alone_are_attacked_whatever_the_batches():
    given = budgets(weak=0.01)
    anything = {name: {"norm": "linf", "epsilon": "range"} for name in ("audio", "visual")}
    given = dataclasses.replace(given, named={**given.named, UNBOUNDED: anything})
    threat = Threat(build_attack("pgd"), shallow_net(), CROSS_ENTROPY)
    asked = [Condition("both", "weak"), Condition("both", UNBOUNDED)]
    whole = batches(12, 12)[0]
    with torch.no_grad():
        logits = threat.model({"audio": whole["audio"], "visual": whole["visual"].float() / 255})
    for size in (12, 5):
        some = [
            {**batch, "label": logits.argmax(1)[size * n : size * (n + 1)]} for n, batch in enumerate(batches(size, 12))
        ]
        table = attacked_rows(threat, some, asked, given)[0].to_pandas()
        free = table[table.budget == UNBOUNDED]
        assert free.clip_id.tolist() == whole["clip_id"][:UNBOUNDED_CLIPS]
        assert (free.prediction != free.label).all() and len(table[table.budget == "weak"]) == 12
        assert free.epsilon_audio.tolist() == [2.0] * UNBOUNDED_CLIPS


def test_without_bounds_a_random_attack_draws_for_the_first_clips_alone():
    """By a random start in the whole range, each clip's own: as if the others were not there."""
    anything = {name: {"norm": "linf", "epsilon": "range"} for name in ("audio", "visual")}
    given = dataclasses.replace(budgets(), named={UNBOUNDED: anything})
    threat = Threat(build_attack("pgd_random", {"steps": 1}), shallow_net(), CROSS_ENTROPY, name="mine")
    asked = [Condition("both", UNBOUNDED)]
    (whole,) = batches(12, 12)
    few = {name: values[:UNBOUNDED_CLIPS] for name, values in whole.items()}
    tables = [attacked_rows(threat, [batch], asked, given)[0].to_pandas() for batch in (few, whole)]
    losses = [table[table.budget == UNBOUNDED].loss.tolist() for table in tables]
    assert len(losses[1]) == UNBOUNDED_CLIPS and losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_transferred_attack_perturbs_by_the_surrogate_and_asks_every_victim():
    """Crafted once: the surrogate's own answers, and another net's under fewer conditions."""
    victim, surrogate, (whole,) = shallow_net(seed=0), shallow_net(seed=1), batches(6)
    threat = Threat(build_attack("fgsm"), surrogate, CROSS_ENTROPY)
    asked = {"own": [Condition("audio", "strong"), Condition("both", "weak")], "other": [Condition("audio", "strong")]}
    cell = Cell("own", "fgsm", threat, {"own": surrogate, "other": victim}, asked)
    (part,) = evaluate([cell], [whole], GIVEN, CPU)
    table = in_order([part.rows]).to_pandas()
    inputs = {"audio": whole["audio"], "visual": whole["visual"].float() / 255}
    leaf = inputs["audio"].clone().requires_grad_()
    torch.nn.functional.cross_entropy(surrogate(inputs | {"audio": leaf}), whole["label"]).backward()
    moved = inputs | {"audio": (inputs["audio"] + 0.05 * leaf.grad.sign()).clamp(-1, 1)}
    for name, net in (("own", surrogate), ("other", victim)):
        of_net = table[table.victim == name]
        assert of_net[of_net.modality == "audio"].prediction.tolist() == net(moved).argmax(1).tolist()
        assert of_net[of_net.modality == "clean"].prediction.tolist() == net(inputs).argmax(1).tolist()
    assert set(table[table.victim == "other"].modality) == {"clean", "audio"}
    assert (table.surrogate == "own").all()


def test_a_bundle_is_what_its_cells_are_one_by_one():
    nets = {name: shallow_net(seed=seed) for seed, name in enumerate("ab")}
    cells = [
        Cell(name, attack, Threat(build_attack(attack), net, CROSS_ENTROPY), nets, dict.fromkeys(nets, CONDITIONS[:3]))
        for name, net in nets.items()
        for attack in ("fgsm", "mim")
    ]
    together = in_order([part.rows for part in evaluate(cells, batches(4), GIVEN, CPU)])
    alone = in_order([part.rows for cell in cells for part in evaluate([cell], batches(4), GIVEN, CPU)])
    assert together.equals(alone)


def test_the_cosine_of_features_of_steps_is_that_of_their_means():
    """What one step of a clip adds to its mean, the other takes away."""
    net, shift = shallow_net(), torch.tensor([1.0, -1.0])[:, None]
    threat, encode, head = Threat(build_attack("fgsm"), net, CROSS_ENTROPY), net.encode, net.head
    wanted = attacked_rows(threat, batches(6), [], GIVEN)[0].to_pandas().cosine
    net.encode = lambda name, x: encode(name, x)[:, None] + shift
    net.head = lambda features: head({name: feature.mean(1) for name, feature in features.items()})
    found = attacked_rows(threat, batches(6), [], GIVEN)[0].to_pandas().cosine
    assert found.tolist() == pytest.approx(wanted.tolist(), abs=1e-5)


def test_maps_have_no_cosine():
    net = shallow_net()
    encode = net.encode
    net.encode = lambda name, x: encode(name, x) if name == "audio" else encode(name, x)[:, :, None, None]
    net.head = lambda features: net.classifier(torch.cat([features["visual"][:, :, 0, 0], features["audio"]], 1))
    threat = Threat(build_attack("fgsm"), net, CROSS_ENTROPY)
    assert attacked_rows(threat, batches(6), CONDITIONS, GIVEN)[0].to_pandas().cosine.isna().all()
