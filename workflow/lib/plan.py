"""The whole of what is to be made, from the configuration: what the rules of each file ask, checked before any job."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from avrobust.lazy import load
from avrobust.spec import notation
from avrobust.spec.attacks import AttackSpec
from avrobust.spec.registry import KINDS
from lib import digest
from lib.errors import SettingsError, UnsaidError
from lib.grid import Grid, expand, place_of_artefact
from lib.jobs.analysis import Analysis
from lib.jobs.attack import Attack
from lib.jobs.calibration import Calibration
from lib.jobs.data import Data
from lib.jobs.features import Features
from lib.jobs.fit import Fit
from lib.jobs.jobs import one_of
from lib.jobs.seen import check_through
from lib.jobs.tables import Tables
from lib.jobs.train import Train
from lib.jobs.videollama import VideoLLaMA
from lib.mistakes import Layers, in_its_file
from lib.settings import (
    Settings,
    check,
    known_name,
    layers_of,
    load_settings,
    names,
    paper_names,
    place_of,
    published_file,
)
from lib.variants import NET, Variant, variant_of

# A file of cells, as one asks for it: its dataset and its bundle.
CELLS_OF = re.compile(r"^results/.+/cells/(\w+)/s\d+/([^/]+)\.(?:parquet|json)$")

# A published file, as one asks for it, below its paper's folder or of all papers.
PUBLISHED = re.compile(r"^paper_tables/(?!reference/)(?:(\w+)/)?\w+\.(?:csv|md|png|svg)$")


class Plan:
    """What each file of workflow/rules asks, by the name of that file."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.grid: Grid = expand(settings)
        self.data = Data(settings, self.grid)
        self.features = Features(settings, self.grid, self.data)
        self.train = Train(settings, self.grid, self.data)
        self.attack = Attack(settings, self.grid, self.data)
        self.fit = Fit(settings, self.grid, self.data, self.attack)
        self.calibration = Calibration(settings, self.grid, self.data, self.train, self.attack)
        self.analysis = Analysis(settings, self.grid, self.data, self.attack)
        self.videollama = VideoLLaMA(settings, self.grid, self.attack)
        self.tables = Tables(settings, self.grid, self.data, self.attack)
        self._check_shared()
        self._check_registered()

    @classmethod
    def load(cls, root: str | Path, config: Mapping, *, conda: bool = False) -> "Plan":
        """Read and check everything below `root`; SettingsError names the first mistake, and the file that it is in.

        `conda`: whether Snakemake makes the environments of its rules.
        """
        root = Path(root)
        try:
            return cls(load_settings(root, config, conda=conda))
        except SettingsError as error:
            message = str(error)

        def with_layers(laid: Layers) -> str:
            try:
                cls(load_settings(root, config, laid, conda=conda))
            except SettingsError as error:
                return str(error)
            return ""

        scale = config.get("scale")
        layers = layers_of(root, scale) if scale in names(root / "workflow/scales") else []
        raise SettingsError(in_its_file(message, layers, with_layers))

    @property
    def targets(self) -> dict[str, list[str]]:
        """What a rule without a program asks for, by its name, beside `all`."""
        papers = {name: self.tables.targets([name]) for name in self.settings.papers}
        return {**papers, "data": list(self.data.targets), "sensitivity": self.tables.sensitivity}

    def check_targets(self, words: Iterable[str]) -> None:
        """Raise SettingsError if a word of a command line asks for what no chosen paper has, or cannot be made here."""
        words = list(words)
        for name, (_, _, why, suffixes) in self.tables.skipped.items():
            if asked := [word for word in words if word in (f"paper_tables/{name}{suffix}" for suffix in suffixes)]:
                raise SettingsError(f"{asked[0]} cannot be made: {why}")
        made = [f"paper_tables/{name}{suffix}" for name, of in self.tables.published.items() for suffix in of]
        for word in words:
            if (found := PUBLISHED.match(word)) and word not in made:
                if (paper := found[1]) in paper_names(self.settings.root) and paper not in self.settings.papers:
                    chosen = ", ".join(self.settings.papers)
                    raise SettingsError(f"{word}: papers: {paper} is none of those that are made, {chosen}; add it")
                near = ", ".join(get_close_matches(word, made)) or "the files of `snakemake -n -- all`"
                raise SettingsError(f"{word}: nothing makes it; like it are {near}")
            if (cells := CELLS_OF.search(word)) and cells.groups() not in self.attack.bundles:
                there = ", ".join(name for dataset, name in self.attack.bundles if dataset == cells[1])
                raise SettingsError(f"{word}: no such cells are planned on {cells[1]}; it has {there or 'none'}")
        if "sensitivity" in words and not self.tables.sensitivity:
            folder = self.settings.root / "workflow/papers"
            having = [name for name in paper_names(self.settings.root) if (folder / name / "sensitivity.yaml").exists()]
            raise SettingsError(
                f"sensitivity: nothing is varied for {', '.join(self.settings.papers)}; choose `papers` that have a "
                f"sensitivity.yaml: {', '.join(having)}"
            )

    @cached_property
    def wildcard_patterns(self) -> dict[str, str]:
        """A regular expression for each wildcard: registered names only."""
        return {
            "scale": self._places(),
            "paper": one_of(self.settings.papers),
            "dataset": one_of(self.settings.datasets),
            "variant": one_of(self.grid.variants),
            "attack": one_of(attack for keys in self.grid.conditions.values() for _, _, attack in keys),
            "bundle": one_of(name for _, name in self.attack.bundles),
            "budget": self.calibration.budgets,
            "seed": r"\d+",
            "shard": r"\d{4}",
            "list": one_of(self.data.downloads),
        }

    def _places(self) -> str:
        """Return a pattern for the folder of a scale's results, and for those of datasets of another source.

        What follows it, the kind of a result and its dataset, is looked at: each dataset has one of these folders.
        """
        elsewhere: dict[str, list[str]] = {}
        for name in self.settings.datasets:
            if (place := self.data.place(name)) != self.data.results:
                elsewhere.setdefault(place.removeprefix("results/"), []).append(name)
        scale = re.escape(self.settings.scale_name)
        here = rf"{scale}(?!/\w+/({one_of(name for names in elsewhere.values() for name in names)})/)"
        there = [rf"{re.escape(place)}(?=/\w+/({one_of(names)})/)" for place, names in elsewhere.items()]
        return "|".join([here, *there]) if elsewhere else scale

    def _check_shared(self) -> None:
        """Raise SettingsError if two papers mean different trainings by one variant of one dataset."""
        for name, (first, _) in self.grid.variants.items():
            for paper, facts in self.settings.papers.items():
                if paper == first or name not in facts["variants"]:
                    continue
                for dataset in facts["datasets"]:
                    if dataset not in self.settings.papers[first]["datasets"]:
                        raise SettingsError(f"variant {name} of {paper}: {first}, which has it too, has no {dataset}")
                    ways = [
                        (
                            variant_of(self.settings, one, name, dataset).told,
                            self.settings.taken(one, dataset, "evaluation"),
                        )
                        for one in (first, paper)
                    ]
                    if ways[0] != ways[1]:
                        raise SettingsError(f"variant {name} on {dataset} is not the same in {first} and {paper}")

    def _check_registered(self) -> None:
        for dataset, facts in self.settings.datasets.items():
            self.data.entry_with(
                "views", "VIEWS", facts["view"]["name"], facts["view"]["options"], f"view of {dataset}"
            )
            if facts["source"] == "lists":
                protocols = digest.registered_names(self.data.scripts, "data/protocols", "PROTOCOLS")
                known_name(facts["protocol"], sorted(protocols), f"workflow/datasets/{dataset}.yaml: protocol")
        self.features.check()
        self._check_parts()
        self._check_bundles()
        # Before any training, which may craft its clips by one of them.
        for name in self.grid.attacks:
            self.attack.attack_entries(name)
        self._check_any()
        self._check_checked()
        self._check_named()
        self.calibration.check()
        self.fit.check()
        sound: set[tuple[str, str]] = set()

        def check_once(name: str, value: Mapping, where: str) -> None:
            # Most variants say the same on most datasets; as text, because a schema tells 1 from true.
            if (name, repr(value)) not in sound:
                check(value, self.settings.root / f"workflow/schemas/{name}.json", where)
                sound.add((name, repr(value)))

        for paper, facts in self.settings.papers.items():
            for dataset in facts["datasets"]:
                sections = {name: self.settings.taken(paper, dataset, name) for name in ("window", "evaluation")}
                check_once("taken", sections, f"workflow/papers/{paper}/paper.yaml, on {dataset}")
        for keys in self.grid.conditions.values():
            if attack := next((attack for _, _, attack in keys if self.attack.state_of(attack)), None):
                state = self.attack.state_of(attack)
                raise SettingsError(
                    f"attack {attack}: model_state {state!r} is of cells; no map or embedding is made so"
                )
            for *_, attack in keys:
                if why := self.attack.of_cells_alone(attack):
                    raise SettingsError(f"attack {attack}: it {why}; no map or embedding is made so")
        attacked = [key for keys in (self.grid.cells, *self.grid.conditions.values()) for key in keys]
        trained = self.grid.trained
        for name, (paper, _) in self.grid.variants.items():
            for dataset in self.settings.papers[paper]["datasets"]:
                try:
                    variant = variant_of(self.settings, paper, name, dataset)
                except UnsaidError:
                    if (dataset, name) in trained:
                        raise
                    continue
                for recipe in (variant.recipe, variant.search_recipe):
                    check_once("training", recipe, f"training of {name} on {dataset}")
                    self.train.check_warm_up(name, dataset, recipe)
                memory = {"memory": variant.memory}
                check_once("taken", memory, f"{place_of(paper, 'variants')}.{name}, on {dataset}")
                self.train.training_entries(name, dataset)
                where = f"{place_of(paper, 'variants')}.{name}"
                for part, place, given in variant.options():
                    # A memory says how many columns it has.
                    filled = {"columns"} if part == "defence" and variant.memory else set()
                    self.train.entry_with(*place, given, f"{where}.{part}", filled)
                self._check_sizes(variant, where)
                self.features.check_net(variant.net_parts, dataset, where)
                self.train.check_task(variant.objective["name"], dataset, where)
                self.train.check_source(variant, where)
                if variant.search:
                    judge, where = self.settings.taken(paper, dataset, "search")["attack"], place_of(paper, "search")
                    self.train.check_attack(judge, f"{where}.attack")
                    if self.train.mixes_clips(judge):
                        mixes = f"{judge!r} is not allowed, because it mixes the clips of a batch"
                        raise SettingsError(f"{where}.attack: {mixes}")
                    if why := self.train.of_cells_alone(judge):
                        raise SettingsError(f"{where}.attack: {judge!r} is not allowed, because it {why}")
        for dataset, net, attack in attacked:
            self.attack.attack_entries(attack)
            check_through(self.data, dataset, attack, self.attack.place_of_attack(attack))
            objective = AttackSpec.of(self.attack.attack_on(attack, dataset, net)).objective_part["name"]
            self.attack.check_task(objective, dataset, self.attack.place_of_attack(attack))
            if net in self.grid.ensembles:
                self.attack.check_ensemble(dataset, net, attack)
        self.attack.check_bundles()

    def _check_any(self) -> None:
        """Raise SettingsError if a table counts noise among any attacks of a budget, or one that does not keep it."""
        for (paper, name), artefact in self.grid.artefacts.items():
            for attack in {one["attack"]: None for one in artefact.spec.get("any", ())}:
                where = f"{place_of(paper, 'artefacts')}.{name}.any"
                update = self.attack.attack_facts(attack)["update"]
                try:
                    entry = self.attack.registered("attacks", "ATTACKS", update)
                except SettingsError as error:
                    raise SettingsError(f"{where}: {error}") from None
                where = f"{where}: {attack!r} is not allowed"
                if digest.leaves(self.attack.scripts, entry):
                    raise SettingsError(f"{where}: it leaves its ball or the valid range")
                if digest.takes_no_gradient(self.attack.scripts, entry):
                    raise SettingsError(f"{where}: it takes no step, and is a control")

    def _check_named(self) -> None:
        """Raise SettingsError if an artefact names an attack that there is none of."""
        for (paper, name), artefact in self.grid.artefacts.items():
            named = {attack for keys in artefact.needs.values() for *_, attack in keys if attack}
            lists = self.settings.papers[paper].get("lists", {})
            for attack in sorted(named - self.grid.attacks.keys()):
                of = next((one for one in lists if attack in notation.listed(one, lists)), None)
                where = f"{place_of(paper, 'lists')}.{of}" if of else place_of_artefact(paper, name, artefact.kind)
                self.attack.check_attack(attack, where)

    def _check_checked(self) -> None:
        """Raise SettingsError if what a paper names for its checks is no attack."""
        known = sorted(self.attack.known_attacks)
        for paper, facts in self.settings.papers.items():
            for attack in facts.get("unbounded", ()):
                known_name(attack, known, place_of(paper, "unbounded"))
            for part in ("float32", "coded"):
                if part in facts:
                    known_name(facts[part]["attack"], known, f"{place_of(paper, part)}.attack")

    @property
    def notes(self) -> list[str]:
        """A line for whatever a paper says and nothing uses, such as printed values that no artefact reads."""
        lines = [*self.grid.notes, *self._skipped()]
        for paper, facts in self.settings.papers.items():
            for path in sorted((self.settings.root / published_file(paper, "")).parent.glob("*.csv")):
                kind = facts["artefacts"].get(path.stem, {}).get("kind")
                if kind is None or "published" not in load(KINDS, kind).reads:
                    lines.append(f"{published_file(paper, path.stem)}: no artefact reads it")
        return lines

    def _skipped(self) -> list[str]:
        """Of what a user has enabled, what is not made, and why."""
        if not self.settings.config["videollama"]["enabled"]:
            return []
        skipped = [f"{paper}/{name} is skipped: {why}" for (paper, name), (_, why) in self.grid.skipped.items()]
        return skipped or ([] if self.videollama.asked else ["videollama is enabled, but none of `papers` asks it"])

    def _check_parts(self) -> None:
        registered = {name for place in {*NET.values()} for name in digest.registered_names(self.train.scripts, *place)}
        for paper, facts in self.settings.papers.items():
            for name in facts.get("parts", {}):
                known_name(name, sorted(registered), place_of(paper, "parts"))

    def _check_bundles(self) -> None:
        root = self.settings.root
        # A scale may bundle what papers have that are not chosen.
        known = {
            kind: {name for paper in paper_names(root) for part in parts for name in self.settings.own(paper, part)}
            for kind, parts in (("surrogates", ("variants", "ensembles")), ("attacks", ("attacks",)))
        }
        known["surrogates"] |= {*self.grid.variants, *self.grid.ensembles}
        known["attacks"] |= self.attack.known_attacks
        known["each"], known["datasets"] = known["surrogates"], names(root / "workflow/datasets")
        for bundle, facts in self.settings.scale.get("bundles", {}).items():
            where = f"workflow/scales/{self.settings.scale_name}.yaml: bundles.{bundle}"
            if "surrogates" in facts and "each" in facts:
                raise SettingsError(f"{where}: surrogates together or `each` by itself; take one of both")
            if bundle in known["attacks"]:
                raise SettingsError(f"{where}: an attack is called so, and what it makes alone; give another name")
            for kind in known.keys() & facts:
                for name in facts[kind]:
                    known_name(name, sorted(known[kind]), f"{where}.{kind}")

    def _check_sizes(self, variant: Variant, where: str) -> None:
        parts = variant.net_parts
        found = {part: self._feature_size(part, parts[part]) for part in ("audio", "visual") if part in parts}
        if None not in found.values() and len(set(found.values())) > 1:
            sizes = " and ".join(f"{size} of {part}" for part, size in found.items())
            raise SettingsError(f"{where}: features of different sizes, {sizes}; give one `projection`, the other's")

    def _feature_size(self, part: str, encoder: Mapping) -> int | None:
        """The size of an encoder's feature; None where neither its options nor its file say it."""
        options = encoder["options"]
        if options.get("projection"):
            return options["projection"]
        if "net" in options:
            return self._feature_size("visual", options["net"])
        own = digest.constant(self.train.scripts, self.train.registered(*NET[part], encoder["name"]), "own_features")
        return own and int(own * options.get("width", 1))
