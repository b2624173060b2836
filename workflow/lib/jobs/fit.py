"""What the rule that fits universal perturbations asks: a net, an attack, and all conditions that cells need of it."""

from avrobust.spec.budgets import FROM
from lib import digest, work
from lib.errors import SettingsError
from lib.grid import Key
from lib.jobs.attack import Attacking, told_of_condition
from lib.jobs.jobs import MODEL_STATE, Wildcards, canonical, key_of, one_of
from lib.jobs.seen import Seen

# Passes that an attack is taken to make whose file does not say how many.
MOST_PASSES = 100


class Fit(Attacking):
    """Every perturbation that is found for all clips before any of them is attacked."""

    @property
    def attacks(self) -> str:
        """A regular expression for the attacks that are fitted."""
        return one_of(attack for _, _, attack in self.fits)

    def told(self, wildcards: Wildcards) -> dict:
        """What a fit is told: the attack, its conditions and budgets as JSON, the clips, how the net sees them."""
        conditions = self.fits[key_of(wildcards)]
        place, clips = (wildcards.variant, wildcards.dataset), self._seen(wildcards)
        return {
            "extractor": list(clips.words),
            "attack": canonical(self.attack_on(wildcards.attack, wildcards.dataset, wildcards.variant)),
            "conditions": canonical([told_of_condition(one) for one in conditions]),
            "budgets": self.budgets_of(conditions),
            "key": canonical({name: getattr(wildcards, name) for name in ("dataset", "variant", "seed", "attack")}),
            "split": self.split(key_of(wildcards)),
            "view": clips.view or self.view_on(*place),
            **self.evaluation_on(*place),
            **({MODEL_STATE: state} if (state := self.state_of(wildcards.attack)) else {}),
        }

    def budget_files(self, wildcards: Wildcards) -> list[str]:
        """The budgets of a fit that a job makes."""
        return self.files_of_budgets(self.fits[key_of(wildcards)])

    def shards(self, wildcards: Wildcards) -> list[str]:
        """The shards that a fit reads."""
        return self._seen(wildcards).shards

    def weights(self, wildcards: Wildcards) -> list[str]:
        """The published weights of the extractor that a fit goes through."""
        return list(self._seen(wildcards).weights)

    def clips_at_a_time(self, wildcards: Wildcards) -> str:
        """Clips that go through the net at a time, of the batch of an update."""
        return str(self.clips_of_a_batch(self._seen(wildcards)))

    def entries(self, part: str, wildcards: Wildcards) -> list[str]:
        """The registry entries that a fit uses."""
        more = self._seen(wildcards).entries if part == "attack" else ()
        return [*super().entries(part, wildcards), *more]

    def job_threads(self, wildcards: Wildcards) -> int:
        """Threads of a fit."""
        return work.threads(self.threads("attack"), self._clips(key_of(wildcards)))

    def job_memory_mb(self, wildcards: Wildcards, attempt: int) -> int:
        """Memory in MB, as of an attack on as many clips."""
        return self.memory_for(self._clips(key_of(wildcards)), attempt)

    def job_minutes(self, wildcards: Wildcards, attempt: int) -> int:
        """Time limit in minutes, by the work of its passes."""
        return self.minutes_for(self.passes(key_of(wildcards)), attempt)

    def passes(self, key: Key) -> int:
        """The work of a fit: in each pass a gradient of every clip under every condition."""
        said = self._said(key, "passes")
        gradients = len(self.fits[key]) * (MOST_PASSES if said is None else said)
        passes = work.attack_passes(self._clips(key), [gradients], 0)
        return passes * (work.EXTRACTOR if self.is_through(key[2]) else 1)

    def split(self, key: Key) -> str:
        """The clips that it is fitted to."""
        return self._said(key, "fitted_on") or "test"

    def check(self) -> None:
        """Raise SettingsError if something is to be fitted that cannot be."""
        for dataset, net, attack in self.fits:
            where = self.place_of_attack(attack)
            if net in self.grid.ensembles:
                raise SettingsError(f"{where}: {net} on {dataset} is several nets, and it is fitted to one; name a net")
            for budget in dict.fromkeys(one.budget for one in self.fits[dataset, net, attack]):
                given = self._budget(budget)
                if FROM not in given and any("snr" in of for of in given.values()):
                    raise SettingsError(
                        f"{where}: budget {budget} gives each clip its own epsilon by an snr; give one with an epsilon"
                    )

    def _seen(self, wildcards: Wildcards) -> Seen:
        return self.seen(wildcards.dataset, self.is_through(wildcards.attack))

    def _clips(self, key: Key) -> int:
        return self.data.split_clips(key[0], self.split(key))

    def _said(self, key: Key, option: str) -> object:
        """What an attack says of one of its options, or else its file."""
        dataset, net, attack = key
        described = self.attack_on(attack, dataset, net)
        entry = self.registered("attacks", "ATTACKS", described["update"])
        return described.get(option, next(iter(digest.said(self.scripts, entry, option)), None))
