"""A cell: rows, sharing, checks, and what must never be stored."""

import dataclasses

import pytest
import torch
from nets import CROSS_ENTROPY, UNITS, clips, narrow_net

from avrobust.attacks.build import build_attack
from avrobust.attacks.threat import Threat
from avrobust.evaluation.cell import SCHEMA, evaluate
from avrobust.evaluation.conditions import Condition

CPU = torch.device("cpu")
CONDITIONS = [Condition(modality, epsilon) for modality in ("audio", "visual", "both") for epsilon in (0.01, 0.05)]


def batches(size: int) -> list[dict]:
    inputs = clips(6)
    whole = {
        "audio": inputs["audio"],
        "visual": (255 * inputs["visual"]).to(torch.uint8),
        "label": torch.tensor([0, 1, 2, 3, 4, 0]),
        "clip_id": [f"clip{number}" for number in range(6)],
    }
    return [{name: value[i : i + size] for name, value in whole.items()} for i in range(0, 6, size)]


def cell(name: str = "pgd", fusion: str = "concat", size: int = 6, attack=None):
    net = narrow_net(fusion)
    threat = Threat(attack or build_attack(name), net, CROSS_ENTROPY)
    return evaluate(net, batches(size), threat, UNITS, CONDITIONS, CPU)


def test_one_row_per_clip_and_condition_and_the_clean_ones():
    rows, _ = cell()
    assert rows.schema.equals(SCHEMA)
    table = rows.to_pandas()
    assert len(table) == 6 * (1 + len(CONDITIONS))
    assert not table.duplicated(["clip_id", "modality", "epsilon"]).any()
    clean = table[table.modality == "clean"]
    assert (clean.epsilon == 0).all() and (clean[["linf_audio", "linf_visual"]] == 0).all().all()
    assert (table[table.modality == "audio"].linf_visual == 0).all()
    assert (table[table.modality == "visual"].linf_audio == 0).all()
    attacked = table[table.modality == "both"]
    assert (attacked.linf_audio <= attacked.epsilon + 1e-6).all()
    assert (attacked.linf_visual - attacked.epsilon).abs().max() < 1e-6


def test_predictions_and_losses_are_the_nets_own():
    net, (whole,) = narrow_net(), batches(6)
    rows, _ = cell()
    clean = rows.to_pandas().query("modality == 'clean'")
    with torch.no_grad():
        logits = net({"audio": whole["audio"], "visual": whole["visual"].float() / 255})
    assert clean.prediction.tolist() == logits.argmax(1).tolist()
    expected = torch.nn.functional.cross_entropy(logits, whole["label"], reduction="none")
    assert clean.loss.tolist() == pytest.approx(expected.tolist(), rel=1e-5)


@pytest.mark.parametrize("name", ["fgsm", "pgd", "mim"])
def test_the_batch_size_changes_no_prediction(name):
    one, many = (cell(name, size=size)[0].to_pandas() for size in (1, 4))
    columns = ["clip_id", "modality", "epsilon", "label", "prediction"]
    assert one[columns].equals(many[columns])
    assert (one.loss - many.loss).abs().max() < 1e-2


def test_attacking_costs_loss():
    table = cell("mim")[0].to_pandas().groupby(["modality", "epsilon"]).loss.mean()
    for modality in ("audio", "visual", "both"):
        assert table["clean", 0] < table[modality, 0.01] < table[modality, 0.05]
        assert table[modality, 0.05] <= table["both", 0.05]


def test_a_unimodal_net_shrugs_at_the_other_modality():
    table = cell(fusion="visual")[0].to_pandas()
    of = {modality: table[table.modality == modality] for modality in ("clean", "audio", "visual", "both")}
    for epsilon in (0.01, 0.05):
        unmoved = of["audio"][of["audio"].epsilon == epsilon]
        assert unmoved.loss.tolist() == of["clean"].loss.tolist()
        both, visual = (of[name][of[name].epsilon == epsilon] for name in ("both", "visual"))
        assert both.loss.tolist() == visual.loss.tolist()
    assert table.cosine.isna().all()


def test_an_attack_that_leaves_its_ball_or_range_stores_nothing():
    escape = dataclasses.replace(build_attack("mim_official"), keeps_ball=True)
    with pytest.raises(RuntimeError, match="out of its ball"):
        cell(attack=escape)
    loud = dataclasses.replace(build_attack("fgsm_official"), keeps_range=True)
    with pytest.raises(RuntimeError, match="out of its valid range"):
        cell(attack=loud)


def test_the_officials_are_stored_with_their_real_norms():
    table = cell("mim_official")[0].to_pandas().query("modality == 'both' and epsilon == 0.01")
    assert table.linf_audio.max() == pytest.approx(0.0125, abs=1e-6)
    assert 0.08 < table.linf_visual.max() <= 0.1125 + 1e-6


def test_sanity_of_a_sound_attack():
    _, sanity = cell("pgd")
    assert sanity.zero_gradient_clips == 0 and sanity.unbounded_accuracy == 0
    assert sanity.flags() == []


def test_sanity_finds_a_net_without_gradients():
    net = narrow_net()
    torch.nn.init.zeros_(net.classifier.weight)
    threat = Threat(build_attack("pgd"), net, CROSS_ENTROPY)
    _, sanity = evaluate(net, batches(3), threat, UNITS, CONDITIONS, CPU)
    assert sanity.zero_gradient_clips == 6
    assert {"zero_gradients", "unbounded_not_zero"} <= set(sanity.flags())


def test_sanity_finds_an_attack_that_gets_weaker():
    backwards = dataclasses.replace(
        build_attack("pgd"), direction=lambda: lambda modality, gradient: torch.zeros_like(gradient)
    )
    _, sanity = cell(attack=backwards)
    assert "unbounded_not_zero" in sanity.flags()


@pytest.mark.parametrize("modality", ["audio", "visual"])
def test_sanity_finds_clips_without_a_gradient_in_one_modality(modality):
    """A classifier that does not look at one of the features: nothing of that input reaches the loss."""
    net = narrow_net()
    half = net.classifier.weight.shape[1] // 2  # the frame's feature is the first
    with torch.no_grad():
        net.classifier.weight[:, :half] *= modality != "visual"
        net.classifier.weight[:, half:] *= modality != "audio"
    _, sanity = evaluate(net, batches(4), Threat(build_attack("pgd"), net, CROSS_ENTROPY), UNITS, CONDITIONS, CPU)
    assert sanity.zero_gradient_clips == 6
    assert "zero_gradients" in sanity.flags()


def hits(rows) -> dict[tuple[str, float], int]:
    """How many clips are recognised under each condition."""
    table = rows.to_pandas()
    return (table.label == table.prediction).groupby([table.modality, table.epsilon]).sum().to_dict()


def test_sanity_finds_an_attack_whose_steps_reach_less_than_one():
    """PGD with steps so short that it goes a thousandth of the way, on clips that are recognised: one step is FGSM."""
    timid = dataclasses.replace(build_attack("pgd"), steps=2, step_size=0.0005)
    net, (whole,) = narrow_net(), batches(6)
    with torch.no_grad():
        whole["label"] = net({"audio": whole["audio"], "visual": whole["visual"].float() / 255}).argmax(dim=1)
    rows, sanity = evaluate(net, [whole], Threat(timid, net, CROSS_ENTROPY), UNITS, CONDITIONS, CPU)
    by_fgsm, _ = evaluate(net, [whole], Threat(build_attack("fgsm"), net, CROSS_ENTROPY), UNITS, CONDITIONS, CPU)
    left, left_by_fgsm = hits(rows), hits(by_fgsm)
    places = [(condition.modality, condition.epsilon) for condition in CONDITIONS]
    stronger = [
        f"{modality} {epsilon:g}"
        for modality, epsilon in places
        if left_by_fgsm[modality, epsilon] < left[modality, epsilon]
    ]
    assert "both 0.05" in stronger
    assert sanity.single_step_stronger == stronger
    assert "single_step_stronger" in sanity.flags()


def test_sanity_finds_accuracy_that_rises_with_the_strength():
    """An attack that descends where it should ascend: the larger its ball, the more clips are recognised."""
    helpful = dataclasses.replace(build_attack("fgsm"), direction=lambda: lambda modality, gradient: -gradient.sign())
    rows, sanity = cell(attack=helpful)
    left = hits(rows)
    rising = [name for name in ("audio", "visual", "both") if left[name, 0.05] > left[name, 0.01]]
    assert "both" in rising
    assert sanity.rising_accuracy == rising
    assert "rising_accuracy" in sanity.flags()


def test_a_transferred_attack_perturbs_by_the_surrogate_and_asks_the_victim():
    victim, surrogate, (whole,) = narrow_net(seed=0), narrow_net(seed=1), batches(6)
    attack = build_attack("fgsm")
    white = Threat(attack, victim, CROSS_ENTROPY)
    rows, sanity = evaluate(
        victim, [whole], Threat(attack, surrogate, CROSS_ENTROPY), UNITS, [Condition("audio", 0.05)], CPU, white
    )
    inputs = {"audio": whole["audio"], "visual": whole["visual"].float() / 255}
    leaf = inputs["audio"].clone().requires_grad_()
    torch.nn.functional.cross_entropy(surrogate(inputs | {"audio": leaf}), whole["label"]).backward()
    moved = (inputs["audio"] + 0.05 * leaf.grad.sign()).clamp(-1, 1)
    expected = victim(inputs | {"audio": moved}).argmax(1).tolist()
    table = rows.to_pandas()
    assert table[table.modality == "audio"].prediction.tolist() == expected
    assert table[table.modality == "clean"].prediction.tolist() == victim(inputs).argmax(1).tolist()
    assert sanity.unbounded_accuracy is None


def test_sanity_finds_hidden_gradients():
    """A victim that gives no gradients, but answers as a net that does: the transfer is the stronger attack."""
    masked, open_net = narrow_net(), narrow_net()
    masked.encode = lambda name, x: open_net.encode(name, x).detach() + 0 * x.flatten(1)[:, :1]
    attack = build_attack("fgsm")
    white = Threat(attack, masked, CROSS_ENTROPY)
    (whole,) = batches(6)
    whole["label"] = open_net({"audio": whole["audio"], "visual": whole["visual"].float() / 255}).argmax(1)
    condition = [Condition("both", 0.05)]
    _, sanity = evaluate(masked, [whole], Threat(attack, open_net, CROSS_ENTROPY), UNITS, condition, CPU, white)
    assert sanity.black_box_stronger == ["both 0.05"]
    assert "black_box_stronger" in sanity.flags()
    _, sanity = evaluate(open_net, [whole], white, UNITS, condition, CPU, Threat(attack, open_net, CROSS_ENTROPY))
    assert sanity.black_box_stronger == []


def test_maps_have_no_cosine():
    net = narrow_net()
    encode = net.encode
    net.encode = lambda name, x: encode(name, x) if name == "audio" else encode(name, x)[:, :, None, None]
    net.head = lambda features: net.classifier(torch.cat([features["visual"][:, :, 0, 0], features["audio"]], 1))
    threat = Threat(build_attack("fgsm"), net, CROSS_ENTROPY)
    rows, _ = evaluate(net, batches(6), threat, UNITS, CONDITIONS, CPU)
    assert rows.to_pandas().cosine.isna().all()
