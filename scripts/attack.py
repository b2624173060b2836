"""Make a bundle of cells: attack nets under every modality and budget, and ask every victim that an artefact needs."""

import argparse
import logging
from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import chain
from operator import or_
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from avrobust.attacks.fit import SPLITS
from avrobust.evaluation.arguments import Opened, attacking_parser, opened
from avrobust.evaluation.cell import Cell, Part, clips_together, evaluate
from avrobust.evaluation.finished import Finished
from avrobust.evaluation.resume_key import resume_key
from avrobust.evaluation.terms import Shares, joined, mean_shares
from avrobust.evaluation.told import CellSpec, bound_cells
from avrobust.files import replacing, write_json
from avrobust.metrics.schema import FLOAT, IDENTITY, in_order
from avrobust.models.late_fusion import PRECISIONS
from avrobust.program import Terminated, json_argument, named_path, progress, run

log = logging.getLogger("attack")

# What the rows depend on, beside budgets, device and the files that are read.
SHAPING = ("key", "cells", "epsilon_space", "model_state", "split", "code", "precision")
SHAPING += ("view", "extractor", "batch_size", "threads")


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = attacking_parser(__doc__, IDENTITY)
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument(
        "--cells",
        type=json_argument,
        required=True,
        help='JSON: [{"surrogate": "concat", "attack": "fgsm", "spec": {"update": "fgsm"}, '
        '"victims": {"concat": [["audio", "large"], ["both", "small"]]}}, ...]',
    )
    parser.add_argument("--nets", nargs="+", required=True, metavar="NAME=FILE", help="every surrogate and victim")
    parser.add_argument(
        "--perturbations",
        nargs="*",
        default=[],
        type=named_path,
        metavar="SURROGATE/ATTACK=FILE",
        help="where scripts/fit.py wrote what the attacks add",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="float32",
        help="of the encoders where gradients are taken, unless an attack says it; victims answer in float32",
    )
    parser.add_argument("--rows", type=Path, required=True, help="parquet: a row per clip, victim and condition")
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    paths = {name: Path(path) for name, _, path in (word.partition("=") for word in given.nets)}
    specs = [CellSpec(**cell) for cell in given.cells]
    job, fitted = opened(given, paths, given.split), dict(given.perturbations)
    cells = bound_cells(specs, job, given.precision, given.key, fitted)
    log.info("%d cells, %d clips, on %s", len(cells), len(job.views), job.device)
    shaping = [*(getattr(given, name) for name in SHAPING), job.budgets.named, job.device.type]
    read = [*given.shards, *paths.values(), *fitted.values(), *dict(given.extractor_weights).values()]
    finished = Finished(given.rows.with_suffix(".finished"), resume_key(shaping, read))
    parts, counts, resumed = [], dict.fromkeys(range(len(cells)), 0), 0
    shares: dict[int, list[Shares]] = {number: [] for number in counts}
    try:
        # Cells that attack another number of clips, or need another number at a time, read the clips for themselves.
        reads = [(cell.threat.batch_size, spec.clips) for spec, cell in zip(specs, cells, strict=True)]
        jobs = {clips: job.of_some(clips) for _, clips in reads}
        for group, (size, clips) in enumerate(dict.fromkeys(reads)):
            numbers = [number for number, read in enumerate(reads) if read == (size, clips)]
            known = finished.parts(group)
            resumed += sum(part.clips for part in known)
            own = [cells[number] for number in numbers]
            rest = _rest(given, jobs[clips], own, size, group, known, finished)
            for part in chain(known, rest):
                parts.append(part.rows)
                for number, count, of_part in zip(numbers, part.without_gradient, part.shares, strict=True):
                    counts[number] += count
                    shares[number].append(of_part)
    except Terminated as ended:
        ended.kept = "the batches that were finished are kept; the same command goes on after them"
        raise
    rows = in_order(parts).replace_schema_metadata({name: str(value) for name, value in given.key.items()})
    facts = [
        {
            **_written_down(spec, cell),
            **({"through_extractor": given.extractor["name"]} if given.extractor else {}),
            "clips": len(jobs[spec.clips].views),
            "clips_without_gradient": counts[number],
            "clips_not_moved": _clips_not_moved(rows, cell),
            **({"term_shares": mean_shares(of)} if (of := joined(shares[number])) else {}),
        }
        for number, (spec, cell) in enumerate(zip(specs, cells, strict=True))
    ]
    with replacing(given.rows) as temporary:
        pq.write_table(rows, temporary, write_page_checksum=True)
    made = job.meter.read()
    write_json(
        given.provenance,
        {
            **job.written_down(given),
            "nets": {name: str(path) for name, path in paths.items()},
            **({"perturbations": {name: str(path) for name, path in fitted.items()}} if fitted else {}),
            "shards": [str(path) for path in given.shards],
            "batch_size": given.batch_size,
            "cells": facts,
            "resumed_clips": resumed,
            "rows_per_second": round(len(rows) / made["seconds"], 2),
            **made,
        },
    )
    finished.remove()


def _rest(
    given: argparse.Namespace,
    job: Opened,
    cells: Sequence[Cell],
    size: int | None,
    group: int,
    known: Sequence[Part],
    finished: Finished,
) -> Iterator[Part]:
    """Yield the parts of these cells that are not finished, and keep each."""
    start = sum(part.clips for part in known)
    if start == len(job.views):
        return
    mixed = any(cell.threat.attack.needs_partner for cell in cells)
    batches = job.batches(clips_together(cells), given.batch_size, given.threads, size, start, mixed)
    shown = progress(batches, label="attacking", unit="batches", total=len(batches))
    for number, part in enumerate(evaluate(cells, shown, job.budgets, job.device, start), len(known)):
        start += part.clips
        finished.add(group, number, part)
        yield part


def _written_down(spec: CellSpec, cell: Cell) -> dict:
    attack = cell.threat.attack
    return {
        **vars(spec),
        "precision": cell.threat.model.precision,
        "modalities": cell.threat.model.modalities,
        "objective": type(cell.threat.objective).__name__,
        "steps": attack.fit.passes if attack.fit else attack.steps,
        "step_size": attack.step_size,
        "keeps": {"ball": attack.keeps_ball, "range": attack.keeps_range},
        **({"fitted": fitted} if (fitted := attack.fitted_as(spec.attack)) else {}),
    }


def _clips_not_moved(rows: pa.Table, cell: Cell) -> int:
    """How many clips are where they were in a modality that some condition attacks and the surrogate takes."""
    own = (pc.field("surrogate") == cell.surrogate) & (pc.field("attack") == cell.attack)
    still = [
        (pc.field(f"epsilon_{name}") > 0) & (pc.field(f"norm_{name}") == 0) for name in cell.threat.model.modalities
    ]
    of = rows.filter(own & (pc.field("form") == FLOAT) & reduce(or_, still))
    return pc.count_distinct(of["clip_id"]).as_py()


if __name__ == "__main__":
    run(main)
