"""A training that is long enough to be stopped in the middle, and what it makes if it is not."""

import json
from dataclasses import dataclass

from project import Project, undefended

# Enough that it goes on for seconds after its first epoch, by which it is stopped in milliseconds.
EPOCHS = 120
NET = "results/tiny/models/music/audio/s1234"
MODEL = f"{NET}/model.pt"


@dataclass(frozen=True)
class LongTraining:
    """A project with packed clips and a long training, the bytes of its uninterrupted net, the memory that it took."""

    project: Project
    model: bytes
    history: bytes
    memory_mib: int

    @classmethod
    def of(cls, project: Project) -> "LongTraining":
        """Read what `train_uninterrupted` made."""
        net = project.root / NET
        files = (net / "model.pt").read_bytes(), (net / "history.csv").read_bytes()
        return cls(project, *files, provenance(project)["peak_memory_mib"])


def train_uninterrupted(project: Project) -> None:
    """Make the training of a finished project long, and do it in one go."""
    project.edit_yaml("workflow/scales/tiny.yaml", lambda scale: undefended(scale).update(epochs=EPOCHS))
    # Its memory is measured.
    project.make_alone(MODEL)
    assert provenance(project)["resumed_epochs"] == 0


def provenance(project: Project) -> dict:
    """Return what was written down about the net."""
    return json.loads((project.root / NET / "train.json").read_text(encoding="utf-8"))


def check_same_bytes(project: Project, uninterrupted: LongTraining) -> None:
    """The net and its history are those of the uninterrupted training."""
    assert (project.root / MODEL).read_bytes() == uninterrupted.model
    assert (project.root / NET / "history.csv").read_bytes() == uninterrupted.history
    assert not (project.root / NET / "resume.pt").exists()


def check_went_on(project: Project, uninterrupted: LongTraining, saved: int = 1) -> None:
    """The same bytes, and no epoch was done again of the `saved` that were there when the training was stopped."""
    check_same_bytes(project, uninterrupted)
    resumed = provenance(project)["resumed_epochs"]
    assert saved <= resumed < EPOCHS
    log = (project.results / "logs/music/train_audio_s1234.log").read_text(encoding="utf-8")
    assert f"going on after epoch {resumed} of {NET}/resume.pt" in log
