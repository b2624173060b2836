"""Train one variant on one dataset with one seed.

Writes the model (best and latest weights), its history and its provenance. Killed at any point, the same
command goes on after the last whole epoch and ends with the same weights.
"""

import argparse
import json
import logging
from dataclasses import asdict
from pathlib import Path

from avrobust.files import write_json, write_text
from avrobust.models.build import Part
from avrobust.models.files import save_model
from avrobust.models.task import TASKS
from avrobust.program import json_argument, named_path, natural, run
from avrobust.training.job import Job, training_parser
from avrobust.training.loop import history_csv
from avrobust.training.spent import mean_spent
from avrobust.training.start import MemoryRecipe, continued_model, fresh_model, memory_banks

log = logging.getLogger("train")


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = training_parser(__doc__)
    parser.add_argument(
        "--found-options",
        nargs="?",
        type=Path,
        help="JSON of scripts/search.py, whose `chosen` options the objective gets",
    )
    parser.add_argument("--memory", type=json_argument, help="JSON of a MemoryRecipe; needs --start")
    parser.add_argument(
        "--kept-features", type=natural, default=0, help="features of the last epoch to keep in the model"
    )
    parser.add_argument(
        "--weights", nargs="*", default=[], type=named_path, metavar="MODALITY=FILE",
        help="published weights that an encoder starts from",
    )  # fmt: skip
    parser.add_argument(
        "--branches", nargs="*", default=[], type=named_path, metavar="MODALITY=FILE",
        help="trained nets whose encoders of these modalities it starts from",
    )  # fmt: skip
    parser.add_argument("--moments", nargs="?", type=Path, help="of the training clips, for nets that standardise")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--history", type=Path, required=True)
    given = parser.parse_args()
    if given.memory and not given.start:
        parser.error("--memory needs --start: a memory holds features of the net that the training starts from")
    return given


def main() -> None:
    """Run the program."""
    given = arguments()
    job = Job(given)
    spec, objective_spec = job.spec, _objective_spec(given)
    if job.start:
        memory = MemoryRecipe(**given.memory) if given.memory else None
        parts = (job.store, job.view, job.recipe.batch_size, job.seed, given.threads, job.device)
        banks = memory_banks(memory, job.start, *parts) if memory else {}
        spec, model = continued_model(spec, job.start, job.seed, banks, memory.steps if memory else {})
    else:
        parts = dict(given.weights), dict(given.branches), given.moments
        model = fresh_model(spec, len(job.classes), job.seed, *parts)
    resume = given.model.with_name("resume.pt")
    fitted = job.fit(model, objective_spec, resume)
    model, result = fitted.model, fitted.result

    states, features = (result["best"], result["latest"]), fitted.observer.state_dict()
    save_model(given.model, spec, objective_spec, job.classes, *states, features)
    write_text(given.history, history_csv(result["history"]))
    best, judged = result["history"][result["best_epoch"] - 1], f"validation_{TASKS[spec.task].metric_name}"
    spent = mean_spent(result["history"])
    made, waiting = job.meter.read(), round(result["waiting_seconds"], 3)
    write_json(
        given.provenance,
        {
            "model": asdict(spec),
            "recipe": given.recipe,
            "objective": vars(objective_spec),
            "start": str(given.start or ""),
            "branches": {name: str(path) for name, path in given.branches},
            "memory": given.memory,
            "memory_steps": {name: float(one.step) for name, one in model.defences.items()} if given.memory else {},
            "view": given.view,
            "variant": given.variant,
            "seed": given.seed,
            "precision": given.precision,
            "code": given.code,
            "clips": {"train": fitted.clips.training_count, "val": fitted.clips.validation_count},
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "best_epoch": result["best_epoch"],
            f"best_{judged}": best[judged],
            "resumed_epochs": result["resumed_epochs"],
            "waiting_seconds": waiting,
            "clips_per_second": round(result["clips_per_second"], 3),
            **({"crafting": spent} if spent else {}),
            **made,
        },
    )
    resume.unlink(missing_ok=True)
    log.info("best epoch %d: %s %.2f %%", best["epoch"], judged.replace("_", " "), best[judged])
    log.info("%.0f s, %.0f %% of it waiting for clips", made["seconds"], 100 * waiting / made["seconds"])


def _objective_spec(given: argparse.Namespace) -> Part:
    spec = Part(**given.objective)
    if not given.found_options:
        return spec
    found = json.loads(given.found_options.read_text(encoding="utf-8"))["chosen"]
    return Part(spec.name, {**spec.options, **found})


if __name__ == "__main__":
    run(main)
