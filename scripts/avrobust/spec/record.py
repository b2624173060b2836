"""The layout of an artefact arrives as JSON; it becomes dataclasses, and a mistake in it becomes one line."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import TypeVar

from avrobust.program import UserError

Record = TypeVar("Record")


def record(kind: type[Record], value: object, where: str) -> Record:
    """Build the dataclass `kind` from a JSON object; a `UserError` names unknown and missing keys."""
    if not isinstance(value, Mapping):
        raise UserError(f"{where}: must be a JSON object, got {value!r}")
    known = {field.name for field in fields(kind)}
    required = {field.name for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING}
    if unknown := sorted({*value} - known):
        raise UserError(f"{where}: unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    if missing := sorted(required - {*value}):
        raise UserError(f"{where}: {', '.join(missing)} must be given")
    return kind(**value)
