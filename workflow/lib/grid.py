"""From the papers' artefacts and claims to what they need: every cell once, with all its conditions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from avrobust.lazy import load
from avrobust.program import UserError
from avrobust.spec.conditions import FREE
from avrobust.spec.kind import CELLS, EMBEDDINGS, LOCALISATION, SCORES
from avrobust.spec.registry import KINDS
from lib import choices
from lib.errors import SettingsError
from lib.settings import Settings, place_of
from lib.variants import variant_of

Key = tuple[str, str, str]
Condition = tuple[str, float]

# What an artefact can be computed from: one file per dataset, variant, seed and attack.
FAMILIES = (CELLS, LOCALISATION, EMBEDDINGS)
# Choices of all papers, at the top of config.yaml.
COMMON_CHOICES = ("failed_clips", "audio_recipe")


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


def _add(grid: Grid, settings: Settings, paper: str, name: str, kind_name: str, spec: Mapping) -> None:
    facts = settings.papers[paper]
    where = place_of(paper, name) if kind_name in ("claims", "choices") else f"{place_of(paper, 'artefacts')}.{name}"
    if facts["epsilons"].get("by") == choices.DATASET:
        raise SettingsError(
            f"{place_of(paper, 'epsilons')} cannot go by dataset: a claim or a caption speaks of several"
        )
    epsilons = choices.resolve(facts["epsilons"], settings.chosen[paper])
    _number(facts["search"]["epsilon"], epsilons, place_of(paper, "search"))
    spec = _with_epsilons(spec, epsilons, where)
    kind = load(KINDS, kind_name)
    if "net" in kind.facts:
        _check_key((spec["read"]["dataset"], spec["read"]["variant"], ""), facts, where)
    spec |= {fact: FACTS[fact](settings, paper, spec) for fact in kind.facts if fact != "sources"}
    try:
        needs = list(kind.needs(kind.parse(spec)))
    except UserError as error:
        raise SettingsError(f"{where}: {error}") from None
    keys: dict[str, set[Key]] = {family: set() for family in FAMILIES}
    for need in needs:
        key, condition = need.condition[:3], need.condition[3:]
        where_of = f"{where}: {need.part}" if need.part else where
        _check_key(key, facts, where_of)
        family = _scored(grid, key, condition, where_of) if need.family == SCORES else need.family
        if family != CELLS and facts["attacks"].get(key[2], {}).get("source") == "surrogate":
            raise SettingsError(f"{where}: {key[2]} takes its gradients of a surrogate, which only a cell can have")
        keys[family].add(key)
        conditions = grid.conditions[family].setdefault(key, set())
        if condition[0] not in FREE:
            conditions.add(condition)
        if need.example:
            known = settings.datasets[key[0]]
            if known["class_names_from"] == "dataset" and need.example not in known["classes"]:
                raise SettingsError(f"{where}: {need.example!r} is no class of {key[0]}")
            grid.examples.setdefault(key, set()).add(need.example)
    if "sources" in kind.facts:
        used = sorted({need.condition.dataset for need in needs})
        spec["sources"] = {dataset: settings.datasets[dataset]["source"] for dataset in used}
    by_family = {family: tuple(sorted(found)) for family, found in keys.items()}
    manifests = tuple(sorted({need.condition.dataset for need in needs if need.unseen}))
    grid.artefacts[paper, name] = Artefact(paper, name, kind_name, spec, by_family, manifests)


def _scored(grid: Grid, key: Key, condition: Condition, where: str) -> str:
    """Which of the artefacts' files have this score."""
    for family in (LOCALISATION, EMBEDDINGS):
        known = grid.conditions[family].get(key)
        if known is not None and (condition[0] in FREE or condition in known):
            return family
    raise SettingsError(f"{where}: no artefact scores {'/'.join(key)}, {condition[0]} at epsilon {condition[1]:g}")


# What a layout says beside what its author wrote.
FACTS: Mapping[str, Callable[[Settings, str, Mapping], object]] = {
    "paper": lambda settings, paper, spec: paper,
    "citation": lambda settings, paper, spec: settings.papers[paper]["citation"],
    "epsilons": lambda settings, paper, spec: settings.papers[paper]["sweep"],
    "seed": lambda settings, paper, spec: settings.scale["seeds"][0],
    "chosen": lambda settings, paper, spec: {
        **settings.chosen[paper],
        **{name: settings.config[name] for name in COMMON_CHOICES},
    },
    "scale": lambda settings, paper, spec: settings.scale_name,
    "set_by_scale": lambda settings, paper, spec: list(settings.scale.get("papers", {}).get(paper, {})),
    # Of a diagram, which names a net on a dataset.
    "net": lambda settings, paper, spec: (
        variant_of(settings, paper, spec["read"]["variant"], spec["read"]["dataset"]).net
    ),
    "view": lambda settings, paper, spec: settings.datasets[spec["read"]["dataset"]]["view"],
    "rates": lambda settings, paper, spec: {
        rate: settings.datasets[spec["read"]["dataset"]][rate] for rate in ("audio_rate", "frame_rate")
    },
    "classes": lambda settings, paper, spec: len(settings.datasets[spec["read"]["dataset"]]["classes"]),
    "samples": lambda settings, paper, spec: settings.papers[paper]["window"]["training"],
}


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


def _check_key(key: Key, facts: Mapping, where: str) -> None:
    dataset, variant, _ = key
    for kind, name in (("datasets", dataset), ("variants", variant)):
        if name not in facts[kind]:
            raise SettingsError(f"{where}: {name!r} is none of the paper's {kind}: {', '.join(facts[kind])}")
