"""Lazy registries: a name stands for `package.module:attribute`, imported when it is asked for.

A registry is a module named `registry.py` that holds tables only. Whoever adds a part writes one file
and one line of a table; nothing else is imported, and nothing else is made again.
"""

from collections.abc import Mapping
from importlib import import_module

from avrobust.program import UserError


def load(table: Mapping[str, str], name: str) -> object:
    """Return the attribute that `table[name]` stands for.

    Raises:
        UserError: `name` is not in the table; the message lists what is.
    """
    if name not in table:
        raise UserError(f"unknown name {name!r}; registered are: {', '.join(sorted(table))}")
    module, attribute = table[name].split(":")
    return getattr(import_module(module), attribute)
