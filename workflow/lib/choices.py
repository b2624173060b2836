"""Points that a paper leaves open: which alternatives there are, which one is chosen, what follows from it.

In a paper's files a mapping with the key `by` stands for one of its other values: that of the alternative chosen for
the choice of that name, or that of the job's dataset where it says `by: dataset`. `{by: name}` alone is the
alternative's own name. Below `attacks` it may say `by: surrogate` too: the net whose gradients are taken, or `others`
for all that are not named.
"""

from collections.abc import Callable, Iterator, Mapping

from lib.errors import SettingsError, UnsaidError

DATASET = "dataset"
SURROGATE, OTHERS = "surrogate", "others"


def alternatives(paper: Mapping) -> dict[str, list[str]]:
    """Return the choices that can be set, each with its alternatives, the default first."""
    return {
        choice["name"]: [choice["default"], *choice.get("alternatives", [])]
        for choice in paper["choices"]
        if "name" in choice
    }


def chosen(paper: Mapping, given: Mapping, where: Callable[..., str]) -> dict[str, str]:
    """Return what is chosen for every choice of a paper: what is `given` (a section of config.yaml), else the default.

    `where`: from nothing to the section's place in a message, from the name of a choice to that of its value.

    Raises:
        SettingsError: an unknown choice or alternative.
    """
    known = alternatives(paper)
    if unknown := [name for name in given if name not in known]:
        values = ", ".join(f"{name} = {given[name]!r}" for name in sorted(unknown, key=str))
        raise SettingsError(f"{where()}: unknown key {values}; allowed are {', '.join(sorted(known))}")
    for name, value in given.items():
        if value not in known[name]:
            raise SettingsError(f"{where(name)}: {value!r} is not allowed; allowed are {', '.join(known[name])}")
    return {name: given.get(name, names[0]) for name, names in known.items()}


def resolve(
    value: object, chosen: Mapping[str, str], dataset: str | None = None, surrogate: str | None = None
) -> object:
    """Return `value` with every `by` replaced by what it stands for.

    Raises:
        UnsaidError: nothing is said for the dataset.
    """
    if isinstance(value, list):
        return [resolve(part, chosen, dataset, surrogate) for part in value]
    if not isinstance(value, Mapping):
        return value
    if "by" not in value:
        return {name: resolve(part, chosen, dataset, surrogate) for name, part in value.items()}
    if value["by"] == SURROGATE:
        selected = surrogate if surrogate in value else OTHERS
    else:
        selected = dataset if value["by"] == DATASET else chosen[value["by"]]
    if len(value) > 1 and selected not in value:
        given = ", ".join(name for name in value if name != "by")
        raise UnsaidError(f"by: {value['by']}: nothing is said for {selected}; given are {given}")
    return selected if len(value) == 1 else resolve(value[selected], chosen, dataset, surrogate)


def check(paper: Mapping, section: str, where: str) -> None:
    """Raise SettingsError unless every `by` of a section of a paper names a choice and has all its alternatives.

    What is not said for a dataset is an error only of what needs it there: see `resolve`.
    """
    known = {**alternatives(paper), DATASET: []}
    for place, value in _all_by(paper[section], where):
        if not isinstance(value["by"], str):
            raise SettingsError(f"{place}: by: {value['by']!r} is no name; give one of {', '.join(known)}")
        if value["by"] == SURROGATE and section == "attacks":
            if OTHERS not in value:
                raise SettingsError(f"{place}: {OTHERS} must be given, for the variants that are not named")
            if unknown := [name for name in value if name not in ("by", OTHERS, *paper["variants"])]:
                raise SettingsError(
                    f"{place}: {', '.join(unknown)} is none of the paper's variants: {', '.join(paper['variants'])}"
                )
            continue
        if value["by"] not in known:
            raise SettingsError(f"{place}: by: {value['by']!r} is none of {', '.join(known)}")
        if len(value) > 1:
            wanted, given = known[value["by"]], [name for name in value if name != "by"]
            if missing := [name for name in wanted if name not in given]:
                raise SettingsError(f"{place}: {', '.join(missing)} must be given; given are {', '.join(given)}")
            # What is said of a dataset that the paper does not use here does no harm.
            if value["by"] != DATASET and (extra := [name for name in given if name not in wanted]):
                raise SettingsError(f"{place}: unknown key {', '.join(extra)}; allowed are {', '.join(wanted)}")


def _all_by(value: object, place: str) -> Iterator[tuple[str, Mapping]]:
    if isinstance(value, list):
        for number, part in enumerate(value):
            yield from _all_by(part, f"{place}.{number}")
    elif isinstance(value, Mapping):
        if "by" in value:
            yield place, value
        for name, part in value.items():
            yield from _all_by(part, f"{place}.{name}")
