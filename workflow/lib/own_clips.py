"""Datasets of the user's own in the place of a paper's: under which names and with which classes they are shown.

Nothing is printed of them, so that published values step aside; titles say whose place they take.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from avrobust.lazy import load
from avrobust.program import UserError

LOCAL = "local"
# Kinds that stand beside printed values as a whole, and not row by row.
WHOLE = ("bars", "curves", "answers")
# Loaded only where there is such a dataset, so that planning stays fast.
TABLES = {"classes": "avrobust.data.lists:table_classes"}


@dataclass(frozen=True)
class Own:
    """A dataset of the user's own: its `name`, and its `classes` if it does not have those of the paper's dataset."""

    name: str
    classes: tuple[str, ...] = ()


def own_datasets(config: Mapping, scale_source: str) -> dict[str, Own]:
    """Return those that config.yaml names, by the name of the paper's dataset whose place they take.

    A mistake in a table is told by the job that reads its clips.
    """
    found = {}
    for dataset, given in config["datasets"].items():
        if given.get("source", scale_source) != LOCAL or "table" not in given:
            continue
        try:
            classes = load(TABLES, "classes")(given["table"]) if given.get("classes") == "table" else ()
        except UserError:
            classes = ()
        found[dataset] = Own(given.get("name") or Path(given["table"]).stem, classes)
    return found


def in_its_place(paper: Mapping, own: Mapping[str, Own]) -> dict:
    """Return a paper, its layouts in the long form, with datasets of the user's own where it has its own."""
    own = {name: one for name, one in own.items() if name in paper["datasets"]}
    if not own:
        return dict(paper)
    printed = paper["labels"].get("dataset", {})
    said = {name: f"{one.name} in the place of {printed.get(name, name)}" for name, one in own.items()}
    artefacts = {
        name: {**artefact, "spec": _shown(artefact["kind"], artefact["spec"], own, said)}
        for name, artefact in paper["artefacts"].items()
    }
    claims = [
        {**one, "sentence": f"{one['sentence'].removesuffix('.')}{words}."} if (words := _of(one, said)) else one
        for one in paper["claims"]
    ]
    return {**paper, "labels": labels(paper["labels"], own), "artefacts": artefacts, "claims": claims}


def labels(told: Mapping[str, Mapping[str, str]], own: Mapping[str, Own]) -> dict:
    """Return a paper's labels with the names of the user's own datasets."""
    named = told.get("dataset", {})
    return {**told, "dataset": named | {name: one.name for name, one in own.items() if name in named}}


def _shown(kind: str, spec: Mapping, own: Mapping[str, Own], said: Mapping[str, str]) -> dict:
    shown = {**spec, "title": f"{spec['title']}{_of(spec, said)}"}
    if kind in WHOLE and {*_datasets(spec)} & {*own}:
        shown["ours_only"] = True
    if kind in ("table", "ranking"):
        shown["rows"] = [{**row, "ours_only": True} if row["read"]["dataset"] in own else row for row in shown["rows"]]
    if kind == "heat_maps":
        shown["rows"] = list(_with_classes(shown["rows"], own))
    if classes := next((own[name].classes for name in _datasets(spec) if name in own), ()):
        if kind == "hulls":
            shown["classes"] = list(classes[: len(shown["classes"])])
        if kind == "crust":
            shown["of_class"] = classes[0]
    return shown


def _with_classes(rows: list[Mapping], own: Mapping[str, Own]) -> Iterator[Mapping]:
    """The rows of heat maps: of a dataset with other classes its first ones, as many as the paper has rows of it."""
    left = {name: list(one.classes) for name, one in own.items() if one.classes}
    for row in rows:
        if row["dataset"] not in left:
            yield row
        elif left[row["dataset"]]:
            name = left[row["dataset"]].pop(0)
            yield {**row, "class": name, "title": name.replace("_", " ")}


def _of(layout: Mapping, said: Mapping[str, str]) -> str:
    """What a title or a sentence says of the user's own datasets that the layout reads."""
    read = dict.fromkeys(_datasets(layout))
    words = "; ".join(said[name] for name in read if name in said)
    return f" ({words})" if words else ""


def _datasets(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            if name in ("dataset", "datasets"):
                yield from [part] if isinstance(part, str) else part
            else:
                yield from _datasets(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _datasets(part)
