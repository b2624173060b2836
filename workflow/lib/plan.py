"""What the rules ask: files, parameters and resources, each by a job's wildcards.

Every method that a rule calls takes wildcards and returns plain values; whatever a program gets as JSON is canonical
(sorted keys, no spaces), so that equal parameters are equal texts and re-run nothing.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from math import ceil
from pathlib import Path

from lib import digest
from lib.grid import Artefact, Grid, expand
from lib.settings import Settings, SettingsError, load_settings

Wildcards = Mapping
NOTHING = "(?!)"

# In which table of which registry each part of a variant stands.
REGISTRIES = {
    "fusion": ("models", "FUSIONS"),
    "audio": ("models", "AUDIO_ENCODERS"),
    "visual": ("models", "VISUAL_ENCODERS"),
    "objective": ("objectives", "OBJECTIVES"),
}

# What the released script of Tian & Xu writes; its loader takes it for 11,025.
RELEASED_AUDIO_RATE = 11_000


class Plan:
    """The whole of what is to be made, from the configuration."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.scripts = settings.root / "scripts"
        self.grid: Grid = expand(settings)
        self._check_registered()
        # Here and not when a rule asks, so that a missing list is one line before any job.
        self._clips = {dataset: self._count_clips(dataset) for dataset in settings.datasets}

    @classmethod
    def load(cls, root: str | Path, config: Mapping) -> "Plan":
        """Read and check everything below `root`; SettingsError names the first mistake."""
        return cls(load_settings(Path(root), config))

    # Files

    @property
    def results(self) -> str:
        """The folder of this scale's results."""
        return f"results/{self.settings.scale_name}"

    def media_folder(self, wildcards: Wildcards) -> str:
        """Where the clips of a dataset lie: rendered ones with the results, all others where the user says."""
        dataset = self.settings.datasets[wildcards.dataset]
        if dataset["source"] == "render":
            return f"{self.results}/data/{wildcards.dataset}/media"
        return dataset["folder"]

    def table(self, wildcards: Wildcards) -> str:
        """The user's own list of clips."""
        return self.settings.datasets[wildcards.dataset]["table"]

    def released_list(self, split: str) -> Callable[[Wildcards], str]:
        """The released list of a split."""
        return lambda wildcards: self.settings.datasets[wildcards.dataset]["lists"][split]

    def shards(self, wildcards: Wildcards) -> list[str]:
        """All shards of a dataset."""
        return self._numbered(wildcards.dataset, "shards", "arrow")

    def shard_reports(self, wildcards: Wildcards) -> list[str]:
        """What became of the clips of each shard of a dataset."""
        return self._numbered(wildcards.dataset, "shards", "csv")

    def cells(self, wildcards: Wildcards) -> list[str]:
        """The cells that an artefact is computed from, all seeds."""
        return [
            f"{self.results}/cells/{dataset}/{variant}/s{seed}/{attack}.parquet"
            for dataset, variant, attack in self.artefact(wildcards).cells
            for seed in self.settings.scale["seeds"]
        ]

    def imagenet_weights(self, wildcards: Wildcards) -> list[str]:
        """The weights that a frame encoder starts from; none where the scale or the net has no use for them."""
        if not self.settings.scale["imagenet_weights"] or "visual" not in self._variant(wildcards):
            return []
        return [self.settings.config["imagenet_weights"] or "results/weights/resnet18_imagenet.pth"]

    def published(self, wildcards: Wildcards) -> str:
        """The printed values of a table."""
        return f"workflow/papers/{wildcards.paper}/published/{wildcards.artefact}.csv"

    def stacked(self, wildcards: Wildcards) -> list[str]:
        """That table of every paper that has it."""
        return [f"{self.results}/tables/{paper}/{wildcards.artefact}.csv" for paper in self.papers_with(wildcards)]

    def papers_with(self, wildcards: Wildcards) -> list[str]:
        """The papers that have an artefact of this name."""
        return [paper for paper, name in self.grid.artefacts if name == wildcards.artefact]

    def targets(self, papers: Iterable[str]) -> list[str]:
        """All published files of these papers."""
        wanted = set(papers)
        files = []
        for (paper, name), artefact in self.grid.artefacts.items():
            if paper in wanted:
                suffixes = ("csv", "md") if artefact.kind == "table" else ("csv", "svg", "png")
                files += [f"paper_tables/{paper}/{name}.{suffix}" for suffix in suffixes]
                files += [f"paper_tables/{name}.csv"] if artefact.kind == "table" else []
        return list(dict.fromkeys(files))

    # Wildcards

    def datasets_from(self, source: str) -> str:
        """A regular expression for the datasets that come from `source`."""
        datasets = self.settings.datasets.items()
        return _one_of(name for name, dataset in datasets if dataset["source"] == source)

    @cached_property
    def wildcard_patterns(self) -> dict[str, str]:
        """A regular expression for each wildcard: registered names only."""
        return {
            "scale": re.escape(self.settings.scale_name),
            "paper": _one_of(self.settings.papers),
            "dataset": _one_of(self.settings.datasets),
            "variant": _one_of(self.grid.variants),
            "attack": _one_of(attack for _, _, attack in self.grid.cells),
            "seed": r"\d+",
            "shard": r"\d{4}",
        }

    def artefacts_of(self, kind: str) -> str:
        """A regular expression for the artefacts of one kind."""
        return _one_of(artefact.name for artefact in self.grid.artefacts.values() if artefact.kind == kind)

    @property
    def published_items(self) -> str:
        """A regular expression for the files below paper_tables."""
        return _one_of(path.removeprefix("paper_tables/") for path in self.targets(self.settings.papers))

    # Parameters

    def classes(self, wildcards: Wildcards) -> list[str]:
        """The class names of a dataset in label order."""
        return self.settings.datasets[wildcards.dataset]["classes"]

    def class_options(self, wildcards: Wildcards) -> list[str]:
        """How the manifest of a user's own clips gets its class names: from the dataset, or from the table."""
        if self.settings.datasets[wildcards.dataset]["class_names_from"] == "table":
            return ["--classes-from-table"]
        return ["--classes", *self.classes(wildcards)]

    def render_options(self, wildcards: Wildcards) -> list[str]:
        """How many clips of which size are rendered."""
        render = self._render(wildcards.dataset)
        sizes = [f"--{name}={render[name]}" for name in ("seconds", "width", "height", "seed")]
        return [*sizes, f"--clips={canonical(render['clips'][wildcards.dataset])}"]

    def model_spec(self, wildcards: Wildcards) -> str:
        """The net of a variant, as JSON."""
        choices = self._choices(wildcards)
        parts = {kind: name for kind, name in self._variant(wildcards).items() if kind != "objective"}
        spec = {**parts, "width": self.settings.scale["width"]}
        if "visual" in spec:
            spec["visual_pooling"] = choices["visual_pooling"]
        return canonical(spec)

    def objective(self, wildcards: Wildcards) -> str:
        """What the training of a variant minimises and an attack on it maximises."""
        return self._variant(wildcards)["objective"]

    def recipe(self, wildcards: Wildcards) -> str:
        """How a variant is trained, as JSON."""
        paper, choices = self._paper(wildcards), self._choices(wildcards)
        recipe = {
            **paper["training"][wildcards.dataset][choices["training"]],
            "learning_rates": paper["learning_rates"][choices["learning_rates"]],
            **self.settings.scale.get("training", {}),
        }
        if choices["batch_norm"] == "replica":
            recipe["replica_size"] = paper["replica_size"]
        return canonical(recipe)

    def pack_options(self, wildcards: Wildcards) -> list[str]:
        """How clips are decoded and packed."""
        scale = self.settings.scale
        released = self.settings.config["audio_recipe"] == "released"
        stated_rate = [f"--stated-audio-rate={scale['audio_rate']}"] if released else []
        return [
            *stated_rate,
            f"--audio-rate={RELEASED_AUDIO_RATE if released else scale['audio_rate']}",
            f"--shard-size={scale['shard_size']}",
            f"--frame-rate={scale['frame_rate']}",
            f"--short-side={scale['short_side']}",
            f"--minimum-frames={scale['minimum_frames']}",
            f"--failed-clips={self.settings.config['failed_clips']}",
        ]

    def training_views(self, wildcards: Wildcards) -> list[str]:
        """What a net sees of a clip in training, and the device that it runs on."""
        return self._views(self.settings.scale["audio_samples"])

    def test_views(self, wildcards: Wildcards) -> list[str]:
        """What a net sees of a clip under attack, and the device that it runs on."""
        samples = self.settings.scale["audio_samples"]
        if wildcards.dataset == "ave" and self._choices(wildcards)["ave_test_window"] == "half":
            samples = samples * 33_075 // 65_535
        return self._views(samples)

    def weights_options(self, wildcards: Wildcards) -> list[str]:
        """The weights that the frame encoder starts from."""
        return [f"--imagenet-weights={path}" for path in self.imagenet_weights(wildcards)]

    def attack_options(self, wildcards: Wildcards) -> list[str]:
        """Which weights are attacked, how many clips at a time, and what a frame's epsilon counts in."""
        choices = self._choices(wildcards)
        return [
            f"--model-state={choices['model_state']}",
            f"--epsilon-space={choices['epsilon_space']}",
            f"--batch-size={self.settings.scale['attack_batch_size']}",
        ]

    def cell_key(self, wildcards: Wildcards) -> str:
        """What a cell says of itself, as JSON."""
        return canonical({name: getattr(wildcards, name) for name in ("dataset", "variant", "seed")})

    def conditions(self, wildcards: Wildcards) -> str:
        """The modalities and epsilons of a cell, as JSON."""
        key = (wildcards.dataset, wildcards.variant, wildcards.attack)
        return canonical(sorted(self.grid.cells.get(key, ())))

    def spec(self, wildcards: Wildcards) -> str:
        """The layout of an artefact, as JSON."""
        return canonical(self.artefact(wildcards).spec)

    def code(self, program: str, *parts: str) -> Callable[[Wildcards], str]:
        """The digest of a program and of what it loads for these wildcards: `variant`, `attack`."""

        def code_of(wildcards: Wildcards) -> str:
            entries = [entry for part in parts for entry in self._entries(part, wildcards)]
            return digest.digest(self.scripts, program, entries)

        return code_of

    # Resources

    def threads(self, kind: str) -> int:
        """Threads of a job of this kind. torch gets these, whatever --cores allows: its sums depend on their number."""
        return self.settings.scale["threads"][kind]

    def memory_mb(self, kind: str) -> Callable[[Wildcards, int], int]:
        """Memory of a job of this kind in MB: what the scale says, and as much again with each attempt."""
        return lambda wildcards, attempt: attempt * self.settings.scale["memory_mb"][kind]

    def minutes(self, kind: str) -> Callable[[Wildcards, int], int]:
        """Time limit of a job of this kind in minutes, more with each attempt."""
        return lambda wildcards, attempt: attempt * self.settings.scale["minutes"][kind]

    @property
    def gpus(self) -> int:
        """GPUs of a job that trains or attacks."""
        return 0 if self.settings.config["device"] == "cpu" else 1

    # Inside

    def artefact(self, wildcards: Wildcards) -> Artefact:
        """The artefact that the wildcards name; SettingsError if the paper has none of that name."""
        key = (wildcards.paper, wildcards.artefact)
        if key not in self.grid.artefacts:
            raise SettingsError(f"{wildcards.paper} has no artefact {wildcards.artefact}")
        return self.grid.artefacts[key]

    def _views(self, audio_samples: int) -> list[str]:
        return [
            f"--audio-samples={audio_samples}",
            f"--frame-size={self.settings.scale['frame_size']}",
            f"--device={self.settings.config['device']}",
        ]

    def _paper(self, wildcards: Wildcards) -> Mapping:
        return self.settings.papers[self.grid.variants[wildcards.variant][0]]

    def _choices(self, wildcards: Wildcards) -> Mapping:
        return self.settings.config[self.grid.variants[wildcards.variant][0]]

    def _variant(self, wildcards: Wildcards) -> Mapping:
        return {"objective": "cross_entropy", **self.grid.variants[wildcards.variant][1]}

    def _render(self, dataset: str) -> Mapping:
        render = self.settings.scale.get("render")
        if render is None or dataset not in render["clips"]:
            raise SettingsError(
                f"workflow/scales/{self.settings.scale_name}.yaml: render.clips: nothing is said about {dataset}"
            )
        return render

    def _numbered(self, dataset: str, folder: str, suffix: str) -> list[str]:
        count = ceil(self.clips(dataset) / self.settings.scale["shard_size"])
        return [f"{self.results}/data/{dataset}/{folder}/{number:04d}.{suffix}" for number in range(count)]

    def clips(self, dataset: str) -> int:
        """How many clips a dataset's manifest will have; known before anything is made."""
        return self._clips[dataset]

    def _count_clips(self, dataset: str) -> int:
        facts = self.settings.datasets[dataset]
        if facts["source"] == "render":
            return len(facts["classes"]) * sum(self._render(dataset)["clips"][dataset].values())
        if facts["source"] == "lists":
            return sum(count_rows(self.settings.root / path) for path in facts["lists"].values())
        return count_rows(Path(facts["table"])) - 1  # its header

    def _entries(self, part: str, wildcards: Wildcards) -> list[str]:
        if part == "attack":
            return [self._registered("attacks", "ATTACKS", wildcards.attack)]
        return [self._registered(*REGISTRIES[kind], name) for kind, name in self._variant(wildcards).items()]

    def _registered(self, part: str, table: str, name: str) -> str:
        entry = digest.registered(self.scripts, part, table, name)
        if entry is None:
            allowed = ", ".join(digest.registered_names(self.scripts, part, table))
            raise SettingsError(f"{name!r} is not in {table} of scripts/avrobust/{part}/registry.py: {allowed}")
        return entry

    def _check_registered(self) -> None:
        for _, _, attack in self.grid.cells:
            self._registered("attacks", "ATTACKS", attack)
        for _, variant in self.grid.variants.values():
            for kind, name in variant.items():
                self._registered(*REGISTRIES[kind], name)


def canonical(value: object) -> str:
    """Return the one JSON text of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def count_rows(path: Path) -> int:
    """Return the number of rows of a CSV file that are not empty; SettingsError if there is no such file."""
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            return sum(1 for row in csv.reader(file) if any(map(str.strip, row)))
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file; it is the list of clips of a dataset") from None


def _one_of(names: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(set(names)))) or NOTHING
