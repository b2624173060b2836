"""What workflow/rules/attack.smk asks: bundles of cells, their nets and budgets, and how much work they are."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, cached_property, partial
from types import SimpleNamespace as Names
from typing import TypeVar

from avrobust.spec.attacks import TRAINING_OBJECTIVE, AttackSpec
from avrobust.spec.budgets import FROM, MODALITIES, RANGE
from avrobust.spec.coded import CODER
from avrobust.spec.conditions import ATTACKED, UNBOUNDED, Condition
from avrobust.spec.kind import METRICS
from avrobust.spec.nets import MEAN_LOGITS
from lib import digest, work
from lib.class_names import class_names
from lib.errors import SettingsError
from lib.grid import Grid, Key, is_bounded
from lib.jobs.data import Data
from lib.jobs.jobs import MODEL_STATE, MOST_TIMES, Jobs, Wildcards, canonical
from lib.jobs.seen import Seen, seen
from lib.settings import Settings, place_of
from lib.variants import NET, OBJECTIVE, SINGLE

# What an ensemble maximises where nothing else is said: of the mean of its nets' logits.
PLAIN_OBJECTIVE = "cross_entropy"

UNBOUNDED_BUDGET = {name: {"norm": "linf", "epsilon": RANGE} for name in MODALITIES}


Told = TypeVar("Told")


class Attacking(Jobs):
    """What every job that attacks asks, whatever it keeps of it."""

    def __init__(self, settings: Settings, grid: Grid, data: Data):
        super().__init__(settings, grid)
        self.data = data

    def seen(self, dataset: str, through: bool) -> Seen:
        """How nets get the clips of a dataset; `through`: through the extractor of the features that they take."""
        return seen(self.data, dataset, through)

    def clips_of_a_batch(self, clips: Seen) -> int:
        """How many clips are attacked at a time."""
        return max(1, int(self.settings.scale["attack_batch_size"] * clips.clips))

    def job_threads(self, wildcards: Wildcards) -> int:
        """Threads of an attack. As with `threads`, torch gets these."""
        return self.threads_on(wildcards.dataset)

    def threads_on(self, dataset: str) -> int:
        """Threads of an attack on a dataset."""
        return work.threads(self.threads("attack"), self.data.split_clips(dataset, "test"))

    def job_memory_mb(self, wildcards: Wildcards, attempt: int) -> int:
        """Memory of an attack in MB, by the clips that it holds at a time; more with the next two attempts."""
        return self.memory_for(self.data.split_clips(wildcards.dataset, "test"), attempt)

    def memory_for(self, clips: int, attempt: int) -> int:
        """Memory in MB of a job that attacks so many clips."""
        most, batch = self.settings.scale["memory_mb"]["attack"], self.settings.scale["attack_batch_size"]
        return min(attempt, MOST_TIMES) * work.memory_mb(most, clips, batch)

    @property
    def batch_size(self) -> str:
        """Clips that are attacked at a time. A text and a resource: no result depends on it, and nothing is counted.

        An attack whose result would depend on it has a size of its own, which is a parameter.
        """
        return str(self.settings.scale["attack_batch_size"])

    def budgets_of(self, conditions: Iterable[Condition]) -> str:
        """The budgets that conditions name, as JSON."""
        return canonical({one.budget: self._budget(one.budget) for one in conditions if one.budget})

    def files_of_budgets(self, conditions: Iterable[Condition]) -> list[str]:
        """The files of the budgets that conditions name and a job makes."""
        return self.budget_files_of(self._budget(one.budget) for one in conditions if one.budget)

    def steps(self, attack: str, dataset: str, net: str) -> int:
        """How many steps an attack takes, if its paper or its file says it."""
        return self.steps_of(self.attack_on(attack, dataset, net))

    def gradients(self, attack: str, dataset: str, net: str) -> int:
        """How many gradients a step takes: of each net of the surrogate, at as many places as the attack says."""
        return len(self.grid.nets_of(net)) * self.places_of(self.attack_on(attack, dataset, net))

    def view_on(self, variant: str, dataset: str) -> str:
        """How a net under attack sees a clip, as JSON."""
        view = self.settings.datasets[dataset]["view"]
        window = self.settings.taken(self.grid.variants[variant][0], dataset, "window")
        if window and window["test"] != window["training"]:
            samples = view["options"]["audio_samples"] * window["test"] // window["training"]
            view = {**view, "options": {**view["options"], "audio_samples": samples}}
        return canonical(view)

    def _worth(self, condition: Condition) -> str:
        """What a condition allows: those for which it is equal are attacked once."""
        budget = self._budget(condition.budget)
        allowed = {name: budget.get(name, budget.get(FROM)) for name in ATTACKED[condition.modality]}
        return canonical([condition.modality, allowed, condition.steps])

    def _budget(self, name: str) -> Mapping:
        return UNBOUNDED_BUDGET if name == UNBOUNDED else self.grid.budgets[name]

    def work_of(self, dataset: str, net: str, attack: str, victims: Mapping[str, Iterable[Condition]]) -> int:
        """The work of one attack with these victims and their conditions."""
        own = self.steps(attack, dataset, net)
        crafted = {self._worth(one): one.steps or own for conditions in victims.values() for one in conditions}
        key = dataset, net, attack
        forms = {name: work.FORMS if (key, name) in self.grid.filed else 1 for name in victims}
        answered = sum(forms[name] * (1 + len(set(conditions))) for name, conditions in victims.items())
        clips = self._test_clips(dataset, net)
        passes = work.attack_passes(clips, [*crafted.values()], answered, self.gradients(attack, dataset, net))
        return passes * (work.EXTRACTOR if self.is_through(attack) else 1)

    def _test_clips(self, dataset: str, net: str) -> int:
        """How many test clips a surrogate attacks."""
        clips, most = self.data.split_clips(dataset, "test"), self.grid.clips_of(net)
        return clips if most is None else min(clips, most)

    def check_ensemble(self, dataset: str, net: str, attack: str) -> None:
        """Raise SettingsError if the nets of an ensemble cannot be attacked as one, by this attack."""
        try:
            self.registered("models", "ENSEMBLES", self.grid.joined(net))
        except SettingsError as error:
            paper = next(name for name, facts in self.settings.papers.items() if net in facts["ensembles"])
            raise SettingsError(f"{place_of(paper, 'ensembles')}.{net}.joined: {error}") from None
        variants = {name: self.variant_on(name, dataset) for name in self.grid.nets_of(net)}
        first, *others = variants
        parts = {name: [part for part in ("audio", "visual") if part in of.facts] for name, of in variants.items()}
        if other := next((name for name in others if parts[name] != parts[first]), None):
            both = " and ".join(f"{name} takes {', '.join(parts[name])}" for name in (first, other))
            raise SettingsError(f"ensemble {net} on {dataset}: {both}; take nets of the same modalities")
        spec = AttackSpec.of(self.attack_on(attack, dataset, net))
        entry = self.registered("attacks", "ATTACKS", spec.update)
        own = spec.objective_part["name"] or ("its own" if digest.has_objective(self.scripts, entry) else None)
        for name, of in variants.items():
            if own in (None, TRAINING_OBJECTIVE) and of.objective["name"] != PLAIN_OBJECTIVE:
                raise SettingsError(
                    f"attack {attack} on ensemble {net}: {name} was trained by {of.objective['name']}, which is of one "
                    "net; give the attack an `objective`"
                )


class Bundled(Attacking, ABC):
    """What is made of a bundle by one job: of cells, or of what is fitted for them."""

    @abstractmethod
    def keys(self, wildcards: Wildcards) -> list[Key]:
        """What the job makes, by dataset, net and attack."""

    @abstractmethod
    def conditions(self, wildcards: Wildcards) -> list[Condition]:
        """The conditions of all of it."""

    def budget_files(self, wildcards: Wildcards) -> list[str]:
        """The budgets of a bundle that a job makes."""
        return self.files_of_budgets(self.conditions(wildcards))

    def clips_at_a_time(self, wildcards: Wildcards) -> str:
        """Clips that a bundle attacks at a time: fewer by as many nets as a gradient is taken of, so that all fit."""
        most = max(len(self.grid.nets_of(net)) for _, net, _ in self.keys(wildcards))
        return str(max(1, self.clips_of_a_batch(self._seen(wildcards)) // most))

    def shards(self, wildcards: Wildcards) -> list[str]:
        """The shards that a bundle reads."""
        return self._seen(wildcards).shards

    def weights(self, wildcards: Wildcards) -> list[str]:
        """The published weights of the extractor that a bundle goes through."""
        return list(self._seen(wildcards).weights)

    def _state(self, wildcards: Wildcards) -> dict[str, str]:
        """Which weights the attacks of a bundle say that its nets have; SettingsError if they do not agree."""
        of_state = {self.state_of(attack): attack for _, _, attack in self.keys(wildcards)}
        if len(of_state) > 1:
            raise SettingsError(
                f"workflow/scales/{self.settings.scale_name}.yaml: bundles: {wildcards.bundle} holds "
                f"{' and '.join(sorted(of_state.values()))}, which are of other weights of their nets; put them apart"
            )
        (state,) = of_state
        return {MODEL_STATE: state} if state else {}

    def _seen(self, wildcards: Wildcards) -> Seen:
        """How the nets of a bundle get clips; SettingsError if some attacks go through an extractor and some do not."""
        of_attacks = {self.is_through(attack): attack for _, _, attack in self.keys(wildcards)}
        if len(of_attacks) > 1:
            raise SettingsError(
                f"workflow/scales/{self.settings.scale_name}.yaml: bundles: {wildcards.bundle} holds "
                f"{of_attacks[True]}, which goes through an extractor, and {of_attacks[False]}, which does not; put "
                "them apart"
            )
        return self.seen(wildcards.dataset, True in of_attacks)


class Attack(Bundled):
    """Every bundle of cells: which there are, their files and work, and what is fitted before them."""

    @cached_property
    def most_work(self) -> int:
        """The work of the largest bundle that `all` makes."""
        return max(map(self.bundle_work, self.of_all.values()), default=1)

    def bundle_work(self, keys: Iterable[Key]) -> int:
        """The work of these cells, of those that are encoded too."""
        return sum(self._works[key] for key in keys)

    def ranked_logits(self, keys: Iterable[Key]) -> int:
        """How many logits of these cells are ranked: of each clip, class and condition, of the clean clips too."""
        return sum(
            self._test_clips(dataset, net)
            * len(class_names(self.settings.root, self.settings.datasets[dataset]))
            * (1 + sum(one.budget != UNBOUNDED for one in conditions))
            for dataset, net, attack in self.grid.ranked.intersection(keys)
            for conditions in self.cells[dataset, net, attack].values()
        )

    @cached_property
    def _works(self) -> dict[Key, int]:
        """The work of every cell; every job asks for that of all."""
        found = {}
        for key, victims in self.cells.items():
            found[key] = self.work_of(*key, victims)
            if coded := self.grid.coded.get(key):
                clips = self._test_clips(*key[:2])
                conditions = 1 + len({self._worth(one) for one in coded})
                found[key] += work.encoding_passes(clips, conditions, self.threads_on(key[0]))
        return found

    @cached_property
    def cells(self) -> dict[Key, dict[str, list[Condition]]]:
        """Victims and their conditions of every cell: what artefacts need, and what is only there to be checked."""
        found = {key: {name: _sorted(of) for name, of in victims.items()} for key, victims in self.grid.cells.items()}
        for (dataset, net, attack), victims in self._tried_without_bounds(found).items():
            found[dataset, net, attack] = {**victims, net: [*victims[net], Condition("both", UNBOUNDED)]}
        return dict(sorted(found.items()))

    def _tried_without_bounds(self, cells: Mapping[Key, Mapping]) -> dict[Key, Mapping]:
        """One cell of every net: by an attack of several steps, the first of those that the papers name for it.

        Where they name none, of the net's own training loss if there is one.
        """
        named = [attack for facts in self.settings.papers.values() for attack in facts.get("unbounded", ())]
        chosen: dict[tuple[str, str], tuple] = {}
        for (dataset, net, attack), victims in cells.items():
            facts = self.attack_facts(attack)
            if (dataset, net, attack) in self.grid.aside:
                continue
            if not is_bounded(self.scripts, self.settings.datasets[dataset]["view"]["name"]):
                continue
            if net in victims and self.steps(attack, dataset, net) > 1 and "batch_size" not in facts:
                place = named.index(attack) if attack in named else len(named)
                rank = (place, "objective" in facts, attack)
                chosen[dataset, net] = min(chosen.get((dataset, net), (rank, victims)), (rank, victims), key=_first)
        return {(dataset, net, attack): victims for (dataset, net), ((*_, attack), victims) in chosen.items()}

    @cached_property
    def bundles(self) -> dict[tuple[str, str], list[Key]]:
        """(dataset, name) -> the cells that one job makes."""
        found: dict[tuple[str, str], list[Key]] = {}
        for dataset, net, attack in self.cells:
            found.setdefault((dataset, self._bundle(dataset, net, attack)), []).append((dataset, net, attack))
        return found

    @property
    def of_all(self) -> dict[tuple[str, str], list[Key]]:
        """Those that are no artefact's alone that `all` leaves out."""
        return {place: keys for place, keys in self.bundles.items() if self.grid.aside.isdisjoint(keys)}

    def seeds_of(self, keys: Iterable[Key]) -> list[int]:
        """The seeds that a bundle of these cells is made with: the first alone where all of them need no other."""
        alone = all(self.grid.has_first_seed_alone(key) for key in keys)
        return self.settings.scale["seeds"][: 1 if alone else None]

    def cell_file(self, key: Key, seed: int) -> str:
        """The file that holds a cell of a seed."""
        dataset, net, attack = key
        return f"{self.place(dataset)}/cells/{dataset}/s{seed}/{self._bundle(dataset, net, attack)}.parquet"

    def metrics_file(self, key: Key, seed: int) -> str:
        """The file that says how well the nets of such a cell rank the clips of each class."""
        dataset, net, attack = key
        return f"{self.place(dataset)}/{METRICS}/{dataset}/s{seed}/{self._bundle(dataset, net, attack)}.parquet"

    @cached_property
    def fits(self) -> dict[Key, list[Condition]]:
        """What is fitted before any cell that adds it, under which conditions: (dataset, net, attack) -> conditions."""
        found: dict[Key, set[Condition]] = {}
        fitted = {attack: self.fitted_as(attack) for attack in dict.fromkeys(attack for *_, attack in self.cells)}
        for (dataset, net, attack), victims in self.cells.items():
            if of := fitted[attack]:
                found.setdefault((dataset, net, of), set()).update(*victims.values())
        return {key: _sorted(conditions) for key, conditions in found.items()}

    def fits_of(self, keys: Iterable[Key]) -> list[Key]:
        """What is fitted for these cells."""
        of = [(dataset, net, self.fitted_as(attack)) for dataset, net, attack in keys]
        return [key for key in dict.fromkeys(of) if key[2]]

    @cached_property
    def fit_bundles(self) -> dict[tuple[str, str, str], list[Key]]:
        """(dataset, net, name) -> what one job fits: of a net, all that a bundle of the scale holds, or an attack."""
        found: dict[tuple[str, str, str], list[Key]] = {}
        for key in sorted(self.fits):
            found.setdefault(self.fit_key(key), []).append(key)
        return found

    def fit_key(self, key: Key) -> tuple[str, str, str]:
        """Dataset, net and name of what is fitted together with this."""
        dataset, net, attack = key
        return dataset, net, self._named_bundle(*key) or attack

    def fitted_file(self, key: Key, seed: int | str) -> str:
        """The file that holds what is fitted with a seed."""
        dataset, net, name = self.fit_key(key)
        return f"{self.place(dataset)}/perturbations/{dataset}/{net}/s{seed}/{name}.pt"

    def _bundle(self, dataset: str, net: str, attack: str) -> str:
        name = self._named_bundle(dataset, net, attack)
        together = name and "surrogates" in self.settings.scale["bundles"][name]
        return name if together else f"{net}.{name or attack}"

    @cached_property
    def _named_bundle(self) -> Callable[[str, str, str], str]:
        """Of (dataset, net, attack): the first of the scale's bundles that a cell fits; nothing if there is none."""
        return cache(partial(_first_bundle, self.settings.scale.get("bundles", {}), self.grid.aside))

    def minutes_for(self, passes: int, attempt: int) -> int:
        """Time limit in minutes: of what the scale says for the largest bundle, the share of this work."""
        most = self.settings.scale["minutes"]["attack"]
        return min(attempt, MOST_TIMES) * work.minutes(most, passes, max(passes, self.most_work))

    def keys(self, wildcards: Wildcards) -> list[Key]:
        """The cells of a bundle."""
        return self.bundles[wildcards.dataset, wildcards.bundle]

    def conditions(self, wildcards: Wildcards) -> list[Condition]:
        """The conditions of all victims of a bundle."""
        of_victims = (of for key in self.keys(wildcards) for of in self.cells[key].values())
        return [condition for conditions in of_victims for condition in conditions]

    def models(self, wildcards: Wildcards) -> list[str]:
        """The nets of a bundle, surrogates and victims."""
        return [self.model(wildcards.dataset, net, wildcards.seed) for net in self._nets(wildcards)]

    def perturbations(self, wildcards: Wildcards) -> list[str]:
        """What was fitted for the attacks of a bundle that add it."""
        return list(dict.fromkeys(self._fitted(wildcards).values()))

    def told(self, wildcards: Wildcards) -> dict:
        """What a bundle is told: cells and budgets as JSON, its nets by name, how they see a clip and are tested.

        `perturbations`: the files of what was fitted, by surrogate and attack.
        """
        named = zip(self._nets(wildcards), self.models(wildcards), strict=True)
        return {
            "extractor": list(self._seen(wildcards).words),
            "perturbations": [f"{net}/{attack}={path}" for (_, net, attack), path in self._fitted(wildcards).items()],
            "cells": canonical([self._spec(key) for key in self.keys(wildcards)]),
            "nets": [f"{name}={path}" for name, path in named],
            "budgets": self.budgets_of(self.conditions(wildcards)),
            "key": canonical({"dataset": wildcards.dataset, "seed": wildcards.seed}),
            "view": self._seen(wildcards).view or self._common(wildcards, self.view_on, "sees"),
            **self._common(wildcards, self.evaluation_on, "is tested on"),
            **self._state(wildcards),
        }

    def check_bundles(self) -> None:
        """Raise SettingsError if a bundle holds what one job cannot make together."""
        for dataset, name in self.bundles:
            bundle = Names(dataset=dataset, bundle=name)
            if not self._seen(bundle).view:
                self._common(bundle, self.view_on, "sees")
                self._check_units(bundle)
            self._common(bundle, self.evaluation_on, "is tested on")
            self._state(bundle)

    def _check_units(self, wildcards: Wildcards) -> None:
        """Raise SettingsError if an epsilon would count in two units: not all nets standardise an input."""
        dataset = wildcards.dataset
        for modality in MODALITIES:
            nets: dict[bool, str] = {}
            for net in self._nets(wildcards):
                if encoder := self.variant_on(net, dataset).net_parts.get(modality):
                    entry = self.registered(*NET[modality], encoder["name"])
                    nets[digest.has_method(self.scripts, entry, "scale")] = net
            if len(nets) > 1:
                raise SettingsError(
                    f"{wildcards.bundle} on {dataset}: {nets[True]} standardises {modality} and {nets[False]} does "
                    "not, so that an epsilon would be of two units; give both the same encoder, or attack them in "
                    "bundles of their own"
                )

    def job_minutes(self, wildcards: Wildcards, attempt: int) -> int:
        """Time limit of a bundle in minutes, by the work of its cells."""
        return self.minutes_for(self.bundle_work(self.keys(wildcards)), attempt)

    def entries(self, part: str, wildcards: Wildcards) -> list[str]:
        """The registry entries that a bundle uses, those of all its cells."""
        if part == "variant":
            nets = (Names(dataset=wildcards.dataset, variant=net) for net in self._nets(wildcards))
            return [one for net in nets for one in Jobs.entries(self, part, net)]
        keys = self.keys(wildcards)
        more = [] if self.grid.coded.keys().isdisjoint(keys) else [CODER]
        joined = dict.fromkeys(self.grid.joined(net) for _, net, _ in keys if net in self.grid.ensembles)
        if joined:
            more += [self.registered("models", "ENSEMBLES", how) for how in joined]
            more.append(self.registered(*OBJECTIVE, PLAIN_OBJECTIVE))
        return [
            *more,
            *self._seen(wildcards).entries,
            *(one for _, _, attack in keys for one in self.attack_entries(attack)),
        ]

    def _fitted(self, wildcards: Wildcards) -> dict[Key, str]:
        return {key: self.fitted_file(key, wildcards.seed) for key in self.fits_of(self.keys(wildcards))}

    def _nets(self, wildcards: Wildcards) -> list[str]:
        keys = self.keys(wildcards)
        return list(dict.fromkeys(net for key in keys for net in (*self.grid.nets_of(key[1]), *self.cells[key])))

    def _spec(self, key: Key) -> dict:
        dataset, net, attack = key
        victims = {name: [told_of_condition(one) for one in conditions] for name, conditions in self.cells[key].items()}
        spec = {"surrogate": net, "attack": attack, "victims": victims, "spec": self.attack_on(attack, dataset, net)}
        if net in self.grid.ensembles:
            spec["nets"] = self.grid.nets_of(net)
        if most := self.grid.clips_of(net):
            spec["clips"] = most
        if net in self.grid.ensembles and (how := self.grid.joined(net)) != MEAN_LOGITS:
            spec["joined"] = how
        if floats := [name for name in victims if (key, name) not in self.grid.filed]:
            spec["floats"] = floats
        if key in self.grid.ranked and self.settings.datasets[dataset].get("task", SINGLE) == SINGLE:
            spec["ranked"] = True
        coded = [told_of_condition(one) for one in _sorted(self.grid.coded.get(key, ()))]
        return spec | ({"coded": coded} if coded else {})

    def _common(self, wildcards: Wildcards, told: Callable[[str, str], Told], what: str) -> Told:
        """What is said of all nets of a bundle alike; SettingsError if it is not."""
        first, *others = self._nets(wildcards)
        options = told(first, wildcards.dataset)
        for other in others:
            if told(other, wildcards.dataset) != options:
                raise SettingsError(
                    f"workflow/scales/{self.settings.scale_name}.yaml: bundles: {wildcards.bundle} holds {first} and "
                    f"{other}, one of which {what} something else on {wildcards.dataset}; put them apart"
                )
        return options


def _first_bundle(bundles: Mapping[str, Mapping], aside: Collection[Key], dataset: str, net: str, attack: str) -> str:
    cell = {"datasets": dataset, "surrogates": net, "each": net, "attacks": attack}
    for name, bundle in bundles.items():
        fits = bundle.get("aside", False) == ((dataset, net, attack) in aside)
        if fits and all(one in bundle.get(part, [one]) for part, one in cell.items()):
            return name
    return ""


def _sorted(conditions: Iterable[Condition]) -> list[Condition]:
    return sorted(conditions, key=lambda one: (one.modality, one.budget, one.steps or 0))


def told_of_condition(condition: Condition) -> Sequence:
    """Return a condition as JSON."""
    return condition if condition.steps else condition[:2]


def _first(pair: tuple) -> object:
    return pair[0]
