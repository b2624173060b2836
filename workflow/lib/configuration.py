"""What a user says: config.yaml, further files, `key=value` on the command line; each later one wins over those before.

Snakemake puts the same together, but takes the last of a key that stands twice in a file, and everything inside braces
on the command line for text. So files and words are read here.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import yaml

from lib.errors import SettingsError
from lib.yaml_files import NOT_YAML, composed, read_yaml

# Options of Snakemake of which a second one makes it forget the first.
ONCE = {"--config": ("--config", "-C"), "--configfile": ("--configfile", "--configfiles")}


class Told(dict):
    """What a user said; `layers` has the same by who said it: a file, or `--config`, the later ones last."""

    def __init__(self, values: Mapping, layers: Sequence[tuple[str, Mapping]]):
        super().__init__(values)
        self.layers = layers


def said_by(config: Mapping, place: Sequence) -> str:
    """Return the file or option that had the last word on a place of `config`, or on what is there."""
    place = tuple(map(str, place))
    for who, told in reversed(getattr(config, "layers", ())):
        if any(one[: len(place)] == place[: len(one)] for one in _places(told)):
            return who
    return "config.yaml"


def said(config: Mapping, *place: str) -> str:
    """Return a place of `config` as a message names it, behind what said it."""
    return f"{said_by(config, place)}: {'.'.join(place)}"


def configuration(files: Iterable[Path], words: Sequence[str], schema: Mapping) -> Told:
    """Return what `files` (YAML or JSON) and `words` (key=value, the value as YAML) say together.

    A mapping adds to the one before, any other value takes its place. `schema` (JSON schema of the whole) has the
    values that hold where nothing is said, and tells where a word that looks like a number or a day is meant as text.

    Raises:
        SettingsError: a file or word cannot be read, or says something twice.
    """
    made = {key: facts["default"] for key, facts in schema.get("properties", {}).items() if "default" in facts}
    layers = []
    for path in files:
        told = read_yaml(path)
        if not isinstance(told, dict):
            raise SettingsError(f"{path}: must hold keys with values, not {told!r}")
        layers.append((path.name, told))
    layers.append(("--config", _of_words(words, schema)))
    for _, told in layers:
        made = _joined(made, told)
    return Told(made, layers)


def check_once(arguments: Sequence[str]) -> None:
    """Raise SettingsError if a command line of Snakemake's has an option twice of which only the last would count."""
    before = list(arguments)[: arguments.index("--")] if "--" in arguments else list(arguments)
    for option, spellings in ONCE.items():
        # A short option's first value may be written on to it.
        given = [word for word in before if word.partition("=")[0] in spellings or word[:2] in spellings]
        if len(given) > 1:
            raise SettingsError(
                f"{option} is given {len(given)} times, and Snakemake takes only the last; give all values after one "
                f"{option}"
            )


def _of_words(words: Iterable[str], schema: Mapping) -> dict:
    made: dict = {}
    given: dict[tuple[str, ...], str] = {}
    for word in words:
        key, separator, text = word.partition("=")
        if not separator:
            raise SettingsError(f"{word!r} is no key=value; give for one scale=demo")
        told = {key: _value(text, word, schema.get("properties", {}).get(key, {}))}
        for place in _places(told):
            if place in given:
                raise SettingsError(f"{'.'.join(place)} is given twice: {given[place]} and {word}; leave one of them")
            given[place] = word
        made = _joined(made, told)
    return made


def _places(told: object, place: tuple[str, ...] = ()) -> Iterable[tuple[str, ...]]:
    """Yield the place of each value that is no mapping."""
    if isinstance(told, Mapping):
        for key, part in told.items():
            yield from _places(part, (*place, str(key)))
    else:
        yield place


def _joined(made: dict, told: Mapping) -> dict:
    """Return both, as Snakemake joins them."""
    joined = dict(made)
    for key, value in told.items():
        old = made.get(key)
        joined[key] = _joined(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return joined


def _value(text: str, word: str, schema: Mapping) -> object:
    loader, node = composed(text, word)
    if node is None:
        return "" if schema.get("type") == "string" else None
    try:
        return _fitting(loader, node, schema)
    except NOT_YAML as error:
        raise SettingsError(f"{word}: not YAML: {error}") from None


def _fitting(loader: yaml.SafeLoader, node: yaml.Node, schema: Mapping) -> object:
    """Return a node's value: as YAML has it, or its text where the schema wants text, its number where a number."""
    if isinstance(node, yaml.MappingNode):
        known, others = schema.get("properties", {}), schema.get("additionalProperties")
        others = others if isinstance(others, Mapping) else {}
        return {key.value: _fitting(loader, part, known.get(key.value, others)) for key, part in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_fitting(loader, part, schema.get("items", {})) for part in node.value]
    value = loader.construct_object(node)
    if value is not None and not isinstance(value, str) and _is_text(node.value, schema):
        return node.value
    # 1e3 is text in YAML 1.1, but no user means it so.
    if isinstance(value, str) and schema.get("type") == "number":
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _is_text(text: str, schema: Mapping) -> bool:
    return schema.get("type") == "string" or text in schema.get("enum", ())
