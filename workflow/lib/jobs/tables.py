"""What workflow/rules/tables.smk asks: the artefacts, what they are computed from, what is published."""

from collections.abc import Iterable

from lib.errors import SettingsError
from lib.grid import Artefact
from lib.jobs.jobs import Jobs, Wildcards, canonical, one_of

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


class Tables(Jobs):
    """Every table, figure and ledger, and its copy in paper_tables."""

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

    def artefacts_of(self, *kinds: str) -> str:
        """A regular expression for the artefacts of these kinds."""
        return one_of(artefact.name for artefact in self.grid.artefacts.values() if artefact.kind in kinds)

    @property
    def stacked_artefacts(self) -> str:
        """A regular expression for the artefacts of which those of all papers stand in one file."""
        return self.artefacts_of(*STACKED)

    @property
    def published_items(self) -> str:
        """A regular expression for the files below paper_tables."""
        return one_of(path.removeprefix("paper_tables/") for path in self.targets(self.settings.papers))

    def manifest_datasets(self, wildcards: Wildcards) -> list[str]:
        """The datasets of `manifests`, in the same order."""
        return list(self.artefact(wildcards).manifests)

    def spec(self, wildcards: Wildcards) -> str:
        """The layout of an artefact, as JSON."""
        return canonical(self.artefact(wildcards).spec)

    def artefact(self, wildcards: Wildcards) -> Artefact:
        """The artefact that the wildcards name; SettingsError if the paper has none of that name."""
        key = (wildcards.paper, wildcards.artefact)
        if key not in self.grid.artefacts:
            raise SettingsError(f"{wildcards.paper} has no artefact {wildcards.artefact}")
        return self.grid.artefacts[key]

    def _needed(self, family: str, wildcards: Wildcards, suffix: str, seeds: Iterable[int] | None = None) -> list[str]:
        return [
            f"{self.results}/{family}/{dataset}/{variant}/s{seed}/{attack}{suffix}"
            for dataset, variant, attack in self.artefact(wildcards).needs[family]
            for seed in seeds or self.settings.scale["seeds"]
        ]

    @property
    def _is_precision_checked(self) -> bool:
        check = self.settings.scale["precision"]["check"]
        key = (check["dataset"], check["variant"], check["attack"])
        return self.precision("attack") != "float32" and key in self.grid.conditions["cells"]
