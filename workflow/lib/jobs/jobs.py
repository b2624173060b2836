"""What all kinds of jobs share: the folder of results, variants, attacks, the digest of the code, threads and time.

Every method that a rule calls takes wildcards and returns plain values; whatever a program gets as JSON is canonical
(sorted keys, no spaces), so that equal parameters are equal texts and re-run nothing.
"""

import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from math import prod

from avrobust.spec import budgets
from avrobust.spec.attacks import TRAINING_OBJECTIVE, AttackSpec
from avrobust.spec.curriculum import CURRICULUM
from lib import choices, digest
from lib.errors import SettingsError
from lib.grid import Grid, Key
from lib.schedules import read_stages
from lib.settings import Settings, check_by, known_name, place_of
from lib.variants import OBJECTIVE, SINGLE, TRAINING, Variant, variant_of

Wildcards = Mapping
NOTHING = "(?!)"

# A job that is put back again and again, because others go first, shall not ask for more than any node has.
MOST_TIMES = 3

# Of an attack in its paper's file: the weights that its cells test, if not those of all. No attack is told of it.
MODEL_STATE = "model_state"
# And: whether clips are attacked through the extractor of the features that the nets take.
THROUGH = "through_extractor"

# Steps that an attack is taken to have whose file does not say how many.
MOST_STEPS = 100
# What an attack says in its file by the name of an option: whose fitted perturbation it adds.
FITTED_BY = "fitted_by"
# Options of attacks that say at how many places a step takes gradients, or from the beginning how often.
PLACES = ("copies", "masks", "points", "paths", "scales", "restarts")

# The task of an objective that does not look at labels.
ANY = "any"

# How many values what stands in a table is told before its options: sizes of what it gets, the task, the setting.
TOLD = {"FUSIONS": 1, "HEADS": 3, "DEFENCES": 1, "OBJECTIVES": 2, "PREPARATIONS": 1}


# What a value of an option may be, by how its type is written.
TYPES = {"int": int, "float": int | float, "bool": bool, "str": str, "None": type(None)}


class Jobs:
    """What the rules of one file ask; this is what they all ask."""

    def __init__(self, settings: Settings, grid: Grid):
        self.settings, self.grid = settings, grid
        self.scripts = settings.scripts
        self._variants: dict[tuple[str, str], Variant] = {}
        self._attack_entries: dict[str, list[str]] = {}
        self._fitted_names: dict[str, str] = {}

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
        facts = self.grid.attacks[name][1] if name in self.grid.attacks else {"update": name}
        return {part: told for part, told in facts.items() if part not in (MODEL_STATE, THROUGH)}

    def state_of(self, attack: str) -> str:
        """The weights of all nets in the cells of an attack; nothing where they are those that the paper tests."""
        return self.grid.attacks[attack][1].get(MODEL_STATE, "") if attack in self.grid.attacks else ""

    def is_through(self, attack: str) -> bool:
        """Whether an attack goes through the extractor of the features that the nets take."""
        return attack in self.grid.attacks and self.grid.attacks[attack][1].get(THROUGH, False)

    def of_cells_alone(self, attack: str) -> str:
        """Why nothing but cells can be made by an attack; nothing where anything can."""
        if self.fitted_as(attack):
            return "is fitted beforehand"
        return "goes through an extractor" if self.is_through(attack) else ""

    def attack_on(self, name: str, dataset: str, variant: str) -> dict:
        """What `avrobust.spec.attacks.AttackSpec` takes: an attack on a variant with every choice taken."""
        # An attack that no paper describes leaves nothing to choose.
        chosen = self.settings.chosen[self.grid.attacks[name][0]] if name in self.grid.attacks else {}
        try:
            return choices.resolve(self.attack_facts(name), chosen, dataset, variant)
        except SettingsError as error:
            raise SettingsError(f"{self.place_of_attack(name)}: {error}") from None

    def evaluation_on(self, variant: str, dataset: str) -> Mapping[str, str]:
        """Which weights of a net are tested, and what a frame's epsilon counts in."""
        return self.settings.taken(self.grid.variants[variant][0], dataset, "evaluation")

    def model(self, dataset: str, variant: str, seed: str | int) -> str:
        """The file of a trained net."""
        return f"{self.place(dataset)}/models/{dataset}/{variant}/s{seed}/model.pt"

    def weights_file(self, name: str) -> str:
        """The file of published weights: the user's own, or what is downloaded."""
        return self.settings.config["weights"].get(name) or f"results/weights/{name}.pth"

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
        judged = self.settings.taken(self.grid.variants[wildcards.variant][0], wildcards.dataset, part)
        return self.attack_entries(judged["attack"])

    def variant_entries(self, name: str, dataset: str) -> list[str]:
        """The registry entries that a variant uses."""
        return [self.registered(*place) for place in self.variant_on(name, dataset).registered()]

    def training_entries(self, name: str, dataset: str) -> list[str]:
        """The registry entries that only the training of a variant uses; SettingsError if an option of it is wrong."""
        entries = []
        for kind, part in self.variant_on(name, dataset).trained_by().items():
            where = f"training of {name} on {dataset}: {kind}"
            entries.append(self.entry_with(*TRAINING[kind], part["name"], part.get("options", {}), where))
            if "attack" in part.get("options", {}):
                described = self.crafted_by(part["options"]["attack"], name, dataset, f"{where}: attack")
                entries += self._described_entries(described, where)
                for own in ("batch_size", "precision"):
                    if own in described:
                        value = described[own]
                        raise SettingsError(f"{where}: attack: {own} = {value!r} is not allowed in a training")
            if part["name"] == CURRICULUM:
                read_stages(part, where)
            if "geometry" in part.get("options", {}):
                known_name(part["options"]["geometry"], sorted(self.grid.variants), f"{where}: geometry")
            if "budget" in part.get("options", {}):
                self.trained_against(part["options"]["budget"], f"{where}: budget")
        return entries

    def crafted_by(self, told: object, variant: str, dataset: str, where: str) -> object:
        """The attack of a training, that of a name as its paper describes it, every choice taken."""
        if not isinstance(told, str):
            return told
        known_name(told, sorted(self.known_attacks), where)
        if state := self.state_of(told):
            raise SettingsError(f"{where}: {told} is of the {state} weights of trained nets; give an attack of any")
        if why := self.of_cells_alone(told):
            raise SettingsError(f"{where}: {told} {why}, which only an attack on trained nets can; give another")
        return self.attack_on(told, dataset, variant)

    def trained_against(self, told: object, where: str) -> object:
        """A budget of a training, that of a name in its long form; SettingsError if it is none."""
        if isinstance(told, str):
            known_name(told, sorted(self.grid.budgets), where)
            long = self.grid.budgets[told]
        else:
            try:
                found = list(budgets.named({where: told}).values())
            except ValueError as error:
                raise SettingsError(str(error)) from None
            if len(found) != 1:
                raise SettingsError(f"{where}: {told!r} is not one budget but {len(found)}")
            (long,) = found
        return long

    def budget_files_of(self, named: Iterable[Mapping]) -> list[str]:
        """The files of those budgets, in their long form, that a job makes."""
        return sorted(
            {f"{self.results}/budgets/{budget[budgets.FROM]}.json" for budget in named if budgets.FROM in budget}
        )

    def steps_of(self, described: Mapping) -> int:
        """How many steps an attack takes as it is described, or by its file; many where neither says it."""
        entry = self.registered("attacks", "ATTACKS", described["update"])
        said = described.get("steps") or digest.number(self.scripts, entry, "steps")
        return MOST_STEPS if said is None else said

    def places_of(self, described: Mapping) -> int:
        """At how many places a step of an attack takes gradients."""
        entry = self.registered("attacks", "ATTACKS", described["update"])
        return prod(described.get(name) or digest.number(self.scripts, entry, name) or 1 for name in PLACES)

    @property
    def known_attacks(self) -> set[str]:
        """The names of all attacks: those that papers describe, and the registered ones."""
        return {*self.grid.attacks, *digest.registered_names(self.scripts, "attacks", "ATTACKS")}

    def attack_entries(self, name: str) -> list[str]:
        """The registry entries that an attack uses; SettingsError if an option of it is wrong."""
        if name not in self._attack_entries:
            self._attack_entries[name] = self._checked_entries(name)
        return self._attack_entries[name]

    def _checked_entries(self, name: str) -> list[str]:
        facts, where = self.attack_facts(name), self.place_of_attack(name)
        entries = self._described_entries(facts, where)
        if self.mixes_clips(name) != ("batch_size" in facts):
            said = "is of no use, because" if "batch_size" in facts else "must be given, unless"
            raise SettingsError(f"{where}: batch_size {said} {facts['update']} takes each clip by itself")
        if (of := self.fitted_as(name)) and (of not in self.known_attacks or not self.is_fitted(of)):
            raise SettingsError(f"{where}: {of!r} is no attack that is fitted beforehand; name one that is")
        if of and self.is_through(of) != self.is_through(name):
            raise SettingsError(f"{where}: one of it and {of} goes through an extractor; say {THROUGH} of both or none")
        return entries

    def fitted_as(self, name: str) -> str:
        """The attack that is fitted before any cell of this one, itself or another; nothing if there is none."""
        if name not in self._fitted_names:
            self._fitted_names[name] = self._fitted_as(name)
        return self._fitted_names[name]

    def is_fitted(self, name: str) -> bool:
        """Whether an attack is itself fitted before any cell of it."""
        return digest.is_fitted(self.scripts, self.registered("attacks", "ATTACKS", self.attack_facts(name)["update"]))

    def _fitted_as(self, name: str) -> str:
        if self.is_fitted(name):
            return name
        facts = self.attack_facts(name)
        entry = self.registered("attacks", "ATTACKS", facts["update"])
        option = digest.option_told(self.scripts, entry, FITTED_BY)
        told = facts.get(option, "") if option else ""
        if not isinstance(told, str):
            raise SettingsError(f"{self.place_of_attack(name)}.{option}: {told!r} must be the name of one attack")
        return told

    def place_of_attack(self, name: str) -> str:
        """Where a paper describes an attack; its name where none does."""
        described = name in self.grid.attacks
        return f"{place_of(self.grid.attacks[name][0], 'attacks')}.{name}" if described else f"attack {name}"

    def check_attack(self, name: str, where: str) -> None:
        """Raise SettingsError if what names an attack names none, or one that is described wrongly."""
        try:
            self.registered("attacks", "ATTACKS", self.attack_facts(name)["update"])
        except SettingsError as error:
            raise SettingsError(f"{where}: {error}") from None
        self.attack_entries(name)

    def check_task(self, objective: str | None, dataset: str, where: str) -> None:
        """Raise SettingsError if an objective is for clips with another number of labels than those of a dataset."""
        if objective not in (None, TRAINING_OBJECTIVE):
            own = digest.constant(self.scripts, self.registered(*OBJECTIVE, objective), "task") or SINGLE
            task = self.settings.datasets[dataset].get("task", SINGLE)
            if own not in (task, ANY):
                raise SettingsError(f"{where}: objective {objective} is for the task {own}, but {dataset} is {task}")

    def mixes_clips(self, name: str) -> bool:
        """Whether an attack's result for a clip depends on its batch."""
        entry = self.registered("attacks", "ATTACKS", self.attack_facts(name)["update"])
        return digest.mixes_clips(self.scripts, entry)

    def _described_entries(self, described: Mapping, where: str) -> list[str]:
        if not isinstance(described, Mapping) or "update" not in described:
            raise SettingsError(f"{where}: an attack is {{update: ...}}, not {described!r}")
        spec = AttackSpec.of(described)
        entries = [self.entry_with("attacks", "ATTACKS", spec.update, spec.options, where)]
        objective = spec.objective_part
        if objective["name"] not in (None, TRAINING_OBJECTIVE):
            place = ("objectives", "OBJECTIVES", objective["name"])
            entries.append(self.entry_with(*place, objective["options"], where))
        return entries

    def entry_with(
        self, part: str, table: str, name: str, given: Mapping, where: str, filled: Collection[str] = ()
    ) -> str:
        """The entry of this name, `given` its options; SettingsError if it is not there or an option is wrong.

        `filled`: options that something else says.
        """
        try:
            entry = self.registered(part, table, name)
        except SettingsError as error:
            raise SettingsError(f"{where}: {error}") from None
        known = dict(list(digest.options(self.scripts, entry).items())[TOLD.get(table, 0) :])
        known = {option: told for option, told in known.items() if option not in filled}
        where = f"{where}: {name}"
        for option, value in given.items():
            if option not in known:
                raise SettingsError(
                    f"{where}: unknown option {option} = {value!r}; its options are {', '.join(known) or 'none'}"
                )
            kind = known[option][0]
            fits = any(_is_of(value, one) for one in kind.split(" | "))
            if not fits and not (isinstance(value, Mapping) and "by" in value):  # a choice may be any alternative
                raise SettingsError(f"{where}: option {option} = {value!r} is no {kind}")
        self._check_values(table, name, given, where)
        if missing := [option for option, (_, needed) in known.items() if needed and option not in given]:
            raise SettingsError(f"{where}: the option {missing[0]} must be given")
        return entry

    def _check_values(self, table: str, name: str, given: Mapping, where: str) -> None:
        """Raise SettingsError if an option is none of what is known of it; what goes by a choice is not looked at."""
        said = {option: value for option, value in given.items() if not _goes_by_choice(value)}
        if known := self._option_values.get(table, {}).get(name):
            check_by(said, {"$defs": self._option_values["$defs"], "properties": known}, where)

    @cached_property
    def _option_values(self) -> Mapping:
        known = json.loads((self.settings.root / "workflow/schemas/options.json").read_text(encoding="utf-8"))
        known["$defs"]["transform"] = {"enum": digest.keys(self.scripts, "avrobust.attacks.transforms:TRANSFORMS")}
        return known

    def registered(self, part: str, table: str, name: str) -> str:
        """The entry of this name in `table` of a registry; SettingsError if it is not there."""
        entry = digest.registered(self.scripts, part, table, name)
        if entry is None:
            allowed = ", ".join(digest.registered_names(self.scripts, part, table))
            raise SettingsError(f"{name!r} is not in {table} of scripts/avrobust/{part}/registry.py: {allowed}")
        if not digest.is_there(self.scripts, entry):
            module, what = entry.split(":")
            raise SettingsError(
                f"scripts/avrobust/{part}/registry.py: {table}: {name!r} is {entry}, but "
                f"scripts/{module.replace('.', '/')}.py has no {what}"
            )
        return entry


def _is_of(value: object, kind: str) -> bool:
    """Whether a value is of a type, as it is written; of types that are none of `TYPES` all are."""
    if isinstance(value, float) and not math.isfinite(value):
        return False
    # To Python, true is an integer.
    return kind not in TYPES or (isinstance(value, TYPES[kind]) and (kind == "bool" or not isinstance(value, bool)))


def _goes_by_choice(value: object) -> bool:
    """Whether an option, or something in it, is what a choice or a dataset says."""
    if isinstance(value, Mapping):
        return "by" in value or any(map(_goes_by_choice, value.values()))
    return isinstance(value, list) and any(map(_goes_by_choice, value))


def canonical(value: object) -> str:
    """Return the one JSON text of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def key_of(wildcards: Wildcards) -> Key:
    """Return what a file of a family is found by in the grid."""
    return wildcards.dataset, wildcards.variant, wildcards.attack


def one_of(names: Iterable[str]) -> str:
    """Return a regular expression for these names and nothing else."""
    return "|".join(map(re.escape, sorted(set(names)))) or NOTHING
