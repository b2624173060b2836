"""Which file a mistake is in: a paper's or a dataset's own, or that of a scale that lays something over it."""

import re
from collections.abc import Callable, Mapping, Sequence

# What other sections are made of.
SHARED = {"lists", "factors"}

# A scale and what it extends, each with its file.
Layers = Sequence[tuple[str, Mapping]]


def in_its_file(message: str, layers: Layers, with_layers: Callable[[Layers], str]) -> str:
    """Return a message about a paper's or a dataset's file with the scale in its place that brings the mistake.

    `layers`: the first below the others. `with_layers`: what layers say of papers and datasets -> the message then,
    empty where all is well.
    """
    told = re.match(r"workflow/(papers|datasets)/(\w+)(?:/\w+)?\.yaml(?:, on \w+)?(?:: (\w+))?", message)
    if told is None:
        return message
    kind, name, section = told.groups()
    over = [of.get(kind, {}).get(name, {}).keys() for _, of in layers]
    if not any(keys & {section, *SHARED} or (keys and section is None) for keys in over):
        return message
    silent = [(file, _silent(said, kind, name)) for file, said in layers]
    laid = next(
        (count for count in range(len(layers)) if with_layers([*layers[:count], *silent[count:]]) == message),
        len(layers),
    )
    if laid == 0:
        return message
    return re.sub(r"[^:,]+\.yaml", f"{layers[laid - 1][0]}: {kind}.{name}", message, count=1)


def _silent(layer: Mapping, kind: str, name: str) -> Mapping:
    """Return a layer that says nothing of a paper or a dataset.

    What it says of others stays: without that a demo has no clips to render, and fails of it before all else.
    """
    return {**layer, kind: {other: said for other, said in layer.get(kind, {}).items() if other != name}}
