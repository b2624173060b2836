"""What a layout is told beside what its author wrote, by the name of each fact."""

import json
import re
from collections.abc import Callable, Mapping

from avrobust.spec.measures import SELECTED
from lib import schedules
from lib.class_names import class_names
from lib.errors import SettingsError, UnsaidError
from lib.extractors import extractor_of
from lib.same_attacks import same_attacks
from lib.sensitivity import taken, unchanged
from lib.settings import Settings, place_of
from lib.strengths import calibrated
from lib.variants import SINGLE, Variant, variant_of

# Options of selected_mixup that choose classes.
CHOOSING = ("geometry", "tau", "convexity", "density", "densest", "kappa")
# Choices of all papers, at the top of config.yaml.
COMMON_CHOICES = ("failed_clips", "audio_recipe")


def _used_labels(labels: Mapping[str, Mapping[str, str]], spec: Mapping) -> dict[str, dict[str, str]]:
    """Those of the datasets and attacks that a layout names, so that another one's makes no figure anew."""
    named = set(re.findall(r"\w+", json.dumps(spec)))
    return {
        kind: {name: text for name, text in labels.get(kind, {}).items() if name in named}
        for kind in ("dataset", "attack")
    }


def _extractor(dataset: Mapping) -> Mapping:
    """What makes the features that the nets of a dataset see; nothing where they see clips."""
    return dataset.get("extractors", {}).get(extractor_of(dataset), {})


def _window(settings: Settings, paper: str) -> Mapping:
    if "window" not in settings.papers[paper]:
        raise SettingsError(f"{place_of(paper, 'window')} must be given, the samples that a listing is of")
    return settings.papers[paper]["window"]


def _selections(settings: Settings, paper: str, spec: Mapping) -> dict[str, Mapping]:
    """How the trainings of a paper choose the classes that they mix, by dataset/variant, where a claim asks for it."""
    if SELECTED not in json.dumps(spec["claims"]):
        return {}
    found = {}
    for dataset in settings.papers[paper]["datasets"]:
        for name in settings.papers[paper]["variants"]:
            try:
                prepare = variant_of(settings, paper, name, dataset).recipe.get("prepare", {})
            except UnsaidError:
                continue
            if prepare.get("name") == "selected_mixup":
                ways = prepare.get("options", {}).items()
                found[f"{dataset}/{name}"] = {key: value for key, value in ways if key in CHOOSING}
    return found


def crafted_by(variant: Variant) -> str:
    """By which attack a training crafts, as its paper calls it where it names one; nothing if it crafts nothing."""
    told = variant.recipe.get("prepare", {}).get("options", {}).get("attack", "")
    return told if isinstance(told, str) else told.get("update", "")


# What a layout says beside what its author wrote.
FACTS: Mapping[str, Callable[[Settings, str, Mapping], object]] = {
    "paper": lambda settings, paper, spec: paper,
    "same": same_attacks,
    "citation": lambda settings, paper, spec: settings.papers[paper]["citation"],
    "labels": lambda settings, paper, spec: _used_labels(settings.papers[paper]["labels"], spec),
    "alike": schedules.alike_of,
    "shares": schedules.shares_of,
    # Dataset, surrogate, victim, attack, modality and budget of what is near a printed number by construction.
    "calibrated": lambda settings, paper, spec: [
        [*one[:4], one.condition.modality, one.condition.budget] for one in calibrated(settings, paper)
    ],
    "seed": lambda settings, paper, spec: settings.scale["seeds"][0],
    "chosen": lambda settings, paper, spec: {
        **settings.chosen[paper],
        **{name: settings.config[name] for name in COMMON_CHOICES},
    },
    "scale": lambda settings, paper, spec: settings.scale_name,
    "set_by_scale": lambda settings, paper, spec: list(settings.scale.get("papers", {}).get(paper, {})),
    # Of a diagram, which names a net on a dataset.
    "net": lambda settings, paper, spec: (
        variant_of(settings, paper, spec["read"]["variant"], spec["read"]["dataset"]).net
    ),
    "view": lambda settings, paper, spec: settings.datasets[spec["read"]["dataset"]]["view"],
    "extractor": lambda settings, paper, spec: _extractor(settings.datasets[spec["read"]["dataset"]]),
    "rates": lambda settings, paper, spec: {
        rate: settings.datasets[spec["read"]["dataset"]][rate] for rate in ("audio_rate", "frame_rate")
    },
    "classes": lambda settings, paper, spec: len(
        class_names(settings.root, settings.datasets[spec["read"]["dataset"]])
    ),
    "names": lambda settings, paper, spec: settings.own_names(settings.papers[paper]["datasets"]),
    "taken": taken,
    "unchanged": unchanged,
    "several": lambda settings, paper, spec: sorted(
        name for name in settings.papers[paper]["datasets"] if settings.datasets[name].get("task", SINGLE) != SINGLE
    ),
    "selections": lambda settings, paper, spec: _selections(settings, paper, spec),
    "samples": lambda settings, paper, spec: _window(settings, paper)["training"],
}
