"""What workflow/rules/tables.smk asks: the artefacts, what they are computed from, what is published."""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

from avrobust.lazy import load
from avrobust.spec.kind import (
    ANSWERS,
    CELLS,
    CRAFTING,
    EMBEDDINGS,
    GEOMETRY,
    LOCALISATION,
    METRICS,
    TRAININGS,
    Kind,
)
from avrobust.spec.registry import KINDS
from lib.grid import Artefact, Grid, Key
from lib.jobs.attack import Attack
from lib.jobs.data import Data
from lib.jobs.jobs import Jobs, Wildcards, one_of
from lib.settings import Settings, published_file
from lib.videollama import KIND as ASKED


class Tables(Jobs):
    """Every table, figure and ledger, and its copy in paper_tables."""

    def __init__(self, settings: Settings, grid: Grid, data: Data, attack: Attack):
        super().__init__(settings, grid)
        self.data, self.attack = data, attack

    @cached_property
    def artefacts(self) -> Mapping[str, Artefact]:
        """All artefacts by their place below paper_tables: those of papers, their stacks, the ledgers of no paper."""
        made = {f"{paper}/{name}": artefact for (paper, name), artefact in self.grid.artefacts.items()}
        papers: dict[str, list[str]] = {}
        for (paper, name), artefact in self.grid.artefacts.items():
            if self._kind(artefact.kind).stacked:
                papers.setdefault(name, []).append(paper)
        made |= {name: Artefact("", name, "stack", {"papers": of}, {}) for name, of in papers.items()}
        datasets = self.data.paper_datasets
        counted = {"datasets": datasets, "names": self.settings.own_names(datasets)}
        return {**made, "availability": Artefact("", "availability", "attrition", counted, {})}

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """The kinds that occur, by name."""
        return {name: self._kind(name) for name in KINDS if name in {one.kind for one in self.artefacts.values()}}

    @property
    def published(self) -> Mapping[str, tuple[str, ...]]:
        """What is published, by its place below paper_tables, and as which files; ledgers of other rules included."""
        own = {name: self._kind(artefact.kind).files for name, artefact in self.artefacts.items()}
        return {**own, "checks": (".csv",)}

    @property
    def skipped(self) -> Mapping[str, tuple[str, str, str, tuple[str, ...]]]:
        """What cannot be made here, by its place below paper_tables: its paper and kind, why, and as which files."""
        return {
            f"{paper}/{name}": (paper, kind, why, self._kind(kind).files)
            for (paper, name), (kind, why) in self.grid.skipped.items()
        }

    @property
    def shapes(self) -> Mapping[str, tuple[str, ...]]:
        """The sets of files that something is published as, each by a name for a rule."""
        return {"".join(files).replace(".", "_"): files for files in self.published.values()}

    def artefacts_of(self, kind: str) -> str:
        """A regular expression for the artefacts of a kind."""
        return one_of(name for name, artefact in self.artefacts.items() if artefact.kind == kind)

    def published_as(self, files: tuple[str, ...]) -> str:
        """A regular expression for what is published as these files."""
        return one_of(name for name, own in self.published.items() if own == files)

    def targets(self, papers: Iterable[str]) -> list[str]:
        """All published files of these papers, and the ledgers; nothing if there are no papers."""
        wanted = {*papers}
        made = {name: one for name, one in self.artefacts.items() if name not in self._beside}
        of_papers = [name for name, one in made.items() if one.paper in wanted]
        stacks = [name for name, one in made.items() if wanted.intersection(one.spec.get("papers", ()))]
        ledgers = [name for name in self.published if "/" not in name and name not in self._stacks]
        names = [*of_papers, *stacks, *ledgers] if of_papers else []
        return self._files(names)

    @property
    def sensitivity(self) -> list[str]:
        """The published files of what hangs on choices, of each paper that varies some and of all together."""
        return self._files(self._beside)

    def artefact(self, wildcards: Wildcards) -> Artefact:
        """The artefact that the wildcards name."""
        return self.artefacts[wildcards.artefact]

    def spec(self, wildcards: Wildcards) -> str:
        """The layout of an artefact, as JSON; in its own order, by which bars and legends go."""
        return json.dumps(self.artefact(wildcards).spec, separators=(",", ":"), ensure_ascii=False)

    def caption(self, kind: str) -> str:
        """What Snakemake's report says of a kind: a page of its own, or that of all."""
        own = self.settings.root / f"workflow/report/{kind}.rst"
        return f"../report/{kind if own.exists() else 'artefact'}.rst"

    def paper_of(self, wildcards: Wildcards) -> str:
        """Under what an artefact stands in Snakemake's report."""
        return self.artefact(wildcards).paper or "all papers"

    def read(self, what: str) -> Callable[[Wildcards], list[str]]:
        """The files of one sort that an artefact is made from; none if its kind does not read any."""
        find = getattr(self, f"_{what}")

        def files(wildcards: Wildcards) -> list[str]:
            artefact = self.artefact(wildcards)
            return find(artefact) if what in self._kind(artefact.kind).reads else []

        return files

    def _cells(self, artefact: Artefact) -> list[str]:
        return self._of_cells(artefact, CELLS, self.attack.cell_file)

    def _metrics(self, artefact: Artefact) -> list[str]:
        return self._of_cells(artefact, METRICS, self.attack.metrics_file)

    def _of_cells(self, artefact: Artefact, family: str, file: Callable[[Key, int], str]) -> list[str]:
        files = [file(key, seed) for key in artefact.needs[family] for seed in self._seeds(artefact, key)]
        return list(dict.fromkeys(files))

    def _seeds(self, artefact: Artefact, key: Key) -> list[int]:
        one = artefact.first_seed or self.grid.has_first_seed_alone(key)
        return self.settings.scale["seeds"][: 1 if one else None]

    def _scores(self, artefact: Artefact) -> list[str]:
        localised = self._needed(LOCALISATION, artefact, ".parquet")
        return [*localised, *self._needed(EMBEDDINGS, artefact, ".scores.parquet")]

    def _embeddings(self, artefact: Artefact) -> list[str]:
        return self._needed(EMBEDDINGS, artefact, ".parquet")

    def _examples(self, artefact: Artefact) -> list[str]:
        seed = self.settings.scale["seeds"][0]
        crafted = [
            f"{self.place(dataset)}/{CRAFTING}/{dataset}/{net}/s{seed}.npz"
            for dataset, net, _ in artefact.needs[CRAFTING]
        ]
        return [*self._needed(LOCALISATION, artefact, ".npz", [seed]), *crafted]

    def _published(self, artefact: Artefact) -> list[str]:
        file = published_file(artefact.paper, artefact.name)
        return [file] if not artefact.spec.get("ours_only") and (self.settings.root / file).exists() else []

    def _manifests(self, artefact: Artefact) -> list[str]:
        return [f"{self.place(name)}/data/{name}/manifest.csv" for name in artefact.manifests]

    def _classes(self, artefact: Artefact) -> list[str]:
        return self.data.paper_data("classes.txt")

    def _availability(self, artefact: Artefact) -> list[str]:
        return self.data.paper_data("availability.csv")

    def _tables(self, artefact: Artefact) -> list[str]:
        return [f"{self.results}/tables/{paper}/{artefact.name}.csv" for paper in artefact.spec["papers"]]

    def _calibrations(self, artefact: Artefact) -> list[str]:
        return [f"{self.results}/budgets/{one['name']}.csv" for one in artefact.spec["strengths"]]

    def _trainings(self, artefact: Artefact) -> list[str]:
        nets = [(dataset, net) for dataset, net, _ in artefact.needs[TRAININGS]]
        return [
            f"{self.place(dataset)}/models/{dataset}/{net}/s{seed}/train.json"
            for dataset, net in nets
            for seed in self.settings.scale["seeds"][: 1 if artefact.first_seed else None]
        ]

    def _geometry(self, artefact: Artefact) -> list[str]:
        return self._measured(artefact, ".parquet")

    def _points(self, artefact: Artefact) -> list[str]:
        return self._measured(artefact, "_points.parquet")

    def _answers(self, artefact: Artefact) -> list[str]:
        (seed, *_) = self.settings.scale["seeds"]
        asked = dict.fromkeys((dataset, surrogate) for dataset, surrogate, _ in artefact.needs[ANSWERS])
        return [f"{self.place(dataset)}/answers/{dataset}/s{seed}/{surrogate}.csv" for dataset, surrogate in asked]

    def _synonyms(self, artefact: Artefact) -> list[str]:
        if not artefact.needs[ANSWERS]:
            return []
        specs = (one.spec for one in self.grid.artefacts.values() if one.kind == ASKED and one.paper == artefact.paper)
        return list(dict.fromkeys(spec["synonyms"] for spec in specs))

    def _measured(self, artefact: Artefact, suffix: str) -> list[str]:
        return [
            f"{self.place(dataset)}/{GEOMETRY}/{dataset}/{net}/s{seed}{suffix}"
            for dataset, net, attack in artefact.needs[GEOMETRY]
            for seed in self._seeds(artefact, (dataset, net, attack))
        ]

    def _needed(self, family: str, artefact: Artefact, suffix: str, seeds: Iterable[int] | None = None) -> list[str]:
        return [
            f"{self.place(dataset)}/{family}/{dataset}/{variant}/s{seed}/{attack}{suffix}"
            for dataset, variant, attack in artefact.needs[family]
            for seed in seeds or self.settings.scale["seeds"]
        ]

    def _kind(self, name: str) -> Kind:
        return load(KINDS, name)

    def entries(self, part: str, wildcards: Wildcards) -> Iterable[str]:
        if part != "artefact":
            return super().entries(part, wildcards)
        kind, read = self.artefact(wildcards).kind, self.artefact(wildcards).spec.get("read")
        own = [self.registered("spec", "KINDS", kind), self.registered("report", "WRITERS", kind)]
        if "net" not in self._kind(kind).facts:
            return own
        view = self.registered("views", "VIEWS", self.settings.datasets[read["dataset"]]["view"]["name"])
        net = self.variant_on(read["variant"], read["dataset"]).registered_parts()
        return [*own, view, *(self.registered(*place) for place in net)]

    @property
    def _beside(self) -> list[str]:
        """What `all` leaves out, and its stacks."""
        left = {name for (_, name), one in self.grid.artefacts.items() if not one.of_all}
        return [name for name in self.artefacts if name.rpartition("/")[2] in left]

    def _files(self, names: Iterable[str]) -> list[str]:
        return [f"paper_tables/{name}{suffix}" for name in names for suffix in self.published[name]]

    @property
    def _stacks(self) -> list[str]:
        return [name for name, artefact in self.artefacts.items() if artefact.kind == "stack"]
