"""Crafting on a part of a clip: which steps, what their segments share, how much of it, and what that takes."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from killed import TwoBatches, assert_goes_on
from nets import CROSS_ENTROPY
from torch import Tensor, nn

from avrobust.attacks import transforms
from avrobust.attacks.budget import units
from avrobust.data.batches import Batch
from avrobust.keyed import generator
from avrobust.models.build import ModelSpec, Part, build
from avrobust.models.fusions.sum import Sum
from avrobust.models.late_fusion import LateFusion
from avrobust.models.task import TASKS
from avrobust.program import UserError
from avrobust.spec import measures
from avrobust.spec.curriculum import Stages, count_sampled, stages_of, standing
from avrobust.training import loop, spent
from avrobust.training.clips import TrainingClips
from avrobust.training.prepare.adversarial import Adversarial
from avrobust.training.prepare.curriculum import Curriculum
from avrobust.training.prepare.plain import Setting
from avrobust.training.recipe import TrainingRecipe
from avrobust.training.segments import Sampling, segmented
from avrobust.views.view import pixels, waveform

STEPS, SAMPLES, SIDE, CLASSES = 20, 16, 3, 4
FORMS = {"audio": waveform(1, STEPS * SAMPLES), "visual": pixels(STEPS, 3, SIDE, SIDE)}
SETTING = Setting(CROSS_ENTROPY, torch.device("cpu"), seed=7, classes=CLASSES, inputs=FORMS)
TMA = {"update": "tma"}
BUDGET = {"audio": 0.004, "visual": 0.03}
CALM = {"segments": STEPS, "sampled": 100, "dropped": 0, "schedule": "constant", "steps": 3}


class Steps(nn.Module):
    """A feature for each step of a clip, by a layer of waves; `seen`: of how many clips and steps it was asked."""

    def __init__(self, size: int):
        super().__init__()
        self.size, self.out_features = size, 8
        self.layer = nn.Linear(size, 8)
        nn.init.normal_(self.layer.weight, std=3)
        self.seen: list[tuple[int, int]] = []

    def forward(self, x: Tensor) -> Tensor:
        steps = x.flatten(1).unflatten(1, (-1, self.size))
        self.seen.append((len(x), steps.shape[1]))
        return torch.sin(self.layer(steps))


def net(seed: int = 0) -> LateFusion:
    torch.manual_seed(seed)
    encoders = {"audio": Steps(SAMPLES), "visual": Steps(3 * SIDE * SIDE)}
    return LateFusion(encoders, Sum(8), nn.Sequential(nn.Dropout(0.5), nn.Linear(8, CLASSES)))


def batch(count: int = 4, low: float = 0.2, high: float = 0.8) -> Batch:
    draw = np.random.default_rng(3)
    frames = draw.uniform(255 * low, 255 * high, (count, STEPS, 3, SIDE, SIDE)).astype(np.uint8)
    sounds = draw.uniform(2 * low - 1, 2 * high - 1, (count, 1, STEPS * SAMPLES)).astype(np.float32)
    return {
        "audio": torch.from_numpy(sounds),
        "visual": torch.from_numpy(frames),
        "label": torch.arange(count) % CLASSES,
        "clip_id": [f"clip{number}" for number in range(count)],
    }


def part(whole: Batch, places: list[int]) -> Batch:
    return {
        name: [values[place] for place in places] if isinstance(values, list) else values[places]
        for name, values in whole.items()
    }


def crafted(epoch: int = 1, clips: Batch | None = None, model: LateFusion | None = None, **options: object) -> dict:
    """Perturbations and labels by the names of a batch."""
    clips = clips or batch()
    prepare = Curriculum(SETTING, options.pop("attack", TMA), options.pop("budget", BUDGET), **options)
    inputs, labels = prepare(model or net(), clips, epoch)
    return {
        "audio": inputs["audio"] - clips["audio"],
        "visual": inputs["visual"] - clips["visual"] / 255,
        "label": labels,
    }


# --- Which steps


@given(steps=st.integers(2, 30), data=st.data())
def test_segments_are_whole_stretches_that_each_have_a_sampled_step(steps, data):
    sampled, segments = data.draw(st.integers(1, steps)), data.draw(st.integers(1, 6))
    of_step, chosen = segmented(steps, sampled, segments, np.random.default_rng(data.draw(st.integers(0, 99))))
    count = min(segments, sampled)
    assert of_step.tolist() == sorted(of_step) and set(of_step) == set(range(count))
    assert len(chosen) == sampled == len(set(chosen)) and chosen.tolist() == sorted(chosen)
    assert set(of_step[chosen]) == set(range(count)), "every segment is seen"


def test_claims_call_what_crafting_takes_as_the_history_of_a_training_does():
    assert measures.COUNTED == spent.COUNTED


def test_a_share_is_one_of_the_clip_and_not_of_each_segment():
    """Rounded in each of four segments of five steps, 5, 10 and 20 % would all be four steps of twenty."""
    assert [count_sampled(share, 20) for share in (5, 10, 20, 25, 30, 40, 100)] == [1, 2, 4, 5, 6, 8, 20]
    assert [count_sampled(share, 10) for share in (1, 5, 20, 25)] == [1, 1, 2, 3], "half up, and one at least"
    assert [count_sampled(share, 80) for share in (5, 20)] == [4, 16]


def test_boundaries_and_steps_are_drawn_anew_for_each_clip_and_epoch():
    def drawn(seed: int) -> tuple:
        return tuple(map(tuple, segmented(20, 4, 4, np.random.default_rng(seed))))

    assert len({drawn(seed) for seed in range(50)}) == 50
    boundaries = {drawn(seed)[0] for seed in range(200)}
    assert len(boundaries) > 100, "segments are not of equal length"
    every = np.bincount(np.concatenate([drawn(seed)[1] for seed in range(2000)]), minlength=20)
    assert every.min() > 0.5 * every.mean(), "no step is left out for ever"


def test_the_parts_of_a_sound_are_those_of_the_frames():
    """Also where a clip's samples are no multiple of its steps: 23 samples, 5 steps of 4."""
    sampling = Sampling(torch.tensor([[0, 0, 1, 1, 1]]), torch.tensor([[1, 4]]))
    sound = torch.arange(23.0).view(1, 1, 23)
    assert sampling.part("audio", sound).tolist() == [[[4, 5, 6, 7, 18, 19, 20, 21]]]
    frames = torch.arange(5.0).view(1, 5, 1, 1, 1)
    assert sampling.part("visual", frames).flatten().tolist() == [1, 4]
    perturbation = torch.tensor([[[1.0, 2, 3, 4], [5, 6, 7, 8]]])
    assert sampling.shared("audio", perturbation).flatten().tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    # The steps begin at 0, 4, 9, 13 and 18; the fifth sample of a step is moved as its fourth.
    assert sampling.copied("audio", perturbation, sound).flatten().tolist() == [
        *(1, 2, 3, 4), *(1, 2, 3, 4, 4), *(5, 6, 7, 8), *(5, 6, 7, 8, 8), *(5, 6, 7, 8, 8),
    ]  # fmt: skip
    moved = sampling.copied("visual", torch.tensor([1.0, 2]).view(1, 2, 1, 1, 1), frames)
    assert moved.flatten().tolist() == [1, 1, 2, 2, 2]


# --- What is shared


@pytest.mark.parametrize(("sampled", "segments"), [(5, 1), (20, 4), (50, 4), (100, 2)])
def test_all_steps_of_a_segment_are_moved_alike_and_none_stays(sampled, segments):
    """Far from the ends of the ranges; other segments are mostly moved otherwise, by sound and frames alike."""
    moved = crafted(sampled=sampled, segments=segments, dropped=0, schedule="constant", steps=3)
    count = min(segments, count_sampled(sampled, STEPS))
    draws = [generator("curriculum", 7, 1, f"clip{number}") for number in range(4)]
    of_step = Sampling.drawn(STEPS, count_sampled(sampled, STEPS), segments, draws).segments
    assert of_step.max() == count - 1
    others = []
    for name, size in (("audio", SAMPLES), ("visual", 3 * SIDE * SIDE)):
        steps = moved[name].reshape(4, STEPS, size)
        assert steps.abs().amax(dim=2).min() > 0, "every step is moved"
        for clip in range(4):
            firsts = []
            for segment in range(count):
                of_segment = steps[clip][of_step[clip] == segment]
                torch.testing.assert_close(of_segment, of_segment[:1].expand_as(of_segment), rtol=0, atol=1e-6)
                firsts.append(of_segment[0])
            others += [not torch.allclose(one, other, atol=1e-6) for one, other in pairwise(firsts)]
    assert count == 1 or sum(others) > 0.7 * len(others)


def test_with_every_step_a_segment_it_is_the_plain_attack():
    """Adversarial training by the same attack: its clips, but for the rounding of float32."""
    clips = batch()
    plain, _ = Adversarial(SETTING, {**TMA, "steps": 3}, BUDGET)(net(), clips, 1)
    moved = crafted(clips=clips, **CALM)
    for name, clean in (("audio", clips["audio"]), ("visual", clips["visual"] / 255)):
        torch.testing.assert_close(clean + moved[name], plain[name], rtol=0, atol=2e-7)


def test_clips_stay_in_ball_and_range():
    clips = batch(low=0.0, high=1.0)
    clips["visual"][0], clips["audio"][1] = 255, -1.0
    unit = units("normalised", FORMS)
    model, seen = net(), {name: [] for name in FORMS}
    for name, encoder in model.encoders.items():
        encoder.register_forward_pre_hook(lambda module, x, name=name: seen[name].extend([x[0].min(), x[0].max()]))
    options = {"schedule": "constant", "sampled": 20, "dropped": 0}
    attack = {"update": "i_fgsm"}
    inputs, _ = Curriculum(SETTING, attack, {"audio": 0.5, "visual": 0.5}, **options)(model, clips, 1)
    for name, clean in (("audio", clips["audio"]), ("visual", clips["visual"] / 255)):
        used = unit[name].budget(0.5).used(inputs[name] - clean)
        assert 0.99 < used.max() <= 1 + 1e-6
        for values in (inputs[name], torch.stack(seen[name])):
            assert FORMS[name].low <= values.min() and values.max() <= FORMS[name].high


def test_only_what_has_a_budget_is_moved():
    clips = batch()
    moved = crafted(clips=clips, budget={"audio": 0.01}, schedule="constant", sampled=20, dropped=0)
    assert moved["audio"].abs().max() > 0 and not moved["visual"].any()


def test_a_clip_depends_on_no_other_one_in_its_batch():
    attack = {"update": "mi_fgsm"}  # a copy of TMA's is a mixture with another clip of the batch
    attack = {"attack": attack, "schedule": "constant", "sampled": 20, "dropped": 20}
    whole = crafted(clips=batch(6), **attack)
    order = [4, 1, 5]
    some = crafted(clips=part(batch(6), order), **attack)
    for name in ("audio", "visual"):
        torch.testing.assert_close(whole[name][order], some[name], rtol=0, atol=1e-7)
    assert not torch.allclose(crafted(2, batch(6), **attack)["audio"], whole["audio"]), "drawn anew in every epoch"


def test_one_sampled_step_moves_though_its_variance_in_time_is_nothing():
    moved = crafted(sampled=5, dropped=0, schedule="constant")
    for name in ("audio", "visual"):
        assert (moved[name].flatten(1) != 0).all(dim=1).all() and moved[name].isfinite().all()


def test_the_net_is_attacked_in_evaluation_mode_and_left_as_it_was():
    model = net().train()
    model.encoders["visual"].eval()
    modes = [module.training for module in model.modules()]
    state = torch.random.get_rng_state()
    first = crafted(model=model)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.random.get_rng_state(), state), "nothing is drawn of the shared generator"
    assert all(parameter.grad is None for parameter in model.parameters())
    again = crafted(model=model)
    assert torch.equal(first["audio"], again["audio"]) and torch.equal(first["visual"], again["visual"])


# --- How much of it


def stages(**options: object) -> list[tuple[float, float, int]]:
    made = Stages(**{"sampled": [5, 20], "dropped": [5, 20], "schedule": "cosine", "cycle": 5, "steps": 10} | options)
    return [(round(one.sampled, 6), round(one.dropped, 6), one.attack_steps) for one in map(made.at, range(1, 8))]


def test_a_cycle_by_hand():
    """Phases 0, 1/4, ... 1 and again 0; r = 5 + 15 phase, or 5 + 15 (1 - cos(pi phase)) / 2; round(1 + 9 phase)."""
    assert stages(schedule="linear") == [
        (5, 5, 1), (8.75, 8.75, 3), (12.5, 12.5, 6), (16.25, 16.25, 8), (20, 20, 10), (5, 5, 1), (8.75, 8.75, 3),
    ]  # fmt: skip
    cosine = [5, 7.196699, 12.5, 17.803301, 20, 5, 7.196699]
    assert stages() == [(r, r, steps) for r, steps in zip(cosine, (1, 3, 6, 8, 10, 1, 3), strict=True)]
    assert stages(schedule="linear", sampled=100, dropped=[0, 40], cycle=2, steps=4)[:3] == [
        (100, 0, 1), (100, 40, 4), (100, 0, 1),
    ]  # fmt: skip


# Figure 12: sampled and dropped in per cent, and the schedule.
NINE = {
    "none": (100, 0, "constant"), "dm5": (5, 5, "constant"), "dm20": (20, 20, "constant"), "dm30": (30, 30, "constant"),
    "d20": (20, 0, "constant"), "m20": (100, 20, "constant"), "m40": (100, 40, "constant"),
    "linear": ([5, 20], [5, 20], "linear"), "cosine": ([5, 20], [5, 20], "cosine"),
}  # fmt: skip


def test_the_nine_schedules_of_figure_12_craft_differently():
    made = {
        name: [
            crafted(epoch, sampled=sampled, dropped=dropped, schedule=schedule, steps=4)["visual"]
            for epoch in (1, 2, 3)
        ]
        for name, (sampled, dropped, schedule) in NINE.items()
    }
    names = list(NINE)
    for number, one in enumerate(names):
        for other in names[number + 1 :]:
            pairs = zip(made[one], made[other], strict=True)
            assert any(not torch.equal(a, b) for a, b in pairs), f"{one} is {other}"


@pytest.mark.parametrize(("sampled", "seen"), [(5, 1), (20, 4), (100, 20)])
def test_the_encoders_see_the_sampled_steps_alone(sampled, seen):
    """Sound and frames: crafting on a part that keeps the whole sound saves nothing."""
    model = net()
    crafted(model=model, sampled=sampled, dropped=0, schedule="constant", steps=2)
    for encoder in model.encoders.values():
        assert {steps for _, steps in encoder.seen} == {seen}


@pytest.mark.parametrize(("percent", "count"), [(0, 0), (5, 0), (20, 2), (40, 3)])
def test_as_many_fused_features_are_dropped_as_are_said(percent, count):
    """Of 8, in evaluation mode, the same in every step of the attack, others for other clips; the rest grow."""
    model, fused = net(), []
    hook = model.classifier.register_forward_pre_hook(lambda module, given: fused.append(given[0].detach()))
    crafted(model=model, attack={"update": "i_fgsm"}, clips=batch(16), dropped=percent, sampled=20, schedule="constant")
    hook.remove()
    masks = torch.stack(fused) == 0
    assert len(fused) == 10 and (masks.sum(dim=2) == count).all()
    assert (masks == masks[0]).all()
    if count:
        assert len({tuple(mask.tolist()) for mask in masks[0]}) > 4
    whole = net()
    plain = []
    whole.classifier.register_forward_pre_hook(lambda module, given: plain.append(given[0].detach()))
    crafted(model=whole, attack={"update": "i_fgsm"}, clips=batch(16), dropped=0, sampled=20, schedule="constant")
    kept = ~masks[0]
    torch.testing.assert_close(fused[0][kept], plain[0][kept] * 8 / (8 - count))


def test_gradients_and_steps_of_the_encoders_are_counted_exactly():
    """Of two epochs by hand: N copies, K sampled steps, two modalities; the clean ones are looked at once."""
    prepare = Curriculum(SETTING, {**TMA, "copies": 5}, BUDGET, schedule="linear", steps=10)
    for epoch, sampled, steps in ((1, 1, 1), (3, 3, 6)):
        for _ in range(2):
            prepare(net(), batch(), epoch)
        said = prepare.facts()
        assert said["gradients_a_clip"] == 5 * steps
        assert said["encoder_steps_a_clip"] == 2 * sampled * (5 * steps + 1)
        assert (said["attack_steps"], said["sampled"]) == (steps, 5 if epoch == 1 else 12.5)
    whole = Adversarial(SETTING, {"update": "pgd_random", "steps": 10}, BUDGET)
    whole(net(), batch(), 1)
    assert whole.facts() == {"gradients_a_clip": 10, "encoder_steps_a_clip": 2 * STEPS * 10}


def test_encoders_that_fold_time_into_the_batch_are_counted_once():
    """ResNet-18 asks itself for the pictures of all steps; VGG-11 inside the sound's net gives a map."""
    front = {"sample_rate": 4000, "n_fft": 256, "window": 200, "hop": 50, "mels": 32}
    sound = {"net": {"name": "vgg11_bn", "options": {"width": 0.0625, "stride": 8}}, "samples_per_step": 800}
    spec = ModelSpec(
        "concat", Part("log_mel", {**sound, "front": front, "projection": 8}),
        Part("resnet18", {"width": 0.0625, "projection": 8, "stride": 16}),
    )  # fmt: skip
    forms = {"audio": waveform(1, 4000), "visual": pixels(5, 3, 16, 16)}
    clips = {
        "audio": torch.rand(2, 1, 4000), "visual": torch.zeros(2, 5, 3, 16, 16, dtype=torch.uint8),
        "label": torch.arange(2), "clip_id": ["one", "two"],
    }  # fmt: skip
    setting = replace(SETTING, inputs=forms)
    for prepare, gradients, steps in (
        (Adversarial(setting, {"update": "pgd_random", "steps": 3}, BUDGET), 3, 3 * 2 * 5),
        (
            Curriculum(setting, {"update": "i_fgsm"}, BUDGET, sampled=40, dropped=0, schedule="constant", steps=3),
            3,
            3 * 2 * 2,
        ),
    ):
        prepare(build(spec, CLASSES), clips, 1)
        said = prepare.facts()
        assert (said["gradients_a_clip"], said["encoder_steps_a_clip"]) == (gradients, steps)


def test_copies_are_told_of_how_many_steps_they_are(monkeypatch):
    """A mask hides whole sampled steps, of the sound and of the frames: parts are the steps and not the segments."""
    asked = []
    monkeypatch.setitem(
        transforms.TRANSFORMS,
        "masking",
        lambda name, x, context, draw: (asked.append((name, context.parts, x.shape)), x)[1],
    )
    attack = {**TMA, "copies": 1, "transforms": ["masking"]}
    crafted(attack=attack, sampled=50, dropped=0, schedule="constant", steps=1)
    assert set(asked) == {("audio", 10, (4, 1, 10 * SAMPLES)), ("visual", 10, (4, 10, 3, SIDE, SIDE))}


@pytest.mark.parametrize("dropped", [0, 25])
def test_what_is_said_of_crafting_is_what_the_net_got(dropped):
    """In the first step, copy by copy, after the clean steps; the features that are 0; and where the clips end."""
    model, seen, fused = net(), {name: [] for name in FORMS}, []
    for name, encoder in model.encoders.items():
        encoder.register_forward_pre_hook(lambda module, x, name=name: seen[name].append(x[0].detach()))
    model.classifier.register_forward_pre_hook(lambda module, given: fused.append(given[0].detach()))
    options = {"schedule": "constant", "sampled": 25, "dropped": dropped, "steps": 2}
    prepare = Curriculum(SETTING, {**TMA, "copies": 5}, BUDGET, **options)
    made = prepare.craft(model, batch(), 1)
    assert (made.stage.attack_steps, made.sampling.count) == (2, 5)
    copies = made.copies()
    assert len(copies) == 5 and made.threat.attack.points.names == list(transforms.ALL)
    for name in FORMS:
        for copy, got in zip(copies, seen[name][1:6], strict=True):
            assert torch.equal(copy[name], got)
        assert len({copy[name].sum().item() for copy in copies}) == 5, "no copy is another one"
    assert (
        torch.equal(made.dropped, (torch.stack(fused) == 0).all(dim=0)) and made.dropped.sum() == 4 * 8 * dropped // 100
    )
    inputs, _ = prepare(net(), batch(), 1)
    for name, x in inputs.items():
        assert torch.equal(made.moved[name], x)
        whole = made.sampling.copied(name, made.perturbations[name], x)
        torch.testing.assert_close(made.inputs[name] + whole, x, rtol=0, atol=1e-6)


def test_a_curriculum_stands_still_where_it_ends_or_where_it_is_told_to():
    own = {"sampled": [5, 20], "dropped": [5, 15], "schedule": "cosine", "cycle": 5, "steps": 10, "segments": 4}
    for options, stage, expected in (
        (own, {}, (20, 15, 10)), (own, {"sampled": 50}, (50, 15, 10)), (own, {"dropped": 0, "sampled": 1}, (1, 0, 10)),
        ({**own, "sampled": 30, "dropped": 0, "schedule": "constant"}, {}, (30, 0, 10)),
        ({"steps": 3}, {}, (20, 20, 3)),
    ):  # fmt: skip
        still = standing(options, stage)
        changed = {"sampled", "dropped", "schedule"}
        assert {name: still[name] for name in options if name not in changed} == {
            name: value for name, value in options.items() if name not in changed
        }
        for epoch in (1, 3):
            at = stages_of(still).at(epoch)
            assert (at.sampled, at.dropped, at.attack_steps) == expected


def test_a_killed_training_goes_on_with_the_same_bits(tmp_path):
    """Weights and history, and in it what was crafted with and what it took."""

    def trained(seed: int) -> dict:
        batches = TwoBatches(lambda positions: part(batch(8), positions.tolist()), seed=5)
        recipe = TrainingRecipe(4, 4, dict.fromkeys(("audio", "visual", "head"), 0.1))
        clips = TrainingClips(batches, batches, [batch(8)], 8, 8)
        prepare = Curriculum(SETTING, TMA, BUDGET, schedule="linear", cycle=3, steps=3)
        place = (TASKS["single"], tmp_path / "resume.pt", "key", torch.device("cpu"))
        return loop.train(net(seed), clips, recipe, CROSS_ENTROPY, prepare, *place)

    whole = assert_goes_on(trained, tmp_path / "resume.pt")
    assert [row["attack_steps"] for row in whole["history"]] == [1, 2, 3, 1]


def test_what_it_cannot_craft_with_is_named():
    moment = {"audio": waveform(1, 64), "visual": pixels(3, 8, 8)}
    for said, setting, options in (
        ("clips have no steps in time", replace(SETTING, inputs=moment), {}),
        ("schedule is linear, cosine or constant, not 'sine'", SETTING, {"schedule": "sine"}),
        ("segments are 1 or more, not 0", SETTING, {"segments": 0}),
        (r"sampled is a percentage or \[first, last\], not 120", SETTING, {"sampled": 120}),
        ("sampled goes from 5 to 20, but the schedule is constant", SETTING, {"schedule": "constant"}),
        ("dropped is below 100 per cent", SETTING, {"dropped": 100}),
    ):
        with pytest.raises(UserError, match=f"curriculum: {said}"):
            Curriculum(setting, TMA, BUDGET, **options)
    for attack in ({"update": "mig"}, {"update": "pgd_random", "restarts": 2}):
        with pytest.raises(UserError, match="curriculum: the attack looks at the input itself or starts again"):
            crafted(attack=attack)
