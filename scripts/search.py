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

import torch

from avrobust.attacks.budget import units
from avrobust.attacks.registry import ATTACKS
from avrobust.attacks.threat import AttackSpec, bind
from avrobust.csv_text import write_csv_text
from avrobust.data.store import Store
from avrobust.data.views import Recipe
from avrobust.evaluation.cell import evaluate
from avrobust.evaluation.conditions import Condition
from avrobust.files import write_json, write_text
from avrobust.lazy import load
from avrobust.models.build import ModelSpec
from avrobust.models.files import Trained
from avrobust.objectives.build import ObjectiveSpec, build_objective
from avrobust.program import UserError, json_argument, run
from avrobust.provenance import Meter
from avrobust.runtime import prepare
from avrobust.training.arguments import load_start, opened_clips, resume_key, training_parser
from avrobust.training.clips import training_clips
from avrobust.training.loop import NotFinite, TrainingRecipe, train
from avrobust.training.start import continued_model

log = logging.getLogger("search")

ATTACKED = ("audio", "visual", "both")


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = training_parser(__doc__)
    parser.add_argument("--candidates", type=json_argument, required=True, help="JSON list of options to try")
    parser.add_argument("--start", type=Path, required=True, help="model whose latest weights each starts from")
    parser.add_argument("--attack-spec", type=json_argument, required=True, help="JSON of an AttackSpec")
    parser.add_argument("--epsilon", type=float, required=True)
    parser.add_argument("--epsilon-space", choices=("normalised", "pixel"), default="normalised")
    parser.add_argument("--model-state", choices=("best", "latest"), default="best")
    parser.add_argument("--chosen", type=Path, required=True, help="JSON to write")
    parser.add_argument("--candidates-csv", type=Path, required=True, help="table of all candidates to write")
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    attack = AttackSpec(**given.attack_spec).update
    if load(ATTACKS, attack).mixes_clips:
        raise UserError(f"--attack-spec: {attack} mixes the clips of its batch, here one of training; give another")
    device = prepare(given.device, given.threads)
    meter = Meter(device)
    classes, store = opened_clips(given)
    start = load_start(given.start, classes, given.class_list, device)

    rows = []
    for number, options in enumerate(given.candidates, 1):
        log.info("candidate %d of %d: %s", number, len(given.candidates), json.dumps(options))
        try:
            accuracies = _accuracies(given, options, number, start, store, device)
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
            "epsilon": given.epsilon,
            "epsilon_space": given.epsilon_space,
            "model_state": given.model_state,
            "recipe": given.recipe,
            "seed": given.seed,
            "precision": given.precision,
            "code": given.code,
            **meter.read(),
        },
    )
    for path in given.chosen.parent.glob("resume-*.pt"):
        path.unlink()
    log.info("chosen: %s", json.dumps(given.candidates[best]))


def _accuracies(
    given: argparse.Namespace, options: dict, number: int, start: Trained, store: Store, device: torch.device
) -> dict[str, float]:
    """Train one candidate and return its accuracy in per cent, clean and under each attack, on the split val."""
    views, recipe = Recipe(given.audio_samples, given.frame_size), TrainingRecipe(**given.recipe)
    spec = ObjectiveSpec(given.objective["name"], {**given.objective.get("options", {}), **options})
    _, model = continued_model(ModelSpec(**given.model_spec), start, given.seed, {}, {})
    model = model.to(device).in_precision(given.precision)
    objective = build_objective(spec, model.dimensions, len(start.classes)).to(device)
    clips = training_clips(store, views, model, recipe.batch_size, recipe.epochs, given.seed, given.threads)
    shaping = [
        given.model_spec,
        given.recipe,
        vars(spec),
        vars(views),
        given.seed,
        given.code,
        given.precision,
        device.type,
    ]
    read = [*given.shards, given.start]
    shaping.append(given.threads)
    result = train(
        model,
        clips.loader,
        clips.batches,
        clips.validation,
        recipe,
        objective,
        resume=given.chosen.with_name(f"resume-{number}.pt"),
        key=resume_key(shaping, read),
        device=device,
    )
    # Candidates are judged as the victims of a cell are.
    model = model.in_precision("float32")
    state = result[given.model_state]
    model.load_state_dict(state["model"])
    objective.load_state_dict(state["objective"])
    trained = Trained(model.eval(), objective.eval(), start.classes, {})
    conditions = [Condition(name, given.epsilon) for name in ATTACKED]
    threat = bind(AttackSpec(**given.attack_spec), trained)
    rows, _ = evaluate(model, clips.validation, threat, units(given.epsilon_space), conditions, device)
    modality, label, prediction = (rows[name].to_numpy() for name in ("modality", "label", "prediction"))
    return {name: 100 * float((label == prediction)[modality == name].mean()) for name in ("clean", *ATTACKED)}


if __name__ == "__main__":
    run(main)
