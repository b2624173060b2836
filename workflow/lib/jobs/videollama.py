"""What workflow/rules/videollama.smk asks: attacked clips as files, and what a model is asked about them."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from types import SimpleNamespace as Names

from avrobust.spec.conditions import CLEAN
from lib.grid import Grid, Key
from lib.jobs.attack import Attack
from lib.jobs.jobs import MOST_TIMES, Jobs, Wildcards, canonical, one_of
from lib.settings import Settings
from lib.videollama import KIND

# What a job that asks is given at first. Nobody has measured it: three hundred answers, and weights that are read once.
MINUTES, MEMORY_MB = 240, 32000


class VideoLLaMA(Jobs):
    """Every surrogate through whose clips the model is asked."""

    def __init__(self, settings: Settings, grid: Grid, attack: Attack):
        super().__init__(settings, grid)
        self.attack = attack

    @cached_property
    def asked(self) -> Mapping[tuple[str, str], Mapping]:
        """Dataset and surrogate -> the layout of the artefact that asks about their clips."""
        artefacts = [one for one in self.grid.artefacts.values() if one.kind == KIND]
        return {(one.spec["read"]["dataset"], one.spec["read"]["surrogate"]): one.spec for one in artefacts}

    @property
    def surrogates(self) -> str:
        """A regular expression for the surrogates."""
        return one_of(surrogate for _, surrogate in self.asked)

    @property
    def attacks(self) -> str:
        """A regular expression for the attacks."""
        return one_of(attack for spec in self.asked.values() for attack in spec["attacks"])

    def cells(self, wildcards: Wildcards) -> str:
        """The cells that hold an attack."""
        return self.attack.cell_file(self._key(wildcards), int(wildcards.seed))

    def provenance(self, wildcards: Wildcards) -> str:
        """What is said of these cells."""
        return self.cells(wildcards).removesuffix("parquet") + "json"

    def clips(self, wildcards: Wildcards) -> list[str]:
        """The tables of clips that a model is asked about: under each attack."""
        return [self._table(wildcards, attack, "clips") for attack in self._spec(wildcards)["attacks"]]

    def clean(self, wildcards: Wildcards) -> str:
        """The table of the same clips before they were attacked."""
        return self._table(wildcards, self._spec(wildcards)["attacks"][0], CLEAN.modality)

    def told(self, wildcards: Wildcards) -> dict:
        """What a model is asked about which clips, and where it is."""
        spec, told = self._spec(wildcards), self.settings.config["videollama"]
        tables = [f"{attack}={path}" for attack, path in zip(spec["attacks"], self.clips(wildcards), strict=True)]
        key = {"dataset": wildcards.dataset, "surrogate": wildcards.surrogate}
        return {
            "clips": [f"{CLEAN.modality}={self.clean(wildcards)}", *tables],
            "prompt": spec["prompt"],
            "key": canonical(key),
            "weights": told["weights"],
            "repository": told["repository"],
            "environment": [f"{told['environment']}/bin"] if "environment" in told else [],
        }

    def asking_minutes(self, wildcards: Wildcards, attempt: int) -> int:
        """Time limit of asking in minutes, more with the next two attempts."""
        return min(attempt, MOST_TIMES) * MINUTES

    def asking_memory_mb(self, wildcards: Wildcards, attempt: int) -> int:
        """Memory of asking in MB, more with the next two attempts."""
        return min(attempt, MOST_TIMES) * MEMORY_MB

    def told_to_export(self, wildcards: Wildcards) -> Mapping:
        """Under which condition an attack is exported."""
        return self._spec(wildcards)["read"]

    def job_threads(self, wildcards: Wildcards) -> int:
        """Threads of an export, which attacks anew."""
        return self.attack.job_threads(wildcards)

    def job_memory_mb(self, wildcards: Wildcards, attempt: int) -> int:
        """Memory of an export in MB, as of the attack."""
        return self.attack.job_memory_mb(wildcards, attempt)

    def job_minutes(self, wildcards: Wildcards, attempt: int) -> int:
        """Time limit of an export in minutes, as of the attack."""
        return self.attack.job_minutes(self._bundle(wildcards), attempt)

    def entries(self, part: str, wildcards: Wildcards) -> Iterable[str]:
        """The registry entries that the attack uses."""
        return self.attack.entries(part, self._bundle(wildcards))

    def _spec(self, wildcards: Wildcards) -> Mapping:
        return self.asked[wildcards.dataset, wildcards.surrogate]

    def _key(self, wildcards: Wildcards) -> Key:
        return wildcards.dataset, wildcards.surrogate, wildcards.attack

    def _bundle(self, wildcards: Wildcards) -> Names:
        of = {name: bundle for (dataset, bundle), keys in self.attack.bundles.items() for name in keys}
        return Names(dataset=wildcards.dataset, bundle=of[self._key(wildcards)], seed=wildcards.seed)

    def _table(self, wildcards: Wildcards, attack: str, name: str) -> str:
        of = f"s{wildcards.seed}/{wildcards.surrogate}.{attack}"
        return f"{self.place(wildcards.dataset)}/exported/{wildcards.dataset}/{of}/{name}.csv"
