"""scripts/attack.py on a tiny store: whose answers, under what, and what is written down."""

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from nets import CROSS_ENTROPY, narrow_net, narrow_spec
from tiny_store import CLASSES, CLIPS, VIEW, VIEWS, write_shard

import attack
from avrobust.attacks.budget import units
from avrobust.attacks.threat import bind
from avrobust.data.batches import EvaluationViews, collate, inputs_of
from avrobust.data.store import Store
from avrobust.evaluation.cell import evaluate
from avrobust.evaluation.conditions import Condition
from avrobust.models.files import Trained, save_model
from avrobust.objectives.build import ObjectiveSpec
from avrobust.spec.attacks import AttackSpec

CPU = torch.device("cpu")
CONDITIONS = [["audio", 0.012], ["visual", 0.006], ["both", 0.012]]
KEY = {"dataset": "music", "variant": "concat", "seed": "3", "attack": "mim"}


def net(seed: int) -> Trained:
    return Trained(narrow_net(classes=len(CLASSES), seed=seed), CROSS_ENTROPY, CLASSES, {})


def saved(path: Path, best: int, latest: int) -> Path:
    """Write a model whose best and latest weights are those of `net` with these seeds."""
    spec = narrow_spec()
    states = [{"model": net(seed).model.state_dict(), "objective": {}} for seed in (best, latest)]
    save_model(path, spec, ObjectiveSpec("cross_entropy"), CLASSES, *states, {})
    return path


@pytest.fixture
def attacked(tmp_path, monkeypatch):
    """Call attack.py on the model whose best weights have seed 1 and whose latest have seed 2."""
    shard = write_shard(tmp_path / "0.arrow")
    model = saved(tmp_path / "model.pt", 1, 2)

    def run(spec: dict, *extra: str) -> tuple[dict, dict]:
        given_json = {"attack-spec": spec, "conditions": CONDITIONS, "key": KEY, "view": VIEW}
        plain = {"model": model, "shards": shard, "batch-size": 4, "device": "cpu", "code": "abc"}
        plain |= {"cell": tmp_path / "cell.parquet", "provenance": tmp_path / "cell.json"}
        arguments = [f"--{name}={json.dumps(value)}" for name, value in given_json.items()]
        arguments += [f"--{name}={value}" for name, value in plain.items()]
        monkeypatch.setattr(sys, "argv", ["attack.py", *arguments, *extra])
        attack.main()
        table = pq.read_table(tmp_path / "cell.parquet")
        assert {key.decode(): value.decode() for key, value in table.schema.metadata.items()} == KEY
        return table.to_pydict(), json.loads((tmp_path / "cell.json").read_text())

    return run


def expected(shard: Path, victim: int, surrogate: int | None = None, epsilon_space: str = "normalised") -> dict:
    """Return the rows of these nets on the test clips, all at once and not folded."""
    store = Store([shard])
    views = EvaluationViews(store, store.indices("test"), VIEWS, ("audio", "visual"))
    batch = collate([views[position] for position in range(len(views))])
    of_attack = AttackSpec("mim", source="victim" if surrogate is None else "surrogate")
    threat = bind(of_attack, net(victim), None if surrogate is None else net(surrogate))
    conditions = [Condition(*one) for one in CONDITIONS]
    rows, _ = evaluate(net(victim).model, [batch], threat, units(epsilon_space), conditions, CPU)
    assert inputs_of(batch, CPU)["audio"].shape == (CLIPS["test"], 1, VIEWS.audio_samples)
    return rows.to_pydict()


def assert_alike(found: dict, wanted: dict) -> None:
    """The same clips under the same conditions, with losses that differ by rounding only."""
    by_row = [
        {
            (clip, modality, epsilon): (loss, cosine)
            for clip, modality, epsilon, loss, cosine in zip(*columns, strict=True)
        }
        for columns in (
            [rows[name] for name in ("clip_id", "modality", "epsilon", "loss", "cosine")] for rows in (found, wanted)
        )
    ]
    assert by_row[0].keys() == by_row[1].keys() and len(by_row[0]) == CLIPS["test"] * (1 + len(CONDITIONS))
    for key, values in by_row[1].items():
        assert by_row[0][key] == pytest.approx(values, rel=5e-3, abs=5e-3), key


@pytest.mark.parametrize(("state", "seed"), [("best", 1), ("latest", 2)])
def test_the_rows_are_the_answers_of_the_wanted_weights(tmp_path, attacked, state, seed):
    rows, said = attacked({"update": "mim"}, f"--model-state={state}")
    assert_alike(rows, expected(tmp_path / "0.arrow", seed))
    assert said["model_state"] == state


def test_a_transfer_attacks_the_surrogate_and_scores_the_victim(tmp_path, attacked):
    surrogate = saved(tmp_path / "surrogate.pt", 3, 4)
    rows, said = attacked({"update": "mim", "source": "surrogate"}, f"--surrogate={surrogate}")
    assert_alike(rows, expected(tmp_path / "0.arrow", 1, surrogate=3))
    assert said["surrogate"] == str(surrogate)


def test_epsilon_counts_in_what_is_asked_for(tmp_path, attacked):
    rows, said = attacked({"update": "mim"}, "--epsilon-space=pixel")
    assert_alike(rows, expected(tmp_path / "0.arrow", 1, epsilon_space="pixel"))
    assert said["epsilon_space"] == "pixel"


def test_what_was_run_is_written_down(attacked):
    _, said = attacked({"update": "mim"})
    asked = {**KEY, "conditions": CONDITIONS, "split": "test", "clips": CLIPS["test"], "code": "abc", "status": "ok"}
    asked |= {"steps": 10, "step_size": 1 / 8, "surrogate": "", "precision": "float32"}
    assert {key: said[key] for key in asked} == asked
    spec = {"update": "mim", "objective": None, "source": "victim", "batch_size": None, "options": {}}
    assert said["attack_spec"] == spec
    attacks = CLIPS["test"] * len(CONDITIONS)
    assert said["attacked_clips_per_second"] == pytest.approx(attacks / said["seconds"], rel=0.05)
