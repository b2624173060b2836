"""What a training crafts of one clip: the same as in the training, and a figure of exactly that."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from artefacts import make
from drawings import check_drawing
from tiny_store import CLASSES, write_shard

import craft
from avrobust.data.store import Store
from avrobust.metrics.one_clip import OneClip, read_one_clip, write_one_clip
from avrobust.models.build import ModelSpec, Part, build
from avrobust.models.files import save_model
from avrobust.program import UserError
from avrobust.report import crafting
from avrobust.report.crafting import amplification, tidy
from avrobust.report.given import Given
from avrobust.spec.artefacts.crafting import CRAFTING_OF_A_CLIP as KIND
from avrobust.spec.record import record
from avrobust.training.clips import training_clips
from avrobust.training.job import Job
from avrobust.training.one_clip import batch_of
from avrobust.training.recipe import TrainingRecipe
from avrobust.training.start import continued_model
from avrobust.views.view import build_view

# --- The program, on a net that has learned nothing

STEPS, LENGTH = 4, 5000
VIEW = {"name": "clip", "options": {"seconds": LENGTH / 11025, "frames": STEPS, "frame_size": 36}}
FRONT = {"sample_rate": 11025, "n_fft": 512, "window": 256, "hop": 64, "mels": 32}
INNER = {"name": "resnet18", "options": {"width": 0.0625, "stride": 8}}
NET = {
    "fusion": "concat",
    "audio": {
        "name": "log_mel",
        "options": {"net": INNER, "samples_per_step": LENGTH // STEPS, "front": FRONT, "projection": 8},
    },
    "visual": {"name": "resnet18", "options": {"width": 0.0625, "stride": 16, "projection": 8}},
}
BUDGET = {"audio": {"norm": "linf", "epsilon": 0.02}, "visual": {"norm": "linf", "epsilon": 0.01}}
CURRICULUM = {
    "attack": {"update": "tma", "copies": 2, "transforms": ["identity", "masking"]}, "budget": BUDGET,
    "epsilon_space": "pixel", "segments": 2, "sampled": 75, "dropped": 25, "schedule": "constant", "steps": 2,
}  # fmt: skip
KEY = {"dataset": "some", "variant": "net+ours", "start": "net", "attack": "tma"}


def recipe(batch_size: int = 5, **options: object) -> dict:
    rates = dict.fromkeys(("audio", "visual", "head"), 0.01)
    prepare = {"name": "curriculum", "options": {**CURRICULUM, **options}}
    return {"epochs": 2, "batch_size": batch_size, "learning_rates": rates, "prepare": prepare}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A shard, its classes and a net with its first weights."""
    made = tmp_path_factory.mktemp("crafting")
    write_shard(made / "0.arrow")
    (made / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    spec = ModelSpec(**NET)
    weights = {"model": build(spec, len(CLASSES), 3).state_dict(), "objective": {}}
    save_model(made / "start.pt", spec, Part("cross_entropy"), CLASSES, weights, weights, {})
    return made


@pytest.fixture
def crafted(folder, tmp_path, monkeypatch):
    """Call craft.py; return the file with the clip."""

    def run(name: str, *more: str, **options: object) -> Path:
        told = {
            "model-spec": NET, "recipe": recipe(**options), "objective": {"name": "cross_entropy"}, "view": VIEW,
            "key": KEY,
        }  # fmt: skip
        plain = {
            "shards": folder / "0.arrow", "class-list": folder / "classes.txt", "start": folder / "start.pt",
            "variant": "net+ours", "seed": 2, "device": "cpu", "kept": tmp_path / f"{name}.npz",
            "provenance": tmp_path / f"{name}.json",
        }  # fmt: skip
        words = [f"--{name}={json.dumps(value)}" for name, value in told.items()]
        monkeypatch.setattr(
            sys, "argv", ["craft.py", *words, *(f"--{name}={value}" for name, value in plain.items()), *more]
        )
        craft.main()
        return tmp_path / f"{name}.npz"

    return run


def test_a_clip_is_crafted_on_as_in_the_first_epoch_of_the_training(crafted):
    """By the training's own batches and preparation, on the net that it starts from, to the bit."""
    one = read_one_clip(crafted("one"))
    given = craft.arguments()
    job = Job(given)
    _, model = continued_model(job.spec, job.start, job.seed, {}, {})
    model, _, preparation = job.prepared(model, Part(**given.objective))
    clips = training_clips(job.store, job.view, model, "single", job.recipe, job.seed, 1)
    clips.batches.epoch = 1
    batches = list(clips.loader)
    shown = sorted(
        (label, name) for one in batches for name, label in zip(one["clip_id"], one["label"].tolist(), strict=True)
    )
    assert len(shown) == 10 and shown[0] == (CLASSES.index(one.label), one.clip_id), "the first that is shown"
    batch = next(batch for batch in batches if one.clip_id in batch["clip_id"])
    place = batch["clip_id"].index(one.clip_id)
    moved, _ = preparation(model, batch, 1)
    assert np.array_equal(one.moved_frames, moved["visual"][place].permute(0, 2, 3, 1).numpy())
    assert np.array_equal(one.moved_sound, moved["audio"][place, 0].numpy())
    assert np.array_equal(one.frames, batch["visual"][place].permute(0, 2, 3, 1).numpy())
    assert np.array_equal(one.sound, batch["audio"][place, 0].numpy())
    with torch.no_grad():
        logits = model.eval()(moved)[place].double()
    assert one.predictions[1] == CLASSES[int(logits.argmax())]
    expected = torch.logsumexp(logits, 0) - logits[CLASSES.index(one.label)]
    assert one.cross_entropy[1] == pytest.approx(expected.item(), abs=1e-5)


def test_what_is_kept_fits_together(crafted):
    """Three of four steps, two segments, one masked step of three, four of sixteen features; whole budgets."""
    one = read_one_clip(crafted("one"))
    assert one.steps == STEPS and len(one.sampled) == 3 and sorted({*one.segments}) == [0, 1]
    assert list(one.copies) == ["identity", "masking"] and (one.attack_steps, one.sampled_percent) == (2, 75)
    # Two copies in two steps, and the clean clip once; of each modality three steps pass an encoder.
    assert (one.gradients, one.encoder_steps) == (4, 2 * 3 * 5)
    assert one.dropped.sum() == 4 and len(one.dropped) == 16
    assert np.array_equal(one.copied_frames[0], one.frames[one.sampled])
    sounds = np.stack([one.sound[one.samples(step)] for step in one.sampled])
    assert np.array_equal(one.copied_sounds[0], sounds)
    silent = ~one.copied_sounds[1].any(axis=1)
    blank = np.array([len(np.unique(frame.reshape(-1, 3), axis=0)) == 1 for frame in one.copied_frames[1]])
    assert silent.sum() == 1 and np.array_equal(silent, blank), "sound and frame of the same step"
    for step in range(STEPS):
        segment = one.segments[step]
        expected = np.clip(one.frames[step] / np.float32(255) + one.frame_steps[segment], 0, 1)
        np.testing.assert_allclose(one.moved_frames[step], expected, atol=1e-6)
        expected = np.clip(one.sound[one.samples(step)] + one.sound_steps[segment], -1, 1)
        np.testing.assert_allclose(one.moved_sound[one.samples(step)], expected, atol=1e-6)
    np.testing.assert_allclose(one.epsilons, [0.02, 0.01])
    assert np.abs(one.frame_steps).max() == pytest.approx(0.01) and np.abs(one.sound_steps).max() == pytest.approx(0.02)


def test_the_same_clip_has_the_same_bytes_and_another_one_is_another(crafted):
    one = crafted("one", "--clip=train05")
    assert read_one_clip(one).clip_id == "train05"
    assert crafted("again", "--clip=train05").read_bytes() == one.read_bytes()
    assert read_one_clip(crafted("other", "--clip=train07", batch_size=4)).clip_id == "train07"
    said = json.loads(one.with_suffix(".json").read_text())
    assert (said["clip"], said["start"].endswith("start.pt"), said["seconds"] > 0) == ("train05", True, True)


def test_a_clip_or_a_training_that_cannot_be_shown_is_named(folder, crafted):
    with pytest.raises(UserError, match="--clip: 'test00' is no clip to train on; such are train00, train01, train02"):
        crafted("none", "--clip=test00")
    net, told = SimpleNamespace(modalities=("audio", "visual")), record(TrainingRecipe, recipe(), "a training")
    opened, left_out = Store([folder / "0.arrow"]), []
    for number in range(12):
        name = f"train{number:02}"
        try:
            batch, place = batch_of(name, opened, build_view(VIEW), net, told, 2)
            assert len(batch["clip_id"]) == 5 and batch["clip_id"][place] == name
        except UserError as error:
            assert "its last batch is incomplete and left out" in str(error)
            left_out.append(name)
    assert len(left_out) == 2, "of twelve clips in batches of five"
    with pytest.raises(UserError, match="--recipe: plain samples no steps"):
        crafted("plain", f"--recipe={json.dumps({**recipe(), 'prepare': {'name': 'plain'}})}")
    with pytest.raises(UserError, match="--start must be given"):
        crafted("nothing", "--start")


# --- The figure, of a clip by hand

LABELS = {"attack": {"tma": "TMA"}, "dataset": {"some": "Some"}}
SPEC = {
    "title": "Figure 4. Crafting", "read": {"dataset": "some", "variant": "net+ours"}, "caption": "A caption.",
    "attack": "tma", "labels": LABELS, "sources": {"some": "render"},
    "sizes": {"tma": {"copies": [2, 5]}, "net+ours": {"steps": [3, 10]}},
}  # fmt: skip


def by_hand() -> OneClip:
    """Five steps of 0.2 s in two segments, of which the second and the last are sampled; 23 samples."""
    draw = np.random.default_rng(5)
    segments, sampled = np.array([0, 0, 1, 1, 1]), np.array([1, 4])
    frames = draw.integers(60, 200, (5, 4, 4, 3)).astype(np.uint8)
    sound = draw.uniform(-0.5, 0.5, 23).astype(np.float32)
    frame_steps = np.array([0.05, -0.02], np.float32)[:, None, None, None] * np.ones((2, 4, 4, 3), np.float32)
    sound_steps = np.array([[0.1, -0.1, 0.1, 0.1], [0.0, 0.0, 0.0, 0.05]], np.float32)
    added = np.concatenate(
        [[*steps, steps[-1]][:count] for steps, count in zip(sound_steps[segments], (4, 5, 4, 5, 5), strict=True)]
    )
    return OneClip(
        **KEY, seed=7, clip_id="clip", label="playing_tuba", predictions=np.array(["playing_tuba", "cello"]),
        cross_entropy=np.array([0.5, 2.25], np.float32), seconds=1.0, sampled_percent=40, dropped_percent=20,
        attack_steps=3, gradients=6, encoder_steps=28, epsilons=np.array([0.1, 0.05], np.float32), segments=segments,
        sampled=sampled, dropped=np.array([True, False, False]), frames=frames, sound=sound,
        copies=np.array(["identity", "masking"]), copied_frames=np.stack([frames[sampled], 0 * frames[sampled]]),
        copied_sounds=np.stack([np.ones((2, 4)), np.zeros((2, 4))]).astype(np.float32), frame_steps=frame_steps,
        sound_steps=sound_steps, moved_frames=(frames / np.float32(255) + frame_steps[segments]).astype(np.float32),
        moved_sound=(sound + added).astype(np.float32),
    )  # fmt: skip


def test_which_step_is_what_and_how_far_it_moved():
    frame = tidy(KIND.parse(SPEC), by_hand(), "demo")
    steps = frame[frame["step"].notna()]
    assert len(steps) == 5 * 2 * 3
    once = steps.drop_duplicates("step")
    assert once["segment"].tolist() == [*"11222"] and once["sampled"].tolist() == ["no", "yes", "no", "no", "yes"]
    assert once["begins"].tolist() == ["0", "0.2", "0.4", "0.6", "0.8"] and once["ends"].tolist()[-1] == "1"

    def values(modality: str, measure: str) -> list[float]:
        return steps[(steps["modality"] == modality) & (steps["measure"] == measure)]["value"].tolist()

    assert values("visual", "largest") == pytest.approx([0.05] * 2 + [0.02] * 3, abs=1e-6)
    assert values("visual", "l2") == pytest.approx([0.05 * 48**0.5] * 2 + [0.02 * 48**0.5] * 3, abs=1e-5)
    # Steps have 4, 5, 4, 5 and 5 samples; the fifth is moved as the fourth.
    assert values("audio", "largest") == pytest.approx([0.1] * 2 + [0.05] * 3, abs=1e-6)
    assert values("audio", "mean") == pytest.approx([0.1, 0.1, 0.05 / 4, 0.1 / 5, 0.1 / 5], abs=1e-6)
    assert set(steps[steps["modality"] == "audio"]["epsilon"]) == {"0.1"}
    whole = frame[frame["step"].isna()].set_index("measure")
    assert whole["value"].to_dict() == {
        "cross_entropy_before": 0.5, "cross_entropy_after": 2.25, "attack_steps": 3, "copies": 2, "gradients_a_clip": 6,
        "encoder_steps_a_clip": 28, "fused_features": 3, "dropped_features": 1,
    }  # fmt: skip
    assert whole.loc["cross_entropy_after", "note"] == "recognised as cello by net"
    assert whole.loc["copies", "note"] == "identity masking"


def test_the_figure_shows_these_arrays_each_in_the_column_of_its_step(monkeypatch, tmp_path):
    clip, drawn = by_hand(), []
    monkeypatch.setattr(
        crafting, "_picture", lambda on, picture, step, bold=False: drawn.append((np.array(picture), step, bold))
    )
    write_one_clip(tmp_path / "clip.npz", clip)
    files = {suffix: str(tmp_path / f"figure{suffix}") for suffix in KIND.files}
    crafting.write(KIND.parse(SPEC), Given("demo", examples=[str(tmp_path / "clip.npz")]), files)
    rows = [drawn[:5], drawn[5:9], drawn[9:11], drawn[11:16], drawn[16:]]
    bold = [False, True, False, False, True]
    assert [(step, is_bold) for _, step, is_bold in rows[0]] == list(enumerate(bold))
    assert np.array_equal([picture for picture, *_ in rows[0]], clip.frames)
    assert [(step, is_bold) for _, step, is_bold in rows[1]] == [(1, True), (4, True)] * 2
    assert np.array_equal([picture for picture, *_ in rows[1]], clip.copied_frames.reshape(4, 4, 4, 3))
    # 0.05 has half the room at ten times its size, around a middle grey, above the middle of its segment.
    assert [step for _, step, _ in rows[2]] == [0.5, 3]
    np.testing.assert_allclose([picture.mean() for picture, *_ in rows[2]], [1.0, 0.3], atol=1e-5)
    np.testing.assert_allclose([picture.mean() for picture, *_ in rows[3]], [1.0] * 2 + [0.3] * 3, atol=1e-5)
    assert np.array_equal([picture for picture, *_ in rows[4]], clip.moved_frames)


def test_strokes_reach_from_the_least_to_the_greatest_sample():
    axes = crafting.Canvas().add_subplot()
    crafting._strokes(axes, np.array([0.0, 0.5, -0.25, 0.1, 0.9, -0.8]), 2, 4, 3)
    (shape,) = axes.collections[0].get_paths()
    for x, low, high in ((2.5, 0, 0.5), (3, -0.25, 0.1), (3.5, -0.8, 0.9)):
        inside = [shape.contains_point((x, y)) for y in (low - 0.02, low + 0.02, high - 0.02, high + 0.02)]
        assert inside == [False, True, True, False]


@pytest.mark.parametrize(
    ("largest", "factor"), [(0.05, 10), (2 / 255, 63), (4 / 255, 31), (0.03, 16), (0.0, 1), (1.0, 0.5), (0.0007, 710)]
)
def test_how_far_a_perturbation_stands_out(largest, factor):
    """By two digits, rounded down, so that the largest value has about half the range."""
    assert amplification(np.array([0.0, -largest]), 0.5) == pytest.approx(factor)


def test_the_program_draws_and_writes_the_same_bytes_again(tmp_path):
    write_one_clip(tmp_path / "clip.npz", by_hand())
    done = make("crafting", SPEC, tmp_path / "one", examples=[tmp_path / "clip.npz"])
    assert done.returncode == 0, done.stderr
    files = {suffix: str(tmp_path / f"two{suffix}") for suffix in KIND.files}
    crafting.write(KIND.parse(SPEC), Given("demo", examples=[str(tmp_path / "clip.npz")]), files)
    for suffix in KIND.files:
        assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()
    check_drawing("crafting", tmp_path / "one.svg")
    texts = " ".join(" ".join(ElementTree.parse(tmp_path / "one.svg").getroot().itertext()).split())
    for text in (
        "5 steps in 2 random segments, 2 sampled", "in 2 copies, without 1 of 3 fused features", "masked in time",
        "What TMA makes of that in 3 steps", "frames are moved 10 times as much", "12.8/255 of a pixel",
        "net: ✓ playing tuba, cross-entropy 0.50", "net: ✗ cello, cross-entropy 2.25", "40 % of the steps",
        "copies 2 (5) of TMA; steps 3 (10) of adversarial training", "A caption.", "scale demo",
        ", of rendered clips; training of",
    ):  # fmt: skip
        assert text in texts, text


def test_files_and_layouts_that_are_none_are_named(tmp_path):
    (tmp_path / "none.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(UserError, match=r"none\.npz: holds no crafted clip"):
        read_one_clip(tmp_path / "none.npz")
    with pytest.raises(UserError, match="0 crafted clips are given; give one"):
        crafting.write(KIND.parse(SPEC), Given("demo"), {})
    for stage, said in (
        ({"sampled": 120}, "sampled is a percentage"), ({"dropped": 100}, "dropped is below 100"),
        ({"steps": 3}, "stage: unknown steps; known are sampled, dropped"),
    ):  # fmt: skip
        with pytest.raises((UserError, ValueError), match=said):
            KIND.parse({**SPEC, "stage": stage})


def test_a_clip_is_read_as_it_was_written(tmp_path):
    clip = by_hand()
    write_one_clip(tmp_path / "clip.npz", clip)
    again = asdict(read_one_clip(tmp_path / "clip.npz"))
    for name, value in asdict(clip).items():
        assert np.array_equal(again[name], value), name
    write_one_clip(tmp_path / "other.npz", replace(clip, clip_id="other"))
    assert read_one_clip(tmp_path / "other.npz").clip_id == "other"
