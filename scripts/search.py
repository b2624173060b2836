"""Choose the options of an objective on the validation clips, among candidates, and write down how each did.

Every candidate is trained from the same start with the same seed. The score is what the paper judges a defence by: the
accuracy on clean clips plus the mean of the accuracies under attack on the sound, on the frame and on both, which
orders defences as their relative improvement does. The highest score wins; of equals the first in the list. A candidate
that cannot be trained, such as one whose loss diverges, gets -1 everywhere.
"""

import argparse
import json
import logging
from pathlib import Path

import pyarrow as pa

from avrobust.attacks.budget import units
from avrobust.attacks.registry import ATTACKS
from avrobust.attacks.threat import bind
from avrobust.csv_text import write_csv_text
from avrobust.evaluation.budgets import Budgets
from avrobust.evaluation.cell import Cell, evaluate
from avrobust.files import write_json, write_text
from avrobust.lazy import built
from avrobust.models.build import Part
from avrobust.models.files import Trained
from avrobust.program import UserError, json_argument, run
from avrobust.spec.attacks import AttackSpec
from avrobust.spec.conditions import Condition
from avrobust.training.job import Job, training_parser
from avrobust.training.loop import NotFinite
from avrobust.training.start import continued_model

log = logging.getLogger("search")

ATTACKED = ("audio", "visual", "both")


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = training_parser(__doc__)
    parser.add_argument("--candidates", type=json_argument, required=True, help="JSON list of options to try")
    parser.add_argument("--attack-spec", type=json_argument, required=True, help="JSON of an AttackSpec")
    parser.add_argument("--budget", type=json_argument, required=True, help="JSON: modality -> norm, epsilon, range")
    parser.add_argument("--epsilon-space", choices=("normalised", "pixel"), default="normalised")
    parser.add_argument("--model-state", choices=("best", "latest"), default="best")
    parser.add_argument("--chosen", type=Path, required=True, help="JSON to write")
    parser.add_argument("--candidates-csv", type=Path, required=True, help="table of all candidates to write")
    given = parser.parse_args()
    if not given.start:
        parser.error("--start is needed: every candidate goes on from the same net")
    return given


def main() -> None:
    """Run the program."""
    given = arguments()
    spec = AttackSpec.of(given.attack_spec)
    if built(ATTACKS, {"name": spec.update, "options": spec.options}).mixes_clips:
        raise UserError(
            f"--attack-spec: {spec.update} mixes the clips of its batch, here one of training; give another"
        )
    if given.model_spec.get("task", "single") != "single":
        raise UserError("--model-spec: candidates are judged by accuracy; give a net of one label a clip")
    job = Job(given)

    rows = []
    for number, options in enumerate(given.candidates, 1):
        log.info("candidate %d of %d: %s", number, len(given.candidates), json.dumps(options))
        try:
            accuracies = _accuracies(job, options, number)
        except NotFinite as error:
            log.warning("left out: %s", error)
            rows.append({**options, **dict.fromkeys(["clean", *ATTACKED, "score"], -1.0)})
            continue
        score = accuracies["clean"] + sum(accuracies[name] for name in ATTACKED) / len(ATTACKED)
        log.info("score %.2f: %s", score, ", ".join(f"{name} {value:.2f}" for name, value in accuracies.items()))
        rows.append({**options, **accuracies, "score": score})
    best = max(range(len(rows)), key=lambda number: rows[number]["score"])
    if rows[best]["score"] < 0:
        raise UserError("no candidate could be trained; the log says why of each")
    options, measured = list(given.candidates[0]), ["clean", *ATTACKED, "score"]
    lines = ([*(f"{row[name]:g}" for name in options), *(f"{row[name]:.2f}" for name in measured)] for row in rows)
    write_text(given.candidates_csv, write_csv_text([*options, *measured], lines))
    write_json(
        given.chosen,
        {
            "chosen": given.candidates[best],
            "candidates": rows,
            "rule": "highest clean accuracy + mean accuracy under attack, on the validation clips",
        },
    )
    # Apart from the choice: equal choices are equal files, and make no net anew.
    write_json(
        given.provenance,
        {
            "attack": given.attack_spec,
            "budget": given.budget,
            "epsilon_space": given.epsilon_space,
            "model_state": given.model_state,
            "recipe": given.recipe,
            "variant": given.variant,
            "seed": given.seed,
            "precision": given.precision,
            "code": given.code,
            **job.meter.read(),
        },
    )
    for path in given.chosen.parent.glob("resume-*.pt"):
        path.unlink()
    log.info("chosen: %s", json.dumps(given.candidates[best]))


def _accuracies(job: Job, options: dict, number: int) -> dict[str, float]:
    """Train one candidate and return its accuracy in per cent, clean and under each attack, on the split val."""
    given = job.given
    spec = Part(given.objective["name"], {**given.objective.get("options", {}), **options})
    _, model = continued_model(job.spec, job.start, job.seed, {}, {})
    fitted = job.fit(model, spec, given.chosen.with_name(f"resume-{number}.pt"))
    # Candidates are judged as the victims of a cell are.
    model, objective = fitted.model.in_precision("float32"), fitted.objective
    state = fitted.result[given.model_state]
    model.load_state_dict(state["model"])
    objective.load_state_dict(state["objective"])
    trained = Trained(model.eval(), objective.eval(), job.classes, {})
    conditions = [Condition(name, "judged") for name in ATTACKED]
    forms = job.view.inputs(job.store)
    scales = {name: unit.to(job.device) for name, unit in units(given.epsilon_space, forms, model.scales).items()}
    cell = Cell(
        "net",
        "judge",
        bind(AttackSpec.of(given.attack_spec), trained, seed=given.seed),
        {"net": model},
        {"net": conditions},
    )
    parts = evaluate([cell], fitted.clips.validation, Budgets({"judged": given.budget}, scales), job.device)
    rows = pa.concat_tables(part.rows for part in parts)
    modality, label, prediction = (rows[name].to_numpy() for name in ("modality", "label", "prediction"))
    return {name: 100 * float((label == prediction)[modality == name].mean()) for name in ("clean", *ATTACKED)}


if __name__ == "__main__":
    run(main)
