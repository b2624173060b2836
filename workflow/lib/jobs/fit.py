"""What the rule that fits universal perturbations asks: a net, attacks, and all conditions that cells need of them."""

from collections.abc import Iterable

from avrobust.spec.budgets import FROM
from avrobust.spec.conditions import ATTACKED, Condition
from lib import digest, work
from lib.errors import SettingsError
from lib.grid import Grid, Key
from lib.jobs.attack import Attack, Bundled, told_of_condition
from lib.jobs.data import Data
from lib.jobs.jobs import Wildcards, canonical, one_of
from lib.settings import Settings

# Passes that an attack is taken to make whose file does not say how many.
MOST_PASSES = 100


class Fit(Bundled):
    """Every perturbation that is found for all clips before any of them is attacked, of a net's bundle together."""

    def __init__(self, settings: Settings, grid: Grid, data: Data, attack: Attack):
        super().__init__(settings, grid, data)
        self.attack = attack

    @property
    def names(self) -> str:
        """A regular expression for what is fitted together."""
        return one_of(name for _, _, name in self.attack.fit_bundles)

    def keys(self, wildcards: Wildcards) -> list[Key]:
        """What is fitted together, in one file."""
        return self.attack.fit_bundles[wildcards.dataset, wildcards.variant, wildcards.bundle]

    def conditions(self, wildcards: Wildcards) -> list[Condition]:
        """The conditions of all of it."""
        return [condition for key in self.keys(wildcards) for condition in self.attack.fits[key]]

    def told(self, wildcards: Wildcards) -> dict:
        """What a fit is told: attacks with conditions and splits, and budgets, as JSON; how the net sees clips."""
        place, clips = (wildcards.variant, wildcards.dataset), self._seen(wildcards)
        return {
            "extractor": list(clips.words),
            "attacks": canonical([self._spec(key) for key in self.keys(wildcards)]),
            "budgets": self.budgets_of(self.conditions(wildcards)),
            "key": canonical({name: getattr(wildcards, name) for name in ("dataset", "variant", "seed")}),
            "view": clips.view or self.view_on(*place),
            **self.evaluation_on(*place),
            **self._state(wildcards),
        }

    def entries(self, part: str, wildcards: Wildcards) -> list[str]:
        """The registry entries that a fit uses."""
        if part != "attack":
            return super().entries(part, wildcards)
        of_attacks = [one for _, _, attack in self.keys(wildcards) for one in self.attack_entries(attack)]
        return [*of_attacks, *self._seen(wildcards).entries]

    def job_threads(self, wildcards: Wildcards) -> int:
        """Threads of a fit."""
        return work.threads(self.threads("attack"), self._most_clips(wildcards))

    def job_memory_mb(self, wildcards: Wildcards, attempt: int) -> int:
        """Memory in MB, as of an attack on as many clips."""
        return self.memory_for(self._most_clips(wildcards), attempt)

    def job_minutes(self, wildcards: Wildcards, attempt: int) -> int:
        """Time limit in minutes, by the work of its passes."""
        return self.attack.minutes_for(self.passes(self.keys(wildcards)), attempt)

    def passes(self, keys: Iterable[Key]) -> int:
        """The work of fits: in each pass a gradient of every clip under every condition."""
        return sum(map(self._passes, keys))

    def split(self, key: Key) -> str:
        """The clips that it is fitted to."""
        return self._said(key, "fitted_on") or "test"

    def check(self) -> None:
        """Raise SettingsError if something is to be fitted that cannot be."""
        for dataset, net, attack in self.attack.fits:
            where = self.place_of_attack(attack)
            if net in self.grid.ensembles:
                raise SettingsError(f"{where}: {net} on {dataset} is several nets, and it is fitted to one; name a net")
            taken = self.variant_on(net, dataset).net_parts.keys()
            for one in self.attack.fits[dataset, net, attack]:
                if taken.isdisjoint(ATTACKED[one.modality]):
                    raise SettingsError(f"{where}: {net} on {dataset} takes nothing of {one.modality}; leave that out")
            for budget in dict.fromkeys(one.budget for one in self.attack.fits[dataset, net, attack]):
                given = self._budget(budget)
                if FROM not in given and any("snr" in of for of in given.values()):
                    raise SettingsError(
                        f"{where}: budget {budget} gives each clip its own epsilon by an snr; give one with an epsilon"
                    )

    def _spec(self, key: Key) -> dict:
        dataset, net, attack = key
        conditions = [told_of_condition(one) for one in self.attack.fits[key]]
        spec = self.attack_on(attack, dataset, net)
        return {"attack": attack, "spec": spec, "conditions": conditions, "split": self.split(key)}

    def _passes(self, key: Key) -> int:
        said = self._said(key, "passes")
        gradients = len(self.attack.fits[key]) * (MOST_PASSES if said is None else said)
        passes = work.attack_passes(self._clips(key), [gradients], 0)
        return passes * (work.EXTRACTOR if self.is_through(key[2]) else 1)

    def _clips(self, key: Key) -> int:
        return self.data.split_clips(key[0], self.split(key))

    def _most_clips(self, wildcards: Wildcards) -> int:
        return max(map(self._clips, self.keys(wildcards)))

    def _said(self, key: Key, option: str) -> object:
        """What an attack says of one of its options, or else its file."""
        dataset, net, attack = key
        described = self.attack_on(attack, dataset, net)
        entry = self.registered("attacks", "ATTACKS", described["update"])
        return described.get(option, next(iter(digest.said(self.scripts, entry, option)), None))
