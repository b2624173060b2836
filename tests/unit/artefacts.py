"""The program that makes artefacts, as users run it."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import preloaded
from drawings import check_drawing

from avrobust.lazy import load
from avrobust.spec.registry import KINDS

PROGRAM = Path(__file__).parents[2] / "scripts/artefact.py"


def arguments(kind: str, spec: object, stem: Path, **given: object) -> list[str]:
    """Return the arguments that make `stem` with each suffix of the kind; `given`: lists of files by what they hold."""
    reads = [str(word) for name, paths in given.items() for word in (f"--{name}", *paths)]
    files = [f"{stem}{suffix}" for suffix in load(KINDS, kind).files]
    return ["--kind", kind, "--spec", json.dumps(spec), "--scale", "demo", *reads, "--files", *files]


def make(kind: str, spec: object, stem: Path, **given: object) -> subprocess.CompletedProcess:
    """Run the program."""
    return preloaded.program([PROGRAM, *arguments(kind, spec, stem, **given)])


def make_alone(kind: str, spec: object, stem: Path, **given: object) -> subprocess.CompletedProcess:
    """Run the program in a process that has its imports and its order of sets for itself."""
    command = [sys.executable, str(PROGRAM), *arguments(kind, spec, stem, **given)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def drawn_twice(kind: str, spec: object, folder: Path, name: str = "", **given: object) -> tuple[str, str]:
    """Check that a figure is made with the same bytes twice; return the words of its drawing, and its data.

    `name`: of the drawing in drawings.csv, where that is not the kind.
    """
    one, two = (folder / name / "figure" for name in ("one", "two"))
    for stem, run in ((one, make), (two, make_alone)):
        made = run(kind, spec, stem, **given)
        assert made.returncode == 0, made.stderr
    for suffix in load(KINDS, kind).files:
        assert Path(f"{one}{suffix}").read_bytes() == Path(f"{two}{suffix}").read_bytes(), suffix
    check_drawing(name or kind, one.with_suffix(".svg"), places=kind != "hulls")
    words = "".join(ElementTree.parse(one.with_suffix(".svg")).getroot().itertext())
    return words, one.with_suffix(".csv").read_text()
