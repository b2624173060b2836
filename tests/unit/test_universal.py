"""Universal perturbations: closed forms, a loop by hand in float64, going on after a kill, and what adds them."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from nets import CROSS_ENTROPY, Flatten, attacked_rows, build_attack
from torch import Tensor, nn

from avrobust.attacks.budget import Units
from avrobust.attacks.perturbations import read_perturbations, write_perturbations
from avrobust.attacks.threat import Threat
from avrobust.data.batches import Batch
from avrobust.evaluation import fitting
from avrobust.evaluation.budgets import Budgets
from avrobust.evaluation.cell import Cell, evaluate
from avrobust.evaluation.fitting import Fitted, fit, part_size
from avrobust.models.fusions.concat import Concat
from avrobust.models.late_fusion import LateFusion
from avrobust.program import UserError
from avrobust.spec.budgets import named
from avrobust.spec.conditions import Condition
from avrobust.views.view import Input

CPU = torch.device("cpu")
SHAPES = {"audio": (4, 3), "visual": (2, 6)}
FORMS = {name: Input(shape, "float16", -math.inf, math.inf, 1) for name, shape in SHAPES.items()}
# A standard deviation for each of a step's values, as of features that a net standardises.
SCALES = {"audio": torch.tensor([1.0, 2.0, 0.5]), "visual": torch.tensor([1.0, 1, 2, 2, 0.5, 0.5])}
UNITS = {name: Units(SCALES[name], -math.inf, math.inf, torch.zeros(()), 1) for name in SHAPES}
EPSILON = 0.1
BUDGETS = Budgets(named({"step": {"norm": "l2_step", "epsilon": EPSILON}, "clip": {"norm": "l2_clip", "epsilon": 0.2},
                         "quiet": {"audio": {"norm": "l2_clip", "snr": 20}}}), UNITS)  # fmt: skip
AUDIO, VISUAL, BOTH = (Condition(modality, "step") for modality in ("audio", "visual", "both"))


def net(*layers: nn.Module, classes: int = 2, seed: int = 0) -> LateFusion:
    """A classifier of features as they are, linear but for `layers`."""
    torch.manual_seed(seed)
    head = nn.Sequential(
        nn.Linear(24, 16 if layers else classes), *layers, *([nn.Linear(16, classes)] if layers else [])
    )
    made = LateFusion({"audio": Flatten(), "visual": Flatten()}, Concat(12), head)
    for layer in head:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight)
    return made.eval()


def batch(start: int, stop: int, label: int | None = None) -> Batch:
    numbers = range(start, stop)
    drawn = {name: [torch.randn(shape, generator=torch.Generator().manual_seed(1 + number)) for number in numbers]
             for name, shape in SHAPES.items()}  # fmt: skip
    labels = [number % 2 if label is None else label for number in numbers]
    ids = [f"clip{number:02}" for number in numbers]
    return {**{name: torch.stack(of) for name, of in drawn.items()}, "label": torch.tensor(labels), "clip_id": ids}


def in_parts(clips: int, size: int, label: int | None = None) -> list[Batch]:
    return [batch(start, min(start + size, clips), label) for start in range(0, clips, size)]


def fitted(
    folder: Path,
    model: LateFusion,
    batches: Sequence[Batch],
    conditions: Iterable[Condition] = (BOTH,),
    update: str = "universal",
    key: str = "",
    **options: object,
) -> Fitted:
    threat = Threat(build_attack(update, options), model, CROSS_ENTROPY, name="released")
    clips = sum(len(one["label"]) for one in batches)
    return fit(threat, batches, clips, conditions, BUDGETS, SHAPES, CPU, folder / "resume.pt", key)


def steps_of(perturbation: Tensor, name: str) -> Tensor:
    """The l2 norm of each step in the paper's unit."""
    return (perturbation / SCALES[name]).norm(dim=-1)


@pytest.mark.parametrize(("update", "reached"), [("universal", 0.5), ("universal_projected", 0.1)])
def test_where_all_clips_agree_a_pass_goes_epsilon_along_the_gradient(tmp_path, update, reached):
    """7 clips in batches of 3: the last one counts for its one clip. Five passes are 0.5, or 0.1 if projected.

    On a linear net of two classes the way up is the difference of their weights, in each step, in the paper's unit.
    """
    model = net()
    found = fitted(tmp_path, model, in_parts(7, 3, label=0), update=update, passes=5, fit_batch=3)
    visual, audio = (model.classifier[0].weight[1] - model.classifier[0].weight[0]).detach().split(12)
    for name, way in (("audio", audio), ("visual", visual)):
        way = way.view(SHAPES[name]) * SCALES[name]
        unit = way / way.norm(dim=1, keepdim=True)
        perturbation = found.perturbations[str(BOTH)][name]
        torch.testing.assert_close(perturbation / SCALES[name], reached * unit, rtol=1e-4, atol=1e-6)
        last = found.lengths[str(BOTH)][-1][name]
        assert last == pytest.approx({"norm": reached, "l2": reached * math.sqrt(SHAPES[name][0])}, rel=1e-4)
    of_passes = [line["audio"]["norm"] for line in found.lengths[str(BOTH)]]
    rising = [0.1, 0.2, 0.3, 0.4, 0.5] if update == "universal" else [0.1] * 5
    assert of_passes == pytest.approx(rising, rel=1e-4)


def by_hand(model: LateFusion, clips: int, size: int, passes: int, names: Sequence[str], projected: bool) -> dict:
    """The rule clip by clip in float64."""
    model, whole = model.double(), batch(0, clips)
    found = {name: torch.zeros(SHAPES[name], dtype=torch.float64) for name in names}
    for _ in range(passes):
        for start in range(0, clips, size):
            ways = {name: [] for name in names}
            for number in range(start, min(start + size, clips)):
                leaves = {name: whole[name][number].double() + found.get(name, 0) for name in SHAPES}
                leaves = {name: leaf.unsqueeze(0).requires_grad_() for name, leaf in leaves.items()}
                F.cross_entropy(model(leaves), whole["label"][number : number + 1]).backward()
                for name in names:
                    scaled = leaves[name].grad[0] * SCALES[name]
                    ways[name].append(EPSILON * SCALES[name] * scaled / scaled.norm(dim=1, keepdim=True))
            for name in names:
                found[name] = found[name] + len(ways[name]) / clips * torch.stack(ways[name]).mean(dim=0)
                if projected:
                    found[name] = found[name] / (steps_of(found[name], name) / EPSILON).clamp_min(1).unsqueeze(1)
    model.float()
    return found


@pytest.mark.parametrize("update", ["universal", "universal_projected"])
@pytest.mark.parametrize("condition", [AUDIO, VISUAL, BOTH])
def test_it_is_the_rule_by_hand_and_the_modalities_are_fitted_together(tmp_path, update, condition):
    names = [name for name in SHAPES if condition.modality in (name, "both")]
    model = net(nn.Tanh())
    found = fitted(tmp_path, model, in_parts(11, 4), [condition], update, passes=3, fit_batch=4)
    wanted = by_hand(model, 11, 4, 3, names, update == "universal_projected")
    assert found.perturbations[str(condition)].keys() == set(names)
    for name, perturbation in found.perturbations[str(condition)].items():
        torch.testing.assert_close(perturbation.double(), wanted[name], rtol=1e-4, atol=1e-6)
    if condition == BOTH:
        alone = fitted(tmp_path, model, in_parts(11, 4), [AUDIO], update, key="alone", passes=3, fit_batch=4)
        assert not torch.allclose(alone.perturbations[str(AUDIO)]["audio"], wanted["audio"].float(), rtol=1e-2)


def test_how_many_clips_go_through_the_net_at_a_time_changes_nothing(tmp_path):
    """Conditions beside each other change nothing either; the size of an update's batch does."""
    model, conditions = net(nn.Tanh()), [AUDIO, VISUAL, BOTH]
    whole = fitted(tmp_path, model, in_parts(11, 4), conditions, passes=2, fit_batch=4).perturbations
    for size in (1, 2):
        parts = fitted(tmp_path, model, in_parts(11, size), conditions, key=f"{size}", passes=2, fit_batch=4)
        torch.testing.assert_close(parts.perturbations, whole, rtol=1e-5, atol=1e-7)
    alone = fitted(tmp_path, model, in_parts(11, 4), [BOTH], key="alone", passes=2, fit_batch=4).perturbations
    torch.testing.assert_close(alone[str(BOTH)], whole[str(BOTH)], rtol=0, atol=0)
    other = fitted(tmp_path, model, in_parts(11, 4), [BOTH], key="other", passes=2, fit_batch=11).perturbations
    assert not torch.allclose(other[str(BOTH)]["audio"], whole[str(BOTH)]["audio"], rtol=1e-3)


def test_parts_divide_a_batch_and_hold_whole_groups():
    assert [part_size(100, most, 1) for most in (1, 16, 32, 64, 100, 500)] == [1, 10, 25, 50, 100, 100]
    assert part_size(96, 20, 4) == 16 and part_size(12, 2, 4) == 4
    with pytest.raises(UserError, match="fit_batch 100 is no multiple of 8, the clips that the net needs together"):
        part_size(100, 16, 8)


def test_a_net_in_training_is_fitted_as_it_is_judged_and_nothing_is_left_in_it(tmp_path):
    """Dropout is off and stays on for whoever had it on; no weight has a gradient."""
    model = net(nn.Dropout(0.5), nn.Tanh())
    wanted = fitted(tmp_path, model, in_parts(6, 3), passes=2, fit_batch=3).perturbations
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = fitted(tmp_path, model.train(), in_parts(6, 3), key="again", passes=2, fit_batch=3).perturbations
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)
    assert model.training and all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_step_without_a_gradient_stays(tmp_path):
    model = net()
    with torch.no_grad():
        model.classifier[0].weight[:, 12:15] = 0  # of the first step of the sound
    found = fitted(tmp_path, model, in_parts(4, 2), passes=1, fit_batch=2).perturbations[str(BOTH)]["audio"]
    assert (found[0] == 0).all() and (steps_of(found[1:], "audio") > 0).all()


class Killed(Exception):
    """Stands for a SIGKILL."""


def test_it_goes_on_after_a_whole_pass_and_ends_with_the_same_bits(tmp_path, monkeypatch):
    """But not with other settings, and not from a damaged file."""
    model, told = net(nn.Tanh()), {"conditions": [AUDIO, BOTH], "passes": 4, "fit_batch": 4}
    whole = fitted(tmp_path, model, in_parts(11, 2), **told, key="whole")
    one_pass, passes = fitting._pass, []

    def dies(*given):
        passes.append(1)
        if len(passes) == 3:
            raise Killed
        one_pass(*given)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(fitting, "_pass", dies)
        fitted(tmp_path, model, in_parts(11, 2), **told, key="a")
    killed = (tmp_path / "resume.pt").read_bytes()
    rest = fitted(tmp_path, model, in_parts(11, 2), **told, key="a")
    assert rest.resumed_passes == 2 and rest.lengths == whole.lengths
    torch.testing.assert_close(rest.perturbations, whole.perturbations, rtol=0, atol=0)
    (tmp_path / "resume.pt").write_bytes(killed)
    assert fitted(tmp_path, model, in_parts(11, 2), **told, key="b").resumed_passes == 0
    (tmp_path / "resume.pt").write_bytes(killed[:500])
    assert fitted(tmp_path, model, in_parts(11, 2), **told, key="a").resumed_passes == 0


def test_a_clip_whose_gradient_is_no_number_ends_the_fit_and_leaves_no_file(tmp_path):
    clips = in_parts(4, 2)
    clips[1]["visual"][0, 1, 2] = math.nan
    with pytest.raises(UserError, match=r"visual at step: the gradient of visual of some clip is no number in pass 1;"):
        fitted(tmp_path, net(), clips, [AUDIO._replace(modality="visual")])
    assert not list(tmp_path.iterdir())


def test_a_budget_of_each_clips_own_is_refused(tmp_path):
    with pytest.raises(UserError, match="budget quiet: an snr gives each clip its own epsilon"):
        fitted(tmp_path, net(), in_parts(4, 2), [Condition("audio", "quiet")])


def added(update: str, perturbations: dict, model: LateFusion, conditions: Sequence[Condition], **options: object):
    """The rows of a cell whose attack adds these perturbations."""
    threat = Threat(build_attack(update, options), model, CROSS_ENTROPY, None, "name", 3, perturbations)
    return attacked_rows(threat, in_parts(6, 4), conditions, BUDGETS)[0].to_pandas()


def test_a_cell_adds_what_was_fitted_for_its_condition(tmp_path):
    """To every clip alike, as far as it leads: 20 passes where all clips agree are 2, with one the projection 0.1."""
    model, conditions = net(), [AUDIO, BOTH]
    told = {"passes": 20, "fit_batch": 100}
    found = fitted(tmp_path, model, in_parts(6, 6, label=0), conditions, **told).perturbations
    rows = added("universal", found, model, conditions)
    assert rows[rows.modality == "both"].norm_audio.tolist() == pytest.approx([2.0] * 6, rel=1e-4)
    assert rows[rows.modality == "both"].norm_visual.tolist() == pytest.approx([2.0] * 6, rel=1e-4)
    assert (rows[rows.modality == "audio"].norm_visual == 0).all() and (rows.epsilon_audio <= 0.1).all()
    of_both = rows[rows.modality == "both"]
    whole = batch(0, 6)
    with torch.no_grad():
        logits = model({name: whole[name] + found[str(BOTH)][name] for name in SHAPES})
    wanted = F.cross_entropy(logits, whole["label"], reduction="none")
    assert of_both.loss.tolist() == pytest.approx(wanted.tolist(), rel=1e-5)
    inside = fitted(tmp_path, model, in_parts(6, 6, label=0), conditions, "universal_projected", "p", **told)
    rows = added("universal_projected", inside.perturbations, model, conditions)
    assert rows[rows.modality == "both"].norm_audio.tolist() == pytest.approx([0.1] * 6, rel=1e-4)
    with pytest.raises(RuntimeError, match=r"both at step: audio moved by 2\.0000.*, out of its ball"):
        added("universal_projected", found, model, [BOTH])
    with pytest.raises(UserError, match="attack name: nothing was fitted for visual at step, only for audio at step, "):
        added("universal", found, model, [VISUAL])


def test_rows_say_what_the_longest_step_and_the_whole_clip_came_to_whatever_the_budgets_norm():
    """In deviations: steps of 5 and 1 in the sound, of 13 and 5 in the frames."""
    found = {"audio": torch.zeros(SHAPES["audio"]), "visual": torch.zeros(SHAPES["visual"])}
    found["audio"][:2] = torch.tensor([[3.0, 0, 2], [0, 0, 0.5]])
    found["visual"][0, :2], found["visual"][1, 2:4] = torch.tensor([5.0, 12]), torch.tensor([6.0, 8])
    conditions = [BOTH, Condition("both", "clip")]
    fitted_to = {str(condition): found for condition in conditions}
    threat = Threat(build_attack("universal"), net(), CROSS_ENTROPY, None, "name", 3, fitted_to)
    cell = Cell("net", "released", threat, {"net": threat.model}, {"net": conditions}, ranked=True)
    (part,) = evaluate([cell], [batch(0, 2)], BUDGETS, CPU)
    rows = part.rows.to_pandas()
    of_step, of_clip, clean = (rows[rows.budget == name] for name in ("step", "clip", ""))
    for one in (of_step, of_clip):
        assert one.step_norm_audio.tolist() == pytest.approx([5.0] * 2, rel=1e-4)
        assert one.step_norm_visual.tolist() == pytest.approx([13.0] * 2, rel=1e-4)
        assert one.clip_norm_audio.tolist() == pytest.approx([math.sqrt(26)] * 2, rel=1e-4)
        assert one.clip_norm_visual.tolist() == pytest.approx([math.sqrt(194)] * 2, rel=1e-4)
    assert of_step.norm_audio.tolist() == of_step.step_norm_audio.tolist()
    assert of_clip.norm_audio.tolist() == of_clip.clip_norm_audio.tolist()
    assert len(clean) == 2 and (clean[[name for name in rows if "norm" in name]] == 0).all().all()


@pytest.mark.parametrize("update", ["universal", "universal_projected"])
def test_what_is_fitted_to_one_modality_alone_is_added_where_it_is_attacked_alone(tmp_path, update):
    """And not its part of what is fitted to both, which is another one."""
    model = net(nn.Tanh())
    found = fitted(tmp_path, model, in_parts(6, 3), [AUDIO, BOTH], update, passes=3, fit_batch=3).perturbations
    rows, whole = added(update, found, model, [AUDIO, BOTH]), batch(0, 6)
    with torch.no_grad():
        of_both, alone = (
            F.cross_entropy(model({**whole, "audio": whole["audio"] + found[str(condition)]["audio"]}), whole["label"],
                            reduction="none")
            for condition in (BOTH, AUDIO)
        )  # fmt: skip
    assert rows[rows.modality == "audio"].loss.tolist() == pytest.approx(alone.tolist(), rel=1e-5)
    assert (of_both - alone).abs().max() > 1e-4


def test_the_control_is_as_long_in_every_step_along_a_way_of_chance(tmp_path):
    """The same for all clips; another one under another condition, by another seed and another name."""
    model, conditions = net(nn.Tanh()), [AUDIO, BOTH]
    found = fitted(tmp_path, model, in_parts(11, 4), conditions, passes=3, fit_batch=4).perturbations
    attack = build_attack("universal_random", {"as_long_as": "released"})
    assert attack.fitted_as("control") == "released" and build_attack("universal").fitted_as("own") == "own"
    assert build_attack("pgd").fitted_as("own") == ""

    def moved(condition: Condition, seed: int = 3, name: str = "control") -> Tensor:
        threat = Threat(attack, model, CROSS_ENTROPY, None, name, seed, found)
        context = threat.context_under(condition, ["a", "b"])
        clean = torch.zeros(2, *SHAPES["audio"])
        budget = BUDGETS.under(condition, {"audio": clean})["audio"]
        one, other = attack.start("audio", clean, budget, context)
        assert torch.equal(one, other)
        return one

    for condition in conditions:
        lengths = steps_of(found[str(condition)]["audio"], "audio")
        torch.testing.assert_close(steps_of(moved(condition), "audio"), lengths)
    first = moved(BOTH)
    assert torch.equal(moved(BOTH), first)
    for other in (moved(AUDIO), moved(BOTH, seed=4), moved(BOTH, name="another")):
        assert F.cosine_similarity(other.flatten(), first.flatten(), dim=0) < 0.9
    rows = added("universal_random", found, model, conditions, as_long_as="released")
    longest = steps_of(found[str(BOTH)]["audio"], "audio").max().item()
    assert rows[rows.modality == "both"].norm_audio.tolist() == pytest.approx([longest] * 6, rel=1e-4)


def test_chance_fills_the_directions_evenly():
    """Of three values, standardised, each takes a third of the squared length in the mean."""
    attack = build_attack("universal_random", {"as_long_as": "released"})
    found = {"both at step": {"audio": torch.ones(4000, 3), "visual": torch.ones(1, 6)}}
    context = Threat(attack, net(), CROSS_ENTROPY, None, "control", 0, found).context_under(BOTH, ["a"])
    clean = torch.zeros(1, 4000, 3)
    moved = attack.start("audio", clean, BUDGETS.under(BOTH, {"audio": clean})["audio"], context)[0] / SCALES["audio"]
    share = moved.square() / moved.square().sum(dim=1, keepdim=True)
    assert share.mean(dim=0).tolist() == pytest.approx([1 / 3] * 3, abs=0.02)


def test_a_file_is_read_again_and_another_ones_is_refused(tmp_path):
    path, key = tmp_path / "released.pt", {"dataset": "music", "variant": "csn", "seed": "1"}
    found = {str(AUDIO): {"audio": torch.randn(4, 3)}}
    write_perturbations(path, {**key, "seed": 1}, {"other": {}, "released": found})
    read = read_perturbations(path, key, "released", FORMS, CPU)
    assert torch.equal(read[str(AUDIO)]["audio"], found[str(AUDIO)]["audio"])
    with pytest.raises(UserError, match=r"released\.pt: nothing was fitted for mine, only for other, released; fit it"):
        read_perturbations(path, key, "mine", FORMS, CPU)
    with pytest.raises(UserError, match=r"released\.pt: fitted with variant 'csn', not 'mid', seed '1', not '2'"):
        read_perturbations(path, {**key, "variant": "mid", "seed": "2"}, "released", FORMS, CPU)
    shorter = {"audio": Input((3, 3), "float16", -math.inf, math.inf, 1)}
    with pytest.raises(UserError, match=r"audio at step: audio is of shape \(4, 3\), but clips are of \(3, 3\)"):
        read_perturbations(path, key, "released", shorter, CPU)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UserError, match=r"released\.pt: holds no perturbations \(.*`rm .*released\.pt` and the same"):
        read_perturbations(path, key, "released", FORMS, CPU)
    with pytest.raises(UserError, match=r"none\.pt: no such file; scripts/fit\.py makes it"):
        read_perturbations(tmp_path / "none.pt", key, "released", FORMS, CPU)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"passes": 0}, "passes of a fitted attack are 1 or more, not 0"),
        ({"fit_batch": 0}, "fit_batch of a fitted attack are 1 or more, not 0"),
        ({"fitted_on": "eval"}, "fitted_on one of train, val, test, not 'eval'"),
    ],
)
def test_a_fit_that_means_nothing_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        build_attack("universal", options)
