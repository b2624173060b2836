"""Which file a mistake is in: a paper's or a dataset's own, or that of a scale that lays something over it."""

import re
from collections.abc import Callable, Mapping, Sequence

# What other sections are made of.
SHARED = {"lists", "factors"}


def in_its_file(message: str, layers: Sequence[tuple[str, Mapping]], without: Callable[[int], str]) -> str:
    """Return a message about a paper's or a dataset's file with the scale in its place that brings the mistake.

    `layers`: a scale and what it extends, each with its file, the first below the others. `without`: how many of them
    are laid -> the message then, empty where all is well.
    """
    told = re.match(r"workflow/(papers|datasets)/(\w+)(?:/\w+)?\.yaml(?:, on \w+)?(?:: (\w+))?", message)
    if told is None:
        return message
    kind, name, section = told.groups()
    over = [of.get(kind, {}).get(name, {}).keys() for _, of in layers]
    if not any(keys & {section, *SHARED} or (keys and section is None) for keys in over):
        return message
    laid = next((count for count in range(len(layers)) if without(count) == message), len(layers))
    if laid == 0:
        return message
    return re.sub(r"[^:,]+\.yaml", f"{layers[laid - 1][0]}: {kind}.{name}", message, count=1)
