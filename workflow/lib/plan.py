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

from lib import choices, digest, work
from lib.errors import SettingsError
from lib.grid import Artefact, Grid, Key, expand
from lib.settings import Settings, load_settings
from lib.variants import Variant, variant_of

Wildcards = Mapping
NOTHING = "(?!)"

# What the released script of Tian & Xu writes, picked from what it decodes; its loader takes it for 11,025.
RELEASED_AUDIO_RATE, RELEASED_PICKED_FROM = 11_000, 44_100

# A job that is put back again and again, because others go first, shall not ask for more than any node has.
MOST_TIMES = 3

# Steps that an attack is taken to have whose file does not say how many.
MOST_STEPS = 100

# What an artefact of each kind is published as, after its name.
PUBLISHED = {
    "table": (".csv", ".md"),
    "localisation": (".csv", ".md"),
    "choices": (".csv", ".md"),
    "claims": (".csv", "_tests.csv", ".md"),
    "sweep": (".csv", ".svg", ".png"),
    "heat_maps": (".csv", ".svg", ".png"),
    "tsne": (".csv", "_measures.csv", ".svg", ".png"),
}
# Kinds of which those of all papers stand below each other in one file.
STACKED = ("table", "localisation", "claims", "choices")


class Plan:
    """The whole of what is to be made, from the configuration."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.scripts = settings.root / "scripts"
        self.grid: Grid = expand(settings)
        self._variants: dict[tuple[str, str], Variant] = {}
        self._rows: dict[str, int] = {}
        self._check_shared()
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

    def lists(self, wildcards: Wildcards) -> list[str]:
        """The published lists of a dataset, in the order of their names; those with an address are downloaded."""
        return list(self._list_files(wildcards.dataset).values())

    def class_index(self, wildcards: Wildcards) -> list[str]:
        """The file that names the classes, of datasets with too many to write down."""
        facts = self.settings.datasets[wildcards.dataset]
        return [facts["class_index"]] if "class_index" in facts else []

    def archive(self, wildcards: Wildcards) -> list[str]:
        """What was kept of the archive that a dataset may come from."""
        facts = self.settings.datasets[wildcards.dataset]
        return [f"{self.results}/data/{wildcards.dataset}/archive.csv"] if "archive" in facts["sources"] else []

    def fetched_folder(self, wildcards: Wildcards) -> str:
        """Where the videos of a dataset that were brought here lie; datasets of the same videos share it."""
        return f"results/media/{self.settings.datasets[wildcards.dataset]['media']}"

    def archive_state(self, wildcards: Wildcards) -> str:
        """The journal of the parts of an archive that were read, for all datasets of the same videos."""
        return f"{self.fetched_folder(wildcards)}.archive.jsonl"

    def shard_locations(self, wildcards: Wildcards) -> list[str]:
        """Where the clips of a shard are; nothing where the manifest says it."""
        if self.settings.datasets[wildcards.dataset]["source"] != "lists":
            return []
        return [f"{self.results}/data/{wildcards.dataset}/locations/{wildcards.shard}.csv"]

    @cached_property
    def paper_datasets(self) -> list[str]:
        """The datasets of all papers."""
        return list(dict.fromkeys(name for paper in self.settings.papers.values() for name in paper["datasets"]))

    def paper_data(self, name: str) -> list[str]:
        """The file of this name of every dataset of the papers, in the order of `paper_datasets`."""
        return [f"{self.results}/data/{dataset}/{name}" for dataset in self.paper_datasets]

    @property
    def data_targets(self) -> list[str]:
        """All that `snakemake data` makes: every dataset, packed."""
        return [f"{self.results}/data/{name}/availability.csv" for name in self.settings.datasets]

    def shards(self, wildcards: Wildcards) -> list[str]:
        """All shards of a dataset."""
        return self._numbered(wildcards.dataset, "shards", "arrow")

    def shard_reports(self, wildcards: Wildcards) -> list[str]:
        """What became of the clips of each shard of a dataset."""
        return self._numbered(wildcards.dataset, "shards", "csv")

    def cells(self, wildcards: Wildcards) -> list[str]:
        """The cells that an artefact is computed from, all seeds."""
        return self._needed("cells", wildcards, ".parquet")

    def localisation_scores(self, wildcards: Wildcards) -> list[str]:
        """The localisation scores that an artefact is computed from, all seeds."""
        return self._needed("localisation", wildcards, ".parquet")

    def embeddings(self, wildcards: Wildcards) -> list[str]:
        """The embeddings that an artefact is computed from, all seeds."""
        return self._needed("embeddings", wildcards, ".parquet")

    def embedding_scores(self, wildcards: Wildcards) -> list[str]:
        """The scores of the embeddings that an artefact is computed from, all seeds."""
        return self._needed("embeddings", wildcards, ".scores.parquet")

    def scores(self, wildcards: Wildcards) -> list[str]:
        """All scores that an artefact is computed from."""
        return [*self.localisation_scores(wildcards), *self.embedding_scores(wildcards)]

    def examples(self, wildcards: Wildcards) -> list[str]:
        """The clips that a heat map figure draws, of the first seed."""
        return self._needed("localisation", wildcards, ".npz", self.settings.scale["seeds"][:1])

    def manifests(self, wildcards: Wildcards) -> list[str]:
        """The manifests that a table reads to tell which test clips stand in the training split too."""
        return [f"{self.results}/data/{name}/manifest.csv" for name in self.artefact(wildcards).manifests]

    def start(self, wildcards: Wildcards) -> list[str]:
        """The model that a training goes on from; none where it starts from nothing or from ImageNet."""
        start = self.variant(wildcards).start
        return [self._model(wildcards.dataset, start, wildcards.seed)] if start else []

    def search_start(self, wildcards: Wildcards) -> str:
        """The model that every candidate of a search goes on from."""
        return self._model(wildcards.dataset, self.variant(wildcards).start, self.search_seed)

    def found_options(self, wildcards: Wildcards) -> list[str]:
        """What a search has chosen for the variant's objective; none where nothing is searched."""
        folder = f"{self.results}/models/{wildcards.dataset}/{wildcards.variant}"
        return [f"{folder}/search.json"] if self.variant(wildcards).search else []

    def surrogate(self, wildcards: Wildcards) -> list[str]:
        """The model whose adversarial clips are transferred; none for an attack on the victim's own gradients."""
        surrogate = self._attack(wildcards.attack).get("surrogate")
        return [self._model(wildcards.dataset, surrogate, wildcards.seed)] if surrogate else []

    def imagenet_weights(self, wildcards: Wildcards) -> list[str]:
        """The weights that a frame encoder starts from; none where the scale or the net has no use for them."""
        variant = self.variant(wildcards)
        if not self.settings.scale["imagenet_weights"] or "visual" not in variant.net or variant.start:
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
                files += [f"paper_tables/{paper}/{name}{suffix}" for suffix in PUBLISHED[artefact.kind]]
                files += [f"paper_tables/{name}.csv"] if artefact.kind in STACKED else []
        if not files:
            return []
        ledgers = ["availability.csv", *(["precision.csv"] if self._is_precision_checked else [])]
        return list(dict.fromkeys([*files, *(f"paper_tables/{name}" for name in ledgers)]))

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
            "attack": _one_of(attack for keys in self.grid.conditions.values() for _, _, attack in keys),
            "seed": r"\d+",
            "shard": r"\d{4}",
            "list": _one_of(self._downloads),
        }

    def artefacts_of(self, *kinds: str) -> str:
        """A regular expression for the artefacts of these kinds."""
        return _one_of(artefact.name for artefact in self.grid.artefacts.values() if artefact.kind in kinds)

    @property
    def stacked_artefacts(self) -> str:
        """A regular expression for the artefacts of which those of all papers stand in one file."""
        return self.artefacts_of(*STACKED)

    @property
    def searched_variants(self) -> str:
        """A regular expression for the variants whose options are searched."""
        return _one_of(name for name, (_, variant) in self.grid.variants.items() if "search" in variant)

    @property
    def published_items(self) -> str:
        """A regular expression for the files below paper_tables."""
        return _one_of(path.removeprefix("paper_tables/") for path in self.targets(self.settings.papers))

    # Parameters

    def classes(self, wildcards: Wildcards) -> list[str]:
        """The class names of a dataset in label order."""
        return self.settings.datasets[wildcards.dataset]["classes"]

    def class_options(self, wildcards: Wildcards) -> list[str]:
        """Where a manifest gets its class names: from the dataset, a file of it, or the user's table."""
        facts = self.settings.datasets[wildcards.dataset]
        if facts["class_names_from"] == "table":
            return ["--classes-from-table"]
        if "class_index" in facts:
            return ["--class-index", facts["class_index"]]
        return ["--classes", *self.classes(wildcards)]

    def list_options(self, wildcards: Wildcards) -> list[str]:
        """The protocol of a dataset, its lists by name, its options as JSON, and where files of the user's may be."""
        facts = self.settings.datasets[wildcards.dataset]
        lists = [f"{name}={path}" for name, path in self._list_files(wildcards.dataset).items()]
        return [
            *("--protocol", facts["protocol"], "--list", *lists, f"--options={canonical(facts['options'])}"),
            *([f"--folder={facts['folder']}"] if "local" in facts["sources"] else []),
            *(["--local-only"] if facts["sources"] == ["local"] else []),
            *(["--spans-needed"] if "clip_seconds" in facts else []),
        ]

    def list_source(self, wildcards: Wildcards) -> list[str]:
        """The address of a list, and what is known of its content."""
        facts = self._downloads[wildcards.list]
        known = {"sha256": "--sha256", "git_blob": "--git-blob"}
        return [f"--url={facts['url']}", *(f"{flag}={facts[key]}" for key, flag in known.items() if key in facts)]

    def archive_options(self, wildcards: Wildcards) -> list[str]:
        """The parts of an archive."""
        kinds = {"parts": "--parts", "part_lists": "--part-list", "zip": "--zip"}
        ((kind, places),) = self.settings.datasets[wildcards.dataset]["archive"].items()
        return [kinds[kind], *([places] if kind == "zip" else places)]

    def fetch_options(self, wildcards: Wildcards) -> list[str]:
        """Where the clips of a shard are looked for, and how the web is asked for them."""
        facts, download = self.settings.datasets[wildcards.dataset], self.settings.config["download"]
        return [
            f"--shards={self._shards(wildcards.dataset)}",
            *("--sources", *facts["sources"]),
            *(["--spans-needed"] if "clip_seconds" in facts else []),
            *(f"--archive={path}" for path in self.archive(wildcards)),
            f"--web={canonical(download['web'])}",
        ]

    def location_options(self, wildcards: Wildcards) -> list[str]:
        """Where the clips of a shard were located."""
        return [f"--locations={path}" for path in self.shard_locations(wildcards)]

    def render_options(self, wildcards: Wildcards) -> list[str]:
        """How many clips of which size are rendered."""
        render = self._render(wildcards.dataset)
        sizes = [f"--{name}={render[name]}" for name in ("seconds", "width", "height", "seed")]
        return [*sizes, f"--clips={canonical(render['clips'][wildcards.dataset])}"]

    def model_spec(self, wildcards: Wildcards) -> str:
        """The net of a variant, as JSON."""
        return canonical(self.variant(wildcards).net)

    def objective(self, wildcards: Wildcards) -> str:
        """What the training of a variant minimises, as JSON."""
        return canonical(self.variant(wildcards).objective)

    def recipe(self, wildcards: Wildcards) -> str:
        """How a variant is trained, as JSON."""
        return canonical(self.variant(wildcards).recipe)

    def stage_options(self, wildcards: Wildcards) -> list[str]:
        """What passes from one training to the next: features to keep, what fills a memory."""
        variant = self.variant(wildcards)
        kept = [f"--kept-features={variant.kept_features}"] if variant.kept_features else []
        return [*kept, f"--memory={canonical(variant.memory)}"] if variant.memory else kept

    def start_options(self, wildcards: Wildcards) -> list[str]:
        """The files that a training goes on from."""
        start = [f"--start={path}" for path in self.start(wildcards)]
        return [*start, *(f"--found-options={path}" for path in self.found_options(wildcards))]

    @property
    def search_seed(self) -> int:
        """The seed that options are searched with; all seeds are trained with what it finds."""
        return self.settings.scale["seeds"][0]

    def search_options(self, wildcards: Wildcards) -> list[str]:
        """What a search tries, how it trains each candidate, and under which attack it judges them."""
        variant, (paper, _) = self.variant(wildcards), self.grid.variants[wildcards.variant]
        judged = self._resolved(paper, "search", wildcards.dataset)
        epsilons = self._resolved(paper, "epsilons", wildcards.dataset)
        return [
            f"--candidates={canonical(variant.search)}",
            f"--recipe={canonical(variant.search_recipe)}",
            f"--attack-spec={canonical(self._attack_spec(judged['attack'], wildcards))}",
            f"--epsilon={epsilons[judged['epsilon']]}",
            *self._evaluation(paper, wildcards.dataset),
        ]

    def pack_options(self, wildcards: Wildcards) -> list[str]:
        """How clips are decoded and packed."""
        scale = self.settings.scale
        released = self.settings.config["audio_recipe"] == "released"
        recipe = [f"--stated-audio-rate={scale['audio_rate']}", f"--picked-from={RELEASED_PICKED_FROM}"]
        return [
            *(recipe if released else []),
            f"--audio-rate={RELEASED_AUDIO_RATE if released else scale['audio_rate']}",
            f"--shards={self._shards(wildcards.dataset)}",
            f"--frame-rate={scale['frame_rate']}",
            f"--short-side={scale['short_side']}",
            f"--minimum-frames={scale['minimum_frames']}",
            f"--failed-clips={self.settings.config['failed_clips']}",
        ]

    def training_views(self, wildcards: Wildcards) -> list[str]:
        """What a net sees of a clip in training, and in which precision."""
        return [*self._views(self.settings.scale["audio_samples"]), f"--precision={self.precision('train')}"]

    def test_views(self, wildcards: Wildcards) -> list[str]:
        """What a net sees of a clip under attack."""
        window = self._resolved(self.grid.variants[wildcards.variant][0], "window", wildcards.dataset)
        return self._views(self.settings.scale["audio_samples"] * window["test"] // window["training"])

    def weights_options(self, wildcards: Wildcards) -> list[str]:
        """The weights that the frame encoder starts from."""
        return [f"--imagenet-weights={path}" for path in self.imagenet_weights(wildcards)]

    def attack_spec(self, wildcards: Wildcards) -> str:
        """An attack: its update, its objective, whose gradients it takes and of how many clips, as JSON."""
        return canonical(self._attack_spec(wildcards.attack, wildcards))

    def attack_options(self, wildcards: Wildcards) -> list[str]:
        """Which weights are attacked, and what a frame's epsilon counts in."""
        return self._evaluation(self.grid.variants[wildcards.variant][0], wildcards.dataset)

    def precision(self, kind: str) -> str:
        """Arithmetic of the encoders where a job of this kind takes gradients."""
        return self.settings.scale["precision"][kind]

    def checked_cell(self, family: str) -> str:
        """The cell that shows what the attacks' precision changes, as made (`cells`) or in float32 (`precision`)."""
        check, seed = self.settings.scale["precision"]["check"], self.settings.scale["seeds"][0]
        place = f"{check['dataset']}/{check['variant']}/s{seed}/{check['attack']}"
        return f"{self.results}/{family}/{place}.parquet"

    def surrogate_options(self, wildcards: Wildcards) -> list[str]:
        """The net whose adversarial clips are transferred."""
        return [f"--surrogate={path}" for path in self.surrogate(wildcards)]

    def cell_key(self, wildcards: Wildcards) -> str:
        """What a cell says of itself, as JSON."""
        return canonical({name: getattr(wildcards, name) for name in ("dataset", "variant", "seed", "attack")})

    def conditions(self, family: str) -> Callable[[Wildcards], str]:
        """The modalities and epsilons of a file of one family, as JSON."""
        return lambda wildcards: canonical(sorted(self.grid.conditions[family].get(_key(wildcards), ())))

    def example_classes(self, wildcards: Wildcards) -> list[str]:
        """The classes of which the figures show a clip."""
        return sorted(self.grid.examples.get(_key(wildcards), ()))

    def manifest_datasets(self, wildcards: Wildcards) -> list[str]:
        """The datasets of `manifests`, in the same order."""
        return list(self.artefact(wildcards).manifests)

    def spec(self, wildcards: Wildcards) -> str:
        """The layout of an artefact, as JSON."""
        return canonical(self.artefact(wildcards).spec)

    def code(self, program: str, *parts: str) -> Callable[[Wildcards], str]:
        """The digest of a program and of what it loads for these wildcards: `variant`, `attack`, `search`."""

        def code_of(wildcards: Wildcards) -> str:
            entries = [entry for part in parts for entry in self._entries(part, wildcards)]
            return digest.digest(self.scripts, program, entries)

        return code_of

    # Resources

    def threads(self, kind: str) -> int:
        """Threads of a job of this kind. torch gets these, whatever --cores allows: its sums depend on their number."""
        return self.settings.scale["threads"][kind]

    def memory_mb(self, kind: str) -> Callable[[Wildcards, int], int]:
        """Memory of a job of this kind in MB: what the scale says, and as much again with the next two attempts."""
        return lambda wildcards, attempt: min(attempt, MOST_TIMES) * self.settings.scale["memory_mb"][kind]

    def minutes(self, kind: str) -> Callable[[Wildcards, int], int]:
        """Time limit of a job of this kind in minutes, more with the next two attempts."""
        return lambda wildcards, attempt: min(attempt, MOST_TIMES) * self.settings.scale["minutes"][kind]

    def attack_threads(self, wildcards: Wildcards) -> int:
        """Threads of an attack. As with `threads`, torch gets these."""
        return work.threads(self.threads("attack"), self.split_clips(wildcards.dataset, "test"))

    def attack_memory_mb(self, wildcards: Wildcards, attempt: int) -> int:
        """Memory of an attack in MB, by the clips that it holds at a time; more with the next two attempts."""
        most, clips = self.settings.scale["memory_mb"]["attack"], self.split_clips(wildcards.dataset, "test")
        batch = self.settings.scale["attack_batch_size"]
        return min(attempt, MOST_TIMES) * work.memory_mb(most, clips, batch)

    def attack_minutes(self, family: str) -> Callable[[Wildcards, int], int]:
        """Time limit of an attack in minutes: of what the scale says, the share of its work in the largest one's."""

        def minutes_of(wildcards: Wildcards, attempt: int) -> int:
            most, largest = self.settings.scale["minutes"]["attack"], max(self._attack_work.values(), default=1)
            # What is asked for beside the plan is taken for as large as the largest.
            passes = self._attack_work.get((family, *_key(wildcards)), largest)
            return min(attempt, MOST_TIMES) * work.minutes(most, passes, largest)

        return minutes_of

    def train_minutes(self, wildcards: Wildcards, attempt: int) -> int:
        """Time limit of a training in minutes: of what the scale says, the share of its work in the longest one's."""
        return min(attempt, MOST_TIMES) * self._train_minutes(wildcards, self.variant(wildcards).recipe["epochs"])

    def search_minutes(self, wildcards: Wildcards, attempt: int) -> int:
        """Time limit of a search in minutes: each candidate is trained as a net is."""
        variant = self.variant(wildcards)
        one = self._train_minutes(wildcards, variant.search_recipe["epochs"])
        return min(attempt, MOST_TIMES) * one * len(variant.search)

    def download(self, limit: str) -> str:
        """What config.yaml says of downloads. Not a parameter but a resource: another limit makes nothing anew."""
        return str(self.settings.config["download"][limit])

    @property
    def device(self) -> str:
        """What a net runs on. A resource: it shapes no result beyond rounding, and another makes nothing anew."""
        return self.settings.config["device"]

    @property
    def batch_size(self) -> str:
        """Clips that are attacked at a time. A text and a resource: no result depends on it, and nothing is counted.

        An attack whose result would depend on it has a size of its own, which is a parameter (`attack_spec`).
        """
        return str(self.settings.scale["attack_batch_size"])

    @property
    def gpus(self) -> int:
        """GPUs of a job that trains or attacks."""
        return 0 if self.settings.config["device"] == "cpu" else 1

    # Inside

    def _train_minutes(self, wildcards: Wildcards, epochs: int) -> int:
        passes = work.training_passes(self.split_clips(wildcards.dataset, "train"), epochs)
        most = max(passes, self._longest_training)
        return work.minutes(self.settings.scale["minutes"]["train"], passes, most)

    @cached_property
    def _longest_training(self) -> int:
        """The work of the longest training of the papers."""
        return max(
            work.training_passes(self.split_clips(dataset, "train"), self._variant(name, dataset).recipe["epochs"])
            for name, (paper, _) in self.grid.variants.items()
            for dataset in self.settings.papers[paper]["datasets"]
        )

    @cached_property
    def _attack_work(self) -> dict[tuple[str, ...], int]:
        """(family, dataset, variant, attack) -> the work of that file of the plan."""
        found = {}
        for family, keys in self.grid.conditions.items():
            for (dataset, variant, name), conditions in keys.items():
                attack = self._attack(name)
                entry = self._registered("attacks", "ATTACKS", attack["update"])
                steps = digest.attack_steps(self.scripts, entry) or MOST_STEPS
                elsewhere = attack.get("source", "victim") != "victim"
                clips = self.split_clips(dataset, "test")
                found[family, dataset, variant, name] = work.attack_passes(clips, len(conditions), steps, elsewhere)
        return found

    @property
    def _is_precision_checked(self) -> bool:
        check = self.settings.scale["precision"]["check"]
        key = (check["dataset"], check["variant"], check["attack"])
        return self.precision("attack") != "float32" and key in self.grid.conditions["cells"]

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
        ]

    def variant(self, wildcards: Wildcards) -> Variant:
        """The variant on the dataset that the wildcards name."""
        return self._variant(wildcards.variant, wildcards.dataset)

    def _variant(self, name: str, dataset: str) -> Variant:
        if (name, dataset) not in self._variants:
            paper = self.grid.variants[name][0]
            self._variants[name, dataset] = variant_of(self.settings, paper, name, dataset)
        return self._variants[name, dataset]

    def _attack(self, name: str) -> Mapping:
        """An attack as its paper describes it; one that no paper describes is an update of the registry by its name."""
        return self.grid.attacks.get(name, {"update": name})

    def _attack_spec(self, name: str, wildcards: Wildcards) -> dict:
        chosen = self.settings.chosen[self.grid.variants[wildcards.variant][0]]
        spec = choices.resolve(self._attack(name), chosen, wildcards.dataset, wildcards.variant)
        return {part: value for part, value in spec.items() if part != "surrogate"}

    def _resolved(self, paper: str, part: str, dataset: str) -> Mapping:
        return choices.resolve(self.settings.papers[paper][part], self.settings.chosen[paper], dataset)

    def _evaluation(self, paper: str, dataset: str) -> list[str]:
        evaluation = self._resolved(paper, "evaluation", dataset)
        return [f"--model-state={evaluation['model_state']}", f"--epsilon-space={evaluation['epsilon_space']}"]

    def _model(self, dataset: str, variant: str, seed: str | int) -> str:
        return f"{self.results}/models/{dataset}/{variant}/s{seed}/model.pt"

    def _needed(self, family: str, wildcards: Wildcards, suffix: str, seeds: Iterable[int] | None = None) -> list[str]:
        return [
            f"{self.results}/{family}/{dataset}/{variant}/s{seed}/{attack}{suffix}"
            for dataset, variant, attack in self.artefact(wildcards).needs[family]
            for seed in seeds or self.settings.scale["seeds"]
        ]

    def _render(self, dataset: str) -> Mapping:
        render = self.settings.scale.get("render")
        if render is None or dataset not in render["clips"]:
            raise SettingsError(
                f"workflow/scales/{self.settings.scale_name}.yaml: render.clips: nothing is said about {dataset}"
            )
        return render

    def _numbered(self, dataset: str, folder: str, suffix: str) -> list[str]:
        count = self._shards(dataset)
        return [f"{self.results}/data/{dataset}/{folder}/{number:04d}.{suffix}" for number in range(count)]

    def _shards(self, dataset: str) -> int:
        """Into how many shards a dataset is cut."""
        return ceil(self.clips(dataset) / self.settings.scale["shard_size"])

    def clips(self, dataset: str) -> int:
        """How many clips a dataset's manifest will have; known before anything is made."""
        return self._clips[dataset]

    def split_clips(self, dataset: str, split: str) -> int:
        """How many clips of a split a dataset's manifest will have; all of its clips where no list says it."""
        facts = self.settings.datasets[dataset]
        if facts["source"] == "render":
            return len(facts["classes"]) * self._render(dataset)["clips"][dataset][split]
        if facts["source"] == "lists" and "clips" not in facts:
            return self._list_rows(facts["lists"][split])
        return self.clips(dataset)

    def _list_rows(self, path: str) -> int:
        if path not in self._rows:
            self._rows[path] = count_rows(self.settings.root / path)
        return self._rows[path]

    def _list_files(self, dataset: str) -> dict[str, str]:
        facts = self.settings.datasets[dataset]
        return {
            name: f"results/lists/{_list_name(facts, of['url'])}" if isinstance(of, Mapping) else of
            for name, of in sorted(facts["lists"].items())
        }

    @cached_property
    def _downloads(self) -> dict[str, Mapping]:
        """File name -> what is known of a list that is downloaded."""
        found: dict[str, Mapping] = {}
        for name, facts in self.settings.datasets.items():
            for of in facts["lists"].values():
                if isinstance(of, Mapping) and found.setdefault(_list_name(facts, of["url"]), of) != of:
                    raise SettingsError(f"dataset {name}: {of['url']} has the name of another list of its media")
        return found

    def _count_clips(self, dataset: str) -> int:
        facts = self.settings.datasets[dataset]
        if facts["source"] == "render":
            return len(facts["classes"]) * sum(self._render(dataset)["clips"][dataset].values())
        if facts["source"] == "lists":
            splits = ("train", "val", "test")
            stated, lists = facts.get("clips"), facts["lists"].values()
            if not stated:
                return sum(self._list_rows(facts["lists"][name]) for name in splits)
            # Lists of a user's own copy may have fewer rows than there are shards for.
            if all(isinstance(of, str) and of.endswith(".csv") for of in lists):
                return min(stated, sum(map(self._list_rows, lists)))
            return stated
        return count_rows(Path(facts["table"])) - 1  # its header

    def _entries(self, part: str, wildcards: Wildcards) -> Iterable[str]:
        if part == "variant":
            return self._variant_entries(wildcards.variant, wildcards.dataset)
        if part == "attack":
            return self._attack_entries(wildcards.attack, wildcards.dataset)
        if part == "protocol":
            protocol = self.settings.datasets[wildcards.dataset]["protocol"]
            return [self._registered("data/protocols", "PROTOCOLS", protocol)]
        judged = self._resolved(self.grid.variants[wildcards.variant][0], part, wildcards.dataset)
        return self._attack_entries(judged["attack"], wildcards.dataset)

    def _variant_entries(self, name: str, dataset: str) -> list[str]:
        return [self._registered(*place) for place in self._variant(name, dataset).registered()]

    def _attack_entries(self, name: str, dataset: str) -> list[str]:
        attack = self._attack(name)
        entries = [self._registered("attacks", "ATTACKS", attack["update"])]
        if attack.get("objective", "training") != "training":
            entries.append(self._registered("objectives", "OBJECTIVES", attack["objective"]))
        return entries + (self._variant_entries(attack["surrogate"], dataset) if "surrogate" in attack else [])

    def _registered(self, part: str, table: str, name: str) -> str:
        entry = digest.registered(self.scripts, part, table, name)
        if entry is None:
            allowed = ", ".join(digest.registered_names(self.scripts, part, table))
            raise SettingsError(f"{name!r} is not in {table} of scripts/avrobust/{part}/registry.py: {allowed}")
        return entry

    def _check_shared(self) -> None:
        """Raise SettingsError if two papers mean different trainings by one variant of one dataset."""
        for name, (first, _) in self.grid.variants.items():
            for paper, facts in self.settings.papers.items():
                if paper == first or name not in facts["variants"]:
                    continue
                for dataset in facts["datasets"]:
                    if dataset not in self.settings.papers[first]["datasets"]:
                        raise SettingsError(f"variant {name} of {paper}: {first}, which has it too, has no {dataset}")
                    ways = [
                        (variant_of(self.settings, one, name, dataset).told, self._evaluation(one, dataset))
                        for one in (first, paper)
                    ]
                    if ways[0] != ways[1]:
                        raise SettingsError(f"variant {name} on {dataset} is not the same in {first} and {paper}")

    def _check_registered(self) -> None:
        for name, (paper, _) in self.grid.variants.items():
            for dataset in self.settings.papers[paper]["datasets"]:
                self._variant_entries(name, dataset)
        for keys in self.grid.conditions.values():
            for dataset, _, attack in keys:
                self._attack_entries(attack, dataset)


def _list_name(facts: Mapping, url: str) -> str:
    return f"{facts['media']}_{url.rpartition('/')[2]}"


def canonical(value: object) -> str:
    """Return the one JSON text of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def count_rows(path: Path) -> int:
    """Return the number of rows of a CSV file that are not empty; SettingsError if it cannot be read as one."""
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            return sum(1 for row in csv.reader(file) if any(map(str.strip, row)))
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file; it is the list of clips of a dataset") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}; it is the list of clips of a dataset") from None
    except csv.Error as error:
        raise SettingsError(f"{path}: not CSV: {error}; it is the list of clips of a dataset") from None


def _key(wildcards: Wildcards) -> Key:
    return wildcards.dataset, wildcards.variant, wildcards.attack


def _one_of(names: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(set(names)))) or NOTHING
