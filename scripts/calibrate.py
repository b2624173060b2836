"""Find the strength at which an attack on a net has the success that a paper prints, on the validation clips.

Writes the budget alone, so that an equal one is an equal file; the whole curve, with other nets' answers beside it; and
a row per clip, as cells have.
"""

import argparse
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from avrobust.attacks.fit import SPLITS
from avrobust.csv_text import write_csv_text
from avrobust.evaluation.arguments import attacking_parser, opened
from avrobust.evaluation.cell import clips_together, evaluate
from avrobust.evaluation.told import CellSpec, bound_cells
from avrobust.files import replacing, write_json, write_text
from avrobust.metrics.calibration import MEASURES, Calibrated, calibrate
from avrobust.metrics.estimate import Estimate
from avrobust.metrics.interval import Mean
from avrobust.metrics.rows import cells_of
from avrobust.metrics.schema import IDENTITY, in_order
from avrobust.models.late_fusion import PRECISIONS
from avrobust.program import json_argument, named_path, progress, run
from avrobust.spec.budgets import MODALITIES
from avrobust.spec.conditions import Condition, Reading
from avrobust.spec.nets import Nets
from avrobust.spec.units import PERCENT

log = logging.getLogger("calibrate")

WHITE_BOX, BLACK_BOX = "white box", "black box"
COLUMNS = (
    *("point", *(f"epsilon_{name}" for name in MODALITIES), "measure", "seen_as", "unit", "value", "low", "high"),
    *("published", "calibrated", "n", "seed"),
)


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = attacking_parser(__doc__, IDENTITY)
    parser.add_argument("--split", choices=SPLITS, default="val")
    parser.add_argument("--cell", type=json_argument, required=True, help="JSON, as of scripts/attack.py, of one cell")
    parser.add_argument("--nets", nargs="+", type=named_path, required=True, metavar="NAME=FILE")
    parser.add_argument(
        "--target",
        type=json_argument,
        required=True,
        help='JSON: {"strengths": ["weakest", ...], "others": ["net", ...], "modality": "both", "success": 78.3, '
        '"black_box": 31.7, "near": 20}',
    )
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="where gradients are taken")
    parser.add_argument("--budget", type=Path, required=True, help="JSON to write")
    parser.add_argument("--curve", type=Path, required=True, help="CSV to write")
    parser.add_argument("--rows", type=Path, required=True, help="parquet: a row per clip, victim and condition")
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    target, paths = given.target, dict(given.nets)
    job = opened(given, paths, given.split)
    spec = CellSpec(**given.cell)
    # Nothing is stored as a file here.
    (cell,) = bound_cells([spec], job, given.precision, given.key)
    cell = replace(cell, as_files=None)
    log.info("%d clips, %d strengths, on %s", len(job.views), len(job.budgets.named), job.device)
    size, mixed = cell.threat.batch_size, cell.threat.attack.needs_partner
    batches = job.batches(clips_together([cell]), given.batch_size, given.threads, size, with_partners=mixed)
    shown = progress(batches, label="calibrating", unit="batches", total=len(batches))
    rows = in_order([part.rows for part in evaluate([cell], shown, job.budgets, job.device)])
    rows = rows.replace_schema_metadata({name: str(value) for name, value in given.key.items()})
    with replacing(given.rows) as temporary:
        pq.write_table(rows, temporary, write_page_checksum=True)
    white_box = Reading(
        given.key["dataset"], spec.surrogate, spec.surrogate, spec.attack, Condition(target["modality"])
    )
    others = Nets("nets", tuple(target["others"]), others=True)
    found = calibrate(cells_of([given.rows]), white_box, target["strengths"], others, target["success"], target["near"])
    write_text(given.curve, curve_csv(found, given.budgets, target, given.key["seed"]))
    write_json(
        given.provenance,
        {
            **job.written_down(given),
            "cell": vars(spec),
            "nets": {name: str(path) for name, path in paths.items()},
            "target": target,
            "chosen": found.chosen.budget,
            "measure": found.measure,
            "clean_error": found.clean_error.value,
            **job.meter.read(),
        },
    )
    write_json(given.budget, given.budgets[found.chosen.budget])
    log.info(
        "%s: %s %.2f %%, %.2f %% are printed; clean error %.2f %%",
        *(found.chosen.budget, found.measure, found.chosen.white_box[found.measure].value, target["success"]),
        found.clean_error.value,
    )


def curve_csv(found: Calibrated, budgets: Mapping[str, Mapping], target: Mapping, seed: object) -> str:
    """Return the curve as CSV, a line for each strength, measure and kind of victim; `COLUMNS`."""
    lines = [
        [0, 0, 0, "clean_error", WHITE_BOX, PERCENT, *_ends(found.clean_error), "", "", found.clean_error.clips, seed]
    ]
    for number, strength in enumerate(found.strengths, 1):
        given = budgets[strength.budget]
        epsilons = [given[name]["epsilon"] if name in given else 0.0 for name in MODALITIES]
        for seen_as, of in ((WHITE_BOX, strength.white_box), (BLACK_BOX, strength.black_box)):
            for measure in MEASURES:
                taken = strength is found.chosen and seen_as == WHITE_BOX and measure == found.measure
                printed = target["success"] if seen_as == WHITE_BOX else target.get("black_box")
                what = (number, *(f"{epsilon:.6g}" for epsilon in epsilons), measure, seen_as, PERCENT)
                lines.append([*what, *_ends(of[measure]), printed, "yes" if taken else "", of[measure].clips, seed])
    return write_csv_text(COLUMNS, lines)


def _ends(of: Mean | Estimate) -> list[str]:
    """The value and both ends of its interval, with two decimals; nothing where there is no value."""
    return ["" if part != part else f"{round(part, 2) + 0.0:.2f}" for part in of.ends]


if __name__ == "__main__":
    run(main)
