"""What the rule that calibrates budgets asks: nets, clips and strengths by the name of the budget."""

from collections.abc import Mapping
from types import SimpleNamespace as Names

from avrobust.spec.budgets import FROM
from avrobust.spec.calibrations import strengths
from avrobust.spec.conditions import Condition
from lib import work
from lib.errors import SettingsError
from lib.grid import Grid
from lib.jobs.attack import Attack, Attacking, told_of_condition
from lib.jobs.data import Data
from lib.jobs.jobs import Jobs, Wildcards, canonical, one_of
from lib.jobs.train import Train
from lib.settings import Settings, place_of

# What a calibration looks for, and where.
TARGET = ("others", "modality", "success", "black_box", "near")
# The clips that no table uses.
SPLIT = "val"


class Calibration(Attacking):
    """Every budget that a job makes, with the first seed of the nets that it is calibrated by."""

    def __init__(self, settings: Settings, grid: Grid, data: Data, train: Train, attack: Attack):
        super().__init__(settings, grid, data)
        self.train = train
        self.attack = attack

    @property
    def budgets(self) -> str:
        """A regular expression for these budgets."""
        return one_of(self.grid.calibrations)

    @property
    def seed(self) -> int:
        """The seed of the nets."""
        return self.settings.scale["seeds"][0]

    def file(self, budget: str) -> str:
        """The file of a calibrated budget."""
        (file,) = self.budget_files_of([{FROM: budget}])
        return file

    def models(self, wildcards: Wildcards) -> list[str]:
        """The attacked net and those that are asked beside it."""
        return [self.model(self._facts(wildcards)["dataset"], net, self.seed) for net in self._nets(wildcards)]

    def shards(self, wildcards: Wildcards) -> list[str]:
        """The clips."""
        return self.data.shards(Names(dataset=self._facts(wildcards)["dataset"]))

    def told(self, wildcards: Wildcards) -> dict:
        """What a calibration is told: a cell, its nets by name, the strengths and what is printed, as JSON."""
        facts, nets = self._facts(wildcards), self._nets(wildcards)
        dataset, net, attack = facts["dataset"], facts["variant"], facts["attack"]
        tried = self._strengths(wildcards)
        asked = [told_of_condition(Condition(facts["modality"], name)) for name in tried]
        spec = self.attack_on(attack, dataset, net)
        return {
            "cell": canonical(
                {"surrogate": net, "attack": attack, "victims": dict.fromkeys(nets, asked), "spec": spec}
            ),
            "nets": [f"{name}={path}" for name, path in zip(nets, self.models(wildcards), strict=True)],
            "budgets": canonical(tried),
            "target": canonical({**{name: facts[name] for name in TARGET}, "strengths": list(tried)}),
            "key": canonical({"dataset": dataset, "seed": self.seed}),
            "view": self.view_on(net, dataset),
            **self.evaluation_on(net, dataset),
        }

    def job_threads(self, wildcards: Wildcards) -> int:
        """Threads of a calibration."""
        return work.threads(self.threads("attack"), self._clips(wildcards))

    def job_memory_mb(self, wildcards: Wildcards, attempt: int) -> int:
        """Memory in MB, as of an attack on as many clips."""
        return self.memory_for(self._clips(wildcards), attempt)

    def job_minutes(self, wildcards: Wildcards, attempt: int) -> int:
        """Time limit in minutes, as of an attack on as many clips."""
        return self.attack.minutes_for(self.passes(wildcards), attempt)

    def passes(self, wildcards: Wildcards) -> int:
        """The work of a calibration."""
        facts, tried = self._facts(wildcards), len(self._strengths(wildcards))
        attack = facts["attack"], facts["dataset"], facts["variant"]
        answered = len(self._nets(wildcards)) * (1 + tried)
        return work.attack_passes(
            self._clips(wildcards), [self.steps(*attack)] * tried, answered, self.gradients(*attack)
        )

    def entries(self, part: str, wildcards: Wildcards) -> list[str]:
        """The registry entries that a calibration uses."""
        facts = self._facts(wildcards)
        if part == "variant":
            nets = (Names(dataset=facts["dataset"], variant=net) for net in self._nets(wildcards))
            return [one for net in nets for one in Jobs.entries(self, part, net)]
        return self.attack_entries(facts["attack"])

    def check(self) -> None:
        """Raise SettingsError if a calibration cannot be, such as one of a net that is trained against its outcome."""
        for name, (paper, facts) in self.grid.calibrations.items():
            where = f"{place_of(paper, 'calibrations')}.{name}"
            try:
                strengths(name, facts["points"])
            except ValueError as error:
                raise SettingsError(f"{where}: {error}") from None
            self.check_attack(facts["attack"], f"{where}.attack")
            if "batch_size" in self.attack_facts(facts["attack"]):
                raise SettingsError(f"{where}.attack: {facts['attack']!r} mixes the clips of a batch; take another")
            if why := self.of_cells_alone(facts["attack"]):
                raise SettingsError(f"{where}.attack: {facts['attack']!r} {why}; take another")
            nets = {(facts["dataset"], net) for net in (facts["variant"], *facts["others"])}
            for dataset, net in sorted(self.grid.with_starts(nets)):
                if self.file(name) in self.train.budget_files(Names(variant=net, dataset=dataset)):
                    raise SettingsError(
                        f"{where}: {net} is trained against this very budget, which cannot be calibrated by it"
                    )

    def _facts(self, wildcards: Wildcards) -> Mapping:
        return self.grid.calibrations[wildcards.budget][1]

    def _nets(self, wildcards: Wildcards) -> list[str]:
        facts = self._facts(wildcards)
        return list(dict.fromkeys([facts["variant"], *facts["others"]]))

    def _strengths(self, wildcards: Wildcards) -> dict[str, dict]:
        return strengths(wildcards.budget, self._facts(wildcards)["points"])

    def _clips(self, wildcards: Wildcards) -> int:
        return self.data.split_clips(self._facts(wildcards)["dataset"], SPLIT)
