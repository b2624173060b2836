"""What workflow/rules/analysis.smk asks: attacks of which more is kept than the answers."""

from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple

from avrobust.spec.conditions import Condition
from avrobust.spec.kind import EMBEDDINGS, LOCALISATION, METRICS
from lib import work
from lib.grid import Grid, Key
from lib.jobs.attack import Attack, Attacking, _sorted, told_of_condition
from lib.jobs.data import Data
from lib.jobs.jobs import MOST_TIMES, Wildcards, canonical, key_of
from lib.settings import Settings
from lib.variants import SINGLE


class LookedInto(NamedTuple):
    """What makes the files of a family: a program, and how its scores and what else it keeps are named."""

    program: str
    scores: str
    kept: str


class Analysis(Attacking):
    """Where a net looks and what it embeds, under an attack on itself."""

    looked_into: ClassVar[Mapping[str, LookedInto]] = {
        LOCALISATION: LookedInto("localise", ".parquet", ".npz"),
        EMBEDDINGS: LookedInto("embed", ".scores.parquet", ".parquet"),
    }

    def __init__(self, settings: Settings, grid: Grid, data: Data, attack: Attack):
        super().__init__(settings, grid, data)
        self.attack = attack

    def told(self, family: str) -> Callable[[Wildcards], dict]:
        """What a job of a family is told: the attack, its conditions and their budgets as JSON, how the net is seen.

        `example_classes`: those of which the figures show a clip; only where a net looks is shown.
        """

        def told_of(wildcards: Wildcards) -> dict:
            conditions = self._conditions(family, wildcards)
            shown = sorted(self.grid.examples.get(key_of(wildcards), ())) if family == LOCALISATION else []
            return {
                "attack": canonical(self.attack_on(wildcards.attack, wildcards.dataset, wildcards.variant)),
                "conditions": canonical([told_of_condition(one) for one in conditions]),
                "budgets": self.budgets_of(conditions),
                "key": canonical({name: getattr(wildcards, name) for name in ("dataset", "variant", "seed", "attack")}),
                "view": self.view_on(wildcards.variant, wildcards.dataset),
                "example_classes": ["--example-classes", *shown] if shown else [],
                **self.evaluation_on(wildcards.variant, wildcards.dataset),
            }

        return told_of

    def measured(self, wildcards: Wildcards) -> dict:
        """What a job that measures the classes of a net is told: how it sees a clip, which of its weights are taken.

        `shown_classes`: those of which the figures show the clips.
        """
        state = self.evaluation_on(wildcards.variant, wildcards.dataset)["model_state"]
        shown = sorted(self.grid.measured.get((wildcards.dataset, wildcards.variant), ()))
        return {
            "view": self.view_on(wildcards.variant, wildcards.dataset),
            "model_state": state,
            "key": canonical({name: getattr(wildcards, name) for name in ("dataset", "variant", "seed")}),
            "shown_classes": ["--shown-classes", *shown] if shown else [],
        }

    def budget_files(self, family: str) -> Callable[[Wildcards], list[str]]:
        """The budgets of these conditions that a job makes."""
        return lambda wildcards: self.files_of_budgets(self._conditions(family, wildcards))

    def job_minutes(self, family: str) -> Callable[[Wildcards, int], int]:
        """Time limit of an attack in minutes, by its work."""

        return lambda wildcards, attempt: self.attack.minutes_for(self.passes(family, key_of(wildcards)), attempt)

    def passes(self, family: str, key: Key) -> int:
        """The work of looking into a net."""
        return self.work_of(*key, {key[1]: self.grid.conditions[family].get(key, ())})

    def geometry_minutes(self, wildcards: Wildcards, attempt: int) -> int:
        """Time limit in minutes of measuring the classes of a net, by its work."""
        return self.attack.minutes_for(self.geometry_passes(wildcards.dataset), attempt)

    def geometry_passes(self, dataset: str) -> int:
        """The work of measuring the classes of a net: a look at each training clip, or some more for its classes."""
        looks = work.MEASURED_LOOKS if self.settings.datasets[dataset].get("task", SINGLE) != SINGLE else 1
        return looks * self.data.split_clips(dataset, "train")

    def geometry_memory_mb(self, wildcards: Wildcards, attempt: int) -> int:
        """Memory in MB of measuring the classes of a net: as of an attack, and the features of all training clips."""
        held = work.measuring_mb(self.data.split_clips(wildcards.dataset, "train"))
        return self.job_memory_mb(wildcards, attempt) + min(attempt, MOST_TIMES) * held

    def checked(self, suffix: str) -> list[str]:
        """Every file of cells that `all` makes, all seeds: the rows or what is said of them."""
        return [
            f"{self.place(dataset)}/cells/{dataset}/s{seed}/{bundle}.{suffix}"
            for (dataset, bundle), keys in self.attack.of_all.items()
            for seed in self.attack.seeds_of(keys)
        ]

    @property
    def rankings(self) -> list[str]:
        """What was measured of those of them whose clips have several labels, none of which is the right answer."""
        return [
            f"{self.place(dataset)}/{METRICS}/{dataset}/s{seed}/{bundle}.parquet"
            for (dataset, bundle), keys in self.attack.of_all.items()
            if self.settings.datasets[dataset].get("task", SINGLE) != SINGLE
            for seed in self.attack.seeds_of(keys)
        ]

    @property
    def names(self) -> str:
        """What datasets of the user's own are called among them, as JSON."""
        return canonical(self.settings.own_names({dataset for dataset, _ in self.attack.bundles}))

    def _conditions(self, family: str, wildcards: Wildcards) -> list[Condition]:
        return _sorted(self.grid.conditions[family].get(key_of(wildcards), ()))
