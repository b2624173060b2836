"""Jobs and Snakemake killed in the middle of a training: the same command ends with the same bytes."""

import json
import re
import signal
import subprocess
from dataclasses import dataclass

import psutil
import pytest
from project import Project, kill_tree, program_below, wait_for

# Enough that a training goes on for seconds after its first epoch, by which it is stopped in milliseconds.
EPOCHS = 120
NET = "results/tiny/models/music/audio/s1234"
MODEL = f"{NET}/model.pt"


@dataclass(frozen=True)
class Long:
    """A project with packed clips and a long training, and the bytes of a net trained without interruption."""

    project: Project
    model: bytes
    history: bytes


@pytest.fixture(scope="module")
def uninterrupted(finished, tmp_path_factory) -> Long:
    """The finished project's clips with a longer training, done once in one go."""
    project = finished.copy(tmp_path_factory.mktemp("long") / "project")
    project.edit_yaml("workflow/scales/tiny.yaml", lambda scale: scale["training"].update(epochs=EPOCHS))
    project.make(MODEL)
    assert json.loads((project.root / NET / "train.json").read_text())["resumed_epochs"] == 0
    return Long(project, (project.root / MODEL).read_bytes(), (project.root / NET / "history.csv").read_bytes())


@pytest.fixture
def untrained(uninterrupted, tmp_path) -> Project:
    """A copy in which the net is still to be trained."""
    project = uninterrupted.project.copy(tmp_path / "project")
    for path in (project.root / NET).iterdir():
        path.unlink()
    return project


def trainer_after_an_epoch(project: Project, snakemake: subprocess.Popen) -> psutil.Process:
    """Return the training program, stopped after its first epoch or a few more and before its last."""
    trainer = wait_for(lambda: program_below(snakemake, "scripts/train.py"), snakemake)
    wait_for((project.root / NET / "resume.pt").exists, snakemake)
    trainer.send_signal(signal.SIGSTOP)
    assert not (project.root / MODEL).exists(), "the training ended before it could be stopped"
    return trainer


def check_same_net(project: Project, uninterrupted: Long) -> None:
    """The net and its history have the bytes of the uninterrupted training, and were not trained from the start."""
    resumed = json.loads((project.root / NET / "train.json").read_text())["resumed_epochs"]
    assert 1 <= resumed < EPOCHS
    log = (project.results / "logs/music/train_audio_s1234.log").read_text(encoding="utf-8")
    assert f"going on after epoch {resumed} of {NET}/resume.pt" in log
    assert (project.root / MODEL).read_bytes() == uninterrupted.model
    assert (project.root / NET / "history.csv").read_bytes() == uninterrupted.history
    assert not (project.root / NET / "resume.pt").exists()


def test_a_killed_training_goes_on(uninterrupted, untrained):
    """kill -9 of the training program alone: Snakemake fails and says where, the same command then finishes."""
    process = untrained.start(MODEL)
    try:
        trainer_after_an_epoch(untrained, process).kill()
        output, _ = process.communicate()
    finally:
        kill_tree(process)
    assert process.returncode == 1, output
    assert "Error in rule train" in output
    assert "train_audio_s1234.log" in output
    assert not (untrained.root / MODEL).exists()

    untrained.make(MODEL)
    check_same_net(untrained, uninterrupted)


def test_a_terminated_training_says_what_it_saved_and_goes_on(uninterrupted, untrained):
    """SIGTERM, as SLURM sends it before it kills: one line in the log and no traceback, then the same bytes."""
    process = untrained.start(MODEL)
    try:
        trainer = trainer_after_an_epoch(untrained, process)
        trainer.terminate()
        trainer.resume()
        output, _ = process.communicate()
    finally:
        kill_tree(process)
    assert process.returncode == 1, output
    assert "exit code 143" in output or "exit status 143" in output, output
    log = (untrained.results / "logs/music/train_audio_s1234.log").read_text(encoding="utf-8")
    said = re.findall(r"^terminated by SIGTERM: (.*)$", log, re.MULTILINE)
    assert len(said) == 1, log
    kept = re.fullmatch(
        rf"{NET}/resume.pt holds the training after epoch (\d+) of {EPOCHS}; the same command goes on .*", said[0]
    )
    assert "Traceback" not in log
    assert [path.name for path in (untrained.root / NET).iterdir()] == ["resume.pt"]

    untrained.make(MODEL)
    check_same_net(untrained, uninterrupted)
    assert json.loads((untrained.root / NET / "train.json").read_text())["resumed_epochs"] == int(kept[1])


def test_a_killed_snakemake_says_how_to_go_on(uninterrupted, untrained):
    """kill -9 of Snakemake and its job: the lock is named with its remedy, and after it the training goes on."""
    process = untrained.start(MODEL)
    try:
        trainer_after_an_epoch(untrained, process)
    finally:
        kill_tree(process)

    message = untrained.fail(MODEL)
    assert "cannot be locked" in message
    assert "--unlock" in message
    untrained.make("--unlock")
    untrained.make("--rerun-incomplete", MODEL)
    check_same_net(untrained, uninterrupted)
