"""What all kinds of jobs share: the folder of results, variants, attacks, the digest of the code, threads and time.

Every method that a rule calls takes wildcards and returns plain values; whatever a program gets as JSON is canonical
(sorted keys, no spaces), so that equal parameters are equal texts and re-run nothing.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping

from avrobust.spec import budgets
from avrobust.spec.attacks import TRAINING_OBJECTIVE, AttackSpec
from lib import choices, digest, options
from lib.errors import SettingsError, told_of
from lib.grid import Grid, Key
from lib.settings import Settings, known_name, place_of
from lib.variants import TRAINING, Variant, variant_of

Wildcards = Mapping
NOTHING = "(?!)"

# A job that is put back again and again, because others go first, shall not ask for more than any node has.
MOST_TIMES = 3

# What an objective is told of the net, and a program tells a preparation, beside their options.
TOLD = ("dimensions", "classes", "setting")


class Jobs:
    """What the rules of one file ask; this is what they all ask."""

    def __init__(self, settings: Settings, grid: Grid):
        self.settings, self.grid = settings, grid
        self.scripts = settings.root / "scripts"
        self._variants: dict[tuple[str, str], Variant] = {}

    @property
    def results(self) -> str:
        """The folder of this scale's results."""
        return f"results/{self.settings.scale_name}"

    def place(self, dataset: str) -> str:
        """The folder of all results of a dataset: one of its own where its clips come from another source.

        So that clips of a user's are never taken for others, and switching back to these makes no net anew.
        """
        source = self.settings.datasets[dataset]["source"]
        return self.results if source == self.settings.scale["source"] else f"{self.results}/{source}"

    def variant(self, wildcards: Wildcards) -> Variant:
        """The variant on the dataset that the wildcards name."""
        return self.variant_on(wildcards.variant, wildcards.dataset)

    def threads(self, kind: str) -> int:
        """Threads of a job of this kind. torch gets these, whatever --cores allows: its sums depend on their number."""
        return self.settings.scale["threads"][kind]

    def memory_mb(self, kind: str) -> Callable[[Wildcards, int], int]:
        """Memory of a job of this kind in MB: what the scale says, and as much again with the next two attempts."""
        return lambda wildcards, attempt: min(attempt, MOST_TIMES) * self.settings.scale["memory_mb"][kind]

    def minutes(self, kind: str) -> Callable[[Wildcards, int], int]:
        """Time limit of a job of this kind in minutes, more with the next two attempts."""
        return lambda wildcards, attempt: min(attempt, MOST_TIMES) * self.settings.scale["minutes"][kind]

    def precision(self, kind: str) -> str:
        """Arithmetic of the encoders where a job of this kind takes gradients."""
        return self.settings.scale["precision"][kind]

    @property
    def device(self) -> str:
        """What a net runs on. A resource: it shapes no result beyond rounding, and another makes nothing anew."""
        return self.settings.config["device"]

    @property
    def gpus(self) -> int:
        """GPUs of a job that trains or attacks."""
        return 0 if self.settings.config["device"] == "cpu" else 1

    def code(self, program: str, *parts: str) -> Callable[[Wildcards], str]:
        """The digest of a program and of what it loads for these wildcards.

        `parts` of: `variant`, `training`, `attack`, `search`, `protocol`.
        """

        def code_of(wildcards: Wildcards) -> str:
            entries = [entry for part in parts for entry in self.entries(part, wildcards)]
            return digest.digest(self.scripts, program, entries)

        return code_of

    def variant_on(self, name: str, dataset: str) -> Variant:
        """The variant of this name on a dataset."""
        if (name, dataset) not in self._variants:
            paper = self.grid.variants[name][0]
            self._variants[name, dataset] = variant_of(self.settings, paper, name, dataset)
        return self._variants[name, dataset]

    def attack_facts(self, name: str) -> Mapping:
        """An attack as its paper describes it; one that no paper describes is an update of the registry by its name."""
        return self.grid.attacks[name][1] if name in self.grid.attacks else {"update": name}

    def attack_on(self, name: str, dataset: str, variant: str) -> dict:
        """What `avrobust.spec.attacks.AttackSpec` takes: an attack on a variant with every choice taken."""
        # An attack that no paper describes leaves nothing to choose.
        chosen = self.settings.chosen[self.grid.attacks[name][0]] if name in self.grid.attacks else {}
        try:
            return choices.resolve(self.attack_facts(name), chosen, dataset, variant)
        except SettingsError as error:
            raise SettingsError(f"{place_of(self.grid.attacks[name][0], 'attacks')}.{name}: {error}") from None

    def resolved(self, paper: str, part: str, dataset: str) -> Mapping:
        """A part of a paper's file on a dataset, with every choice taken."""
        return self.settings.taken(paper, dataset, part)

    def evaluation_options(self, paper: str, dataset: str) -> list[str]:
        """Which weights of a net are tested, and what a frame's epsilon counts in."""
        evaluation = self.resolved(paper, "evaluation", dataset)
        return [f"--model-state={evaluation['model_state']}", f"--epsilon-space={evaluation['epsilon_space']}"]

    def model(self, dataset: str, variant: str, seed: str | int) -> str:
        """The file of a trained net."""
        return f"{self.place(dataset)}/models/{dataset}/{variant}/s{seed}/model.pt"

    def entries(self, part: str, wildcards: Wildcards) -> Iterable[str]:
        if part == "variant":
            view = self.registered("views", "VIEWS", self.settings.datasets[wildcards.dataset]["view"]["name"])
            return [*self.variant_entries(wildcards.variant, wildcards.dataset), view]
        if part == "training":
            return self.training_entries(wildcards.variant, wildcards.dataset)
        if part == "attack":
            return self.attack_entries(wildcards.attack)
        if part == "protocol":
            protocol = self.settings.datasets[wildcards.dataset]["protocol"]
            return [self.registered("data/protocols", "PROTOCOLS", protocol)]
        judged = self.resolved(self.grid.variants[wildcards.variant][0], part, wildcards.dataset)
        return self.attack_entries(judged["attack"])

    def variant_entries(self, name: str, dataset: str) -> list[str]:
        """The registry entries that a variant uses."""
        return [self.registered(*place) for place in self.variant_on(name, dataset).registered()]

    def training_entries(self, name: str, dataset: str) -> list[str]:
        """The registry entries that only the training of a variant uses; SettingsError if an option of it is wrong."""
        entries = []
        for kind, part in self.variant_on(name, dataset).trained_by().items():
            where = f"training of {name} on {dataset}: {kind}"
            entries.append(self._checked(*TRAINING[kind], part["name"], part.get("options", {}), where))
            if "attack" in part.get("options", {}):
                entries += self._described_entries(part["options"]["attack"], where)
                for own in ("batch_size", "precision"):
                    if own in part["options"]["attack"]:
                        value = part["options"]["attack"][own]
                        raise SettingsError(f"{where}: attack: {own} = {value!r} is not allowed in a training")
            if "budget" in part.get("options", {}):
                self.trained_against(part["options"]["budget"], f"{where}: budget")
        return entries

    def trained_against(self, told: object, where: str) -> object:
        """A budget of a training, that of a name in its long form; SettingsError if it is none."""
        known = {name: budget for name, budget in self.grid.budgets.items() if budgets.FROM not in budget}
        if isinstance(told, str):
            known_name(told, sorted(known), where)
            return known[told]
        try:
            if any(budgets.FROM in budget for budget in budgets.named({where: told}).values()):
                raise SettingsError(f"{where}: {told!r} is not allowed, because a job makes it")
        except ValueError as error:
            raise SettingsError(str(error)) from None
        return told

    def attack_entries(self, name: str) -> list[str]:
        """The registry entries that an attack uses; SettingsError if an option of it is wrong."""
        facts = self.attack_facts(name)
        entries = self._described_entries(facts, f"attack {name}")
        if self.mixes_clips(name) != ("batch_size" in facts):
            said = "is of no use, because" if "batch_size" in facts else "must be given, unless"
            raise SettingsError(f"attack {name}: batch_size {said} {facts['update']} takes each clip by itself")
        return entries

    def mixes_clips(self, name: str) -> bool:
        """Whether an attack's result for a clip depends on its batch."""
        entry = self.registered("attacks", "ATTACKS", self.attack_facts(name)["update"])
        return digest.mixes_clips(self.scripts, entry)

    def _described_entries(self, described: Mapping, where: str) -> list[str]:
        if not isinstance(described, Mapping) or "update" not in described:
            raise SettingsError(f"{where}: an attack is {{update: ...}}, not {described!r}")
        spec = AttackSpec.of(described)
        entries = [self._checked("attacks", "ATTACKS", spec.update, spec.options, where)]
        objective = spec.objective_part
        if objective["name"] not in (None, TRAINING_OBJECTIVE):
            place = ("objectives", "OBJECTIVES", objective["name"])
            entries.append(self._checked(*place, objective["options"], where))
        return entries

    def _checked(self, part: str, table: str, name: str, given: Mapping, where: str) -> str:
        """The entry of this name, `given` its options; SettingsError if it is not there or an option is wrong."""
        with told_of(where):
            entry = self.registered(part, table, name)
        known = digest.options(self.scripts, entry)
        options.check(given, {option: kind for option, kind in known.items() if option not in TOLD}, f"{where}: {name}")
        return entry

    def registered(self, part: str, table: str, name: str) -> str:
        """The entry of this name in `table` of a registry; SettingsError if it is not there."""
        entry = digest.registered(self.scripts, part, table, name)
        if entry is None:
            allowed = ", ".join(digest.registered_names(self.scripts, part, table))
            raise SettingsError(f"{name!r} is not in {table} of scripts/avrobust/{part}/registry.py: {allowed}")
        return entry


def canonical(value: object) -> str:
    """Return the one JSON text of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def key_of(wildcards: Wildcards) -> Key:
    """Return what a file of a family is found by in the grid."""
    return wildcards.dataset, wildcards.variant, wildcards.attack


def one_of(names: Iterable[str]) -> str:
    """Return a regular expression for these names and nothing else."""
    return "|".join(map(re.escape, sorted(set(names)))) or NOTHING
