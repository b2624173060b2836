"""Asking VideoLLaMA2: its clips, its loader, its answers judged, with a stand-in that reads really exported files."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import av
import numpy as np
import pytest
import torch
from artefacts import make
from drawings import check_drawing
from nets import narrow_net, narrow_spec
from scipy.stats import beta, binomtest
from test_export import CLIP_VIEW, TOGETHER, exported, run_attack
from tiny_store import CLASSES, CLIPS, write_shard

import videollama
from avrobust.asked import videollama2
from avrobust.asked.answers import Answer, read_answers, write_answers
from avrobust.asked.synonyms import is_named, read_synonyms
from avrobust.metrics.answers import judge
from avrobust.metrics.rows import cells_of
from avrobust.metrics.scores import Scores
from avrobust.models.build import Part
from avrobust.models.files import save_model
from avrobust.program import UserError
from avrobust.report.claims import judge as verdicts
from avrobust.spec import notation
from avrobust.spec.artefacts.claims import claims, needs
from avrobust.spec.kind import ANSWERS

ROOT = Path(__file__).parents[2]
SYNONYMS = ROOT / "resources/ave/synonyms.csv"
PROMPT = "What sounds?"


# Whether a class is named.
@pytest.mark.parametrize(
    ("label", "answer", "named"),
    [
        ("Church_bell", "The main object is a church bell.", True),
        ("Church_bell", "BELLS are ringing", True),
        ("Race_car", "It is car-racing on a track", True),
        ("airplane", "car racing", False),
        ("Bus", "The sound comes from a business man", False),
        ("Bus", "two buses", True),
        ("Train_horn", "a locomotive", True),
        ("Truck", "", False),
        ("of_no_synonym", "this is of no synonym, I think", True),
    ],
)  # fmt: skip
def test_a_class_is_named_in_whole_words(label: str, answer: str, named: bool) -> None:
    assert is_named(label, answer, read_synonyms(SYNONYMS)) == named


def test_synonyms_are_of_classes_that_there_are_and_of_no_two_alike() -> None:
    classes = (ROOT / "workflow/datasets/ave_clips.yaml").read_text()
    found = read_synonyms(SYNONYMS)
    assert all(f"\n  - {name}\n" in classes for name in found) and len(found) == 28 - len({"Ukulele"} - {*found})
    words = [(name, word) for name, of in found.items() for word in of]
    assert len(words) == len(set(words))


def answers(right: dict[str, str], dataset: str = "ave_clips") -> list[Answer]:
    """By attack a text of y and n, clip by clip."""
    say = {"y": "a cat", "n": "a dog"}
    return [
        Answer(dataset, "all", f"clip{number}", "Cat", attack, say[is_right])
        for attack, clips in right.items()
        for number, is_right in enumerate(clips)
    ]


def test_success_is_counted_among_clips_recognised_clean_with_clopper_and_pearsons_interval() -> None:
    judged = judge(answers({"clean": "yyyynn", "tma": "nnnyyn", "pam": "nyyyyn"}), {})["ave_clips", "all"]
    assert judged.recognised.ends[0] == pytest.approx(100 * 4 / 6)
    found = judged.success("tma")
    ends = 100 * beta.ppf(0.025, 3, 2), 100 * beta.ppf(0.975, 4, 1)
    assert (found.value, found.clips, found.seeds) == (75, 4, 1)
    assert (found.low(), found.high()) == pytest.approx(ends, abs=1e-3)
    assert judged.success("pam").value == 25
    with pytest.raises(UserError, match="no answers under fgsm; there are those under clean, tma, pam"):
        judged.success("fgsm")


def test_answers_of_other_clips_and_none_that_is_recognised_are_named() -> None:
    with pytest.raises(UserError, match="ave_clips and all: tma and clean are not of the same clips; ask anew"):
        judge(answers({"clean": "yy", "tma": "y"}), {})
    nothing = judge(answers({"clean": "nn", "tma": "ny"}), {})["ave_clips", "all"]
    with pytest.raises(UserError, match="none of 2 clean clips is recognised"):
        nothing.success("tma")


def claimed(tests: str):
    told = {"name": "one", "section": "D", "sentence": "So.", "datasets": ["ave_clips"], "tests": tests}
    return claims({"paper": "p", "claims": notation.claims([told], {}, {})})


def verdict(tests: str, said: list[Answer]):
    (found,) = verdicts(claimed(tests), cells_of([]), Scores([]), {}, judge(said, {}))
    return found.overall


TEST = "VideoLLaMA2<all/tma.missed@calibrated > VideoLLaMA2<all/pam.missed@calibrated"


def test_a_claim_of_answers_is_mcnemars_test_of_the_clips_recognised_clean() -> None:
    """Of 14 recognised clips TMA alone misleads 9 and PAM alone 1; ten that were wrong before do not count."""
    said = answers({"clean": "y" * 14 + "n" * 10, "tma": "n" * 9 + "y" * 5 + "y" * 10, "pam": "y" * 9 + "n" + "y" * 14})
    one = verdict(TEST, said)
    assert (one.effect, one.n, one.verdict) == (pytest.approx(100 * 8 / 14), 14, "holds here")
    assert one.p_holds == pytest.approx(binomtest(9, 10, alternative="greater").pvalue, abs=1e-6)
    assert verdict("VideoLLaMA2<all/tma.missed@calibrated > 90", said).verdict == "fails here"
    assert [need.family for need in needs(claimed(TEST))] == [ANSWERS, ANSWERS]
    nothing = verdict(TEST, answers({"clean": "nn", "tma": "nn", "pam": "yy"}))
    assert nothing.verdict == "undecided" and "no clip has a value" in nothing.note
    for other in ("AcV/pam.success@calibrated", "VideoLLaMA2<all-AcV/tma.missed@calibrated"):
        with pytest.raises(UserError, match="answers in words are compared with such to clips of the same surrogate"):
            claimed(f"VideoLLaMA2<all/tma.missed@calibrated > {other}")


class StandIn:
    """Names the class of the tone that it hears in a file, unless the first frame was made brighter."""

    def __init__(self, weights: Path, repository: Path):
        assert (weights, repository) == (Path("weights"), Path("checkout"))

    def ask(self, path: Path, prompt: str) -> str:
        assert prompt == PROMPT
        frames, sound = decoded(path)
        clean, _ = decoded(path.parent.parent / "clean" / path.name)
        tones = [abs(np.fft.rfft(sound)[round(400 * (label + 1) * len(sound) / 11025)]) for label in range(3)]
        is_misled = frames[0].astype(int).sum() > clean[0].astype(int).sum()
        return "a dog" if is_misled else f"It is a\n{CLASSES[int(np.argmax(tones))]}."


def decoded(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return frames, uint8 (T, H, W, 3), and samples, int16, of a file."""
    with av.open(str(path)) as file:
        assert {stream.codec_context.name for stream in file.streams} == {"ffv1", "pcm_s16le"}
        parts = list(file.decode())
    frames = [one.to_ndarray(format="rgb24") for one in parts if isinstance(one, av.VideoFrame)]
    return np.stack(frames), np.concatenate([one.to_ndarray()[0] for one in parts if isinstance(one, av.AudioFrame)])


# Of the clips of the test, which an ensemble may leave out.
SOME = 6
ATTACKS = {"pam": {"update": "pgd"}, "tma": {"update": "mim"}}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with cells of two nets attacked as one, and their clips as files."""
    folder = tmp_path_factory.mktemp("written")
    shard = write_shard(folder / "made/0.arrow")
    for seed, name in enumerate(("one", "two")):
        state = {"model": narrow_net(classes=len(CLASSES), seed=seed).state_dict(), "objective": {}}
        save_model(folder / f"made/{name}.pt", narrow_spec(), Part("cross_entropy"), CLASSES, state, state, {})
    victims = {"victims": {"one": [["both", "large"]], "two": [["both", "large"]]}, "floats": ["one", "two"]}
    victims |= {"clips": SOME}
    cells = [{**TOGETHER, **victims, "attack": name, "spec": spec} for name, spec in ATTACKS.items()]
    with pytest.MonkeyPatch.context() as patch:
        run_attack(patch, folder / "made", shard, cells, CLIP_VIEW)
        for name in ATTACKS:
            more = {"surrogate": "all", "attack": name}
            exported(patch, folder / "made", folder / name, "--attacked-only", "--with-clean", **more)
    return folder


@pytest.fixture
def asked(written: Path, tmp_path: Path, monkeypatch) -> Path:
    """A copy of it, with a stand-in's answers."""
    folder = Path(shutil.copytree(written, tmp_path / "written"))
    monkeypatch.setattr(videollama, "VideoLLaMA2", StandIn)
    ask(monkeypatch, folder)
    return folder


def ask(monkeypatch, folder: Path) -> None:
    tables = {"clean": folder / "pam/clean.csv", **{name: folder / name / "clips.csv" for name in ATTACKS}}
    told = ["--clips", *(f"{name}={path}" for name, path in tables.items()), "--prompt", PROMPT]
    told += ["--key", '{"dataset": "music", "surrogate": "all"}', "--weights", "weights", "--repository", "checkout"]
    told += ["--answers", folder / "answers.csv", "--provenance", folder / "answers.json"]
    monkeypatch.setattr(sys, "argv", ["videollama.py", *map(str, told)])
    videollama.main()


def test_clean_files_hold_what_attacked_ones_do_but_for_the_attack(asked: Path) -> None:
    rows = list(csv.DictReader((asked / "tma/clean.csv").open()))
    attacked = list(csv.DictReader((asked / "tma/clips.csv").open()))
    assert [row["clip_id"] for row in rows] == [row["clip_id"] for row in attacked]
    assert len(rows) == SOME < CLIPS["test"]
    for row, other in zip(rows, attacked, strict=True):
        (frames, sound), (changed, heard) = (decoded(asked / "tma" / one["path"]) for one in (row, other))
        assert frames.shape == changed.shape and sound.shape == heard.shape
        # 0.012 of ImageNet's deviations is 0.7 of a pixel's levels; of a sample's 393.
        assert 0 < np.abs(frames.astype(int) - changed).max() <= 1
        assert 0 < np.abs(sound.astype(int) - heard).max() <= 0.012 * 2**15 + 1


def test_the_whole_figure_from_exported_files_by_a_stand_in(asked: Path, tmp_path: Path) -> None:
    said = read_answers([asked / "answers.csv"])
    assert len(said) == 3 * SOME == 3 * json.loads((asked / "answers.json").read_text())["clips"]
    clean = [one for one in said if one.attack == "clean"]
    assert all(one.answer == f"It is a {one.label}." for one in clean), "the stand-in hears the tone of each class"
    read = {"dataset": "music", "surrogate": "all", "modality": "both", "budget": "large"}
    spec = {"title": "Figure 13", "read": read, "attacks": [*ATTACKS], "victims": ["one", "two"]}
    spec |= {"prompt": PROMPT, "synonyms": "", "labels": {"attack": {"pam": "PAM", "tma": "TMA"}}, "citation": "Z"}
    spec |= {"sources": {"music": "render"}}
    published = tmp_path / "published.csv"
    published.write_text("attack,column,value,note\nPAM,success,41,\nTMA,success,74,\n")
    given = {"cells": [asked / "made/cells.parquet"], "answers": [asked / "answers.csv"]}
    made = make("answers", spec, tmp_path / "figure13", **given, synonyms=[SYNONYMS], published=[published])
    assert made.returncode == 0, made.stderr
    lines = {(row["attack"], row["column"]): row for row in csv.DictReader((tmp_path / "figure13.csv").open())}
    assert list(lines) == [
        ("clean", "recognised"), ("PAM", "success"), ("PAM", "success_on_nets"), ("TMA", "success"),
        ("TMA", "success_on_nets"),
    ]  # fmt: skip
    for attack, printed in (("PAM", "41.00"), ("TMA", "74.00")):
        row, of = lines[attack, "success"], [one for one in said if one.attack == attack.lower()]
        missed = sum(one.answer == "a dog" for one in of)
        assert (row["ours"], row["n"], row["published"]) == (f"{100 * missed / len(of):.2f}", str(len(of)), printed)
        assert float(row["low"]) <= float(row["ours"]) <= float(row["high"]) and missed > 0
    kept = list(csv.DictReader((tmp_path / "figure13_answers.csv").open()))
    assert [row["right"] for row in kept if row["attack"] == "clean"] == ["yes"] * SOME
    check_drawing("answers", tmp_path / "figure13.svg", places=False)


def test_tables_that_are_not_of_the_same_clips_and_files_that_are_gone_are_named(asked: Path, monkeypatch) -> None:
    text = (asked / "tma/clips.csv").read_text()
    (asked / "tma/clips.csv").write_text("".join(text.splitlines(keepends=True)[:-1]))
    with pytest.raises(UserError, match="clips of clean and tma are not the same: test"):
        ask(monkeypatch, asked)
    (asked / "tma/clips.csv").write_text(text)
    next((asked / "tma/clips").iterdir()).unlink()
    with pytest.raises(UserError, match=r"tma/clips\.csv: .*mkv is not there; remove the table, and let snakemake"):
        ask(monkeypatch, asked)


def test_answers_of_several_lines_are_kept_on_one(tmp_path: Path) -> None:
    said = [Answer("d", "s", "c", "Cat", "clean", 'A "cat",\n  I think')]
    write_answers(tmp_path / "a.csv", said)
    (one,) = read_answers([tmp_path / "a.csv"])
    assert one.answer == 'A "cat", I think'
    (tmp_path / "a.csv").write_text("clip_id,answer\n")
    with pytest.raises(UserError, match=r"a\.csv: the header must be dataset,surrogate,clip_id"):
        read_answers([tmp_path / "a.csv"])


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch) -> SimpleNamespace:
    """A package that offers what VideoLLaMA2's does, a checkout at the commit that is asked for, what it was told."""
    repository, weights, told = tmp_path / "checkout", tmp_path / "VideoLLaMA2.1-7B-AV", {}
    (repository / "videollama2").mkdir(parents=True)
    weights.mkdir()
    (repository / "videollama2/__init__.py").write_text("# code\n")
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "one"]):
        subprocess.run([*git, *words], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    package, utils = ModuleType("videollama2"), ModuleType("videollama2.mm_utils")

    def model_init(path, **how):
        told.update(path=path, where=str(Path.cwd()), how=how)
        torch.save({"w": torch.ones(2)}, tmp_path / "tensors.bin")
        assert torch.load(tmp_path / "tensors.bin", weights_only=False)["w"].sum() == 2
        torch.save(print, tmp_path / "code.bin")
        with pytest.raises(Exception, match=r"[Ww]eights.only"):
            torch.load(tmp_path / "code.bin")
        return "model", {"video": lambda path, va: {"video": path, "audio": va}}, "tokenizer"

    def load_audio_from_video(path):
        if not Path(path).exists():
            raise RuntimeError("Failed to load audio")

    package.model_init = model_init
    package.mm_infer = lambda seen, prompt, **how: f"{prompt} {sorted(how.items())} {sorted(seen.items())}"
    utils.load_audio_from_video = load_audio_from_video
    monkeypatch.setitem(sys.modules, "videollama2", package)
    monkeypatch.setitem(sys.modules, "videollama2.mm_utils", utils)
    monkeypatch.setattr(videollama2, "COMMIT", head)
    monkeypatch.setattr(videollama2.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "load", torch.load)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return SimpleNamespace(repository=repository, weights=weights, told=told)


def test_the_model_is_loaded_and_asked_as_its_own_demo_does(checkout, tmp_path: Path) -> None:
    """Its audio tower is named relative to the weights; sound that cannot be read would be silence to it."""
    model = videollama2.VideoLLaMA2(checkout.weights, checkout.repository)
    weights = str(checkout.weights)
    assert checkout.told == {"path": weights, "where": weights, "how": {"use_safetensors": True}}
    assert Path.cwd() != checkout.weights and sys.path[0] == str(checkout.repository)
    clip = tmp_path / "a.mkv"
    clip.touch()
    how = "[('do_sample', False), ('max_new_tokens', 64), ('modal', 'video'), ('model', 'model'), "
    how += "('tokenizer', 'tokenizer')]"
    assert model.ask(clip, PROMPT) == f"{PROMPT} {how} [('audio', True), ('video', '{clip}')]"
    with pytest.raises(RuntimeError, match="Failed to load audio"):
        model.ask(tmp_path / "b.mkv", PROMPT)


def test_what_the_model_lacks_is_one_line(checkout, monkeypatch) -> None:
    def refused(match: str) -> None:
        with pytest.raises(UserError, match=match):
            videollama2.VideoLLaMA2(checkout.weights, checkout.repository)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    refused("VideoLLaMA2 needs a GPU with 24 GB, and torch sees none here")
    monkeypatch.setitem(sys.modules, "videollama2", None)
    refused(r"cannot run VideoLLaMA2 \(.*videollama2.*\); make its environment from envs/videollama.yaml")
    monkeypatch.setattr(videollama2.shutil, "which", lambda name: None)
    refused("no ffmpeg is found")
    (checkout.repository / "videollama2/__init__.py").write_text("# other code\n")
    refused(r"checkout: videollama2/__init__\.py was changed since commit")
    monkeypatch.setattr(videollama2, "COMMIT", "8" * 40)
    refused(rf"is at commit [0-9a-f]{{40}}; `git -C \S+ checkout {'8' * 40}`")
    with pytest.raises(UserError, match=r"no checkout of VideoLLaMA2 \(.*not a git repository"):
        videollama2.check_commit(checkout.weights)
