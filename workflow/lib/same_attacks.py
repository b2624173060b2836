"""Attacks of several names that do the same on a net, so that it is attacked once.

The own loss of a net that was trained by cross-entropy is cross-entropy alone, and past no defence is through none.
"""

import json
from collections.abc import Iterable, Mapping

from avrobust.spec.attacks import TRAINING_OBJECTIVE, AttackSpec
from avrobust.spec.conditions import place
from lib import choices, digest
from lib.settings import Settings
from lib.variants import Variant, variant_of


def same_attacks(settings: Settings, paper: str, table: Mapping) -> dict[str, dict[str, str]]:
    """Return, of the attacks of a table's `any`, those that do on a net what one before them does.

    "dataset/net" -> attack -> that one. A net that the paper does not have is left out.
    """
    members = table.get("any", ())
    read = [place(row["read"]) for row in table["rows"]]
    nets = [row["victim"] for row in read] + [one["surrogate"] for one in members if "surrogate" in one]
    nets += [place(column["against"]).get("victim") for column in table["columns"] if "against" in column]
    names = list(dict.fromkeys(one["attack"] for one in members))
    found = {
        f"{dataset}/{net}": _same_on(settings, paper, names, dataset, net)
        for dataset in dict.fromkeys(row["dataset"] for row in read if names)
        for net in dict.fromkeys(nets)
        if net in settings.papers[paper]["variants"] and dataset in settings.papers[paper]["datasets"]
    }
    return {where: same for where, same in found.items() if same}


def _same_on(settings: Settings, paper: str, names: Iterable[str], dataset: str, net: str) -> dict[str, str]:
    variant, first, same = variant_of(settings, paper, net, dataset), {}, {}
    for name in names:
        of = next((one for one, facts in settings.papers.items() if name in facts["attacks"]), None)
        told = choices.resolve(settings.papers[of]["attacks"][name], settings.chosen[of], dataset, net) if of else {}
        earlier = first.setdefault(_does(settings, variant, {"update": name, **told}), name)
        if earlier != name:
            same[name] = earlier
    return same


def _does(settings: Settings, variant: Variant, told: Mapping) -> str:
    """What an attack does on a net, as text."""
    spec = AttackSpec.of(told)
    objective, scripts = spec.objective_part, settings.scripts
    entry = digest.registered(scripts, "attacks", "ATTACKS", spec.update)
    trained = objective["name"] == TRAINING_OBJECTIVE or (
        objective["name"] is None and entry is not None and not digest.has_objective(scripts, entry)
    )
    does = {
        **told,
        "objective": {"options": {}, **variant.objective} if trained else objective,
        "without_defences": spec.without_defences and "defence" in variant.facts,
    }
    return json.dumps(does, sort_keys=True)
