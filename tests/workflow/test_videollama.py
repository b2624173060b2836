"""Figure 13 of Zhang et al.: planned where VideoLLaMA2 is there, else a skipped row, a skipped claim and one line."""

import csv
import json
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from planning import ROOT, configuration, copy_project, plan, replace, snakemake, unedited

from avrobust.asked import videollama2
from lib import index, videollama
from lib.errors import SettingsError
from lib.plan import Plan
from lib.settings import load_settings
from lib.videollama import lacking

PAPER, AVE = "zhang2025", "ave_clips"
NETS = ["AcV", "AsV", "AcR", "AsR", "RcV", "RsV", "RcR", "RsR"]
JOB = SimpleNamespace(dataset=AVE, surrogate="all", attack="tma", seed="1234", artefact=f"{PAPER}/figure13")
CLAIM = "tma_misleads_videollama"
FILES = (".svg", ".csv", ".png", "_answers.csv")


CHECK = videollama2.check_commit


@pytest.fixture(scope="module", autouse=True)
def at_its_commit() -> Iterator[None]:
    """No folder here is a checkout of the model's code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(videollama2, "check_commit", lambda repository: None)
        yield


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What a user says who has all that is needed."""
    folder = tmp_path_factory.mktemp("models")
    for name in (
        "weights/config.json",
        "repository/videollama2/__init__.py",
        "environment/bin/python",
        "environment/bin/ffmpeg",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return {"enabled": True, **{name: str(folder / name) for name in ("weights", "repository", "environment")}}


@pytest.fixture(scope="module")
def enabled(there: dict) -> Plan:
    return plan(unedited(), papers=[PAPER], videollama=there, device="cuda")


@cache
def disabled() -> Plan:
    return plan(unedited(), papers=[PAPER])


def claim(made: Plan) -> dict:
    (found,) = [one for one in made.grid.artefacts[PAPER, "claims"].spec["claims"] if one["name"] == CLAIM]
    return found


def test_nothing_is_planned_for_it_unless_it_is_enabled() -> None:
    made = disabled()
    why = "videollama is not enabled in config.yaml (docs/videollama.md)"
    assert made.tables.skipped == {f"{PAPER}/figure13": (PAPER, "answers", why, FILES)}
    assert AVE not in made.settings.datasets and made.grid.trained and not any(AVE in key for key in made.grid.cells)
    assert not any("figure13" in target for target in made.tables.targets([PAPER]))
    assert claim(made)["skipped"] == why and made.notes == []
    with pytest.raises(SettingsError, match=r"figure13\.png cannot be made: videollama is not enabled"):
        made.check_targets(["-n", "paper_tables/zhang2025/figure13.png"])
    made.check_targets(["paper_tables/zhang2025/figure12.png"])


def test_all_else_is_the_same_with_it(enabled: Plan) -> None:
    def others(made: Plan) -> dict:
        return {key: of for key, of in made.grid.cells.items() if key[0] != AVE}

    assert others(enabled) == disabled().grid.cells
    assert {net for dataset, net in enabled.grid.trained if dataset == AVE} == set(NETS)
    assert {*enabled.grid.trained} - {(AVE, net) for net in NETS} == disabled().grid.trained
    left = {name: one for name, one in enabled.grid.artefacts.items() if name[1] not in ("figure13", "claims")}
    assert left == {name: one for name, one in disabled().grid.artefacts.items() if name[1] != "claims"}


def test_the_eight_nets_are_attacked_as_one_and_their_clips_asked_about(enabled: Plan, there: dict) -> None:
    assert {key for key in enabled.grid.cells if key[0] == AVE} == {(AVE, "all", "pam"), (AVE, "all", "tma")}
    assert enabled.grid.nets_of("all") == tuple(NETS) and set(enabled.grid.cells[AVE, "all", "tma"]) == set(NETS)
    assert enabled.grid.clips_of("all") == 100
    asking, place = enabled.videollama, "results/demo/exported/ave_clips/s1234/all"
    assert asking.cells(JOB) == "results/demo/cells/ave_clips/s1234/all.tma.parquet"
    assert asking.provenance(JOB) == "results/demo/cells/ave_clips/s1234/all.tma.json"
    assert asking.clips(JOB) == [f"{place}.pam/clips.csv", f"{place}.tma/clips.csv"]
    told = asking.told(JOB)
    assert told["clips"] == [f"clean={place}.pam/clean.csv", f"pam={place}.pam/clips.csv", f"tma={place}.tma/clips.csv"]
    assert told["prompt"] == "Please point out the main object generating the sound based on the input video."
    assert (told["weights"], told["environment"]) == (there["weights"], [f"{there['environment']}/bin"])
    assert [asking.asking_minutes(JOB, attempt) for attempt in (1, 2, 3, 4)] == [240, 480, 720, 720]
    assert asking.asking_memory_mb(JOB, 2) == 2 * asking.asking_memory_mb(JOB, 1)
    assert json.loads(told["key"]) == {"dataset": AVE, "surrogate": "all"}
    exported = asking.told_to_export(JOB)
    assert (exported["modality"], exported["budget"]) == ("both", "calibrated")
    assert asking.job_minutes(JOB, 1) > 0 and asking.job_memory_mb(JOB, 1) > 0
    own = asking.code("export.py", "variant", "attack")(JOB)
    assert own != asking.code("export.py", "variant", "attack")(SimpleNamespace(**{**vars(JOB), "attack": "pam"}))


def test_the_job_that_asks_is_told_where_the_model_is(there: dict, tmp_path: Path) -> None:
    root, code = copy_project(tmp_path / "project"), tmp_path / "code"
    (code / "videollama2").mkdir(parents=True)
    (code / "videollama2/__init__.py").touch()
    git = ["git", "-C", str(code), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *words], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    replace(root / "scripts/avrobust/asked/videollama2.py", '"8cedfbda23e779246112cb963416b95415448a91"', f'"{head}"')
    told = {**there, "repository": str(code)}
    said = "{" + ", ".join(f"{key}: {value}" for key, value in told.items()) + "}"
    config = [f"papers=[{PAPER}]", f"videollama={said}", "device=cuda"]
    run = snakemake(root, "-n", "-p", "--config", *config, "--", "results/demo/answers/ave_clips/s1234/all.csv")
    assert run.status == 0, run.text
    (asked,) = [job.command for job in run.jobs if job.rule == "videollama"]
    assert f"for folder in {told['environment']}/bin; do" in asked
    assert f"--weights {told['weights']} --repository {code} " in asked


def test_the_figure_and_the_claim_read_its_answers(enabled: Plan) -> None:
    answers = ["results/demo/answers/ave_clips/s1234/all.csv"]
    for name in ("figure13", "claims"):
        of = SimpleNamespace(artefact=f"{PAPER}/{name}")
        assert enabled.tables.read("answers")(of) == answers
        assert enabled.tables.read("synonyms")(of) == ["resources/ave/synonyms.csv"]
    assert not enabled.tables.read("answers")(SimpleNamespace(artefact=f"{PAPER}/figure5"))
    assert "skipped" not in claim(enabled) and enabled.tables.skipped == {} and enabled.notes == []
    # At the paper scale the first seed alone: nets, cells, answers.
    said = {"device": "cuda", "videollama": enabled.settings.config["videollama"]}
    made = plan(unedited(), papers=[PAPER], scale="paper", **said)
    cells = made.tables.read("cells")(JOB)
    assert cells == [f"results/paper/cells/ave_clips/s1234/all.{bundle}.parquet" for bundle in ("pam", "defended")]
    assert made.data.clips(AVE) == 3339 + 402 + 402
    recipe = made.train.variant_on("AcV", AVE).recipe
    assert recipe == made.train.variant_on("AcV", "kinetics_sounds_721").recipe


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weights": None}, "videollama.weights of config.yaml is not given"),
        ({"weights": "/nowhere"}, "videollama.weights: /nowhere has no config.json; give the folder of"),
        ({"repository": "/nowhere"}, "videollama.repository: /nowhere has no videollama2/__init__.py"),
        ({"environment": "/nowhere"}, "videollama.environment: /nowhere has no bin/python; make it from"),
        ({"environment": None}, "videollama.environment of config.yaml is not given; give its folder, or --sdm conda"),
        ({"device": "cpu"}, "VideoLLaMA2 needs a GPU, and config.yaml has device: cpu"),
        ({"device": "auto"}, "VideoLLaMA2 needs a GPU, and none is seen here"),
    ],
)
def test_what_is_missing_is_one_line_and_the_rest_is_planned(there: dict, monkeypatch, change: dict, said: str) -> None:
    monkeypatch.setattr(videollama, "sees_gpu", lambda: False)
    told = {name: value for name, value in {**there, **change}.items() if name != "device" and value}
    config = configuration(unedited()) | {"papers": [PAPER], "device": change.get("device", "cuda"), "videollama": told}
    why = lacking(config, conda=False)
    assert said in why and "\n" not in why
    if "weights" in change or change == {"environment": None}:
        made = Plan.load(unedited(), config)
        assert made.notes == [f"{PAPER}/figure13 is skipped: {why}"]
        assert claim(made)["skipped"] == why and AVE not in made.settings.datasets


def test_it_is_there_with_all_that_is_needed(there: dict, monkeypatch) -> None:
    monkeypatch.setattr(videollama, "sees_gpu", lambda: True)
    for device in ("auto", "cuda"):
        assert lacking({"videollama": there, "device": device}, conda=False) == ""
    alone = {name: there[name] for name in ("enabled", "weights", "repository")}
    assert lacking({"videollama": alone, "device": "auto"}, conda=True) == ""
    assert Plan.load(unedited(), configuration(unedited(), papers=[PAPER], videollama=alone), conda=True).notes == []


def test_code_of_another_commit_and_an_environment_without_ffmpeg_are_seen_before_any_job(
    there: dict, tmp_path: Path, monkeypatch
) -> None:
    config = {"videollama": there, "device": "cuda"}
    with monkeypatch.context() as patch:
        patch.setattr(videollama2, "check_commit", CHECK)
        subprocess.run(["git", "init", "--quiet", there["repository"]], check=True)
        assert lacking(config, conda=False).startswith(f"videollama.repository: {there['repository']}")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").touch()
    own = {**config, "videollama": {**there, "environment": str(tmp_path)}}
    assert lacking(own, conda=False) == "" or videollama.shutil.which("ffmpeg") is None
    monkeypatch.setattr(videollama.shutil, "which", lambda name: None)
    said = f"videollama.environment: {tmp_path} has no bin/ffmpeg; make it from envs/videollama.yaml"
    assert lacking(own, conda=False) == said


def test_what_a_user_says_of_it_in_vain_is_told(there: dict) -> None:
    made = plan(unedited(), papers=["tian2021"], videollama=there, device="cuda")
    assert "videollama is enabled, but none of `papers` asks it" in made.notes
    with pytest.raises(SettingsError, match="videollama: unknown key model = 'x'; allowed are enabled, environment"):
        load_settings(unedited(), configuration(unedited(), videollama={"enabled": True, "model": "x"}))
    with pytest.raises(SettingsError, match=r"videollama\.enabled: 'yes' must be of type boolean"):
        load_settings(unedited(), configuration(unedited(), videollama={"enabled": "yes"}))


def test_the_index_says_why_it_is_skipped_and_keeps_what_was_made_before(tmp_path: Path) -> None:
    made = disabled()

    def row() -> dict:
        rows = [dict(zip(index.COLUMNS, line, strict=True)) for line in index.rows(tmp_path, made.tables, {})]
        (found,) = [one for one in rows if one["artefact"] == f"{PAPER}/figure13"]
        with (tmp_path / "index.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([index.COLUMNS, *(one.values() for one in rows)])
        return found

    for _ in range(2):
        skipped = row()
        assert (skipped["status"], skipped["why"]) == (
            "skipped", "videollama is not enabled in config.yaml (docs/videollama.md)"
        )  # fmt: skip
        assert (skipped["paper"], skipped["kind"], skipped["files"]) == (PAPER, "answers", "")
    names = [f"{PAPER}/figure13{suffix}" for suffix in FILES]
    (tmp_path / PAPER).mkdir()
    for name in names:
        (tmp_path / name).touch()
    done = [PAPER, f"{PAPER}/figure13", "answers", " ".join(names), "done", "", "paper", "100", "1"]
    with (tmp_path / "index.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([index.COLUMNS, done])
    assert list(row().values()) == done
    (tmp_path / names[0]).unlink()
    assert row()["status"] == "skipped"


def test_its_environment_is_its_own_and_pinned() -> None:
    told = yaml.safe_load((ROOT / "envs/videollama.yaml").read_text())
    (pip,) = [one["pip"] for one in told["dependencies"] if isinstance(one, dict)]
    assert {"torch==2.2.0", "torchaudio==2.2.0", "transformers==4.42.3"} < {*pip}
    assert all("==" in line for line in pip) and "ffmpeg" in told["dependencies"]
