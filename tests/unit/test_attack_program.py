"""scripts/attack.py on a tiny store: whose answers, under what, what is written down, and going on after a kill."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from nets import CROSS_ENTROPY, FORMS, narrow_net, narrow_spec
from tiny_store import CLASSES, CLIPS, VIEW, VIEWS, clip, write_shard

import attack
from avrobust.attacks.budget import units
from avrobust.attacks.threat import bind
from avrobust.data import store
from avrobust.data.batches import EvaluationViews, collate, inputs_of
from avrobust.data.store import Store
from avrobust.evaluation.budgets import Budgets
from avrobust.evaluation.cell import Cell, evaluate
from avrobust.metrics.rows import read_cells
from avrobust.metrics.schema import RANKED_SCHEMA, SCHEMAS, in_order
from avrobust.models.build import Part, build
from avrobust.models.files import Trained, save_model
from avrobust.program import UserError
from avrobust.spec.attacks import AttackSpec
from avrobust.spec.budgets import named
from avrobust.spec.conditions import Condition

CPU = torch.device("cpu")
BUDGETS = named({"small": 0.006, "large": 0.012})
CONDITIONS = [["audio", "large"], ["visual", "small"], ["both", "large"]]
KEY = {"dataset": "music", "seed": "3"}
# Enough for momentum to matter.
STEPS = 3
SEED_4 = "--key=" + json.dumps(KEY | {"seed": "4"})
SCRIPT = Path(attack.__file__)


def net(seed: int) -> Trained:
    return Trained(narrow_net(classes=len(CLASSES), seed=seed), CROSS_ENTROPY, CLASSES, {})


def saved(path: Path, best: int, latest: int) -> Path:
    """Write a model whose best and latest weights are those of `net` with these seeds."""
    states = [{"model": net(seed).model.state_dict(), "objective": {}} for seed in (best, latest)]
    save_model(path, narrow_spec(), Part("cross_entropy"), CLASSES, *states, {})
    return path


def cell(name: str, victims: dict, **spec: object) -> dict:
    return {"surrogate": name, "attack": "mim", "spec": {"update": "mim", "steps": STEPS, **spec}, "victims": victims}


OWN = cell("one", {"one": CONDITIONS})


def words(folder: Path, cells: list[dict], *extra: str) -> list[str]:
    """The program's arguments; the best weights of `one` have seed 1 and its latest seed 2, of `two` 3 and 4."""
    if not (folder / "0.arrow").exists():
        write_shard(folder / "0.arrow")
        saved(folder / "one.pt", 1, 2), saved(folder / "two.pt", 3, 4)
    given = {"cells": cells, "budgets": BUDGETS, "key": KEY, "view": VIEW}
    plain = {"shards": folder / "0.arrow", "batch-size": 4, "device": "cpu", "code": "abc"}
    plain |= {"rows": folder / "bundle.parquet", "provenance": folder / "bundle.json"}
    return [
        *(f"--{name}={json.dumps(value)}" for name, value in given.items()),
        *(f"--{name}={value}" for name, value in plain.items()),
        *("--nets", f"one={folder / 'one.pt'}", f"two={folder / 'two.pt'}"),
        *extra,
    ]


@pytest.fixture
def attacked(tmp_path, monkeypatch):
    """Call attack.py; return its rows of floats and its provenance."""

    def run(cells: list[dict], *extra: str) -> tuple[dict, dict]:
        monkeypatch.setattr(sys, "argv", ["attack.py", *words(tmp_path, cells, *extra)])
        attack.main()
        table = pq.read_table(tmp_path / "bundle.parquet")
        assert {key.decode(): value.decode() for key, value in table.schema.metadata.items()} == KEY
        assert not (tmp_path / "bundle.finished").exists()
        return as_floats(table).to_pydict(), json.loads((tmp_path / "bundle.json").read_text())

    return run


def as_floats(table: pa.Table) -> pa.Table:
    return table.filter(pc.field("form") == "float")


def expected(shard: Path, victim: int, surrogate: int | None = None, epsilon_space: str = "normalised") -> dict:
    """Return the rows of these nets on the test clips, all at once and not folded."""
    store = Store([shard])
    views = EvaluationViews(store, store.indices("test"), VIEWS, ("audio", "visual"))
    batch = collate([views[position] for position in range(len(views))])
    threat = bind(AttackSpec("mim", options={"steps": STEPS}), net(victim if surrogate is None else surrogate))
    asked = [Condition(*one) for one in CONDITIONS]
    made = Cell("one", "mim", threat, {"one": net(victim).model}, {"one": asked})
    return in_order(
        [part.rows for part in evaluate([made], [batch], Budgets(BUDGETS, units(epsilon_space, FORMS)), CPU)]
    ).to_pydict()


def assert_alike(found: dict, wanted: dict) -> None:
    """The same clips under the same conditions, with losses that differ by rounding only."""
    by_row = [
        dict(zip(zip(*(rows[name] for name in ("clip_id", "modality", "budget")), strict=True),
                 zip(rows["loss"], rows["cosine"], strict=True), strict=True))
        for rows in (found, wanted)
    ]  # fmt: skip
    assert by_row[0].keys() == by_row[1].keys() and len(by_row[0]) == CLIPS["test"] * (1 + len(CONDITIONS))
    for key, values in by_row[1].items():
        assert by_row[0][key] == pytest.approx(values, rel=5e-3, abs=5e-3), key


@pytest.mark.parametrize(("state", "seed"), [("best", 1), ("latest", 2)])
def test_the_rows_are_the_answers_of_the_wanted_weights(tmp_path, attacked, state, seed):
    rows, said = attacked([OWN], f"--model-state={state}")
    assert_alike(rows, expected(tmp_path / "0.arrow", seed))
    assert said["model_state"] == state


def test_a_transfer_attacks_the_surrogate_and_scores_the_victim(tmp_path, attacked):
    rows, said = attacked([cell("two", {"one": CONDITIONS})])
    assert set(rows["surrogate"]) == {"two"} and set(rows["victim"]) == {"one"}
    assert_alike(rows, expected(tmp_path / "0.arrow", 1, surrogate=3))
    assert said["cells"][0]["victims"] == {"one": CONDITIONS}


def test_several_nets_are_attacked_as_one_where_a_cell_says_so(tmp_path, attacked):
    """One of them alone is itself; both are another surrogate, which its name stands for in the rows."""
    rows, said = attacked([cell("all", {"one": CONDITIONS}) | {"nets": ["two"]}])
    assert set(rows["surrogate"]) == {"all"} and said["cells"][0]["nets"] == ["two"]
    assert_alike(rows, expected(tmp_path / "0.arrow", 1, surrogate=3))
    both, _ = attacked([cell("all", {"one": CONDITIONS}) | {"nets": ["two", "one"]}])
    assert both["loss"] != rows["loss"]
    with pytest.raises(UserError, match="--nets: no three, which all/mim needs"):
        attacked([cell("all", {"one": CONDITIONS}) | {"nets": ["three", "one"]}])


def test_a_cell_of_some_clips_has_the_rows_of_these_as_if_all_were_attacked(tmp_path, attacked):
    """Beside a cell of all clips in the same job, and whatever the batch: each is mixed with one of all."""
    transforms = [{"name": "identity"}, {"name": "mixing", "options": {"share": 0.2}}]
    spec = {"update": "mma", "steps": 2, "copies": 2, "transforms": transforms}
    asked = {"surrogate": "two", "attack": "mma", "spec": spec, "victims": {"one": [["both", "large"]]}}
    rows, said = attacked([asked | {"clips": 3}, {**OWN, "clips": 1000}], "--batch-size=2")
    every, _ = attacked([asked])
    assert [cell["clips"] for cell in said["cells"]] == [3, CLIPS["test"]]
    names = ("clip_id", "modality", "loss", "attack")
    some, all_clips = (
        {(clip, modality): loss for clip, modality, loss, of in zip(*map(found.get, names), strict=True) if of == "mma"}
        for found in (rows, every)
    )
    assert len({clip for clip, _ in some}) == 3 and len(all_clips) == 2 * CLIPS["test"]
    assert some == pytest.approx({key: all_clips[key] for key in some}, rel=5e-3, abs=5e-3)
    assert rows["attack"].count("mim") == CLIPS["test"] * (1 + len(CONDITIONS))


def test_victims_that_are_asked_about_floats_alone_have_no_other_rows(tmp_path, monkeypatch):
    """And their floats are the same; who is not named is asked about files too."""

    def made(*floats: str) -> Counter:
        asked = cell("two", {"one": CONDITIONS, "two": CONDITIONS}) | ({"floats": floats} if floats else {})
        monkeypatch.setattr(sys, "argv", ["attack.py", *words(tmp_path, [asked])])
        attack.main()
        table = pq.read_table(tmp_path / "bundle.parquet")
        assert as_floats(table).num_rows == 2 * CLIPS["test"] * (1 + len(CONDITIONS))
        return Counter(zip(table["victim"].to_pylist(), table["form"].to_pylist(), strict=True))

    every, other, none = made(), made("one"), made("one", "two")
    assert len(every) == 6 and len(set(every.values())) == 1
    assert other.keys() == {key for key in every if key[0] == "two" or key[1] == "float"}
    assert none.keys() == {("one", "float"), ("two", "float")}


def test_a_view_whose_length_hangs_on_the_store_is_attacked_too(tmp_path, attacked):
    """Seconds are samples by the rate of the store."""
    write_shard(tmp_path / "0.arrow")
    for name in ("one", "two"):
        state = {"model": narrow_net("audio", len(CLASSES)).state_dict(), "objective": {}}
        save_model(tmp_path / f"{name}.pt", narrow_spec("audio"), Part("cross_entropy"), CLASSES, state, state, {})
    view = {"name": "clip", "options": {"seconds": 0.4, "frames": 2, "frame_size": 32}}
    rows, said = attacked([cell("one", {"one": [["audio", "small"]]})], f"--view={json.dumps(view)}")
    assert said["view"] == view
    assert Counter(rows["modality"]) == {"clean": CLIPS["test"], "audio": CLIPS["test"]}


def test_epsilon_counts_in_what_is_asked_for(tmp_path, attacked):
    rows, said = attacked([OWN], "--epsilon-space=pixel")
    assert_alike(rows, expected(tmp_path / "0.arrow", 1, epsilon_space="pixel"))
    assert said["epsilon_space"] == "pixel"


def test_what_was_run_is_written_down(attacked):
    _, said = attacked([OWN])
    asked = {**KEY, "budgets": BUDGETS, "split": "test", "clips": CLIPS["test"], "code": "abc", "status": "ok"}
    assert {key: said[key] for key in asked} == asked
    facts = {
        **OWN,
        "coded": [],
        "nets": [],
        "floats": [],
        "joined": "mean_logits",
        "ranked": False,
        "clips": CLIPS["test"],
        "objective": "CrossEntropy",
        "steps": STEPS,
        "step_size": 1 / 8,
        "precision": "float32",
        "clips_without_gradient": 0,
        "clips_not_moved": 0,
    }
    facts |= {"modalities": ["audio", "visual"]}
    assert said["cells"] == [{**facts, "keeps": {"ball": True, "range": True}}]
    assert said["resumed_clips"] == 0


def test_an_attack_may_take_its_gradients_in_another_precision_than_the_job(attacked):
    twin = {**cell("one", {"one": CONDITIONS}, precision="float32"), "attack": "mim_float32"}
    rows, said = attacked([OWN, twin], "--precision=bfloat16")
    assert [one["precision"] for one in said["cells"]] == ["bfloat16", "float32"]
    by_attack = {name: [loss for loss, of in zip(rows["loss"], rows["attack"], strict=True) if of == name]
                 for name in ("mim", "mim_float32")}  # fmt: skip
    assert by_attack["mim"] != by_attack["mim_float32"] and len(by_attack["mim"]) == len(by_attack["mim_float32"])


def test_the_clips_of_one_cell_are_encoded_too_where_that_is_said(tmp_path, attacked):
    """Clean ones too, under the conditions that are named; all forms of the others but that."""
    other = {**OWN, "attack": "fgsm", "spec": {"update": "fgsm"}}
    attacked([{**OWN, "coded": [["both", "large"]]}, other])
    rows = pq.read_table(tmp_path / "bundle.parquet").to_pandas()
    coded = rows[rows.form == "coded"]
    assert set(coded.attack) == {"mim"} and set(coded.modality) == {"clean", "both"}
    assert (coded[["norm_audio", "norm_visual"]] > 0.02).all().all()
    assert Counter(rows.form) == dict.fromkeys(("float", "rounded", "truncated"), 2 * 4 * CLIPS["test"]) | {
        "coded": 2 * CLIPS["test"]
    }
    assert (rows[(rows.form != "coded") & (rows.modality == "clean")][["norm_audio", "norm_visual"]] == 0).all().all()


def test_an_attack_that_mixes_its_batch_has_it_whole_beside_others(tmp_path, attacked):
    """Both read the clips for themselves: what comes of each is what comes of it alone."""
    official = {"surrogate": "one", "attack": "o", "spec": {"update": "mim_official", "batch_size": 3}}
    official |= {"victims": {"one": CONDITIONS[:1]}}
    attacked([official])
    alone = pq.read_table(tmp_path / "bundle.parquet")
    attacked([OWN])
    own = pq.read_table(tmp_path / "bundle.parquet")
    attacked([OWN, official])
    together = pq.read_table(tmp_path / "bundle.parquet").to_pandas()
    for name, one in (("o", alone), ("mim", own)):
        assert together[together.attack == name].reset_index(drop=True).equals(one.to_pandas())


def test_a_budget_of_a_job_comes_out_of_its_file(tmp_path, attacked):
    """It names the file; without it, or with something else in it, one line says so."""
    made = tmp_path / "nearest.json"
    made.write_text(json.dumps({"audio": 0.012, "visual": {"norm": "linf", "epsilon": 0.006}}))
    given = json.dumps({**BUDGETS, "calibrated": {"from": "nearest"}})
    asked = [cell("one", {"one": [["audio", "calibrated"], ["audio", "large"], ["visual", "calibrated"]]})]
    rows, said = attacked(asked, f"--budgets={given}", f"--budget-files={made}")
    found = {key: set() for key in (("audio", "calibrated"), ("audio", "large"), ("visual", "calibrated"))}
    for modality, budget, loss, audio, visual in zip(
        *(rows[name] for name in ("modality", "budget", "loss", "epsilon_audio", "epsilon_visual")), strict=True
    ):
        if budget:
            found[modality, budget].add((loss, audio, visual))
    assert found["audio", "calibrated"] == found["audio", "large"]
    assert {one[1:] for one in found["visual", "calibrated"]} == {(0.0, 0.006)}
    assert said["budgets"]["calibrated"]["audio"] == {"norm": "linf", "epsilon": 0.012}
    with pytest.raises(UserError, match=r"budget calibrated: no nearest\.json among the files given; add it"):
        attacked(asked, f"--budgets={given}")
    for wrong in ("{", '{"audio": "much"}', '{"from": "nearest"}'):
        made.write_text(wrong)
        with pytest.raises(UserError, match=r"nearest\.json: .*budget"):
            attacked(asked, f"--budgets={given}", f"--budget-files={made}")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([cell("three", {"one": CONDITIONS})], "--nets: no three, which three/mim needs"),
        ([cell("one", {"one": [["touch", "small"]]})], "unknown modality 'touch'"),
        ([cell("one", {"one": [["audio", "much"]]})], "budget 'much' is none of small, large"),
    ],
)
def test_what_cannot_be_attacked_is_named(attacked, cells, message):
    with pytest.raises(UserError, match=message):
        attacked(cells)


def test_killed_it_goes_on_after_the_batches_that_are_finished(tmp_path):
    """SIGKILL once a batch is kept; the same command then makes the bytes of a run that nobody killed."""
    command = [sys.executable, str(SCRIPT), *words(tmp_path, [OWN])]
    subprocess.run(command, check=True, capture_output=True)
    whole = (tmp_path / "bundle.parquet").read_bytes()
    (tmp_path / "bundle.parquet").unlink()
    kept = tmp_path / "bundle.finished" / "0-00000.parquet"
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not kept.exists() and run.poll() is None:
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL and kept.exists() and not (tmp_path / "bundle.parquet").exists()
    first = pq.read_table(kept)
    again = subprocess.run(command, check=True, capture_output=True, text=True)
    assert (tmp_path / "bundle.parquet").read_bytes() == whole
    assert not kept.parent.exists(), again.stderr
    assert json.loads((tmp_path / "bundle.json").read_text())["resumed_clips"] >= len(set(first["clip_id"].to_pylist()))


def test_what_another_command_left_is_not_taken(tmp_path, attacked, monkeypatch):
    """Another code or seed, a damaged file: all is made anew, with the same bytes."""
    rows, _ = attacked([OWN])
    kept = []
    monkeypatch.setattr(attack.Finished, "remove", lambda self: kept.append(self.folder))
    _, said = attacked_left(tmp_path, monkeypatch, [OWN])
    assert said["resumed_clips"] == 0
    _, said = attacked_left(tmp_path, monkeypatch, [OWN])
    assert said["resumed_clips"] == CLIPS["test"]
    _, said = attacked_left(tmp_path, monkeypatch, [OWN], "--code=other")
    assert said["resumed_clips"] == 0
    _, said = attacked_left(tmp_path, monkeypatch, [OWN], "--code=other", SEED_4)
    assert said["resumed_clips"] == 0
    _, said = attacked_left(tmp_path, monkeypatch, [OWN], "--code=other")
    os.truncate(kept[-1] / "0-00001.parquet", 100)
    again, said = attacked_left(tmp_path, monkeypatch, [OWN], "--code=other")
    assert said["resumed_clips"] == 4 and again == rows


def attacked_left(folder: Path, monkeypatch, cells: list[dict], *extra: str) -> tuple[dict, dict]:
    monkeypatch.setattr(sys, "argv", ["attack.py", *words(folder, cells, *extra)])
    attack.main()
    rows = as_floats(pq.read_table(folder / "bundle.parquet"))
    return rows.to_pydict(), json.loads((folder / "bundle.json").read_text())


def test_cells_that_something_ranks_hold_logits_beside_their_answers_and_others_stay_as_they_are(tmp_path, attacked):
    """And how far the longest step and the whole clip moved. What a bundle holds beside such a cell has none."""
    before, _ = attacked([OWN])
    ranked = cell("one", {"one": CONDITIONS}, steps=1) | {"attack": "one_step", "ranked": True}
    attacked([OWN, ranked])
    table = as_floats(pq.read_table(tmp_path / "bundle.parquet"))
    plain, made = (table.filter(pc.field("attack") == name) for name in ("mim", "one_step"))
    assert plain.select(SCHEMAS["single"].names).to_pydict() == before
    assert made.schema.remove_metadata().equals(RANKED_SCHEMA)
    for name in ("logits", "step_norm_audio", "step_norm_visual", "clip_norm_audio", "clip_norm_visual"):
        assert plain[name].null_count == len(plain) and not made[name].null_count
    rows = made.to_pandas()
    assert np.stack(rows.logits).argmax(axis=1).tolist() == rows.prediction.tolist()
    assert set(rows.clip_norm_visual[rows.modality == "audio"]) == {0.0}
    moved = rows[rows.modality == "audio"]
    # A step of all of epsilon in l-infinity, of 4,096 samples of which those at the end of the range stay inside it.
    assert (moved.clip_norm_audio <= moved.norm_audio * 64 * 1.0001).all()
    assert (moved.clip_norm_audio > moved.norm_audio * 32).all()


def test_nets_of_several_labels_are_attacked_and_answer_with_logits(tmp_path, attacked):
    """All labels of a clip and float32 logits; the attack raises the binary cross-entropy of the net."""
    spec = dataclasses.replace(narrow_spec(), task="multiple")
    torch.manual_seed(0)
    toy = build(spec, len(CLASSES)).eval()
    torch.nn.init.normal_(toy.classifier.weight)
    with store.writing(tmp_path / "0.arrow", audio_rate=11025, frame_rate=8, classes=CLASSES) as shard:
        for number in range(6):
            made = clip(number, "test", number % 3, np.random.default_rng(number))
            shard.add(dataclasses.replace(made, labels=((), (0,), (0, 2))[number % 3]))
    state = {"model": toy.state_dict(), "objective": {}}
    save_model(tmp_path / "one.pt", spec, Part("binary_cross_entropy"), CLASSES, state, state, {})
    attacked([OWN], "--nets", f"one={tmp_path / 'one.pt'}")
    table = pq.read_table(tmp_path / "bundle.parquet")
    assert table.schema.remove_metadata() == SCHEMAS["multiple"]
    rows = as_floats(table).to_pandas()
    clean = rows[rows.modality == "clean"]
    assert [label.tolist() for label in clean.label] == [[], [0], [0, 2]] * 2
    packed = Store([tmp_path / "0.arrow"])
    views = EvaluationViews(packed, packed.indices("test"), VIEWS, ("audio", "visual"), "multiple")
    batch = collate([views[number] for number in range(6)])
    with torch.no_grad():
        logits = toy(inputs_of(batch, CPU))
    torch.testing.assert_close(torch.tensor(np.stack(clean.logits)), logits, rtol=1e-3, atol=1e-3)
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(logits, batch["label"], reduction="none").mean(1)
    assert clean.loss.tolist() == pytest.approx(wanted.tolist(), rel=1e-3, abs=1e-3)
    both = rows[rows.modality == "both"]
    assert (both.loss.to_numpy() > clean.loss.to_numpy()).all()
    with pytest.raises(UserError, match=r"no prediction in it; .* of nets of one label"):
        read_cells(tmp_path / "bundle.parquet")
    with pytest.raises(UserError, match="attack mim: Margin needs one label a clip"):
        attacked([cell("one", {"one": CONDITIONS}, objective="margin")], "--nets", f"one={tmp_path / 'one.pt'}")
    saved(tmp_path / "two.pt", 3, 4)
    with pytest.raises(UserError, match="some are of one label a clip, some of several"):
        attacked([OWN])


MIXED = {"update": "mma", "steps": 2, "copies": 2, "transforms": ["mixing", "masking"]}


def mixed_cell(**spec: object) -> dict:
    return {"surrogate": "one", "attack": "mma", "spec": MIXED | spec, "victims": {"one": CONDITIONS}}


def test_clips_are_mixed_with_those_of_the_whole_split_whatever_the_batches(tmp_path, attacked, monkeypatch):
    """In one batch, in batches of one clip, and after a kill: the same partners and masks, and losses but for rounding.

    A partner is read only where a cell of the job mixes clips.
    """
    shown = Counter()
    evaluation = type(VIEWS).evaluation

    def counted(view, store, index, modalities):
        shown[int(index)] += 1
        return evaluation(view, store, index, modalities)

    monkeypatch.setattr(type(VIEWS), "evaluation", counted)
    attacked([OWN])
    alone = shown.total()
    shown.clear()
    whole, _ = attacked([mixed_cell()], "--batch-size=9")
    assert shown.total() == alone + CLIPS["test"]
    single, _ = attacked([mixed_cell()], "--batch-size=1")
    assert single["clip_id"] == whole["clip_id"] and single["loss"] == pytest.approx(whole["loss"], rel=1e-2)
    apart, _ = attacked([mixed_cell(transforms=["identity", "masking"])], "--batch-size=9")
    assert apart["loss"] != pytest.approx(whole["loss"], rel=1e-2)
    monkeypatch.setattr(attack.Finished, "remove", lambda self: None)
    _, first = attacked_left(tmp_path, monkeypatch, [mixed_cell()])
    (tmp_path / "bundle.finished" / "0-00002.parquet").unlink()
    (tmp_path / "bundle.finished" / "0-00001.parquet").unlink()
    again, said = attacked_left(tmp_path, monkeypatch, [mixed_cell()])
    assert said["resumed_clips"] == 4 and again["loss"] == pytest.approx(whole["loss"], rel=1e-2)
    assert said["cells"] == first["cells"], "the shares of the terms are kept with the batch"


def test_a_split_of_one_class_has_nobody_to_be_mixed_with(tmp_path, attacked):
    with store.writing(tmp_path / "0.arrow", audio_rate=11025, frame_rate=8, classes=CLASSES) as shard:
        for number in range(3):
            shard.add(clip(number, "test", 1, np.random.default_rng(number)))
    saved(tmp_path / "one.pt", 1, 2), saved(tmp_path / "two.pt", 3, 4)
    attacked([OWN])
    with pytest.raises(UserError, match="clip test00: no clip of the split is of another class, to be mixed with it"):
        attacked([mixed_cell()])


def test_the_share_of_each_term_in_the_first_gradient_is_written_down(attacked):
    """Of the first eight clips, in each modality, whatever the batches; none of an attack without terms."""
    _, said = attacked([mixed_cell(), OWN], "--batch-size=9")
    (shares,) = [cell["term_shares"] for cell in said["cells"] if "term_shares" in cell]
    assert list(shares) == ["audio", "visual"]
    for of in shares.values():
        assert list(of) == ["cross_entropy", "similarity"] and sum(of.values()) == pytest.approx(1)
    _, in_parts = attacked([mixed_cell()], "--batch-size=3")
    for modality, of in in_parts["cells"][0]["term_shares"].items():
        assert of == pytest.approx(shares[modality], rel=1e-3)
    _, heavier = attacked([mixed_cell(lambda2=50.0)], "--batch-size=9")
    for modality, of in heavier["cells"][0]["term_shares"].items():
        assert of["similarity"] > shares[modality]["similarity"]


def test_clips_that_did_not_move_are_counted(tmp_path, attacked):
    """By a classifier that does not look at sounds: no sound moves, under audio and both."""
    write_shard(tmp_path / "0.arrow")
    deaf = net(1).model
    with torch.no_grad():
        deaf.classifier.weight[:, deaf.dimensions["visual"] :] = 0
    state = {"model": deaf.state_dict(), "objective": {}}
    for name in ("one", "two"):
        save_model(tmp_path / f"{name}.pt", narrow_spec(), Part("cross_entropy"), CLASSES, state, state, {})
    seen = {**OWN, "victims": {"one": [["visual", "small"]]}, "attack": "seen"}
    _, said = attacked([OWN, seen])
    assert [cell["clips_not_moved"] for cell in said["cells"]] == [CLIPS["test"], 0]
