"""What trainings say of themselves: what crafting took of each clip, as train.json has it. Exact, and of no clip."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from avrobust.files import remaking
from avrobust.program import UserError
from avrobust.spec.measures import COUNTED

# Dataset and net -> what is counted -> its value for each seed.
Spent = Mapping[tuple[str, str], Mapping[str, list[float]]]


def spent(paths: Iterable[str | Path]) -> Spent:
    """Return what crafting took in these trainings, results/*/models/<dataset>/<variant>/s<seed>/train.json.

    Raises `UserError` if a file is none of a training. A training that crafts nothing has 0 of everything.
    """
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for path in map(Path, paths):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            crafting, net = told.get("crafting", {}), told["variant"]
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise UserError(f"{path}: is no train.json of a training ({error}); {remaking(path)}") from None
        of_net = found.setdefault((path.parents[2].name, net), {})
        for name in COUNTED:
            of_net.setdefault(name, []).append(float(crafting.get(name, 0.0)))
    return found


def mean_spent(known: Spent, dataset: str, net: str, name: str) -> tuple[float, int]:
    """Return the mean over trainings of what is counted, and how many there are; a `UserError` if there is none."""
    if (dataset, net) not in known:
        given = ", ".join("/".join(place) for place in sorted(known)) or "none"
        raise UserError(f"no training of {dataset}/{net} among those given ({given}); add its train.json")
    values = known[dataset, net][name]
    return sum(values) / len(values), len(values)
