"""From the papers' artefacts and claims to what they need: every cell once, with all its conditions."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from lib import choices
from lib.errors import SettingsError
from lib.settings import Settings, place_of

Key = tuple[str, str, str]
Condition = tuple[str, float]
Need = tuple[str, Key, Condition]

# What an artefact can be computed from: one file per dataset, variant, seed and attack.
FAMILIES = ("cells", "localisation", "embeddings")
MODALITIES = ("audio", "visual", "both")
# Choices of all papers, at the top of config.yaml.
COMMON_CHOICES = ("failed_clips", "audio_recipe")
# What a scale may have values of its own for, in the place of the paper's.
SCALE_PARTS = ("training", "memory", "sweep")
# Conditions that every file holds.
FREE = ("clean", "majority")
# What a claim calls its measures, and the modalities under attack that each reads.
MEASURES = {
    "clean": ("clean",),
    "X_A": ("audio",),
    "X_V": ("visual",),
    "X_AV": ("both",),
    "Avg": MODALITIES,
    "total": ("clean", *MODALITIES),
    "visual_bias": ("audio", "visual"),
}


@dataclass(frozen=True)
class Artefact:
    """A table, figure or ledger of a paper: `spec` is its layout, ready for the program that makes it.

    `needs`: family -> keys (dataset, variant, attack). `manifests`: datasets whose manifest it reads.
    """

    paper: str
    name: str
    kind: str
    spec: Mapping
    needs: Mapping[str, tuple[Key, ...]]
    manifests: tuple[str, ...] = ()


@dataclass
class Grid:
    """All artefacts; for every family the conditions (modality, epsilon) of every key; variants and attacks by name.

    `examples`: the classes of which a localisation file keeps a clip for the figures, by its key.
    """

    artefacts: dict[tuple[str, str], Artefact] = field(default_factory=dict)
    conditions: dict[str, dict[Key, set[Condition]]] = field(default_factory=lambda: {name: {} for name in FAMILIES})
    examples: dict[Key, set[str]] = field(default_factory=dict)
    variants: dict[str, tuple[str, Mapping]] = field(default_factory=dict)
    attacks: dict[str, tuple[str, Mapping]] = field(default_factory=dict)

    @property
    def cells(self) -> dict[Key, set[Condition]]:
        """The conditions of every cell."""
        return self.conditions["cells"]


def expand(settings: Settings) -> Grid:
    """Return the grid of all papers in `settings`.

    Raises:
        SettingsError: an artefact names a dataset, variant or epsilon that its paper does not have, or two papers
            mean different nets or attacks by one name.
    """
    grid = Grid()
    for paper, facts in settings.papers.items():
        for name, variant in facts["variants"].items():
            _agree(grid.variants.setdefault(name, (paper, variant))[1], variant, f"variant {name}")
        for name, attack in facts["attacks"].items():
            _agree(grid.attacks.setdefault(name, (paper, attack))[1], attack, f"attack {name}")
        _check_variants(facts, place_of(paper, "variants"))
        _check_attacks(facts, place_of(paper, "attacks"), place_of(paper, "search"))
        for name, artefact in facts["artefacts"].items():
            _add(grid, settings, paper, name, artefact["kind"], artefact["spec"])
        # Last, because a claim's scores are those that an artefact has made.
        _add(grid, settings, paper, "claims", "claims", {"claims": facts["claims"]})
        _add(grid, settings, paper, "choices", "choices", {"choices": facts["choices"]})
    return grid


def _add(grid: Grid, settings: Settings, paper: str, name: str, kind: str, spec: Mapping) -> None:
    facts = settings.papers[paper]
    where = place_of(paper, name) if kind in ("claims", "choices") else f"{place_of(paper, 'artefacts')}.{name}"
    if facts["epsilons"].get("by") == choices.DATASET:
        raise SettingsError(
            f"{place_of(paper, 'epsilons')} cannot go by dataset: a claim or a caption speaks of several"
        )
    epsilons = choices.resolve(facts["epsilons"], settings.chosen[paper])
    _number(facts["search"]["epsilon"], epsilons, place_of(paper, "search"))
    spec = _with_epsilons(spec, epsilons, where)
    sweep = settings.scale["sweep"] or facts["sweep"]
    if kind == "sweep":
        spec = {**spec, "epsilons": sweep}
    if kind == "table":
        _check_columns(spec["columns"], where)
    needs = list(NEEDS[kind](spec, grid, where))
    for _, key, _ in needs:
        _check_key(key, facts, where)
    for family, key, condition in needs:
        if family != "cells" and facts["attacks"].get(key[2], {}).get("source") == "surrogate":
            raise SettingsError(f"{where}: {key[2]} takes its gradients of a surrogate, which only a cell can have")
        conditions = grid.conditions[family].setdefault(key, set())
        if condition[0] not in FREE:
            conditions.add(condition)
    if kind == "heat_maps":
        for row in spec["rows"]:
            known = settings.datasets[row["dataset"]]
            if known["class_names_from"] == "dataset" and row["class"] not in known["classes"]:
                raise SettingsError(f"{where}: {row['class']!r} is no class of {row['dataset']}")
            key = (row["dataset"], spec["read"]["variant"], spec["read"]["attack"])
            grid.examples.setdefault(key, set()).add(row["class"])
        spec = {part: value for part, value in spec.items() if part != "read"}
    if kind in ("claims", "choices"):
        spec = {**spec, "paper": paper, "citation": facts["citation"]}
    if kind == "choices":
        spec["chosen"] = {**settings.chosen[paper], **{name: settings.config[name] for name in COMMON_CHOICES}}
        spec["scale"] = settings.scale_name
        spec["set_by_scale"] = [part for part in SCALE_PARTS if settings.scale.get(part)]
    elif kind not in ("sweep", "heat_maps"):
        used = sorted({key[0] for _, key, _ in needs})
        spec = {**spec, "citation": facts["citation"]}
        if kind == "tsne":
            spec["seed"] = settings.scale["seeds"][0]
        spec["sources"] = {name: settings.datasets[name]["source"] for name in used if name in settings.datasets}
    by_family = {family: tuple(sorted({key for of, key, _ in needs if of == family})) for family in FAMILIES}
    manifests = {row["read"]["dataset"] for row in spec["rows"] if "clips" in row["read"]} if kind == "table" else set()
    grid.artefacts[paper, name] = Artefact(paper, name, kind, spec, by_family, tuple(sorted(manifests)))


def _agree(one: Mapping, other: Mapping, what: str) -> None:
    if one != other:
        raise SettingsError(f"{what} means different things in two papers")


def _check_variants(facts: Mapping, where: str) -> None:
    for name, variant in facts["variants"].items():
        known = {"start": facts["variants"], "training": facts["training"]}
        for part, names in known.items():
            if part in variant and variant[part] not in names:
                raise SettingsError(f"{where}.{name}.{part}: {variant[part]!r} is none of {', '.join(names)}")
        for part in ("memory", "search"):
            if part in variant and "start" not in variant:
                raise SettingsError(f"{where}.{name}: {part} needs `start`, the variant that goes before")
        if "search" in variant and "defence" in variant:
            raise SettingsError(f"{where}.{name}: search is of a net that passes its features through no defence")
        if "memory" in variant and "defence" not in variant:
            raise SettingsError(f"{where}.{name}: memory needs `defence`, what it is filled for")
        options = [sorted(candidate) for candidate in variant.get("search", [])]
        if any(names != options[0] for names in options):
            raise SettingsError(f"{where}.{name}.search: every candidate must give the same options")
    for name in facts["variants"]:
        _check_starts(name, facts["variants"], where)


def _check_attacks(facts: Mapping, where: str, search: str) -> None:
    if facts["attacks"].get(facts["search"]["attack"], {}).get("source") == "surrogate":
        raise SettingsError(f"{search}.attack: {facts['search']['attack']} takes its gradients of a surrogate")
    for name, attack in facts["attacks"].items():
        surrogate = attack.get("surrogate")
        if (attack.get("source") == "surrogate") != (surrogate is not None):
            raise SettingsError(f"{where}.{name}: `source: surrogate` and `surrogate` need each other")
        if surrogate is not None and surrogate not in facts["variants"]:
            raise SettingsError(f"{where}.{name}.surrogate: {surrogate!r} is none of {', '.join(facts['variants'])}")


def _check_starts(name: str, variants: Mapping, where: str) -> None:
    seen = [name]
    while (start := variants[seen[-1]].get("start")) is not None:
        if start in seen:
            raise SettingsError(f"{where}.{name}.start: {' starts from '.join([*seen, start])}, for ever")
        seen.append(start)


def _with_epsilons(value: object, epsilons: Mapping[str, float], where: str) -> object:
    """Put numbers for the names of epsilons, under `epsilon` and `epsilons` and in captions."""
    if isinstance(value, list):
        return [_with_epsilons(part, epsilons, where) for part in value]
    if not isinstance(value, Mapping):
        return value
    made = {name: _with_epsilons(part, epsilons, where) for name, part in value.items()}
    if "epsilon" in made:
        made["epsilon"] = _number(made["epsilon"], epsilons, where)
    if "epsilons" in made:
        made["epsilons"] = [_number(epsilon, epsilons, where) for epsilon in made["epsilons"]]
    if "caption" in made:
        try:
            made["caption"] = made["caption"].format_map({name: f"{number:g}" for name, number in epsilons.items()})
        except KeyError as error:
            raise SettingsError(f"{where}: caption: {error} is none of {', '.join(epsilons)}") from None
    return made


def _number(epsilon: str | float, epsilons: Mapping[str, float], where: str) -> float:
    if not isinstance(epsilon, str):
        return epsilon
    if epsilon not in epsilons:
        raise SettingsError(f"{where}: epsilon {epsilon!r} is none of {', '.join(epsilons)}")
    return epsilons[epsilon]


# What each kind of artefact needs


def _table_needs(spec: Mapping, grid: Grid, where: str) -> Iterator[Need]:
    for row in spec["rows"]:
        for column in spec["columns"]:
            against = [{**column["against"], **row.get("against", {})}] if "against" in column else []
            for place in ({}, *against):
                for condition in _conditions_of(column, spec["columns"]):
                    read = {**row["read"], **place, **condition}
                    key = (read["dataset"], read["variant"], read["attack"])
                    yield "cells", key, (condition["modality"], condition.get("epsilon", 0.0))


def _conditions_of(column: Mapping, columns: list[Mapping]) -> Iterator[Mapping]:
    if "condition" in column:
        yield column["condition"]
    by_name = {other["name"]: other for other in columns}
    for part in (*column.get("mean", ()), *column.get("sum", ())):
        yield from _conditions_of(by_name[part], columns)


def _sweep_needs(spec: Mapping, grid: Grid, where: str) -> Iterator[Need]:
    for panel in spec["panels"]:
        for series in panel["series"]:
            key = tuple(series["read"][part] for part in ("dataset", "variant", "attack"))
            for epsilon in spec["epsilons"]:
                yield "cells", key, (series["modality"], epsilon)


def _heat_map_needs(spec: Mapping, grid: Grid, where: str) -> Iterator[Need]:
    for row in spec["rows"]:
        for modality in MODALITIES:
            key = (row["dataset"], spec["read"]["variant"], spec["read"]["attack"])
            yield "localisation", key, (modality, spec["epsilon"])


def _localisation_needs(spec: Mapping, grid: Grid, where: str) -> Iterator[Need]:
    for row, modality, epsilon in product(spec["rows"], MODALITIES, spec["epsilons"]):
        yield "localisation", (row["dataset"], row["variant"], row["attack"]), (modality, epsilon)


def _tsne_needs(spec: Mapping, grid: Grid, where: str) -> Iterator[Need]:
    for panel in spec["panels"]:
        key = (panel["read"]["dataset"], panel["read"]["variant"], spec["attack"])
        yield "embeddings", key, ("clean", 0.0)
        for epsilon in spec["epsilons"]:
            yield "embeddings", key, (spec["modality"], epsilon)


def _claim_needs(spec: Mapping, grid: Grid, where: str) -> Iterator[Need]:
    for claim in spec["claims"]:
        places = product(claim.get("datasets", [None]), claim.get("attacks", [None]))
        for dataset, attack in places:
            for test in claim["tests"]:
                for quantity in (test["higher"], test["lower"]):
                    if isinstance(quantity, Mapping):
                        read = {"dataset": dataset, "attack": attack, **quantity}
                        yield from _quantity_needs(read, grid, f"{where}.{claim['name']}")


def _quantity_needs(read: Mapping, grid: Grid, where: str) -> Iterator[Need]:
    if missing := [part for part in ("dataset", "variant", "attack") if not read.get(part)]:
        raise SettingsError(f"{where}: {', '.join(missing)} must be given, by the quantity or by its claim")
    key = (read["dataset"], read["variant"], read["attack"])
    if "of" in read:
        if read["of"] not in MEASURES:
            raise SettingsError(f"{where}: {read['of']!r} is no measure; there are {', '.join(MEASURES)}")
        for modality in MEASURES[read["of"]]:
            if modality not in FREE and "epsilon" not in read:
                raise SettingsError(f"{where}: {read['of']} needs an epsilon")
            yield "cells", key, (modality, read.get("epsilon", 0.0))
        return
    condition = (read["modality"], read.get("epsilon", 0.0))
    for family in ("localisation", "embeddings"):
        known = grid.conditions[family].get(key)
        if known is not None and (condition[0] in FREE or condition in known):
            yield family, key, condition
            return
    raise SettingsError(f"{where}: no artefact scores {'/'.join(key)}, {condition[0]} at epsilon {condition[1]:g}")


def _no_needs(spec: Mapping, grid: Grid, where: str) -> Iterable[Need]:
    return ()


NEEDS = {
    "table": _table_needs,
    "sweep": _sweep_needs,
    "heat_maps": _heat_map_needs,
    "localisation": _localisation_needs,
    "tsne": _tsne_needs,
    "claims": _claim_needs,
    "choices": _no_needs,
}


def _check_columns(columns: list[Mapping], where: str) -> None:
    above: list[str] = []
    for column in columns:
        for part in (*column.get("mean", ()), *column.get("sum", ())):
            if part not in above:
                raise SettingsError(
                    f"{where}: {part!r} is none of the columns above {column['name']}: {', '.join(above)}"
                )
        above.append(column["name"])


def _check_key(key: Key, facts: Mapping, where: str) -> None:
    dataset, variant, _ = key
    for kind, name in (("datasets", dataset), ("variants", variant)):
        if name not in facts[kind]:
            raise SettingsError(f"{where}: {name!r} is none of the paper's {kind}: {', '.join(facts[kind])}")
