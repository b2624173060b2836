"""Write the adversarial clips of a finished cell as video files without any loss, with a table for `source: local`.

Cells keep no clips: they are crafted anew with the cell's own settings, and what its victims answer must be what the
cell says. A file is the clip with what the attack made in its place (`written` of the view), in one of three forms:
frames of 8 bits, rounded or truncated, with 16-bit sound, or floats, exactly as they were made.
"""

import argparse
import json
import logging
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from avrobust import parquet
from avrobust.attacks.loss import Inputs
from avrobust.data.encoding import encode_without_loss
from avrobust.data.manifest import LABEL_SEPARATOR, write_rows
from avrobust.evaluation.arguments import Opened, opened
from avrobust.evaluation.as_files import AsFiles
from avrobust.evaluation.cell import clips_together, evaluate
from avrobust.evaluation.craft import Crafted
from avrobust.evaluation.put_back import written
from avrobust.evaluation.told import CellSpec, bound_cells
from avrobust.files import part_folder, remove_leftovers, write_json
from avrobust.metrics.schema import FLOAT, FORMS, IDENTITY, KEY
from avrobust.program import UserError, positive, progress, run
from avrobust.runtime import DEVICES
from avrobust.spec.conditions import UNBOUNDED, UNDER_ATTACK, Condition
from avrobust.views.view import FileView

log = logging.getLogger("export")

FORMS_OF_FILES = FORMS[:3]
ANEW = "let snakemake make these cells anew"
TABLE, FOLDER, PROVENANCE = "clips.csv", "clips", "export.json"
# The same clips before they were attacked.
CLEAN_TABLE, CLEAN_FOLDER = "clean.csv", "clean"
COLUMNS = ("clip_id", "path", "label", "split")


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=Path, required=True, help="a finished file of cells; its .json is beside it")
    parser.add_argument("--surrogate", required=True, help="the net whose gradients the attack takes")
    parser.add_argument("--attack", required=True, help="its name in the cells")
    parser.add_argument("--modality", choices=UNDER_ATTACK, required=True)
    parser.add_argument("--budget", required=True, help="its name in the cells")
    parser.add_argument("--steps", type=positive, help="where the cells have the attack in a number of steps")
    parser.add_argument("--form", choices=FORMS_OF_FILES, default="rounded")
    parser.add_argument(
        "--attacked-only",
        action="store_true",
        help="write no clips of the other splits, which `source: local` needs; without it they are written as packed",
    )
    parser.add_argument(
        "--with-clean", action="store_true", help=f"write what was attacked as it was before, too, in {CLEAN_TABLE}"
    )
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--output", type=Path, required=True, help="a new folder")
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    # A link that leads nowhere is there too.
    if os.path.lexists(given.output):
        raise UserError(f"--output: {given.output} is there already; give a new folder, or remove it")
    remove_leftovers(given.output.absolute().parent, given.output.name)
    said = _said(given.cells)
    condition = Condition(given.modality, given.budget, given.steps)
    chosen = _chosen(given, said)
    spec = _spec(given, chosen, condition)
    stored = _stored(given, spec, condition, said)
    names = dict.fromkeys((*spec.surrogates, *spec.victims))
    job = opened(_told(given, said), {name: Path(said["nets"][name]) for name in names}, said["split"])
    job = job.of_some(spec.clips)
    if not isinstance(job.views.view, FileView):
        raise UserError(f"{given.cells}: its view, {said['view']['name']}, shows no clips of a file")
    with part_folder(given.output) as folder:
        files = _Files(job, condition, given.form, folder)
        fitted = {name: Path(path) for name, path in said.get("perturbations", {}).items()}
        (cell,) = bound_cells([spec], job, chosen["precision"], said, fitted)
        cell = replace(cell, as_files=files)
        size, mixed = cell.threat.batch_size, cell.threat.attack.needs_partner
        together = clips_together([cell])
        batches = job.batches(together, said["batch_size"], given.threads, size, with_partners=mixed)
        for part in evaluate([cell], progress(batches, label="exporting", unit="batches"), job.budgets, job.device):
            _check(part.rows, stored, condition, given, said)
        if not given.attacked_only:
            others = [index for index in range(len(job.store)) if job.store.splits[index] != said["split"]]
            for index in progress(others, label="other splits", unit="clips"):
                files.as_packed(index)
        rows = [files.rows[index] for index in sorted(files.rows)]
        write_rows(folder / TABLE, COLUMNS, rows)
        if given.with_clean:
            write_rows(folder / CLEAN_TABLE, COLUMNS, _unattacked(job, condition, given.form, folder))
        made = {name: said[name] for name in ("dataset", "seed", "epsilon_space", "model_state", "split", "view")}
        made |= {"cells": str(given.cells), "cell": vars(spec), "condition": condition, "form": given.form}
        made |= {"budget": said["budgets"][condition.budget], "clips": len(rows), **job.meter.read()}
        write_json(folder / PROVENANCE, made)
        try:
            folder.rename(given.output)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(given.output)) from error
    log.info("%d clips in %s, answered as in %s", len(rows), given.output, given.cells)
    if not given.attacked_only:
        log.info("in config.yaml: datasets: %s", _own(said["dataset"], given.output, job.store.classes, rows))
        if given.form == FLOAT:
            log.info("packing rounds floats to 8 bits: read back, they are answered as the cell's rounded ones")


def _unattacked(job: Opened, condition: Condition, form: str, folder: Path) -> list[tuple[str, ...]]:
    """Write what the view shows of the attacked clips, in the same form, and return the rows of their table."""
    files = _Files(job, condition, form, folder, CLEAN_FOLDER)
    indices = sorted(files.places.values())
    for index in progress(indices, label="unattacked", unit="clips"):
        files.write(index, {})
    return [files.rows[index] for index in indices]


class _Files:
    """What an attack made under `condition`, in files, a row of the table for each, by its place in the store."""

    def __init__(self, job: Opened, condition: Condition, form: str, folder: Path, inner: str = FOLDER):
        self.store, self.view, self.condition, self.form = job.store, job.views.view, condition, form
        self.folder, self.inner, self.forms = folder, inner, AsFiles(job.views.view.inputs(job.store))
        self.places = {self.store.clip_ids[index]: int(index) for index in job.views.indices}
        self.rows: dict[int, tuple[str, str, str, str]] = {}

    def __call__(self, clip_ids: Sequence[str], clean: Inputs, crafted: Crafted) -> dict[str, Inputs]:
        """Write the clips, and return their other forms, as victims are asked about them."""
        forms = self.forms(clip_ids, clean, crafted)
        if self.condition in crafted.conditions:
            inputs = crafted.inputs if self.form == FLOAT else forms[self.form]
            for number, clip_id in enumerate(clip_ids):
                seen = {name: x[number].cpu().numpy() for name, x in inputs.items()}
                self.write(self.places[clip_id], seen)
        return forms

    def write(self, index: int, seen: Mapping[str, np.ndarray]) -> None:
        """Write a clip with what is `seen` of it in its place, arrays by modality; one left out is as it was."""
        clip = written(self.view, self.store, index, seen)
        if self.form == FLOAT:
            self._write(index, clip.frames, clip.samples)
        else:
            self._write(index, *(_whole(*one) for one in ((clip.frames, 255), (clip.samples, 2**15))))

    def as_packed(self, index: int) -> None:
        """Write a clip as it is."""
        frames = [self.store.pixels(index, number) for number in range(self.store.frame_count(index))]
        self._write(index, np.stack(frames), self.store.audio(index))

    def _write(self, index: int, frames: np.ndarray, samples: np.ndarray) -> None:
        clip_id, split = self.store.clip_ids[index], self.store.splits[index]
        safe = "".join(letter if letter.isalnum() or letter in "_-." else "_" for letter in clip_id)
        path = f"{self.inner}/{index:06}-{safe}.mkv"
        rates = self.store.frame_rate, self.store.audio_rate
        encode_without_loss(frames, rates[0], samples, rates[1], self.folder / path)
        labels = LABEL_SEPARATOR.join(self.store.classes[label] for label in self.store.labels[index])
        self.rows[index] = clip_id, path, labels, split


def _whole(values: np.ndarray, levels: int) -> np.ndarray:
    return np.round(values * np.float32(levels)).astype(np.uint8 if levels == 255 else np.int16)


def _own(dataset: str, output: Path, classes: Sequence[str], rows: Sequence[tuple[str, str, str, str]]) -> str:
    """What config.yaml says of the files, in JSON, which is YAML whatever is in a path.

    The classes are the table's where these are the same in the same order, sorted: the dataset may have others.
    """
    given = {"source": "local", "table": str(output / TABLE), "folder": str(output), "name": output.absolute().name}
    if list(classes) == sorted({name for _, _, labels, _ in rows for name in labels.split(LABEL_SEPARATOR)}):
        given["classes"] = "table"
    return json.dumps({dataset: given}, ensure_ascii=False)


def _said(cells: Path) -> dict:
    """What the provenance of a file of cells says; UserError if there is none, or one of an older program."""
    if cells.suffix != ".parquet":
        raise UserError(f"--cells: {cells} is no .parquet; give a file of results/*/cells, with its .json beside it")
    if not cells.is_file():
        raise UserError(f"--cells: {cells}: no such file; give one of results/*/cells, which snakemake makes")
    path = cells.with_suffix(".json")
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(said, dict):
            raise ValueError(f"no object but {type(said).__name__}")
        missing = [name for name in ("cells", "nets", "shards", "batch_size") if name not in said]
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); give a file of results/*/cells with its .json") from None
    if missing:
        raise UserError(f"{path}: does not say {', '.join(missing)}; make these cells anew")
    files = [*said["shards"], *said["nets"].values()]
    if not Path("Snakefile").exists() and not any(Path(one).exists() for one in files):
        raise UserError(f"{path}: {files[0]} is not there: run this in the folder of the Snakefile that made the cells")
    return said


def _chosen(given: argparse.Namespace, said: Mapping) -> Mapping:
    """What is said of the cell that is asked for."""
    found = {f"{one['surrogate']}/{one['attack']}": one for one in said["cells"]}
    if (wanted := f"{given.surrogate}/{given.attack}") not in found:
        raise UserError(f"{given.cells}: no cell {wanted}; it holds {', '.join(found)}")
    return found[wanted]


def _spec(given: argparse.Namespace, cell: Mapping, condition: Condition) -> CellSpec:
    """The cell with the victims that answer under this condition, and no other condition."""
    if condition.budget == UNBOUNDED:
        raise UserError(f"--budget: {UNBOUNDED} is a check of a few clips, which are not exported; give another")
    held = {name: [Condition(*one) for one in of] for name, of in cell["victims"].items()}
    victims = {name: [condition] for name, of in held.items() if condition in of}
    if not victims:
        holds = dict.fromkeys(str(one) for of in held.values() for one in of)
        raise UserError(
            f"{given.cells}: {given.surrogate}/{given.attack} is not asked {condition}; it is {', '.join(holds)}"
        )
    some = {name: cell[name] for name in ("nets", "joined", "clips") if name in cell}
    return CellSpec(given.surrogate, given.attack, cell["spec"], victims, **some)


def _told(given: argparse.Namespace, said: Mapping) -> argparse.Namespace:
    """The arguments of the program that made the cell."""
    same = {name: said[name] for name in ("budgets", "epsilon_space", "model_state", "view", "batch_size")}
    key = {name: said[name] for name in IDENTITY}
    files = {"shards": [Path(path) for path in said["shards"]], "budget_files": []}
    weights = [(modality, Path(path)) for modality, path in said.get("extractor_weights", {}).items()]
    files |= {"extractor": said.get("extractor"), "extractor_weights": weights}
    return argparse.Namespace(**same, **files, key=key, identity=IDENTITY, device=given.device, threads=given.threads)


def _stored(given: argparse.Namespace, spec: CellSpec, condition: Condition, said: Mapping) -> dict[tuple, object]:
    """What the cell has: victim, form and clip -> the answer."""
    columns, anew = [*KEY, "form", "clip_id", "prediction"], f"`rm {shlex.quote(str(given.cells))}`; {ANEW}"
    found = parquet.metadata(given.cells, columns, IDENTITY, "give a file of cells of nets of one label", anew)
    for name in IDENTITY:
        if found[name] != str(said[name]):
            raise UserError(f"{given.cells} is of {name} {found[name]}, but its .json of {said[name]}; {ANEW}")
    return _answers(parquet.read(given.cells, columns, anew), spec.surrogate, spec.attack, condition)


def _answers(rows: pa.Table, surrogate: str, attack: str, condition: Condition) -> dict[tuple, object]:
    wanted = {"surrogate": surrogate, "attack": attack, **condition._asdict()}
    kept = [pc.field(name).is_null() if value is None else pc.field(name) == value for name, value in wanted.items()]
    for one in kept:
        rows = rows.filter(one)
    found = (rows[name].to_pylist() for name in ("victim", "form", "clip_id", "prediction"))
    return {tuple(place): answer for *place, answer in zip(*found, strict=True)}


def _check(
    rows: pa.Table, stored: Mapping[tuple, object], condition: Condition, given: argparse.Namespace, said: Mapping
) -> None:
    """Raise UserError if clips that were crafted anew are answered otherwise than in the cell."""
    answers = _answers(rows, given.surrogate, given.attack, condition)
    # A victim that was asked about floats alone has said nothing of files.
    known = {place: answer for place, answer in answers.items() if place in stored or place[1] == FLOAT}
    if others := [place for place, answer in known.items() if stored.get(place) != answer]:
        victim, form, clip_id = others[0]
        made = said["versions"] | {"device": said["device"]}
        raise UserError(
            f"{given.cells}: {len(others)} of {len(known)} answers are others than there, the first {victim}'s to "
            f"{clip_id} ({form}); it was made with {', '.join(f'{name} {version}' for name, version in made.items())}: "
            "make it anew here, then give the same command again"
        )


if __name__ == "__main__":
    run(main)
