"""Jobs and Snakemake killed in the middle of a training: the same command ends with the same bytes."""

import re
import signal
import subprocess

import psutil
from long_training import EPOCHS, MODEL, NET, check_went_on, provenance
from project import Project, kill_tree, program_below, wait_for


def trainer_after_an_epoch(project: Project, snakemake: subprocess.Popen) -> psutil.Process:
    """Return the training program, stopped after its first epoch or a few more and before its last."""
    trainer = wait_for(lambda: program_below(snakemake, "scripts/train.py"), snakemake)
    wait_for((project.root / NET / "resume.pt").exists, snakemake)
    trainer.send_signal(signal.SIGSTOP)
    assert not (project.root / MODEL).exists(), "the training ended before it could be stopped"
    return trainer


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
    check_went_on(untrained, uninterrupted)


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
    check_went_on(untrained, uninterrupted)
    assert provenance(untrained)["resumed_epochs"] == int(kept[1])


def test_a_killed_snakemake_says_how_to_go_on(uninterrupted, untrained):
    """kill -9 of Snakemake and its job: the lock is named with its remedy, and after it the same command goes on.

    Before the kill a second Snakemake says the same: that the folder is in use, and not that files are incomplete.
    """
    process = untrained.start(MODEL)
    try:
        trainer_after_an_epoch(untrained, process)
        # Half of what the job makes is there, as with one that writes several files.
        (untrained.root / NET / "history.csv").touch()
        beside = untrained.fail(MODEL)
    finally:
        kill_tree(process)

    for message in (beside, untrained.fail(MODEL)):
        assert "cannot be locked" in message
        assert "--unlock" in message
        assert "incomplete" not in message
    untrained.make("--unlock")
    untrained.make(MODEL)
    check_went_on(untrained, uninterrupted)


def test_after_a_closed_terminal_the_same_command_goes_on(uninterrupted, untrained):
    """SIGHUP of Snakemake alone, as when its terminal goes: its job says what it saved, and no lock is left."""
    # Below nohup it is ignored, by what is started there too.
    as_told = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    process = untrained.start(MODEL)
    signal.signal(signal.SIGHUP, as_told)
    try:
        trainer = trainer_after_an_epoch(untrained, process)
        process.send_signal(signal.SIGHUP)
        trainer.resume()
        output, _ = process.communicate()
        psutil.wait_procs([trainer], timeout=60)
    finally:
        kill_tree(process)
    assert process.returncode == 1, output
    log = (untrained.results / "logs/music/train_audio_s1234.log").read_text(encoding="utf-8")
    assert len(re.findall(r"^terminated by SIGHUP: .* same command goes on", log, re.MULTILINE)) == 1, log

    untrained.make(MODEL)
    check_went_on(untrained, uninterrupted)
