"""YAML that a user wrote, read so that nothing in it is dropped silently: a key that stands twice is an error."""

from collections.abc import Hashable, Iterator
from pathlib import Path

import yaml

from lib.errors import SettingsError

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# ValueError: what looks like a day or number and is none, such as 2024-02-30.
NOT_YAML = (yaml.YAMLError, ValueError)


def read_yaml(path: Path) -> object:
    """Return what a YAML file holds.

    Raises:
        SettingsError: the file cannot be read, is not YAML, or gives a key twice.
    """
    where = _shown(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{where}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except OSError as error:
        raise SettingsError(f"{where}: cannot be read: {error.strerror}") from None
    loader, node = composed(text, where)
    try:
        return None if node is None else loader.construct_document(node)
    except NOT_YAML as error:
        raise SettingsError(f"{where}: not YAML: {_why(error)}") from None


def composed(text: str, where: str) -> tuple[yaml.SafeLoader, yaml.Node | None]:
    """Return a loader with the node tree of a text, None if it is empty; `where` begins a message.

    Raises:
        SettingsError: the text is not YAML, or gives a key twice.
    """
    try:
        loader = Loader(text)
        node = loader.get_single_node()
        repeated = None if node is None else next(_repeated(loader, node, ""), None)
    except NOT_YAML as error:
        raise SettingsError(f"{where}: not YAML: {_why(error)}") from None
    if repeated:
        name, lines = repeated
        place = f"in line {lines[0]}" if lines[0] == lines[1] else f"in lines {lines[0]} and {lines[1]}"
        raise SettingsError(f"{where}: {name} is given twice, {place}; leave one of them")
    return loader, node


def _why(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}: {error.problem}" if mark else str(error)


def _repeated(loader: yaml.SafeLoader, root: yaml.Node, name: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the full name of each key that stands in a mapping twice, with the lines, from 1, of the first two."""
    waiting, seen = [(root, name)], set()
    while waiting:
        node, name = waiting.pop()
        # An alias is the node that its anchor names.
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += [(part, f"{name}.{number}") for number, part in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            lines: dict[Hashable, int] = {}
            for key, part in node.value:
                whole = f"{name}.{key.value}".lstrip(".")
                if isinstance(key, yaml.ScalarNode):
                    # As a value, in which 0x1 is 1 and "a" is a; `<<` stands for itself.
                    is_merge = key.tag == "tag:yaml.org,2002:merge"
                    value = key.value if is_merge else loader.construct_object(key)
                    line = key.start_mark.line + 1
                    if value in lines:
                        yield whole, (lines[value], line)
                    lines[value] = line
                waiting.append((part, whole))


def _shown(path: Path) -> str:
    """Return a path as a user would type it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
