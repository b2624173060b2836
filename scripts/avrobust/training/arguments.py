"""What every program that trains a net is told, and what it makes of that."""

import argparse
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from avrobust.data.classes import check_classes
from avrobust.data.manifest import read_classes
from avrobust.data.store import Store
from avrobust.models.files import Trained, load_model
from avrobust.models.late_fusion import PRECISIONS
from avrobust.program import UserError, json_argument, positive
from avrobust.runtime import DEVICES


def training_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser of the arguments that all these programs share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--shards", type=Path, nargs="+", required=True)
    parser.add_argument("--class-list", type=Path, required=True)
    parser.add_argument("--model-spec", type=json_argument, required=True, help="JSON of a ModelSpec")
    parser.add_argument("--recipe", type=json_argument, required=True, help="JSON of a TrainingRecipe")
    parser.add_argument("--objective", type=json_argument, required=True, help="JSON of an ObjectiveSpec")
    parser.add_argument("--audio-samples", type=positive, required=True)
    parser.add_argument("--frame-size", type=positive, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="of the encoders")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--code", default="", help="digest of the code, part of what a resumed run must share")
    parser.add_argument("--provenance", type=Path, required=True)
    return parser


def opened_clips(given: argparse.Namespace) -> tuple[tuple[str, ...], Store]:
    """Return the class names and the clips that the arguments name.

    Raises:
        UserError: a file is missing or damaged, or the clips were packed with another class list.
    """
    classes, store = read_classes(given.class_list), Store(given.shards)
    if store.classes != classes:
        raise UserError(
            f"{given.class_list} has other classes than the clips of {given.shards[0].parent} were packed with; pack "
            "them with this list"
        )
    return classes, store


def load_start(path: Path, classes: Sequence[str], class_list: Path, device: torch.device) -> Trained:
    """Return the net, with its latest weights, that a training goes on from.

    Raises:
        UserError: the file is damaged, or its net tells other classes apart than those of `class_list`.
    """
    start = load_model(path, "latest", device)
    check_classes(path, start.classes, class_list, classes)
    return start


def resume_key(shaping: Sequence[object], files: Iterable[Path]) -> str:
    """Return a digest of all that shapes a training: plain values, and the files that it reads by size and time."""
    read = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    return hashlib.sha256(json.dumps([*shaping, read], sort_keys=True).encode()).hexdigest()
