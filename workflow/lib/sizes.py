"""Sizes of attacks and of adversarial trainings that a scale has another number of than the paper's own files say."""

from collections.abc import Iterable, Iterator, Mapping

from avrobust.spec.conditions import FREE, Reading
from lib import choices
from lib.settings import Settings, own_section

# What an adversarial training says of how it attacks stands in this part of a variant.
PREPARED = "prepare"
# What a condition may name, whatever the attack is defined with.
STEPS = "steps"
# What an ensemble may attack fewer of.
CLIPS, ALL = "clips", "all"


def sizes(settings: Settings, paper: str, readings: Iterable[Reading]) -> dict[str, dict[str, list]]:
    """Return attack or net -> size -> [its number here, the paper's], of those that are read and that differ.

    Of a net it is what it is trained on that counts: how its clips are attacked.
    """
    over = settings.scale.get("papers", {}).get(paper, {})
    sections = [section for section in ("attacks", "ensembles") if section in over]
    sections += ["variants", "training"] if {"variants", "training"} & {*over} else []
    own = {section: own_section(settings.root, paper, section) for section in sections}
    found: dict[str, dict[str, list]] = {}
    for one in readings:
        if "attacks" in own and one.condition.modality not in FREE:
            attacks = (told.get(one.attack, {}) for told in (own["attacks"], settings.papers[paper]["attacks"]))
            differing = _differ(settings, paper, one, *attacks)
            if one.condition.steps:
                differing.pop(STEPS, None)
            found.setdefault(one.attack, {}).update(differing)
        if "ensembles" in own and one.surrogate in own["ensembles"]:
            told = own["ensembles"], settings.papers[paper]["ensembles"]
            papers, ours = (ensembles[one.surrogate].clips or ALL for ensembles in told)
            found.setdefault(one.surrogate, {}).update({CLIPS: [ours, papers]} if ours != papers else {})
        for net in (one.surrogate, one.victim) if "variants" in own else ():
            found.setdefault(net, {}).update(
                _differ(settings, paper, one, _prepared(own, net), _prepared(settings.papers[paper], net))
            )
    return {name: differing for name, differing in sorted(found.items()) if differing}


def _prepared(paper: Mapping, net: str) -> dict:
    """What a net is trained on, wherever a paper says it, by where; with all that goes by a choice or a dataset."""
    facts = paper["variants"].get(net, {})
    return {"all": paper["training"].get(facts.get("training"), {}), "own": {PREPARED: facts.get(PREPARED, {})}}


def _differ(settings: Settings, paper: str, one: Reading, own: Mapping, here: Mapping) -> dict[str, list]:
    told = (choices.resolve(facts, settings.chosen[paper], one.dataset, one.surrogate) for facts in (own, here))
    papers, ours = (dict(_numbers(_of_preparation(facts))) for facts in told)
    return {name: [number, papers.get(name, "none")] for name, number in ours.items() if number != papers.get(name)}


def _of_preparation(facts: Mapping) -> Mapping:
    """An attack as it is; of what `_prepared` gives, what is said of how a net's clips are made."""
    if set(facts) != {"all", "own"}:
        return facts
    return {place: {PREPARED: told.get(PREPARED, {})} for place, told in facts.items()}


def _numbers(value: Mapping) -> Iterator[tuple[str, object]]:
    for name, part in value.items():
        if isinstance(part, Mapping):
            yield from _numbers(part)
        elif isinstance(part, int | float) and not isinstance(part, bool):
            yield name, part
