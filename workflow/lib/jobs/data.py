"""What workflow/rules/data.smk asks: lists, sources, shards and clips of the datasets."""

import csv
from collections.abc import Mapping, Sequence
from functools import cached_property
from math import ceil
from pathlib import Path

from avrobust.program import UserError
from avrobust.spec.rendered import SPLITS, Clearness, Dataset
from lib.class_names import class_names
from lib.errors import SettingsError
from lib.extractors import extractor_of
from lib.grid import Grid
from lib.jobs.jobs import Jobs, Wildcards, canonical, one_of
from lib.settings import Settings
from lib.variants import SINGLE

# Clips of packed shards of which one job makes one of features: six minutes of a GPU.
CLIPS_OF_FEATURES = 8000

# A clip comes to fewer than so many frames more than its length times the rate: its last frame is repeated.
MORE_FRAMES = 3

# What the released script of Tian & Xu writes, picked from what it decodes; its loader takes it for 11,025.
RELEASED_AUDIO_RATE, RELEASED_PICKED_FROM, RELEASED_STATED_RATE = 11_000, 44_100, 11_025


class Data(Jobs):
    """Every dataset, from its lists to packed clips."""

    def __init__(self, settings: Settings, grid: Grid):
        super().__init__(settings, grid)
        self._rows: dict[str, int] = {}
        # Here and not when a rule asks, so that a mistake or a missing list is one line before any job.
        datasets = settings.datasets.items()
        self._rendered = {name: self._to_render(name) for name, facts in datasets if facts["source"] == "render"}
        self._clips = {dataset: self._count_clips(dataset) for dataset in settings.datasets}

    def media_folder(self, wildcards: Wildcards) -> str:
        """Where the clips of a dataset lie: rendered ones with the results, all others where the user says."""
        dataset = self.settings.datasets[wildcards.dataset]
        if dataset["source"] == "render":
            return f"{self.place(wildcards.dataset)}/data/{wildcards.dataset}/media"
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
        kept = f"{self.place(wildcards.dataset)}/data/{wildcards.dataset}/archive.csv"
        return [kept] if "archive" in facts["sources"] else []

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
        return [f"{self.place(wildcards.dataset)}/data/{wildcards.dataset}/locations/{wildcards.shard}.csv"]

    @cached_property
    def paper_datasets(self) -> list[str]:
        """The datasets of all papers."""
        return list(dict.fromkeys(name for paper in self.settings.papers.values() for name in paper["datasets"]))

    def paper_data(self, name: str) -> list[str]:
        """The file of this name of every dataset of the papers, in the order of `paper_datasets`."""
        return [f"{self.place(dataset)}/data/{dataset}/{name}" for dataset in self.paper_datasets]

    @property
    def targets(self) -> list[str]:
        """All that `snakemake data` makes: every dataset of the papers and of config.yaml, packed."""
        return [f"{self.place(name)}/data/{name}/availability.csv" for name in self.settings.datasets]

    def shards(self, wildcards: Wildcards) -> list[str]:
        """All shards that a net sees a dataset through: of packed clips, or of what an extractor made of them."""
        extractor = self.extractor_of(wildcards.dataset)
        if extractor:
            return self.feature_files(wildcards.dataset, extractor, ".arrow")
        return self.packed_shards(wildcards.dataset)

    def moments(self, wildcards: Wildcards) -> list[str]:
        """Mean and deviation of the features that a net sees a dataset through; nothing where it sees clips."""
        return self.moments_of(wildcards.dataset)

    def moments_of(self, dataset: str) -> list[str]:
        """As `moments`, of a dataset by its name."""
        extractor = self.extractor_of(dataset)
        return [f"{self.place(dataset)}/features/{dataset}/{extractor}/moments.json"] if extractor else []

    def extractor_of(self, dataset: str) -> str | None:
        """The extractor of whose features a dataset's view is; None where it is of clips."""
        return extractor_of(self.settings.datasets[dataset])

    def packed_shards(self, dataset: str) -> list[str]:
        """All shards of a dataset's packed clips."""
        return self._numbered(f"data/{dataset}/shards", dataset, self._shards(dataset), ".arrow")

    def feature_files(self, dataset: str, extractor: str, suffix: str) -> list[str]:
        """What is made of all of them by an extractor: `.arrow`, the features, or what stands beside them."""
        count = ceil(self._shards(dataset) / self.together)
        return self._numbered(f"features/{dataset}/{extractor}", dataset, count, suffix)

    @property
    def together(self) -> int:
        """How many packed shards make one of features."""
        return max(1, CLIPS_OF_FEATURES // self.settings.scale["shard_size"])

    def shard_reports(self, wildcards: Wildcards) -> list[str]:
        """What became of the clips of each shard of a dataset."""
        dataset = wildcards.dataset
        return self._numbered(f"data/{dataset}/shards", dataset, self._shards(dataset), ".csv")

    def datasets_from(self, source: str) -> str:
        """A regular expression for the datasets that come from `source`."""
        datasets = self.settings.datasets.items()
        return one_of(name for name, dataset in datasets if dataset["source"] == source)

    def classes(self, wildcards: Wildcards) -> Sequence[str]:
        """The class names of a dataset in label order."""
        return class_names(self.settings.root, self.settings.datasets[wildcards.dataset])

    def classes_of_table(self, wildcards: Wildcards) -> list[str]:
        """Where the manifest of a user's table gets its class names: from the dataset, or from the table itself."""
        from_table = self.settings.datasets[wildcards.dataset]["class_names_from"] == "table"
        return ["--classes-from-table"] if from_table else ["--classes", *self.classes(wildcards)]

    def listed(self, wildcards: Wildcards) -> dict:
        """The protocol of a dataset, its lists by name, its options as JSON, and where files of the user's may be."""
        facts = self.settings.datasets[wildcards.dataset]
        return {
            "protocol": facts["protocol"],
            "lists": [f"{name}={path}" for name, path in self._list_files(wildcards.dataset).items()],
            "options": canonical(facts["options"]),
            "classes": facts.get("classes", []),
            "folder": [facts["folder"]] if "local" in facts["sources"] else [],
            "local_only": ["--local-only"] if facts["sources"] == ["local"] else [],
            "spans_needed": self.spans_needed(wildcards),
        }

    def spans_needed(self, wildcards: Wildcards) -> list[str]:
        """Whether a clip is a part of its video."""
        return ["--spans-needed"] if "clip_seconds" in self.settings.datasets[wildcards.dataset] else []

    def published(self, wildcards: Wildcards) -> dict:
        """The address of a list, and what is known of its content."""
        return {"sha256": "", "git_blob": "", **self.downloads[wildcards.list]}

    def archive_place(self, wildcards: Wildcards) -> dict:
        """The parts of an archive, or the texts that name them, or a zip."""
        return {"parts": [], "part_lists": [], "zip": [], **self.settings.datasets[wildcards.dataset]["archive"]}

    def sources(self, wildcards: Wildcards) -> list[str]:
        """Where the clips of a dataset are looked for, in this order."""
        return self.settings.datasets[wildcards.dataset]["sources"]

    def web(self, wildcards: Wildcards) -> str:
        """How the web is asked for clips, as JSON."""
        return canonical(self.settings.config["download"]["web"])

    def rendered(self, wildcards: Wildcards) -> dict:
        """How many clips are rendered, of how many labels, and how clearly; what may be a mapping is JSON."""
        rendered = self._rendered[wildcards.dataset]
        return {
            "size_ratio": rendered.size_ratio,
            "labels": rendered.labels,
            "clearness": rendered.clearness._asdict(),
            "clips": canonical(rendered.clips),
            "parents": canonical(rendered.parents),
        }

    def rendered_form(self, wildcards: Wildcards) -> Mapping:
        """Length and size of rendered clips, and what seeds them."""
        rendered = self._rendered[wildcards.dataset]
        return {name: getattr(rendered, name) for name in self.settings.scale["render"]}

    def form(self, wildcards: Wildcards) -> dict:
        """How clips are decoded and packed."""
        facts = self.settings.datasets[wildcards.dataset]
        rate = facts["audio_rate"]
        released = self.settings.config["audio_recipe"] == "released" and rate == RELEASED_STATED_RATE
        return {
            **{name: facts[name] for name in ("frame_rate", "short_side", "minimum_frames")},
            "stated_audio_rate": rate,
            "audio_rate": RELEASED_AUDIO_RATE if released else rate,
            "picked_from": [RELEASED_PICKED_FROM] if released else [],
        }

    def download(self, limit: str) -> str:
        """What config.yaml says of downloads. Not a parameter but a resource: another limit makes nothing anew."""
        return str(self.settings.config["download"][limit])

    def clips(self, dataset: str) -> int:
        """How many clips a dataset's manifest will have; known before anything is made."""
        return self._clips[dataset]

    def split_clips(self, dataset: str, split: str) -> int:
        """How many clips of a split a dataset's manifest will have; all of its clips where nothing says it."""
        facts = self.settings.datasets[dataset]
        if facts["source"] == "render":
            return sum(self._rendered[dataset].sizes(split))
        if facts["source"] == "lists" and "clips" not in facts:
            return self._list_rows(facts["lists"][split])
        if facts["source"] == "lists" and "shares" in facts:
            return parts(self.clips(dataset), facts["shares"])[split]
        return self.clips(dataset)

    def shard_count(self, wildcards: Wildcards) -> int:
        """Into how many shards a dataset is cut."""
        return self._shards(wildcards.dataset)

    def _shards(self, dataset: str) -> int:
        return ceil(self.clips(dataset) / self.settings.scale["shard_size"])

    def _to_render(self, dataset: str) -> Dataset:
        """What is rendered of a dataset; SettingsError if that is not said, or cannot be."""
        facts, scale = self.settings.datasets[dataset], self.settings.scale
        if "rendered" not in facts or "render" not in scale:
            raise SettingsError(
                f"workflow/scales/{self.settings.scale_name}.yaml: `render`, and `rendered` under datasets.{dataset}, "
                "must be given to render it"
            )
        if "classes" not in facts:
            raise SettingsError(
                f"workflow/datasets/{dataset}.yaml: classes must be given to render it, not class_index"
            )
        said = {name: value for name, value in facts["rendered"].items() if name not in (*SPLITS, "classes")}
        if "clearness" in said:
            said["clearness"] = Clearness(**said["clearness"])
        clips = {split: facts["rendered"][split] for split in SPLITS}
        try:
            made = Dataset(dataset, tuple(facts["classes"]), clips, **{**scale["render"], **said})
        except UserError as error:
            raise SettingsError(f"{facts['rendered_in']}: {error}") from None
        if made.labels > 1 and facts.get("task", SINGLE) == SINGLE:
            raise SettingsError(
                f"{facts['rendered_in']}: labels {made.labels}: clips of {dataset} have one; give 1, or say "
                f"`task: multiple` in workflow/datasets/{dataset}.yaml"
            )
        if made.seconds * facts["frame_rate"] + MORE_FRAMES <= facts["minimum_frames"]:
            raise SettingsError(
                f"{facts['rendered_in']}: clips of {made.seconds:g} seconds have no {facts['minimum_frames']} frames "
                f"at {facts['frame_rate']} a second, `minimum_frames` of {dataset}, so that none is usable; give more "
                "`seconds`, or fewer `minimum_frames`"
            )
        return made

    def _numbered(self, folder: str, dataset: str, count: int, suffix: str) -> list[str]:
        return [f"{self.place(dataset)}/{folder}/{number:04d}{suffix}" for number in range(count)]

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
    def downloads(self) -> dict[str, Mapping]:
        """File name -> what is known of a list that is downloaded."""
        found: dict[str, Mapping] = {}
        for name, facts in self.settings.datasets.items():
            for of in facts["lists"].values():
                if isinstance(of, Mapping) and found.setdefault(_list_name(facts, of["url"]), of) != of:
                    raise SettingsError(f"dataset {name}: {of['url']} has the name of another list of its media")
        return found

    def _count_clips(self, dataset: str) -> int:
        facts = self.settings.datasets[dataset]
        stated, lists = facts.get("clips"), facts["lists"].values()
        if facts["source"] == "render" or (facts["source"] == "lists" and not stated):
            return sum(self.split_clips(dataset, split) for split in SPLITS)
        if facts["source"] == "lists":
            # Lists of a user's own copy may have fewer rows than there are shards for.
            if all(isinstance(of, str) and of.endswith(".csv") for of in lists):
                return min(stated, sum(map(self._list_rows, lists)))
            return stated
        clips = count_rows(Path(facts["table"])) - 1  # its header
        if clips < 1:
            raise SettingsError(
                f"{facts['table']}: has no clip; the first line is clip_id,path,label,split, each other one a clip"
            )
        return clips


def _list_name(facts: Mapping, url: str) -> str:
    return f"{facts['media']}_{url.rpartition('/')[2]}"


def parts(clips: int, shares: Mapping[str, int]) -> dict[str, int]:
    """Return how many of `clips` each split gets: the nearest whole number, halves down; the last what is left."""
    *first, last = shares
    found = {name: ceil(clips * shares[name] / sum(shares.values()) - 0.5) for name in first}
    return {**found, last: clips - sum(found.values())}


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
