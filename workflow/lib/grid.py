"""From the artefacts of all papers to what they need: every cell once, with all its victims and conditions."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from avrobust.lazy import load
from avrobust.program import UserError
from avrobust.spec import budgets
from avrobust.spec.artefacts.claims import CLAIMS, Claims
from avrobust.spec.coded import refusal
from avrobust.spec.conditions import ATTACKED, CLEAN, FREE, UNDER_ATTACK, Condition, Reading
from avrobust.spec.curriculum import CURRICULUM
from avrobust.spec.kind import (
    ANSWERS,
    CELLS,
    CRAFTING,
    EMBEDDINGS,
    GEOMETRY,
    LOCALISATION,
    METRICS,
    SCORES,
    TRAININGS,
    Need,
)
from avrobust.spec.nets import Ensemble
from avrobust.spec.registry import KINDS
from lib import choices, digest, schedules
from lib.class_names import class_names
from lib.errors import SettingsError
from lib.layout_facts import FACTS, crafted_by
from lib.own_clips import LOCAL
from lib.settings import Settings, place_of, published_file
from lib.sizes import sizes
from lib.strengths import budgets_of, calibrated, calibration_layout, calibrations_of, check_made, with_budgets
from lib.training_order import check_training, check_variants, trained_before
from lib.variants import SINGLE, variant_of
from lib.videollama import KIND as ASKED

# Dataset, net whose gradients are taken, attack.
Key = tuple[str, str, str]

# What an artefact can be computed from: rows of a cell; or one file for each key, where the net is looked into.
FAMILIES = (CELLS, LOCALISATION, EMBEDDINGS)
# What is read of cells: rows of clips, or what was measured of them.
OF_CELLS = (CELLS, METRICS)
FLOAT32 = "float32"
# What a paper says of clips as files hold them: they are asked about by the net's own attacks alone.
OF_WHITE_BOX = "white_box"
# What a number is read of; a scale may have less of it than the paper.
NAMED = ("datasets", "variants", "budgets")
# Kinds of artefacts that are made of a section of the paper, and not of a layout of its own.
OF_SECTION = {"claims": "claims", "choices": "choices", "calibration": "calibrations", "alternatives": "sensitivity"}
# `seeds: first` of an artefact: cells that no other one reads are made with that seed alone.
FIRST = "first"
# Kinds of artefacts that read as many seeds as others ask for.
AS_MADE = ("claims", "realisable", "matrix")


@dataclass(frozen=True)
class Artefact:
    """A table, figure or ledger of a paper: `spec` is its layout, ready for the program that makes it.

    `needs`: family -> keys. `manifests`: datasets whose manifest it reads. `first_seed`: that one alone is read.
    `of_all`: whether `all` makes it.
    """

    paper: str
    name: str
    kind: str
    spec: Mapping
    needs: Mapping[str, tuple[Key, ...]]
    manifests: tuple[str, ...] = ()
    first_seed: bool = False
    of_all: bool = True


@dataclass
class Grid:
    """All artefacts; what every key of each family needs; variants, attacks and budgets by name.

    `cells`: victim -> conditions beside the clean clips, of each key. `conditions`: those of the other families.
    `examples`: the classes of which a localisation file keeps a clip for the figures, by its key. `crafted`: (dataset,
    variant) -> the clip and the stage of a training whose crafting on it is shown. `measured`: (dataset, variant) ->
    those classes of a net that an artefact measures of which the points of clips are shown. `budgets`: in the long form
    of `avrobust.spec.budgets`. `calibrations`: those that a job makes, by name, with paper and facts.
    `attacked`: paper -> what its artefacts read of attacked clips. `ensembles`: surrogates of several nets, by name.
    `coded`: the conditions of a cell under which clips go through an encoder too; `filed`: cells with victims that are
    also asked about clips as files hold them.
    `ranked`: cells of which something ranks the clips of each class, so that they hold logits.
    `aside`: cells that only those artefacts read which `all` leaves out.
    `of_first_seed`, `of_every_seed`: keys of cells and of nets whose classes are measured, by the seeds that artefacts
    read.
    `skipped`: artefacts of a paper that cannot be made here, each with its kind and why.
    `notes`: a line for whatever a paper says and nothing uses.
    """

    artefacts: dict[tuple[str, str], Artefact] = field(default_factory=dict)
    cells: dict[Key, dict[str, set[Condition]]] = field(default_factory=dict)
    conditions: dict[str, dict[Key, set[Condition]]] = field(default_factory=lambda: {LOCALISATION: {}, EMBEDDINGS: {}})
    examples: dict[Key, set[str]] = field(default_factory=dict)
    crafted: dict[tuple[str, str], tuple[str, Mapping]] = field(default_factory=dict)
    measured: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    variants: dict[str, tuple[str, Mapping]] = field(default_factory=dict)
    ensembles: dict[str, Ensemble] = field(default_factory=dict)
    attacks: dict[str, tuple[str, Mapping]] = field(default_factory=dict)
    budgets: dict[str, Mapping] = field(default_factory=dict)
    calibrations: dict[str, tuple[str, Mapping]] = field(default_factory=dict)
    attacked: dict[str, dict[Reading, None]] = field(default_factory=dict)
    coded: dict[Key, set[Condition]] = field(default_factory=dict)
    filed: set[tuple[Key, str]] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    ranked: set[Key] = field(default_factory=set)
    aside: set[Key] = field(default_factory=set)
    skipped: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    of_first_seed: set[Key] = field(default_factory=set)
    of_every_seed: set[Key] = field(default_factory=set)

    def has_first_seed_alone(self, key: Key) -> bool:
        """Whether all that a cell is read for needs no other seed."""
        return key in self.of_first_seed and key not in self.of_every_seed

    @property
    def trained(self) -> set[tuple[str, str]]:
        """(dataset, variant) of every net that something is measured with, and of those that it goes on from."""
        used = {
            (dataset, net)
            for (dataset, maker, _), victims in self.cells.items()
            for net in (*self.nets_of(maker), *victims)
        }
        used |= {(dataset, net) for keys in self.conditions.values() for dataset, net, _ in keys}
        used |= self.measured.keys()
        for _, facts in self.calibrations.values():
            used |= {(facts["dataset"], net) for net in (facts["variant"], *facts["others"])}
        used |= {(dataset, self.variants[net][1]["start"]) for dataset, net in self.crafted}
        return self.with_starts(used)

    def nets_of(self, surrogate: str) -> tuple[str, ...]:
        """Return the nets whose gradients a surrogate stands for: those of an ensemble, else itself."""
        ensemble = self.ensembles.get(surrogate)
        return ensemble.nets if ensemble else (surrogate,)

    def clips_of(self, surrogate: str) -> int | None:
        """Return how many clips of a split a surrogate attacks at most; None for all."""
        ensemble = self.ensembles.get(surrogate)
        return ensemble.clips if ensemble else None

    def joined(self, surrogate: str) -> str:
        """Return how the nets of an ensemble are made one."""
        return self.ensembles[surrogate].joined

    def with_starts(self, nets: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return these (dataset, variant), those that they go on from, and those by whose classes they choose."""
        found, waiting = set(), list(nets)
        while waiting:
            dataset, net = one = waiting.pop()
            if one not in found:
                found.add(one)
                others = trained_before(self.variants[net][1])
                waiting += [(dataset, other) for other in others if other in self.variants]
        return found

    def need(self, family: str, wanted: Reading) -> Key:
        """Take in what is read of a family, and return the key of its file."""
        key = (wanted.dataset, wanted.surrogate, wanted.attack)
        if family == METRICS:
            self.ranked.add(key)
        if family in OF_CELLS:
            conditions = self.cells.setdefault(key, {}).setdefault(wanted.victim, set())
        else:
            conditions = self.conditions[family].setdefault(key, set())
        if wanted.condition.modality not in FREE:
            conditions.add(wanted.condition)
        return key

    def need_aside(self, wanted: Reading, family: str = CELLS) -> Key | None:
        """Take in what is read of a cell beside what `all` makes, and return its key; None if that would change.

        A cell that `all` makes is read as it is. `family`: of `OF_CELLS`.
        """
        key = (wanted.dataset, wanted.surrogate, wanted.attack)
        if key in self.cells and key not in self.aside:
            asked = self.cells[key].get(wanted.victim)
            there = asked is not None and (wanted.condition.modality in FREE or wanted.condition in asked)
            return key if there and (family == CELLS or key in self.ranked) else None
        self.aside.add(key)
        return self.need(family, wanted)


def expand(settings: Settings) -> Grid:
    """Return the grid of all papers in `settings`.

    Raises:
        SettingsError: an artefact names a dataset, variant or budget that its paper does not have, or two papers
            mean different nets, attacks or budgets by one name.
    """
    grid = Grid()
    check_made(settings)
    for paper, facts in settings.papers.items():
        for name, variant in facts["variants"].items():
            _agree(grid.variants.setdefault(name, (paper, variant))[1], variant, f"variant {name}")
        for name, ensemble in facts["ensembles"].items():
            _agree(grid.ensembles.setdefault(name, ensemble), ensemble, f"ensemble {name}")
        for name, attack in facts["attacks"].items():
            _agree(grid.attacks.setdefault(name, (paper, attack))[1], attack, f"attack {name}")
        check_training(facts["training"], place_of(paper, "training"))
        check_variants(facts, place_of(paper, "variants"))
        for name, budget in budgets_of(settings, paper)[1].items():
            _agree(grid.budgets.setdefault(name, budget), budget, f"budget {name}")
        for name, calibration in calibrations_of(settings, paper).items():
            _agree(grid.calibrations.setdefault(name, (paper, calibration))[1], calibration, f"calibration {name}")
        for name, artefact in facts["artefacts"].items():
            if artefact["kind"] == ASKED and (why := settings.unasked):
                grid.skipped[paper, name] = artefact["kind"], why
            else:
                _add(grid, settings, paper, name, artefact["kind"], artefact["spec"])
        # Last, because a claim's scores are those that an artefact has made.
        _add(grid, settings, paper, "claims", "claims", {"claims": facts["claims"]})
        _add(grid, settings, paper, "choices", "choices", {"choices": facts["choices"]})
        if facts.get("calibrations"):
            _add(grid, settings, paper, "calibration", "calibration", calibration_layout(settings, paper))
        if paper in grid.attacked:
            _add(grid, settings, paper, "realisable", "realisable", {"cells": _attacked(grid, settings, paper)})
    for paper in settings.papers:
        _add_coded(grid, settings, paper)
    if settings.scale["precision"]["attack"] != FLOAT32:
        for paper in settings.papers:
            _add_twin(grid, settings, paper)
    # After all that `all` makes, which they leave as it is.
    for paper, facts in settings.papers.items():
        if "sensitivity" in facts:
            _add(grid, settings, paper, "sensitivity", "alternatives", facts["sensitivity"])
    return grid


def _add_twin(grid: Grid, settings: Settings, paper: str) -> None:
    """Add the cell that a paper names for it with gradients in float32, because all others have them otherwise."""
    dataset, net, attack = (settings.papers[paper]["float32"][part] for part in ("dataset", "variant", "attack"))
    victims = grid.cells.get((dataset, net, attack), {})
    if net not in victims:
        grid.notes.append(f"{place_of(paper, 'float32')}: no artefact attacks {net} by {attack} on {dataset}")
        return
    of, facts = grid.attacks.get(attack, (paper, {"update": attack}))
    twin = f"{attack}_{FLOAT32}"
    in_float32 = {**facts, "precision": FLOAT32}
    # Two papers may name the same.
    if grid.attacks.get(twin, (of, in_float32))[1] != in_float32:
        named = f"{place_of(grid.attacks[twin][0], 'attacks')}.{twin}"
        raise SettingsError(f"{named}: so the one is called that is {attack} in {FLOAT32}; give another name")
    grid.attacks.setdefault(twin, (of, in_float32))
    key, of_twin = (dataset, net, attack), (dataset, net, twin)
    grid.cells[of_twin] = {net: victims[net]}
    if (key, net) in grid.filed:
        grid.filed.add((of_twin, net))
    for made_so in (grid.ranked, grid.of_first_seed, grid.of_every_seed):
        if key in made_so:
            made_so.add(of_twin)


def _add_coded(grid: Grid, settings: Settings, paper: str) -> None:
    """Say of which cells of a paper the clips are encoded: those of one attack on one net, on every dataset.

    Under the first of the budgets that are named which an artefact asks for, in each modality.
    """
    facts = settings.papers[paper]
    if "coded" not in facts:
        return
    net, attack, where = facts["coded"]["variant"], facts["coded"]["attack"], place_of(paper, "coded")
    attacked = 0
    for dataset in facts["datasets"]:
        asked = grid.cells.get((dataset, net, attack), {}).get(net, ())
        firsts = (
            next((one for budget in facts["coded"]["budgets"] if (one := Condition(modality, budget)) in asked), None)
            for modality in UNDER_ATTACK
        )
        found = {one for one in firsts if one}
        attacked += len(found)
        if found and _can_be_coded(grid, settings, dataset, where):
            grid.coded.setdefault((dataset, net, attack), set()).update(found)
    if not attacked:
        grid.notes.append(f"{where}: no artefact attacks {net} by {attack} with these budgets")


def _can_be_coded(grid: Grid, settings: Settings, dataset: str, where: str) -> bool:
    """Whether a file holds what a dataset's view shows; SettingsError if one would, but not of this size and rate."""
    facts = settings.datasets[dataset]
    view = digest.registered(settings.scripts, "views", "VIEWS", facts["view"]["name"])
    if view is None:  # which is said when all views are looked at
        return False
    if not digest.has_method(settings.scripts, view, "written"):
        name = facts["view"]["name"]
        grid.notes.append(f"{where}: the view {name} of {dataset} has no `written`, so none of its clips is encoded")
        return False
    side = facts["view"]["options"].get("frame_size", 0)
    if why := refusal(side, side, facts["audio_rate"]):
        raise SettingsError(f"{where}: {dataset}: {why}, or take `coded` out")
    return True


def _add(grid: Grid, settings: Settings, paper: str, name: str, kind_name: str, spec: Mapping) -> None:
    facts, where = settings.papers[paper], place_of_artefact(paper, name, kind_name)
    told, known = budgets_of(settings, paper)
    facts = {**facts, "budgets": known}
    spec = with_budgets(spec, told, known, where)
    if kind_name not in KINDS:
        raise SettingsError(f"{where}.kind: {kind_name!r} is none of {', '.join(KINDS)}")
    kind = load(KINDS, kind_name)
    first_seed = spec.pop("seeds", None) == FIRST or not kind.of_all
    if {"net", "attack"} & {*kind.facts}:
        dataset, net = spec["read"]["dataset"], spec["read"]["variant"]
        _check_names(Reading(dataset, net, net, "", CLEAN), facts, where)
    if "attack" in kind.facts:  # before its label is looked for
        spec["attack"] = crafted_by(variant_of(settings, paper, net, dataset))
    spec |= {fact: FACTS[fact](settings, paper, spec) for fact in kind.facts if fact in FACTS}
    try:
        layout = kind.parse(spec)
        if kind_name == "claims":
            why = _why_skipped(grid, settings, paper, layout, facts)
            spec["claims"] = [
                one | ({"skipped": why[one["name"]]} if one["name"] in why else {}) for one in spec["claims"]
            ]
            claims = [replace(one, skipped=why.get(one.name, "")) for one in layout.claims]
            layout = replace(layout, claims=tuple(claims))
        needs = list(dict.fromkeys(kind.needs(layout)))  # columns share most of theirs
        if kind.check_published:
            file = published_file(paper, name)
            unread = kind.check_published(layout, settings.root / file)
            # A scale may have fewer rows than the paper, and what is printed is not of a user's own clips.
            aside = any(settings.datasets[one]["source"] == LOCAL for one in settings.papers[paper]["datasets"])
            if unread and not aside and name not in _over(settings, paper).get("artefacts", {}):
                more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
                grid.notes.append(f"{file}: no row of {name} reads what is printed for {unread[0]}{more}")
    except (UserError, ValueError) as error:
        raise SettingsError(f"{where}: {error}") from None
    families = (*FAMILIES, METRICS, TRAININGS, CRAFTING, GEOMETRY, ANSWERS)
    keys: dict[str, set[Key]] = {family: set() for family in families}
    by_construction = calibrated(settings, paper) if kind_name == "claims" else ()
    for need in needs:
        where_of = f"{where}: {need.part}" if need.part else where
        if need.family == ANSWERS:
            if kind_name != ASKED and not _is_asked(grid, need.reading):
                raise SettingsError(f"{where_of}: no artefact asks about {need.reading}")
            keys[ANSWERS].add((need.reading.dataset, need.reading.surrogate, need.reading.attack))
            continue
        _check_names(need.reading, facts, where_of)
        if kind_name == "claims":
            _check_no_control(need.reading, facts, where_of)
            if need.reading in by_construction:
                raise SettingsError(
                    f"{where_of}: {need.reading} is what the budget is calibrated by, and true by construction; no "
                    "claim reads it"
                )
        if need.family == TRAININGS:
            keys[TRAININGS].add((need.reading.dataset, need.reading.victim, ""))
            continue
        if need.family == GEOMETRY:
            _add_measured(grid, settings, need, where_of)
            keys[GEOMETRY].add((need.reading.dataset, need.reading.victim, ""))
            continue
        _check_counted(settings, need, where_of)
        if not kind.of_all:
            if (key := grid.need_aside(need.reading, need.family)) is None:
                raise SettingsError(
                    f"{where_of}: {need.reading} is read by no artefact, and its cell is made for others; let a figure "
                    "read it, or name the attack or the net otherwise"
                )
            keys[need.family].add(key)
            continue
        if need.family == CRAFTING:
            _add_crafted(grid, settings, paper, need, layout.stage, where)
            keys[CRAFTING].add((need.reading.dataset, need.reading.victim, ""))
            continue
        family = _scored(grid, need.reading) if need.family == SCORES else need.family
        if not family:
            raise SettingsError(f"{where_of}: no artefact scores {need.reading}")
        key = grid.need(family, need.reading)
        keys[family].add(key)
        if _in_files(settings, facts, family, need.reading):
            grid.filed.add((key, need.reading.victim))
            if need.reading.condition.modality in UNDER_ATTACK:
                grid.attacked.setdefault(paper, {})[need.reading] = None
        if need.example:
            _check_class(settings, key[0], need.example, where)
            if family == LOCALISATION:
                grid.examples.setdefault(key, set()).add(need.example)
    if "strengths" in kind.facts:
        printed = {
            name: budgets.printed(known[name])
            for name in sorted({one.reading.condition.budget for one in needs} - {""})
        }
        spec["strengths"] = {name: text for name, text in printed.items() if text}
    if "sizes" in kind.facts:
        spec["sizes"] = sizes(settings, paper, [need.reading for need in needs])
    if "sources" in kind.facts:
        used = sorted({need.reading.dataset for need in needs})
        spec["sources"] = {dataset: settings.datasets[dataset]["clips_are"] for dataset in used}
    by_family = {family: tuple(sorted(found)) for family, found in keys.items()}
    manifests = tuple(sorted({need.reading.dataset for need in needs if need.unseen}))
    cells = keys[CELLS] | keys[METRICS]
    if not kind.of_all:
        grid.of_first_seed.update(cells & grid.aside)
    elif kind_name not in AS_MADE:
        (grid.of_first_seed if first_seed else grid.of_every_seed).update(cells | keys[GEOMETRY])
    made = Artefact(paper, name, kind_name, spec, by_family, manifests, first_seed, kind.of_all)
    grid.artefacts[paper, name] = made


def place_of_artefact(paper: str, name: str, kind: str) -> str:
    """Return where a paper says what an artefact is, as a message names it."""
    return place_of(paper, OF_SECTION[kind]) if kind in OF_SECTION else f"{place_of(paper, 'artefacts')}.{name}"


def _add_crafted(grid: Grid, settings: Settings, paper: str, need: Need, stage: Mapping, where: str) -> None:
    """Take in a training whose crafting is shown; SettingsError if it samples no steps, or another one is shown."""
    dataset, net = need.reading.dataset, need.reading.victim
    variant = variant_of(settings, paper, net, dataset)
    if variant.start is None or variant.recipe.get("prepare", {}).get("name") != CURRICULUM:
        raise SettingsError(
            f"{where}.read.variant: {net} crafts nothing that this shows; give one that goes on from another net "
            f"(`start`) and prepares its clips by {CURRICULUM}"
        )
    wanted = need.example, stage
    if grid.crafted.setdefault((dataset, net), wanted) != wanted:
        raise SettingsError(f"{where}: another figure shows {net} on {dataset} with another clip or stage; take one")


def _add_measured(grid: Grid, settings: Settings, need: Need, where: str) -> None:
    """Take in a net whose classes are measured; SettingsError if the class that is shown of it is none."""
    shown = grid.measured.setdefault((need.reading.dataset, need.reading.victim), set())
    if need.example:
        _check_class(settings, need.reading.dataset, need.example, where)
        shown.add(need.example)


def _check_class(settings: Settings, name: str, wanted: str, where: str) -> None:
    dataset = settings.datasets[name]
    if dataset["class_names_from"] == "dataset" and wanted not in class_names(settings.root, dataset):
        raise SettingsError(f"{where}: {wanted!r} is no class of {name}")


def _check_counted(settings: Settings, need: Need, where: str) -> None:
    """Raise SettingsError if right answers are counted on a dataset whose clips have several labels."""
    dataset = need.reading.dataset
    counted = need.family in (*FAMILIES, SCORES)
    if counted and settings.datasets[dataset].get("task", SINGLE) != SINGLE:
        raise SettingsError(
            f"{where}: {dataset} has several labels a clip, of which none is the right answer; take a kind that ranks "
            "clips, such as ranking, or a measure that does, such as map"
        )


def _in_files(settings: Settings, facts: Mapping, family: str, wanted: Reading) -> bool:
    """Whether victims are also asked about clips as files hold them, of which right answers are counted."""
    dataset = settings.datasets[wanted.dataset]
    if family not in OF_CELLS or dataset.get("task", SINGLE) != SINGLE:
        return False
    if facts.get("files") == OF_WHITE_BOX and is_transfer(wanted):
        return False
    return is_bounded(settings.scripts, dataset["view"]["name"])


@cache
def is_bounded(scripts: Path, view: str) -> bool:
    """Whether the values of a view have bounds, as what a file holds has; one that is unknown is told of elsewhere."""
    entry = digest.registered(scripts, "views", "VIEWS", view)
    return entry is None or digest.constant(scripts, entry, "bounded") is not False


def _attacked(grid: Grid, settings: Settings, paper: str) -> list[dict]:
    """What a paper attacks and counts, by cell and victim: each condition, of those that allow the same the first."""
    cells: dict[tuple[str, ...], dict[str, Condition]] = {}
    told = list(grid.budgets)

    def order(one: Reading) -> tuple:
        modality, budget, steps = one.condition
        # A budget's own name before the number of a point.
        return one[:4], "/" in budget, told.index(budget), modality, steps or 0

    for reading in sorted(grid.attacked[paper], key=order):
        modality, budget, steps = reading.condition
        allowed = [grid.budgets[budget].get(name, grid.budgets[budget]) for name in ATTACKED[modality]]
        worth = json.dumps([modality, allowed, steps], sort_keys=True)
        cells.setdefault(reading[:4], {}).setdefault(worth, reading.condition)
    names = Reading._fields[:4]
    return [
        {
            **dict(zip(names, place, strict=True)),
            "conditions": sorted(map(list, conditions.values()), key=str),
            **({"control": True} if _is_control(grid, settings, paper, *place[1:]) else {}),
        }
        for place, conditions in cells.items()
    ]


def _is_control(grid: Grid, settings: Settings, paper: str, surrogate: str, victim: str, attack: str) -> bool:
    """Whether a net loses or wins by construction, or the attack takes no gradient."""
    if any(settings.papers[paper]["variants"][net].get("control") for net in (*grid.nets_of(surrogate), victim)):
        return True
    scripts, update = settings.scripts, grid.attacks[attack][1]["update"] if attack in grid.attacks else attack
    entry = digest.registered(scripts, "attacks", "ATTACKS", update)
    return entry is not None and digest.takes_no_gradient(scripts, entry)


def _scored(grid: Grid, wanted: Reading) -> str:
    """Which of the artefacts' files have this score; nothing if none has."""
    key = (wanted.dataset, wanted.surrogate, wanted.attack)
    for family in (LOCALISATION, EMBEDDINGS):
        known = grid.conditions[family].get(key)
        if known is not None and (wanted.condition == CLEAN or wanted.condition in known):
            return family
    return ""


def _is_asked(grid: Grid, wanted: Reading) -> bool:
    """Whether an artefact asks a model about these clips."""
    kind = load(KINDS, ASKED)
    layouts = (kind.parse(one.spec) for one in grid.artefacts.values() if one.kind == ASKED)
    return any(wanted == need.reading for layout in layouts for need in kind.needs(layout))


def is_transfer(wanted: Reading) -> bool:
    """Whether a victim answers to clips that were made with the gradients of another net."""
    return wanted.surrogate != wanted.victim


def _why_skipped(grid: Grid, settings: Settings, paper: str, given: Claims, facts: Mapping) -> dict[str, str]:
    """Return claim -> reason of those for which the scale lacks what the paper has: they are never re-mapped.

    So is one of what a model says that cannot be asked here, and a comparison of schedules that are others here.

    A claim that names what the paper does not have either is none of them.
    """
    over = _over(settings, paper)
    own = {part: settings.own(paper, part) for part in NAMED if part in over}
    if "budgets" in own:
        own["budgets"] = budgets.named(choices.resolve(own["budgets"], settings.chosen[paper]))
    found = {}
    for claim in given.claims:
        every = list(CLAIMS.needs(replace(given, claims=(claim,))))
        needs = [need for need in every if need.family != ANSWERS]
        if needs != every and (why := settings.unasked):
            found[claim.name] = why
            continue
        missing = [_lacking(need.reading, facts) for need in needs]
        if "artefacts" in over and not any(missing):
            scores = [need.reading for need in needs if need.family == SCORES]
            missing = [f"no artefact scores {one}" for one in scores if not _scored(grid, one)]
            # A scale that shortens an axis of a figure has no other steps, and a claim asks for none.
            missing += [f"no artefact reads {need.reading}" for need in needs if not _has_steps(grid, need.reading)]
        missing += [
            schedules.other_than_said(settings, paper, test.dataset, dict.fromkeys(test.victims))
            for test in claim.tests
        ]
        reason = next(filter(None, missing), "")
        is_mistake = any(_lacking(need.reading, {**facts, **own}) for need in needs)
        if reason and not is_mistake:
            found[claim.name] = f"scale {settings.scale_name}: {reason}"
    return found


def _has_steps(grid: Grid, wanted: Reading) -> bool:
    """Whether an artefact reads this under an attack of so many steps; true where no number is named."""
    asked = grid.cells.get((wanted.dataset, wanted.surrogate, wanted.attack), {}).get(wanted.victim, ())
    return wanted.condition.steps is None or wanted.condition in asked


def _over(settings: Settings, paper: str) -> Mapping:
    """What the scale says of a paper."""
    return settings.scale.get("papers", {}).get(paper, {})


def _agree(one: object, other: object, what: str) -> None:
    if one != other:
        raise SettingsError(f"{what} means different things in two papers")


def _check_names(wanted: Reading, facts: Mapping, where: str) -> None:
    if lacking := _lacking(wanted, facts):
        raise SettingsError(f"{where}: {lacking}")


def _check_no_control(wanted: Reading, facts: Mapping, where: str) -> None:
    ensemble = facts["ensembles"].get(wanted.surrogate)
    for net in (*(ensemble.nets if ensemble else [wanted.surrogate]), wanted.victim):
        if facts["variants"][net].get("control"):
            raise SettingsError(f"{where}: {net} is a control, which loses or wins by construction; no claim reads it")


def _lacking(wanted: Reading, facts: Mapping) -> str:
    """What is read and a paper does not have, as a message says it; nothing if it has all."""
    named = [
        ("datasets", wanted.dataset, facts["datasets"]),
        ("variants", wanted.victim, facts["variants"]),
        ("budgets", wanted.condition.budget, facts["budgets"]),
    ]
    if wanted.surrogate != wanted.victim:
        kinds = "variants and ensembles" if facts["ensembles"] else "variants"
        named.insert(1, (kinds, wanted.surrogate, [*facts["variants"], *facts["ensembles"]]))
    for kind, name, names in named:
        if name and name not in names:
            return f"{name!r} is none of the paper's {kind}: {', '.join(names)}"
    return ""
