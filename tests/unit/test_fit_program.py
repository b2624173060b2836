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
BUDGETS["less"] = {"audio": {"norm": "l2_clip", "epsilon": -0.1}}
KEY = {"dataset": "music", "variant": "one", "seed": "3"}
RELEASED = {"update": "universal", "passes": 3, "fit_batch": 4}
CONTROL = {"update": "universal_random", "as_long_as": "released"}
CONDITIONS = [["audio", "l2"], ["both", "l2"]]
HONEST = {"update": "universal_projected", "passes": 2, "fit_batch": 4, "fitted_on": "train"}
CPU = torch.device("cpu")


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


def one(spec: dict = RELEASED, attack: str = "released", split: str = "test", conditions: list = CONDITIONS) -> dict:
    return {"attack": attack, "spec": spec, "split": split, "conditions": conditions}


def fitting(folder: Path, *attacks: dict, key: dict = KEY) -> list[str]:
    told = {"attacks": attacks or [one()], "key": key}
    plain = {"model": folder / "one.pt", "perturbations": folder / "p.pt", "provenance": folder / "p.json"}
    return [*common(folder), *(f"--{name}={json.dumps(value)}" for name, value in told.items()),
            *(f"--{name}={value}" for name, value in plain.items())]  # fmt: skip


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
    found = read_tensors(tmp_path / "p.pt", CPU)
    assert found["key"] == KEY and list(found["perturbations"]) == ["released"]
    made = json.loads((tmp_path / "p.json").read_text())
    assert {name: made[name] for name in KEY} == KEY and not list(tmp_path.glob("*.resume.pt"))
    (said,) = made["fits"]
    asked = {"passes": 3, "fit_batch": 4, "clips": CLIPS["test"], "split": "test", "objective": "CrossEntropy"}
    assert {name: said[name] for name in asked} == asked and said["attack"] == "released"
    given = ("--perturbations", f"one/released={tmp_path / 'p.pt'}")
    rows, of_cell = attacked(tmp_path, monkeypatch, *given)
    assert list(found["perturbations"]["released"]) == ["audio at l2", "both at l2"]
    norms = found["perturbations"]["released"]["both at l2"]
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
    with pytest.raises(UserError, match="--attacks: honest: it is fitted_on train, not test; give that split"):
        run(monkeypatch, fit, fitting(tmp_path, one(HONEST, "honest")))
    run(monkeypatch, fit, fitting(tmp_path, one(HONEST, "honest", "train")))
    (said,) = json.loads((tmp_path / "p.json").read_text())["fits"]
    assert said["clips"] == CLIPS["train"] and said["split"] == "train"


def test_each_attack_of_a_file_is_fitted_as_it_is_alone(tmp_path, monkeypatch):
    """To its own clips under its own conditions, and a cell adds what is its own."""
    both = [one(), one(HONEST, "honest", "train", [["visual", "l2"]])]
    found = {}
    for attacks in (both, *([told] for told in both)):
        run(monkeypatch, fit, fitting(tmp_path, *attacks))
        found[len(attacks), attacks[0]["attack"]] = read_tensors(tmp_path / "p.pt", CPU)["perturbations"]
    apart = found[1, "released"] | found[1, "honest"]
    assert list(apart["honest"]) == ["visual at l2"]
    torch.testing.assert_close(found[2, "released"], apart, rtol=0, atol=0)
    with pytest.raises(UserError, match=r"p\.pt: nothing was fitted for released, only for honest; fit it too"):
        attacked(tmp_path, monkeypatch, "--perturbations", f"one/released={tmp_path / 'p.pt'}")


@pytest.mark.parametrize(
    ("told", "key", "message"),
    [
        ({"spec": {"update": "pgd"}}, KEY, "--attacks: released: pgd attacks each clip by itself"),
        ({"spec": CONTROL}, KEY, "--attacks: released: universal_random attacks each clip by itself"),
        ({"conditions": [["audio", "quiet"]]}, KEY, "budget quiet: an snr gives each clip its own epsilon"),
        ({}, {"dataset": "music"}, "--key: variant, seed must be given"),
        ({}, KEY | {"seed": "one"}, "--key: seed: 'one' is no whole number from 0 on"),
        ({"spec": {"updte": "universal"}}, KEY, "an attack is described as .*, not as {'updte': 'universal'}"),
        ({"spec": "universal"}, KEY, "an attack is described as .*, not as 'universal'"),
        ({"conditions": []}, KEY, "--attacks: released: no condition is given"),
        ({"conditions": [["clean", "l2"]]}, KEY, "--attacks: released: clean.*: the net takes audio, visual alone"),
        ({"conditions": [["audio", "less"]]}, KEY, "a budget's epsilon is 0 or more, not -0.1"),
    ],
)
def test_what_cannot_be_fitted_is_named(tmp_path, monkeypatch, told, key, message):
    with pytest.raises(UserError, match=message):
        run(monkeypatch, fit, fitting(tmp_path, one(**told), key=key))


@pytest.mark.parametrize(
    ("attacks", "message"),
    [
        ([], r"a list of one attack or more is needed, not \[\]"),
        ({"attack": "released"}, "a list of one attack or more is needed"),
        ([{"attack": "released"}], "does not give attack, spec, split, conditions"),
        (["released"], "'released' does not give attack, spec"),
        ([one(split="tset")], "released: split 'tset' is none of train, val, test"),
        ([one(), one(HONEST, split="train")], "released is given twice; leave one out"),
    ],
)
def test_attacks_that_are_told_wrongly_are_named(tmp_path, monkeypatch, attacks, message):
    words = [word for word in fitting(tmp_path) if not word.startswith("--attacks=")]
    with pytest.raises(UserError, match=f"--attacks: .*{message}"):
        run(monkeypatch, fit, [*words, f"--attacks={json.dumps(attacks)}"])


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


def killed_while(line: list[str], resume: Path) -> None:
    """Run a fit and kill it as soon as `resume` is there."""
    running = subprocess.Popen([sys.executable, fit.__file__, *line], stderr=subprocess.DEVNULL)
    while not resume.exists() and running.poll() is None:
        time.sleep(0.005)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert running.returncode == -signal.SIGKILL


def test_killed_it_goes_on_after_its_last_pass_with_the_same_bits(tmp_path, monkeypatch):
    """In the first fit or in the second, of which the first is not made again."""
    line = fitting(tmp_path, one({**RELEASED, "passes": 12}), one({**HONEST, "passes": 12}, "honest", "train"))
    run(monkeypatch, fit, line)
    whole = (tmp_path / "p.pt").read_bytes()
    for name, passes in (("released", (1, 0)), ("honest", (12, 1))):
        (tmp_path / "p.pt").unlink()
        killed_while(line, tmp_path / f"p.{name}.resume.pt")
        assert not (tmp_path / "p.pt").exists()
        run(monkeypatch, fit, line)
        resumed = [said["resumed_passes"] for said in json.loads((tmp_path / "p.json").read_text())["fits"]]
        assert all(least <= of <= 12 for least, of in zip(passes, resumed, strict=True)) and resumed[1] < 12
        assert (tmp_path / "p.pt").read_bytes() == whole and not list(tmp_path.glob("*.resume.pt"))


def test_killed_between_two_fits_it_goes_on_with_the_second(tmp_path, monkeypatch):
    line = fitting(tmp_path, one(), one(HONEST, "honest", "train"))
    run(monkeypatch, fit, line)
    whole = (tmp_path / "p.pt").read_bytes()
    (tmp_path / "p.pt").unlink()
    real = fit.fit

    def ended_after_the_first(threat: object, *given: object) -> object:
        if threat.name == "honest":
            raise KeyboardInterrupt
        return real(threat, *given)

    monkeypatch.setattr(fit, "fit", ended_after_the_first)
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, fit, line)
    monkeypatch.setattr(fit, "fit", real)
    run(monkeypatch, fit, line)
    assert [said["resumed_passes"] for said in json.loads((tmp_path / "p.json").read_text())["fits"]] == [3, 0]
    assert (tmp_path / "p.pt").read_bytes() == whole
