"""From the papers' artefacts to the cells that they need: every cell once, with all its conditions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lib.settings import Settings, SettingsError

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Artefact:
    """A table or figure of a paper: `spec` is its layout, ready for the program that makes it."""

    paper: str
    name: str
    kind: str
    spec: Mapping
    cells: tuple[Key, ...]


@dataclass
class Grid:
    """All artefacts, the conditions (modality, epsilon) of every cell (dataset, variant, attack), the variants."""

    artefacts: dict[tuple[str, str], Artefact] = field(default_factory=dict)
    cells: dict[Key, set[tuple[str, float]]] = field(default_factory=dict)
    variants: dict[str, tuple[str, Mapping]] = field(default_factory=dict)


def expand(settings: Settings) -> Grid:
    """Return the grid of all papers in `settings`.

    Raises:
        SettingsError: an artefact names a dataset, variant or epsilon that its paper does not have, or two papers
            mean different nets by one variant's name.
    """
    grid = Grid()
    for paper, facts in settings.papers.items():
        for name, variant in facts["variants"].items():
            if grid.variants.setdefault(name, (paper, variant))[1] != variant:
                raise SettingsError(f"variant {name} means different nets in {grid.variants[name][0]} and {paper}")
        epsilons = _chosen_epsilons(facts, settings.config[paper], f"workflow/papers/{paper}.yaml")
        sweep = settings.scale["sweep"] or facts["sweep"]
        for name, artefact in facts["artefacts"].items():
            where = f"workflow/papers/{paper}.yaml: artefacts.{name}"
            if artefact["kind"] == "table":
                spec = _resolved(artefact["spec"], epsilons, where)
                _check_columns(spec["columns"], where)
                needs = list(_table_needs(spec))
                used = sorted({dataset for (dataset, _, _), _ in needs})
                spec["sources"] = {
                    name: settings.datasets[name]["source"] for name in used if name in settings.datasets
                }
                spec["citation"] = facts["citation"]
            else:
                spec = {**artefact["spec"], "epsilons": sweep}
                needs = list(_sweep_needs(spec, sweep))
            for key, _ in needs:
                _check_key(key, facts, where)
            for key, condition in needs:
                conditions = grid.cells.setdefault(key, set())
                if condition[0] not in ("clean", "majority"):
                    conditions.add(condition)
            cells = tuple(sorted({key for key, _ in needs}))
            grid.artefacts[paper, name] = Artefact(paper, name, artefact["kind"], spec, cells)
    return grid


def _chosen_epsilons(facts: Mapping, choices: Mapping, where: str) -> Mapping[str, float]:
    """Return the strengths that are chosen; the other choices are checked, which the recipes need later."""
    chosen = [("epsilons", choices["epsilon"]), ("learning_rates", choices["learning_rates"])]
    for key, name in chosen:
        _check_given(facts[key], name, f"{where}: {key}")
    if choices["batch_norm"] == "replica":
        _check_given(facts, "replica_size", where)
    for dataset in facts["datasets"]:
        _check_given(facts["training"], dataset, f"{where}: training")
        _check_given(facts["training"][dataset], choices["training"], f"{where}: training.{dataset}")
    return facts["epsilons"][choices["epsilon"]]


def _check_given(given: Mapping, name: str, where: str) -> None:
    if name not in given:
        raise SettingsError(f"{where}: {name} must be given; given are {', '.join(given)}")


def _resolved(spec: Mapping, epsilons: Mapping[str, float], where: str) -> dict:
    columns = []
    for column in spec["columns"]:
        condition = dict(column.get("condition", {}))
        if isinstance(condition.get("epsilon"), str):
            if condition["epsilon"] not in epsilons:
                raise SettingsError(f"{where}: epsilon {condition['epsilon']!r} is none of {', '.join(epsilons)}")
            condition["epsilon"] = epsilons[condition["epsilon"]]
        columns.append({**column, "condition": condition} if condition else column)
    try:
        caption = spec["caption"].format_map({name: f"{value:g}" for name, value in epsilons.items()})
    except KeyError as error:
        raise SettingsError(f"{where}: caption: {error} is none of {', '.join(epsilons)}") from None
    return {**spec, "columns": columns, "caption": caption}


def _table_needs(spec: Mapping) -> Iterator[tuple[Key, tuple[str, float]]]:
    for row in spec["rows"]:
        for column in spec["columns"]:
            for place in ({}, column.get("against", {})):
                for condition in _conditions_of(column, spec["columns"]):
                    read = {**row["read"], **place, **condition}
                    key = (read["dataset"], read["variant"], read["attack"])
                    yield key, (condition["modality"], condition.get("epsilon", 0.0))


def _check_columns(columns: list[Mapping], where: str) -> None:
    above: list[str] = []
    for column in columns:
        for part in (*column.get("mean", ()), *column.get("sum", ())):
            if part not in above:
                raise SettingsError(
                    f"{where}: {part!r} is none of the columns above {column['name']}: {', '.join(above)}"
                )
        above.append(column["name"])


def _conditions_of(column: Mapping, columns: list[Mapping]) -> Iterator[Mapping]:
    if "condition" in column:
        yield column["condition"]
    by_name = {other["name"]: other for other in columns}
    for part in (*column.get("mean", ()), *column.get("sum", ())):
        yield from _conditions_of(by_name[part], columns)


def _sweep_needs(spec: Mapping, sweep: list[float]) -> Iterator[tuple[Key, tuple[str, float]]]:
    for panel in spec["panels"]:
        for series in panel["series"]:
            key = tuple(series["read"][part] for part in ("dataset", "variant", "attack"))
            for epsilon in sweep:
                yield key, (series["modality"], epsilon)


def _check_key(key: Key, facts: Mapping, where: str) -> None:
    dataset, variant, _ = key
    for kind, name in (("datasets", dataset), ("variants", variant)):
        if name not in facts[kind]:
            raise SettingsError(f"{where}: {name!r} is none of the paper's {kind}: {', '.join(facts[kind])}")
