"""scripts/train.py and scripts/search.py on a tiny store: which clips, which weights, which seed, which candidate."""

import csv
import dataclasses
import functools
import json
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from killed import killed_after
from tiny_store import CLASSES, VIEW, VIEWS, clip, write_shard

import search
import train
from avrobust.data import store
from avrobust.data.batches import EvaluationViews, TrainingViews, collate, inputs_of
from avrobust.data.store import Store
from avrobust.models.build import Part
from avrobust.models.files import Trained, load_model
from avrobust.objectives.certified_margin import CertifiedMargin
from avrobust.program import UserError
from avrobust.training.clips import plain_clips
from avrobust.training.job import Job
from avrobust.views.view import build_view

CPU = torch.device("cpu")
NARROW = {"options": {"width": 0.125}}
NET = {"fusion": "concat", "audio": {"name": "conv1d", **NARROW}, "visual": {"name": "resnet18", **NARROW}}
MEMORY = {"mixing": 0.5, "penalty": 0.1, "iterations": 3, "tolerance": 0.0, "training_group": 4, "evaluation_group": 4}
BUDGET = {name: {"norm": "linf", "epsilon": 0.005} for name in ("audio", "visual")}
RATES = {"audio": 0.02, "visual": 0.02, "head": 0.02}
STILL, SLOW = dict.fromkeys(RATES, 0.0), dict.fromkeys(RATES, 5e-4)


def recipe(epochs: int, rates: dict = RATES) -> dict:
    return {"epochs": epochs, "milestones": [90], "batch_size": 4, "learning_rates": rates}


def shared(folder: Path, shard: Path, epochs: int, rates: dict, model: dict, objective: dict, seed: int) -> list[str]:
    """The arguments of both programs."""
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    given_json = {"model-spec": model, "recipe": recipe(epochs, rates), "objective": objective, "view": VIEW}
    plain = {"shards": shard, "class-list": folder / "classes.txt", "variant": "mine", "seed": seed, "device": "cpu"}
    return [
        *(f"--{name}={json.dumps(value)}" for name, value in given_json.items()),
        *(f"--{name}={value}" for name, value in plain.items()),
    ]


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Call train.py; what it made lies in a folder of the given name."""

    def run(
        name: str, shard: Path, epochs: int = 2, *extra: str, rates: dict = RATES, model: dict = NET, seed: int = 2
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        outputs = {"model": "model.pt", "history": "history.csv", "provenance": "train.json"}
        arguments = shared(folder, shard, epochs, rates, model, {"name": "cross_entropy"}, seed)
        arguments += [f"--{flag}={folder / file}" for flag, file in outputs.items()]
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments, *extra])
        train.main()
        return folder

    return run


def loaded(folder: Path, state: str) -> Trained:
    return load_model(folder / "model.pt", state, CPU)


def weights(folder: Path, state: str) -> dict[str, torch.Tensor]:
    return loaded(folder, state).model.state_dict()


def same(one: dict, other: dict) -> bool:
    return all(torch.equal(one[name], other[name]) for name in other)


def views(shard: Path, split: str, modalities: tuple = ("audio", "visual")) -> dict:
    opened = Store([shard])
    clips = EvaluationViews(opened, opened.indices(split), VIEWS, modalities)
    return collate([clips[position] for position in range(len(clips))])


def accuracy(net: Trained, batch: dict) -> float:
    with torch.no_grad():
        answers = net.model(inputs_of(batch, CPU)).argmax(dim=1)
    return 100 * (answers == batch["label"]).double().mean().item()


def history(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "history.csv").open()))


@pytest.mark.parametrize("labels", [(), (0, 2)])
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_clip_without_exactly_one_label_is_named(tmp_path, split, labels):
    path, made = tmp_path / "0.arrow", clip(7, split, 0, np.random.default_rng(0))
    with store.writing(path, audio_rate=11025, frame_rate=8, classes=CLASSES) as shard:
        shard.add(dataclasses.replace(made, labels=labels))
    opened = Store([path])
    for kind in (EvaluationViews, functools.partial(TrainingViews, seed=1)):
        with pytest.raises(UserError, match=f"clip {split}07 has {len(labels)} labels"):
            kind(opened, opened.indices(split), VIEWS, ("audio", "visual"))


def test_a_training_says_which_share_of_its_time_it_waited_for_clips(tmp_path, trained, caplog):
    caplog.set_level("INFO")
    said = json.loads((trained("some", write_shard(tmp_path / "0.arrow"), 1) / "train.json").read_text())
    share = 100 * said["waiting_seconds"] / said["seconds"]
    assert 0 <= share <= 100
    assert f"{said['seconds']:.0f} s, {share:.0f} % of it waiting for clips" in caplog.text


# --- Which weights


def test_a_model_holds_the_weights_of_the_best_epoch_and_of_the_last(tmp_path, trained):
    shard = write_shard(tmp_path / "0.arrow")
    whole = trained("whole", shard, 6)
    reached = [float(row["validation_accuracy"]) for row in history(whole)]
    best = reached.index(max(reached)) + 1
    assert 1 < best < 6 and reached[-1] < max(reached), f"this training shows nothing: {reached}"
    assert json.loads((whole / "train.json").read_text())["best_epoch"] == best
    # A training that ends with the best epoch has its weights in both places.
    short = trained("short", shard, best)
    assert same(weights(whole, "best"), weights(short, "latest"))
    assert same(weights(short, "best"), weights(short, "latest"))
    assert not same(weights(whole, "latest"), weights(whole, "best"))
    batch = views(shard, "val")
    assert accuracy(loaded(whole, "best"), batch) == pytest.approx(max(reached))
    assert accuracy(loaded(whole, "latest"), batch) == pytest.approx(reached[-1])


def test_a_second_stage_goes_on_from_the_last_weights(tmp_path, trained):
    shard = write_shard(tmp_path / "0.arrow")
    first = trained("first", shard, 6)
    assert not same(weights(first, "latest"), weights(first, "best")), "the first stage shows nothing"
    # Rates of 0: what it starts from is what it ends with.
    second = trained("second", shard, 1, f"--start={first / 'model.pt'}", rates=STILL)
    parameters = dict(loaded(second, "latest").model.named_parameters())
    assert same(weights(first, "latest"), parameters)


# --- Which clips


def test_epochs_of_one_batch_are_a_whole_epoch_in_parts(tmp_path, trained):
    shard, parts = write_shard(tmp_path / "0.arrow"), {**recipe(3), "epoch_batches": 1}
    whole, cut = trained("whole", shard, 1), trained("cut", shard, 3, f"--recipe={json.dumps(parts)}")
    assert len(history(whole)) == 1 and len(history(cut)) == 3
    assert same(weights(cut, "latest"), weights(whole, "latest"))


def test_a_mistake_in_a_recipe_is_said_in_a_line(tmp_path, trained):
    shard = write_shard(tmp_path / "0.arrow")
    for wrong, said in (
        ({"prepare": {"name": "mixup", "options": {"beta": 1}}}, "mixup: .*'beta'; its options are alpha"),
        ({"epoch": 3}, "a training: unknown epoch"),
    ):
        with pytest.raises(UserError, match=said):
            trained("wrong", shard, 1, f"--recipe={json.dumps({**recipe(1), **wrong})}")


def test_a_training_crafts_with_the_budget_of_a_file(tmp_path, trained):
    """As with the same constant, to the bit; without the file a line says which one lacks."""
    shard, file = write_shard(tmp_path / "0.arrow"), tmp_path / "calibrated.json"
    file.write_text(json.dumps(BUDGET))

    def crafting(name: str, budget: object, *more: str) -> dict[str, torch.Tensor]:
        prepare = {"name": "adversarial", "options": {"attack": {"update": "pgd_random", "steps": 2}, "budget": budget}}
        told = json.dumps({**recipe(1), "prepare": prepare})
        return weights(trained(name, shard, 1, f"--recipe={told}", *more), "latest")

    constant, calibrated = crafting("constant", BUDGET), {"from": "calibrated"}
    assert same(crafting("file", calibrated, f"--budget-files={file}"), constant)
    file.write_text(json.dumps({**BUDGET, "audio": {"norm": "linf", "epsilon": 0.1}}))
    assert not same(crafting("file", calibrated, f"--budget-files={file}"), constant)
    with pytest.raises(UserError, match=r"budget budget: no calibrated\.json among the files given; add it"):
        crafting("file", calibrated)


@pytest.mark.parametrize("wrong", ["test", "val"])
def test_the_epoch_is_chosen_on_the_validation_clips(tmp_path, trained, wrong):
    """Test clips that say something else change no bit; validation clips that do change the choice."""
    plain = trained("plain", write_shard(tmp_path / "plain/0.arrow"), 4)
    other = trained("other", write_shard(tmp_path / "other/0.arrow", wrong=wrong), 4)
    assert same(weights(plain, "latest"), weights(other, "latest")), "neither split is trained on"
    made = [json.loads((folder / "train.json").read_text()) for folder in (plain, other)]
    if wrong == "test":
        assert history(plain) == history(other)
        assert (plain / "model.pt").read_bytes() == (other / "model.pt").read_bytes()
        assert made[0]["best_epoch"] == made[1]["best_epoch"]
    else:
        assert history(plain) != history(other)
        assert made[0]["best_epoch"] != made[1]["best_epoch"]
        assert not same(weights(plain, "best"), weights(other, "best"))


def test_a_memory_holds_training_clips_alone(tmp_path, trained):
    """Of the finished net's features (`eval_mode`) all twelve fit; of those of its last epoch the first five do."""
    shard = write_shard(tmp_path / "0.arrow")
    start = trained("start", shard, 2, "--kept-features=8")
    net, kept = loaded(start, "latest").model, loaded(start, "latest").training_features
    inputs = inputs_of(views(shard, "train"), CPU)
    with torch.no_grad():
        expected = {name: net.encode(name, inputs[name]) for name in inputs}
    model = {**NET, "defence": {"name": "feature_memory", "options": {**MEMORY, "columns": 64}}}
    for features, columns, banks in (
        ("eval_mode", 20, expected),
        ("train_mode", 5, {name: values[:5] for name, values in kept.items()}),
    ):
        memory = {"columns": columns, "features": features, "steps": {"audio": 1.0, "visual": 1.0}}
        stage = [f"--start={start / 'model.pt'}", f"--memory={json.dumps(memory)}"]
        made = trained(features, shard, 1, *stage, rates=STILL, model=model)
        for name, defence in loaded(made, "latest").model.defences.items():
            torch.testing.assert_close(defence.bank, banks[name].T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("exchanged", "threads"), [(False, 1), (True, 1), (False, 2)])
def test_a_training_goes_on_only_with_what_it_began_with(tmp_path, trained, exchanged, threads):
    """With its clips, and its number of threads, by which sums differ in the last bits."""
    shard, others = write_shard(tmp_path / "0.arrow"), write_shard(tmp_path / "others/0.arrow", seed=7)
    whole = trained("whole", others if exchanged else shard, 3, f"--threads={threads}")
    with killed_after(1):
        trained("killed", shard, 3)
    assert (tmp_path / "killed/resume.pt").exists()
    if exchanged:
        shutil.copyfile(others, shard)
    killed = trained("killed", shard, 3, f"--threads={threads}")
    anew = exchanged or threads > 1
    assert json.loads((killed / "train.json").read_text())["resumed_epochs"] == (0 if anew else 1)
    assert (killed / "model.pt").read_bytes() == (whole / "model.pt").read_bytes()


def test_all_that_a_training_is_told_is_in_the_key_of_its_state(tmp_path, monkeypatch):
    """But where it writes: the same training elsewhere has the same key."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    shard, published = write_shard(tmp_path / "0.arrow"), tmp_path / "some.pth"
    published.write_bytes(b"weights")

    def key(*more: str, out: str = "out", weight: float = 1.0) -> str:
        files = [f"--{flag}={tmp_path / out / flag}" for flag in ("model", "history", "provenance")]
        told = shared(tmp_path, shard, 3, RATES, NET, {"name": "cross_entropy"}, 2)
        monkeypatch.setattr(sys, "argv", ["train.py", *told, *files, *more])
        return Job(train.arguments()).key(Part("max_similarity", {"weight": weight}))

    others = [
        f"--recipe={json.dumps(recipe(4))}", f"--model-spec={json.dumps({**NET, 'fusion': 'sum'})}", "--seed=3",
        "--threads=2", "--code=other", "--precision=bfloat16", "--kept-features=3", f"--weights=visual={published}",
        "--variant=other", f"--view={json.dumps({**VIEW, 'options': {**VIEW['options'], 'frame_size': 24}})}",
    ]  # fmt: skip
    keys = {key(), *map(key, others), key(weight=2.0)}
    assert len(keys) == len(others) + 2
    assert key("--device=cuda_or_cpu", out="elsewhere") == key()
    os.utime(published, (1, 1))
    assert key(f"--weights=visual={published}") not in keys
    assert (calibrated := key(f"--budget-files={published}")) not in keys
    os.utime(published, (2, 2))
    assert key(f"--budget-files={published}") not in {*keys, calibrated}
    os.utime(shard, (1, 1))
    assert key() not in keys


# --- Both phases of CRMT


@pytest.mark.parametrize("count", [3, None])
def test_a_table_is_measured_on_training_clips_of_a_random_order(tmp_path, count):
    opened = Store([write_shard(tmp_path / "0.arrow")])
    net = SimpleNamespace(modalities=("audio", "visual"), clips_together=1)
    train_ids = [opened.clip_ids[index] for index in opened.indices("train")]

    def taken(seed: int) -> list[str]:
        batches = plain_clips(opened, VIEWS, net, "single", count, 4, seed, 1)
        return [clip_id for batch in batches for clip_id in batch["clip_id"]]

    assert len(taken(1)) == (count or len(train_ids)) and set(taken(1)) <= set(train_ids)
    assert (taken(1) == taken(2)) == (count is None)


CRMT = {**NET, "head": {"name": "orthogonal"}}
FIRST = {
    **recipe(3),
    "prepare": {
        "name": "adversarial",
        "options": {"attack": {"update": "pgd_random", "steps": 2, "objective": "cross_entropy"}, "budget": BUDGET},
    },
}
SECOND = {**recipe(3, dict.fromkeys(RATES, 0.01)), "only": "classifier.modality_weights"}


@pytest.mark.parametrize("killed", [False, True])
def test_both_phases_of_crmt_go_on_after_a_kill_and_learn_from_training_clips_alone(tmp_path, trained, killed):
    """Test clips that say something else change no bit, and a kill after the first epoch of each phase neither."""

    def phases(name: str, shard: Path, interrupted: bool) -> list[Path]:
        made = [trained(f"{name} vanilla", shard, 1)]
        for objective, told in (("uncertain_margin", FIRST), ("certified_margin", SECOND)):
            place = f"{name} {objective}"
            more = [f"--start={made[-1] / 'model.pt'}", f"--recipe={json.dumps(told)}"]
            more += [f"--objective={json.dumps({'name': objective, 'options': {}})}"]
            if interrupted:
                with killed_after(1):
                    trained(place, shard, 3, *more, model=CRMT)
            made.append(trained(place, shard, 3, *more, model=CRMT))
        return made

    whole = phases("whole", write_shard(tmp_path / "0.arrow"), False)
    other = phases("other", write_shard(tmp_path / "other/0.arrow", wrong="" if killed else "test"), killed)
    for one, again in zip(whole, other, strict=True):
        assert (one / "model.pt").read_bytes() == (again / "model.pt").read_bytes()
        assert (one / "history.csv").read_bytes() == (again / "history.csv").read_bytes()
    first, second = (loaded(folder, "latest") for folder in whole[1:])
    moved = {
        name
        for name, value in second.model.state_dict().items()
        if not torch.equal(value, first.model.state_dict()[name])
    }
    assert moved == {"classifier.modality_weights"}
    measured = CertifiedMargin({}, len(CLASSES))
    measured.measure(first.model, [inputs_of(views(tmp_path / "0.arrow", "train"), CPU)])
    torch.testing.assert_close(second.objective.lipschitz, measured.lipschitz, rtol=1e-4, atol=0)
    said = json.loads((whole[1] / "train.json").read_text())
    assert said["crafting"] == {"gradients_a_clip": 2.0, "encoder_steps_a_clip": 4.0}
    assert "crafting" not in json.loads((whole[2] / "train.json").read_text())
    assert [json.loads((folder / "train.json").read_text())["resumed_epochs"] for folder in other[1:]] == [killed] * 2


# --- Nets of steps in time

FRONT = {"sample_rate": 11025, "n_fft": 512, "window": 256, "hop": 64, "mels": 32}


@pytest.mark.parametrize(
    ("visual", "fusion", "audio"), [("alexnet", "concat", "vgg11_bn"), ("resnet18", "sum", "resnet18")]
)
def test_nets_of_zhang2025_learn_from_whole_clips(tmp_path, trained, visual, fusion, audio):
    """AcV and RsR, narrow, on two pictures of a clip: by far more of it than chance, a third."""
    shard = write_shard(tmp_path / "0.arrow")
    inner = {"name": audio, "options": {"width": 0.125, "stride": 8}}
    outer = {"stride": 16, "width": 0.125, "projection": 16, "initialisation": "he"}
    sound = {"net": inner, "samples_per_step": 2500, "front": FRONT, "projection": 16}
    spec = {
        "fusion": fusion,
        "audio": {"name": "log_mel", "options": sound},
        "visual": {"name": visual, "options": outer},
    }
    seen = {"name": "clip", "options": {"seconds": 5000 / 11025, "frames": 2, "frame_size": 36}}
    net = loaded(trained("steps", shard, 20, f"--view={json.dumps(seen)}", model=spec), "best")
    opened = Store([shard])
    clips = EvaluationViews(opened, opened.indices("test"), build_view(seen), ("audio", "visual"))
    batch = collate([clips[position] for position in range(len(clips))])
    with torch.no_grad():
        for modality, given in inputs_of(batch, CPU).items():
            assert net.model.encode(modality, given).shape == (9, 2, 16)
    assert accuracy(net, batch) > 60


# --- Which seed


def test_the_initial_weights_are_those_of_seed_and_variant(tmp_path, trained):
    """Rates of 0: what a training starts from is what it ends with, whatever its clips' order."""
    shard = write_shard(tmp_path / "0.arrow")
    one, again, of_seed, of_variant = (
        dict(loaded(trained(name, shard, 1, *more, rates=STILL, seed=seed), "latest").model.named_parameters())
        for name, seed, *more in (("one", 1), ("again", 1), ("seed", 2), ("variant", 1, "--variant=other"))
    )
    assert same(one, again)
    drawn = [name for name, value in one.items() if value.dim() > 1]
    assert len(drawn) > 20
    for name in drawn:
        assert not torch.equal(one[name], of_seed[name]), name
        assert not torch.equal(one[name], of_variant[name]), name


def test_two_variants_of_a_seed_learn_from_other_batches(tmp_path, trained):
    """From the very same net: with equal batches two variants of one recipe would be one net twice."""
    shard = write_shard(tmp_path / "0.arrow")
    start = trained("start", shard, 1) / "model.pt"
    one, again, other = (
        weights(trained(name, shard, 1, f"--start={start}", f"--variant={variant}"), "latest")
        for name, variant in (("one", "mine"), ("again", "mine"), ("other", "other"))
    )
    assert same(one, again)
    assert not same(one, other)


# --- Which candidate


@pytest.fixture
def searched(tmp_path, monkeypatch):
    """Call search.py; what it made lies in a folder of the given name."""

    def run(name: str, shard: Path, start: Path, weights: list[float]) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        given_json = {"candidates": [{"weight": weight} for weight in weights], "attack-spec": {"update": "fgsm"}}
        files = {"chosen": "search.json", "candidates-csv": "search.csv", "provenance": "provenance.json"}
        arguments = shared(folder, shard, 2, SLOW, NET, {"name": "max_similarity"}, 2)
        arguments += [f"--{flag}={folder / file}" for flag, file in files.items()]
        arguments += [f"--{flag}={json.dumps(value)}" for flag, value in given_json.items()]
        arguments += [f"--start={start / 'model.pt'}", f"--budget={json.dumps(BUDGET)}"]
        monkeypatch.setattr(sys, "argv", ["search.py", *arguments])
        search.main()
        return folder

    return run


def test_a_search_for_a_net_of_several_labels_is_refused(tmp_path, searched, monkeypatch):
    monkeypatch.setitem(NET, "task", "multiple")
    with pytest.raises(UserError, match="candidates are judged by accuracy; give a net of one label a clip"):
        searched("several", write_shard(tmp_path / "0.arrow"), tmp_path, [1.0])


def test_the_search_takes_the_candidate_that_does_best_on_the_validation_clips(tmp_path, trained, searched):
    shard = write_shard(tmp_path / "0.arrow")
    start = trained("start", shard, 12)
    for name, candidates in (("first", [1.0, 1e4]), ("second", [1e4, 1.0])):
        folder = searched(name, shard, start, candidates)
        rows = list(csv.DictReader((folder / "search.csv").open()))
        scores = {float(row["weight"]): float(row["score"]) for row in rows}
        assert scores[1.0] > scores[1e4], "these candidates show nothing"
        assert json.loads((folder / "search.json").read_text())["chosen"] == {"weight": 1.0}
        said = json.loads((folder / "provenance.json").read_text())
        asked = {"attack": {"update": "fgsm"}, "budget": BUDGET, "seed": 2, "recipe": recipe(2, SLOW)}
        assert {key: said[key] for key in asked} == asked
        assert not list(folder.glob("resume-*.pt")), "what a killed search goes on from"
        for row in rows:
            attacked = sum(float(row[condition]) for condition in ("audio", "visual", "both")) / 3
            assert float(row["score"]) == pytest.approx(float(row["clean"]) + attacked, abs=0.02)
    # The same start, and test clips that say something else: no choice depends on them.
    other = searched("other", write_shard(tmp_path / "other/0.arrow", wrong="test"), start, [1e4, 1.0])
    assert (other / "search.csv").read_bytes() == (tmp_path / "second/search.csv").read_bytes()
