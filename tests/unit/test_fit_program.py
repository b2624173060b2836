"""scripts/fit.py on a tiny store, what scripts/attack.py adds of it, and going on after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from nets import narrow_net, narrow_spec
from tiny_store import CLASSES, CLIPS, VIEW, write_shard

import attack
import fit
from avrobust.models.build import Part
from avrobust.models.files import read_tensors, save_model
from avrobust.program import UserError
from avrobust.spec.budgets import named

BUDGETS = named({"l2": {"norm": "l2_clip", "epsilon": 0.3}, "quiet": {"audio": {"norm": "l2_clip", "snr": 20}}})
KEY = {"dataset": "music", "variant": "one", "seed": "3", "attack": "released"}
RELEASED = {"update": "universal", "passes": 3, "fit_batch": 4}
CONTROL = {"update": "universal_random", "as_long_as": "released"}
CONDITIONS = [["audio", "l2"], ["both", "l2"]]


def common(folder: Path) -> list[str]:
    if not (folder / "0.arrow").exists():
        write_shard(folder / "0.arrow")
        state = {"model": narrow_net(classes=len(CLASSES), seed=1).state_dict(), "objective": {}}
        save_model(folder / "one.pt", narrow_spec(), Part("cross_entropy"), CLASSES, state, state, {})
    told = {"budgets": BUDGETS, "view": VIEW}
    plain = {"shards": folder / "0.arrow", "batch-size": 3, "device": "cpu", "code": "abc", "epsilon-space": "pixel"}
    return [f"--{name}={json.dumps(value)}" for name, value in told.items()] + [
        f"--{name}={value}" for name, value in plain.items()
    ]


def fitting(folder: Path, *extra: str, spec: dict = RELEASED, key: dict = KEY, conditions: list = CONDITIONS) -> list:
    told = {"attack-spec": spec, "conditions": conditions, "key": key}
    plain = {"model": folder / "one.pt", "perturbations": folder / "p.pt", "provenance": folder / "p.json"}
    return [*common(folder), *(f"--{name}={json.dumps(value)}" for name, value in told.items()),
            *(f"--{name}={value}" for name, value in plain.items()), *extra]  # fmt: skip


def run(monkeypatch: pytest.MonkeyPatch, program: object, words: list[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["program", *words])
    program.main()


def attacked(folder: Path, monkeypatch: pytest.MonkeyPatch, *extra: str, name="released", spec=RELEASED, seed="3"):
    """Call attack.py, with the clips' epsilon in pixels; return its rows of floats and its provenance."""
    cells = [{"surrogate": "one", "attack": name, "spec": spec, "victims": {"one": CONDITIONS}, "floats": ["one"]}]
    told = {"cells": cells, "key": {"dataset": "music", "seed": seed}}
    plain = {"rows": folder / "c.parquet", "provenance": folder / "c.json"}
    words = [*common(folder), *(f"--{part}={json.dumps(value)}" for part, value in told.items()),
             *(f"--{part}={value}" for part, value in plain.items())]  # fmt: skip
    run(monkeypatch, attack, [*words, "--nets", f"one={folder / 'one.pt'}", *extra])
    return pq.read_table(folder / "c.parquet").to_pandas(), json.loads((folder / "c.json").read_text())


def test_what_is_fitted_is_what_cells_add_and_both_are_written_down(tmp_path, monkeypatch):
    run(monkeypatch, fit, fitting(tmp_path))
    found = read_tensors(tmp_path / "p.pt", torch.device("cpu"))
    assert found["key"] == KEY and list(found["perturbations"]) == ["audio at l2", "both at l2"]
    said = json.loads((tmp_path / "p.json").read_text())
    asked = {**KEY, "passes": 3, "fit_batch": 4, "clips": CLIPS["test"], "split": "test", "objective": "CrossEntropy"}
    assert {name: said[name] for name in asked} == asked and not (tmp_path / "p.resume.pt").exists()
    given = ("--perturbations", f"one/released={tmp_path / 'p.pt'}")
    rows, of_cell = attacked(tmp_path, monkeypatch, *given)
    norms = found["perturbations"]["both at l2"]
    for name in ("audio", "visual"):
        lengths = [line[name]["norm"] for line in said["lengths"]["both at l2"]]
        assert lengths == sorted(lengths) and lengths[-1] == pytest.approx(norms[name].norm().item(), rel=1e-4)
        # A clip at the end of its range moves by less.
        of_clips = rows[rows.modality == "both"][f"norm_{name}"]
        assert (of_clips <= lengths[-1] + 1e-6).all() and of_clips.min() > 0.9 * lengths[-1] > 0.1
    assert of_cell["perturbations"] == {"one/released": str(tmp_path / "p.pt")}
    assert of_cell["cells"][0]["steps"] == 3 and of_cell["cells"][0]["keeps"] == {"ball": False, "range": True}
    random, of_cell = attacked(tmp_path, monkeypatch, *given, name="released_random", spec=CONTROL)
    assert of_cell["cells"][0]["steps"] == 0
    both = random[random.modality == "both"]
    assert both.norm_audio.to_numpy() == pytest.approx([norms["audio"].norm().item()] * CLIPS["test"], rel=0.02)
    assert both.loss.mean() < rows[rows.modality == "both"].loss.mean()


def test_it_is_fitted_to_the_clips_that_it_says(tmp_path, monkeypatch):
    spec = {**RELEASED, "fitted_on": "train"}
    with pytest.raises(UserError, match="--split test: the attack is fitted_on train; give --split train"):
        run(monkeypatch, fit, fitting(tmp_path, spec=spec))
    run(monkeypatch, fit, fitting(tmp_path, "--split=train", spec=spec))
    assert json.loads((tmp_path / "p.json").read_text())["clips"] == CLIPS["train"]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"spec": {"update": "pgd"}}, "--attack-spec: pgd attacks each clip by itself"),
        ({"spec": CONTROL}, "--attack-spec: universal_random attacks each clip by itself"),
        ({"conditions": [["audio", "quiet"]]}, "budget quiet: an snr gives each clip its own epsilon"),
        ({"key": {"dataset": "music"}}, "--key: variant, seed, attack must be given"),
    ],
)
def test_what_cannot_be_fitted_is_named(tmp_path, monkeypatch, told, message):
    with pytest.raises(UserError, match=message):
        run(monkeypatch, fit, fitting(tmp_path, **told))


def test_a_cell_without_its_perturbations_or_with_others_is_refused(tmp_path, monkeypatch):
    run(monkeypatch, fit, fitting(tmp_path))
    with pytest.raises(UserError, match="--perturbations: no one/released=FILE, which one/released adds"):
        attacked(tmp_path, monkeypatch)
    with pytest.raises(UserError, match="--perturbations: no one/released=FILE, which one/control adds"):
        attacked(tmp_path, monkeypatch, name="control", spec=CONTROL)
    given = ("--perturbations", f"one/released={tmp_path / 'p.pt'}")
    with pytest.raises(
        UserError, match=r"p\.pt: fitted with seed '3', not '4'; give the file that was fitted for this"
    ):
        attacked(tmp_path, monkeypatch, *given, seed="4")


def test_killed_it_goes_on_after_its_last_pass_with_the_same_bits(tmp_path, monkeypatch):
    spec = {**RELEASED, "passes": 12}
    run(monkeypatch, fit, fitting(tmp_path, spec=spec))
    whole = (tmp_path / "p.pt").read_bytes()
    (tmp_path / "p.pt").unlink()
    line = [sys.executable, fit.__file__, *fitting(tmp_path, spec=spec)]
    running = subprocess.Popen(line, stderr=subprocess.DEVNULL)
    resume = tmp_path / "p.resume.pt"
    while not resume.exists() and running.poll() is None:
        time.sleep(0.005)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert running.returncode == -signal.SIGKILL and not (tmp_path / "p.pt").exists()
    run(monkeypatch, fit, fitting(tmp_path, spec=spec))
    assert 1 <= json.loads((tmp_path / "p.json").read_text())["resumed_passes"] < 12
    assert (tmp_path / "p.pt").read_bytes() == whole and not resume.exists()
