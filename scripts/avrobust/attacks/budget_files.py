"""Budgets that a job has made, read from its files."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from avrobust.files import remaking
from avrobust.program import UserError
from avrobust.spec.budgets import FROM, named


def read_budgets(given: Mapping[str, Mapping], files: Iterable[Path]) -> dict[str, Mapping]:
    """Return budgets by name, in the long form of `avrobust.spec.budgets`, those that a job made from their files.

    Raises:
        UserError: a budget has no file, or the file is none.
    """
    if not isinstance(given, Mapping) or not all(isinstance(of, Mapping) for of in given.values()):
        raise UserError(f'budgets are JSON {{name: {{modality: {{"norm": ..., "epsilon": ...}}}}}}, not {given!r}')
    found = {path.stem: path for path in files}
    budgets = dict(given)
    for name, budget in given.items():
        if FROM in budget:
            if budget[FROM] not in found:
                raise UserError(f"budget {name}: no {budget[FROM]}.json among the files given; add it")
            budgets[name] = _read(found[budget[FROM]])
    return budgets


def _read(path: Path) -> Mapping:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        (budget,) = named({path.stem: value}).values()
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: holds no budget ({error}); {remaking(path)}") from None
    if FROM in budget:
        raise UserError(f"{path}: a budget that a job made says how far an attack may go, not {FROM} where")
    return budget
