"""What workflow/rules/analysis.smk asks: attacks of which more is kept than the answers."""

from collections.abc import Callable

from avrobust.spec.conditions import Condition
from lib.jobs.attack import Attacking, _sorted, _told
from lib.jobs.jobs import Wildcards, canonical, key_of


class Analysis(Attacking):
    """Where a net looks and what it embeds, under an attack on itself."""

    def spec(self, wildcards: Wildcards) -> str:
        """An attack: its update, its objective, whose gradients it takes and of how many clips, as JSON."""
        return canonical(self.attack_on(wildcards.attack, wildcards.dataset, wildcards.variant))

    def key(self, wildcards: Wildcards) -> str:
        """What a file says of itself, as JSON."""
        return canonical({name: getattr(wildcards, name) for name in ("dataset", "variant", "seed", "attack")})

    def conditions(self, family: str) -> Callable[[Wildcards], str]:
        """The conditions of a file of one family, as JSON."""
        return lambda wildcards: canonical([_told(one) for one in self._conditions(family, wildcards)])

    def budgets(self, family: str) -> Callable[[Wildcards], str]:
        """The budgets of these conditions, as JSON."""
        return lambda wildcards: self.budgets_of(self._conditions(family, wildcards))

    def budget_files(self, family: str) -> Callable[[Wildcards], list[str]]:
        """The budgets of these conditions that a job makes."""
        return lambda wildcards: self.budget_files_of(self._conditions(family, wildcards))

    def job_minutes(self, family: str) -> Callable[[Wildcards, int], int]:
        """Time limit of an attack in minutes, by its work."""

        def minutes_of(wildcards: Wildcards, attempt: int) -> int:
            victims = {wildcards.variant: self._conditions(family, wildcards)}
            return self.minutes_for(self.work_of(*key_of(wildcards), victims), attempt)

        return minutes_of

    def checked(self, suffix: str) -> list[str]:
        """Every file of cells, all seeds: the rows or what is said of them."""
        return [
            f"{self.place(dataset)}/cells/{dataset}/s{seed}/{bundle}.{suffix}"
            for dataset, bundle in self.bundles
            for seed in self.settings.scale["seeds"]
        ]

    def example_classes(self, wildcards: Wildcards) -> list[str]:
        """The classes of which the figures show a clip."""
        return sorted(self.grid.examples.get(key_of(wildcards), ()))

    def _conditions(self, family: str, wildcards: Wildcards) -> list[Condition]:
        return _sorted(self.grid.conditions[family].get(key_of(wildcards), ()))
