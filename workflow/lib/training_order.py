"""Which nets a paper's nets are trained after, and whether what it says of that can be."""

from collections.abc import Iterator, Mapping

from lib.errors import SettingsError
from lib.settings import known_name


def check_variants(facts: Mapping, where: str) -> None:
    """Raise SettingsError if a net of a paper goes on from what is not there or does not fit, or waits for itself."""
    for name, variant in facts["variants"].items():
        known = {"start": facts["variants"], "training": facts["training"]}
        for part, names in known.items():
            if part in variant and variant[part] not in names:
                raise SettingsError(f"{where}.{name}.{part}: {variant[part]!r} is none of {', '.join(names)}")
        _check_branches(facts["variants"], name, where)
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
    _check_order(facts["variants"], where)


def check_training(training: Mapping, where: str) -> None:
    """Raise SettingsError if a section that several nets are trained by names a net that each would wait for."""
    for name, section in training.items():
        if other := next(_chosen_by(section), None):
            raise SettingsError(
                f"{where}.{name}: geometry: {other} must be said in `prepare` of each variant that chooses by it"
            )


def _check_branches(variants: Mapping, name: str, where: str) -> None:
    """Raise SettingsError if a net does not have the encoders of those that it takes them from."""
    variant = variants[name]
    for modality, other in variant.get("branches", {}).items():
        place = f"{where}.{name}.branches.{modality}"
        if "start" in variant:
            raise SettingsError(f"{place}: {name} goes on from {variant['start']} as a whole; leave one of both out")
        known_name(other, list(variants), place)
        if modality not in variant or variants[other].get(modality) != variant[modality]:
            raise SettingsError(f"{place}: {other} has another {modality} encoder than {name}; give both the same")
        if "branches" in variants[other]:
            raise SettingsError(f"{place}: {other} has branches itself; give a net that has none")


def trained_before(variant: Mapping) -> list[str]:
    """The nets that a variant may be trained after: what it goes on from, chooses classes by, or takes encoders of."""
    start = [variant["start"]] if "start" in variant else []
    return [*start, *_chosen_by(variant.get("prepare", {})), *variant.get("branches", {}).values()]


def _chosen_by(prepare: Mapping) -> Iterator[str]:
    """By the classes of which nets a preparation chooses, with each alternative of a choice."""
    for name, value in prepare.items():
        if isinstance(value, Mapping):
            # All that it goes by are nets where the option itself goes by a choice.
            yield from (of for by, of in value.items() if by != "by") if name == "geometry" else _chosen_by(value)
        elif name == "geometry":
            yield value


def _check_order(variants: Mapping, where: str) -> None:
    """Raise SettingsError if a net is trained after itself."""
    done: set[str] = set()

    def follow(way: list[str]) -> None:
        if (name := way[-1]) in way[:-1]:
            raise SettingsError(f"{where}.{name}: {' needs '.join(way[way.index(name) :])}, for ever")
        if name not in done:
            for other in trained_before(variants.get(name, {})):
                follow([*way, other])
            done.add(name)

    for name in variants:
        follow([name])
