"""A net and clips of different classes are refused by every program that brings them together."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import ModuleType

import pytest
from nets import narrow_spec
from test_store import clip
from tiny_store import VIEW

import attack
import embed
import localise
import search
import train
from avrobust.data import store
from avrobust.data.classes import check_classes
from avrobust.models.build import Part, build
from avrobust.models.files import save_model
from avrobust.program import UserError

OURS = ["flute", "violin", "tuba"]
OTHERS = {
    "fewer": (["flute", "violin"], "(2) than the clips of here have (3): only the list of the clips has 'tuba';"),
    "more": ([*OURS, "horn"], "(4) than the clips of here have (3): only the net has 'horn';"),
    "in another order": (["flute", "tuba", "violin"], ": class 1 is 'tuba' to the net and 'violin' to the clips;"),
    "others": (
        list("vwxyz"),
        ": only the net has 'v', 'w', 'x', 'y' and 1 more; only the list of the clips has 'flute',",
    ),
}
SPEC = narrow_spec(width=0.0625)


@pytest.mark.parametrize("case", OTHERS)
def test_what_differs_is_said(case: str) -> None:
    of_net, words = OTHERS[case]
    with pytest.raises(UserError) as error:
        check_classes("a.pt", of_net, "here", OURS)
    assert str(error.value).startswith("a.pt was trained for other classes (") and words in str(error.value)


def test_the_same_classes_pass() -> None:
    check_classes("a.pt", tuple(OURS), "here", list(OURS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of all splits, their class list, a net of their classes and one of the same in another order."""
    folder = tmp_path_factory.mktemp("classes")
    with store.writing(folder / "0.arrow", audio_rate=11025, frame_rate=8, classes=OURS) as shard:
        for number in range(6):
            shard.add(replace(clip(number, samples=4200), labels=(number % 3,)))
    for name, classes in (("ours", OURS), ("reversed", OURS[::-1])):
        state = {"model": build(SPEC, len(classes)).state_dict(), "objective": {}}
        save_model(folder / f"{name}.pt", SPEC, Part("cross_entropy"), classes, state, state, {})
        (folder / f"{name}.txt").write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
    return folder


def run(program: ModuleType, monkeypatch: pytest.MonkeyPatch, folder: Path, **given: object) -> None:
    """Run a program of scripts/ in this process; what it writes would be in `folder`."""
    given = {
        "shards": folder / "0.arrow", "view": VIEW, "device": "cpu",
        "provenance": folder / "out.json", **given,
    }  # fmt: skip
    words = [f"--{name}={json.dumps(one) if isinstance(one, dict | list) else one}" for name, one in given.items()]
    monkeypatch.setattr(sys, "argv", [program.__name__, *words])
    program.main()


BUDGET = {"audio": {"norm": "linf", "epsilon": 0.012}}
ATTACKED = {
    "attack-spec": {"update": "fgsm"}, "conditions": [["audio", "large"]], "batch-size": 2,
    "budgets": {"large": BUDGET}, "key": {"dataset": "music", "variant": "concat", "seed": "1", "attack": "fgsm"},
}  # fmt: skip
TRAINED = {"model-spec": asdict(SPEC), "objective": {"name": "cross_entropy"}, "variant": "concat", "seed": 1}
RECIPE = {
    "epochs": 1, "milestones": [], "batch_size": 2, "learning_rates": {"audio": 0.1, "visual": 0.1, "head": 0.1},
}  # fmt: skip


@pytest.mark.parametrize("program", [localise, embed])
def test_a_net_is_not_attacked_on_clips_of_other_classes(program: ModuleType, folder: Path, monkeypatch) -> None:
    given = ATTACKED | dict.fromkeys(["scores", "kept"], folder / "out") | {"model": folder / "reversed.pt"}
    with pytest.raises(UserError, match=r"reversed\.pt was trained for other classes"):
        run(program, monkeypatch, folder, **given)
    assert not list(folder.glob("out*"))


@pytest.mark.parametrize("wrong", ["a", "b"])
def test_neither_surrogate_nor_victim_is_of_other_classes(wrong: str, folder: Path, monkeypatch) -> None:
    nets = [f"{name}={folder / ('reversed.pt' if name == wrong else 'ours.pt')}" for name in "ab"]
    cell = {"surrogate": "a", "attack": "fgsm", "spec": {"update": "fgsm"}}
    told = {"cells": [{**cell, "victims": {"b": [["audio", "large"]]}}], "rows": folder / "out"}
    given = {name: ATTACKED[name] for name in ("batch-size", "budgets", "key")}
    words = [
        f"--{name}={json.dumps(one) if isinstance(one, dict | list) else one}" for name, one in (given | told).items()
    ]
    monkeypatch.setattr(
        sys, "argv", ["attack.py", *words, f"--shards={folder / '0.arrow'}", f"--view={json.dumps(VIEW)}"]
    )
    sys.argv += ["--device=cpu", f"--provenance={folder / 'out.json'}", "--nets", *nets]
    with pytest.raises(UserError, match=r"reversed\.pt was trained for other classes"):
        attack.main()


@pytest.mark.parametrize(
    ("start", "listed", "message"),
    [
        ("reversed", "ours", r"reversed\.pt was trained for other classes"),
        ("ours", "reversed", r"reversed\.txt has other classes than the clips of"),
    ],
)
@pytest.mark.parametrize("program", [train, search])
def test_a_second_stage_of_other_classes_is_refused(
    program: ModuleType, start: str, listed: str, message: str, folder: Path, monkeypatch
) -> None:
    files = {"train": ["model", "history"], "search": ["chosen", "candidates-csv"]}[program.__name__]
    given = TRAINED | {"recipe": RECIPE, "start": folder / f"{start}.pt", "class-list": folder / f"{listed}.txt"}
    given |= dict.fromkeys(files, folder / "out")
    if program is search:
        given |= {"candidates": [{}], "attack-spec": {"update": "fgsm"}, "budget": BUDGET}
    with pytest.raises(UserError, match=message):
        run(program, monkeypatch, folder, **given)
    assert not list(folder.glob("out*"))
