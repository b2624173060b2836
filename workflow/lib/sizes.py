"""Sizes of attacks and of adversarial trainings that a scale has another number of than the paper's own files say."""

from collections.abc import Iterable, Iterator, Mapping

from avrobust.spec.conditions import FREE, Reading
from lib import choices
from lib.settings import Settings, own_section

# What an adversarial training says of how it attacks stands in this part of a variant.
PREPARED = "prepare"
# What a condition may name, whatever the attack is defined with.
STEPS = "steps"


def sizes(settings: Settings, paper: str, readings: Iterable[Reading]) -> dict[str, dict[str, list]]:
    """Return attack or net -> size -> [its number here, the paper's], of those that are read and that differ."""
    over = settings.scale.get("papers", {}).get(paper, {})
    found: dict[str, dict[str, list]] = {}
    own = {
        section: own_section(settings.root, paper, section) for section in ("attacks", "variants") if section in over
    }
    for one in readings:
        if "attacks" in own and one.condition.modality not in FREE:
            differing = _differ(settings, paper, one, own["attacks"].get(one.attack, {}), _of(settings, paper, one))
            if one.condition.steps:
                differing.pop(STEPS, None)
            found.setdefault(one.attack, {}).update(differing)
        for net in (one.surrogate, one.victim) if "variants" in own else ():
            facts = (
                nets.get(net, {}).get(PREPARED, {}) for nets in (own["variants"], settings.papers[paper]["variants"])
            )
            found.setdefault(net, {}).update(_differ(settings, paper, one, *facts))
    return {name: differing for name, differing in sorted(found.items()) if differing}


def _of(settings: Settings, paper: str, one: Reading) -> Mapping:
    return settings.papers[paper]["attacks"].get(one.attack, {})


def _differ(settings: Settings, paper: str, one: Reading, own: Mapping, here: Mapping) -> dict[str, list]:
    told = (choices.resolve(facts, settings.chosen[paper], one.dataset, one.surrogate) for facts in (own, here))
    papers, ours = (dict(_numbers(facts)) for facts in told)
    return {name: [number, papers.get(name, "none")] for name, number in ours.items() if number != papers.get(name)}


def _numbers(value: Mapping) -> Iterator[tuple[str, object]]:
    for name, part in value.items():
        if isinstance(part, Mapping):
            yield from _numbers(part)
        elif isinstance(part, int | float) and not isinstance(part, bool):
            yield name, part
