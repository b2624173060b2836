"""Lazy registries: a name stands for `package.module:attribute`, imported when it is asked for.

A registry is a module named `registry.py` that holds tables only. Whoever adds a part writes one file
and one line of a table; nothing else is imported, and nothing else is made again.
"""

from collections.abc import Mapping
from importlib import import_module
from inspect import signature

from avrobust.program import UserError


def load(table: Mapping[str, str], name: str) -> object:
    """Return the attribute that `table[name]` stands for.

    Raises:
        UserError: `name` is not in the table; the message lists what is.
    """
    if name not in table:
        raise UserError(f"unknown name {name!r}; registered are: {', '.join(sorted(table))}")
    return attribute(table[name])


def attribute(entry: str) -> object:
    """Return what `package.module:attribute` stands for."""
    module, name = entry.split(":")
    return getattr(import_module(module), name)


def built(table: Mapping[str, str], part: Mapping, *given: object) -> object:
    """Return what `table` has under the `name` of `part`, called with `given` and its `options` as keywords.

    Raises:
        UserError: the name is not in the table, or an option is unknown or missing.
    """
    kind, options = load(table, part["name"]), part.get("options", {})
    try:
        signature(kind).bind(*given, **options)
    except TypeError as error:
        known = ", ".join(list(signature(kind).parameters)[len(given) :]) or "none"
        raise UserError(f"{part['name']}: {error}; its options are {known}") from None
    return kind(*given, **options)
