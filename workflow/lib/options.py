"""Options of an attack or an objective in a paper's file, checked before any job starts."""

import math
from collections.abc import Mapping

from lib.errors import SettingsError

TYPES = {"int": (int,), "float": (int, float), "bool": (bool,), "str": (str,)}


def check(given: Mapping, known: Mapping[str, tuple[str, bool]], where: str) -> None:
    """Raise SettingsError unless `given` has only options that are known, all that are needed, and of their types.

    `known`: from `lib.digest.options`. A value that goes by a choice, `{by: ...}`, is taken to be of its type.
    """
    for name, value in given.items():
        if name not in known:
            raise SettingsError(
                f"{where}: unknown option {name} = {value!r}; its options are {', '.join(known) or 'none'}"
            )
        kind = known[name][0]
        wrong = not isinstance(value, TYPES.get(kind, object)) or (isinstance(value, bool) and kind in ("int", "float"))
        wrong = wrong or (isinstance(value, float) and not math.isfinite(value))
        if wrong and not (isinstance(value, Mapping) and "by" in value):
            raise SettingsError(f"{where}: option {name} = {value!r} is no {kind}")
    if missing := [name for name, (_, needed) in known.items() if needed and name not in given]:
        raise SettingsError(f"{where}: the option {missing[0]} must be given")
