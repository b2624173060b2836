"""A reference: the tables, figures and digests of weights of a finished run, and what another run makes otherwise.

A reference is a folder with a copy of each CSV, Markdown and PNG file that a run made, and `reference.json`: the
commit, the processor, the versions, the devices of the trainings, and for each model a digest of its tensors.
"""

import csv
import hashlib
import json
import math
import platform
import shutil
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from importlib.metadata import version
from itertools import zip_longest
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from avrobust import processor
from avrobust.files import replacing, write_json
from avrobust.program import UserError

KINDS = (".csv", ".md", ".png")
RECORD = "reference.json"
PACKAGES = ("torch", "numpy", "scipy", "pyarrow", "pandas", "scikit-learn", "matplotlib", "pillow", "av")
STATES = ("best", "latest")
DIFFERENCE_COLUMNS = ("file", "line", "entry", "column", "reference", "here", "difference")


class Difference(NamedTuple):
    """One field of a CSV file that is another than in the reference."""

    file: str
    line: int
    """Counted from 1, which is the header's."""
    entry: str
    """The line's first field and what names it further: its fields that are no numbers and equal in both."""
    column: str
    reference: str
    here: str
    difference: float | None
    """Here less reference where both are numbers."""


class Comparison(NamedTuple):
    """What a run made otherwise: the fields of CSV files, and a line for each other file or model that differs."""

    fields: list[Difference]
    files: list[str]
    weights: list[str]

    @property
    def count(self) -> int:
        """How many fields, files and models differ."""
        return len(self.fields) + len(self.files) + len(self.weights)


def read_made(summary: Path) -> set[Path]:
    """Return the files that a summary of Snakemake's lists, each at the beginning of a line; the first is a header.

    Raises:
        UserError: there is no summary.
    """
    try:
        _, *lines = summary.read_text(encoding="utf-8").splitlines() or [""]
    except OSError as error:
        raise UserError(
            f"{summary}: no list of files ({error.strerror}); `make -n check-reference` says how it is written"
        ) from None
    return {Path(line.partition("\t")[0]) for line in lines}


def made_with(commit: str, models: Path, made: Container[Path] | None = None) -> dict:
    """Return what a run on this machine is made with: commit, processor, versions, and the devices of its trainings.

    `made`, here and below: the files that count, if not all that lie in a folder.
    """
    paths = (path.with_name("train.json") for path in _models(models, made))
    trainings = (json.loads(path.read_text(encoding="utf-8")) for path in paths)
    devices = sorted({training["device"] for training in trainings})
    versions = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    return {"commit": commit, "processor": processor.name(), "devices": devices, "versions": versions}


def digests(models: Path, made: Container[Path] | None = None) -> dict[str, dict[str, str]]:
    """Return digests of both states of each model below a folder: {"music/concat/s1234": {"best": "5a0c...", ...}}.

    SHA-256 of the tensors' names, types, shapes and values, sorted by name: it does not depend on how they are stored.

    Raises:
        UserError: there is no model, or one is damaged.
    """
    import torch

    from avrobust.models.files import read_tensors, why_no_tensors

    paths = _models(models, made)
    if not paths:
        raise UserError(f"{models} holds no model; make the demo first: `make demo`")
    found = {}
    for path in paths:
        try:
            content = read_tensors(path, torch.device("cpu"))
            found[path.parent.relative_to(models).as_posix()] = {state: _digest(content[state]) for state in STATES}
        except Exception as error:  # torch reports damage by many kinds of exception
            raise UserError(f"{path} is no whole model file ({why_no_tensors(path, error)})") from error
    return found


def write(tables: Path, reference: Path, record: Mapping, made: Container[Path] | None = None) -> int:
    """Put a copy of each file that is compared, and the record, in place of a reference; return the number of files.

    Raises:
        UserError: there is no table.
    """
    names = _names(tables, made)
    if not names:
        raise UserError(f"{tables} holds no table; make the demo first: `make demo`")
    for name in _names(reference) - names:
        (reference / name).unlink()
    for name in sorted(names):
        with replacing(reference / name) as temporary:
            shutil.copyfile(tables / name, temporary)
    write_json(reference / RECORD, record)
    return len(names)


def read_record(reference: Path) -> dict:
    """Return what is recorded of a reference; raises UserError if there is none."""
    try:
        return json.loads((reference / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{reference / RECORD}: no record of a reference ({error}); `make reference` makes one"
        ) from None


def compare(
    tables: Path, reference: Path, weights: Mapping, recorded: Mapping, made: Container[Path] | None = None
) -> Comparison:
    """Set a run's tables and the digests of its weights beside those of a reference."""
    fields: list[Difference] = []
    files: list[str] = []
    here, there = _names(tables, made), _names(reference)
    files += [f"{name}: only in the reference" for name in sorted(there - here)]
    files += [f"{name}: not in the reference" for name in sorted(here - there)]
    for name in sorted(here & there):
        if (tables / name).read_bytes() == (reference / name).read_bytes():
            continue
        if name.endswith(".csv"):
            other, changed = _csv(tables / name, reference / name, name)
            fields += changed
        else:
            other = (_png if name.endswith(".png") else _text)(tables / name, reference / name)
        if other:
            files.append(f"{name}: {other}")
    models = []
    for name in sorted(weights.keys() | recorded.keys()):
        if name not in weights or name not in recorded:
            models.append(f"{name}: {'only in' if name in recorded else 'not in'} the reference")
        elif changed := [state for state in STATES if weights[name][state] != recorded[name][state]]:
            models.append(f"{name}: other weights ({' and '.join(changed)})")
    return Comparison(fields, files, models)


def report(comparison: Comparison, recorded: Mapping, here: Mapping) -> Iterator[str]:
    """Yield the lines that tell a user what differs, per file, with the largest difference of its numbers."""
    for name, said in (("reference:", recorded), ("here:     ", here)):
        yield f"{name} commit {said['commit']}; {said['processor']}; trained on {', '.join(said['devices'])}"
    for name in sorted(recorded["versions"].keys() | here["versions"].keys()):
        was, now = (said["versions"].get(name, "none") for said in (recorded, here))
        if was != now:
            yield f"{name} {now} here, {was} in the reference"
    for name, count in Counter(field.file for field in comparison.fields).items():
        changed = [field for field in comparison.fields if field.file == name]
        numbers = [field for field in changed if field.difference is not None]
        line = f"{name}: {count} fields differ"
        if numbers:
            most = max(numbers, key=lambda field: abs(field.difference))
            line += f", numbers by up to {abs(most.difference):g} ({most.entry}, {most.column})"
        verdicts = Counter(f"{field.reference} -> {field.here}" for field in changed if field.column == "verdict")
        if verdicts:
            kinds = ", ".join(f"{what} {times}" for what, times in sorted(verdicts.items()))
            line += f"; {sum(verdicts.values())} verdicts: {kinds}"
        yield line
    yield from comparison.files
    yield from (f"weights of {line}" for line in comparison.weights)
    if not comparison.count:
        yield "all is as in the reference: every file to the byte, every weight to the bit"
    else:
        yield (
            f"otherwise than in the reference: {len(comparison.fields)} fields of CSV files, {len(comparison.files)} "
            f"other files, the weights of {len(comparison.weights)} models"
        )


def _models(folder: Path, made: Container[Path] | None) -> list[Path]:
    return sorted(path for path in folder.glob("**/model.pt") if made is None or path in made)


def _names(folder: Path, made: Container[Path] | None = None) -> set[str]:
    kept = (path for path in folder.rglob("*") if path.suffix in KINDS and not path.name.startswith("."))
    found = (path for path in kept if made is None or path in made)
    return {path.relative_to(folder).as_posix() for path in found}


def _digest(value: Mapping) -> str:
    """SHA-256 of a nest of mappings and tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(_tensors("", value), key=itemgetter(0)):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _tensors(prefix: str, value: Mapping) -> Iterator[tuple]:
    for name, part in value.items():
        if isinstance(part, Mapping):
            yield from _tensors(f"{prefix}{name}/", part)
        else:
            yield f"{prefix}{name}", part


def _csv(here: Path, there: Path, name: str) -> tuple[str, list[Difference]]:
    """Return what differs as a whole, and field by field; lines are compared in their order."""
    with here.open(encoding="utf-8", newline="") as first, there.open(encoding="utf-8", newline="") as second:
        (header, *ours), (wanted, *theirs) = list(csv.reader(first)), list(csv.reader(second))
    if header != wanted:
        return f"columns {', '.join(header)} here, {', '.join(wanted)} in the reference", []
    changed = [
        Difference(name, line, _entry(now, was), column, before, after, _difference(before, after))
        for line, (now, was) in enumerate(zip(ours, theirs, strict=False), 2)
        for column, after, before in zip(header, now, was, strict=False)
        if after != before
    ]
    lines = "" if len(ours) == len(theirs) else f"{len(ours)} lines here, {len(theirs)} in the reference"
    return lines, changed


def _entry(now: list[str], was: list[str]) -> str:
    same = [after for after, before in zip(now, was, strict=False) if after == before and after]
    return ", ".join([*same[:1], *(field for field in same[1:] if _number(field) is None and len(field) < 40)])


def _difference(before: str, after: str) -> float | None:
    was, now = _number(before), _number(after)
    return None if was is None or now is None else now - was


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _text(here: Path, there: Path) -> str:
    ours, theirs = (path.read_text(encoding="utf-8").splitlines() for path in (here, there))
    return f"{sum(now != was for now, was in zip_longest(ours, theirs))} lines differ"


def _png(here: Path, there: Path) -> str:
    import numpy as np
    from PIL import Image

    ours, theirs = (np.asarray(Image.open(path).convert("RGB"), dtype=int) for path in (here, there))
    if ours.shape != theirs.shape:
        return f"{ours.shape[1]} x {ours.shape[0]} pixels here, {theirs.shape[1]} x {theirs.shape[0]} in the reference"
    apart = np.abs(ours - theirs).max(axis=2)
    if not apart.any():
        return "the same pixels in another file"
    return f"{(apart > 0).sum()} of {apart.size} pixels differ, by up to {apart.max()} of 255"
