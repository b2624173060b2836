"""What a scale has otherwise than the paper: sizes of attacks and of what trainings prepare, an extractor's weights."""

from collections.abc import Iterable, Iterator, Mapping

from avrobust.spec.conditions import FREE, Reading
from lib import choices, extractors
from lib.settings import Settings

# What a training says of the clips that it makes, and of what it goes down.
PREPARED, OBJECTIVE = "prepare", "objective"
# Of how many clips an objective measures something before a training begins.
MEASURED = "measured_clips"
# What a condition may name, whatever the attack is defined with.
STEPS = "steps"
# What an ensemble may attack fewer of.
CLIPS, ALL = "clips", "all"
# By which convexity a mix-up chooses classes, a name; and what it means where a paper's file does not say it.
KAPPA = "kappa"
UNSAID = {MEASURED: ALL, "transforms": ALL, KAPPA: "the task's own"}
# What an extractor, which nothing trains, has in the place of published weights.
EXTRACTOR_WEIGHTS, DRAWN = "extractor_weights", "drawn by a seed"


def sizes(settings: Settings, paper: str, readings: Iterable[Reading]) -> dict[str, dict[str, list]]:
    """Return attack, net or dataset -> size -> [what it is here, in the paper], of those that are read and that differ.

    Of a net it is what it and those before it are trained on that counts: how clips are attacked, which are mixed, and
    of how many its objective measures something. By which transforms an attack makes copies is a size too, and so are
    the weights of the extractor whose features a dataset gives.
    """
    over = settings.scale.get("papers", {}).get(paper, {})
    sections = [section for section in ("attacks", "ensembles") if section in over]
    sections += ["variants", "training"] if {"variants", "training"} & {*over} else []
    own = {section: settings.own(paper, section) for section in sections}
    here = settings.papers[paper]
    found: dict[str, dict[str, list]] = {}

    def taken(facts: Mapping, dataset: str, net: str) -> Mapping:
        return choices.resolve(facts, settings.chosen[paper], dataset, net)

    readings = list(readings)
    attacked = (one for one in readings if "attacks" in own and one.condition.modality not in FREE)
    attacks = _each((one.attack, one.dataset, one.surrogate, bool(one.condition.steps)) for one in attacked)
    for attack, dataset, net, names_steps in attacks:
        differing = _differ(*(_numbers(taken(told["attacks"].get(attack, {}), dataset, net)) for told in (own, here)))
        if names_steps:
            differing.pop(STEPS, None)
        found.setdefault(attack, {}).update(differing)
    surrogates = dict.fromkeys(one.surrogate for one in readings)
    for net in surrogates.keys() & own["ensembles"].keys() if "ensembles" in own else ():
        papers, ours = (told["ensembles"][net].clips or ALL for told in (own, here))
        found.setdefault(net, {}).update({CLIPS: [ours, papers]} if ours != papers else {})
    nets = ((net, one.dataset, one.surrogate) for one in readings for net in (one.surrogate, one.victim))
    for net, dataset, by in _each(nets) if "variants" in own else ():
        trainings = (taken(_training(told, net), dataset, by) for told in (own, here))
        found.setdefault(net, {}).update(_differ(*map(_of_training, trainings)))
    for dataset in dict.fromkeys(one.dataset for one in readings):
        if unused := _unused_weights(settings.datasets[dataset]):
            found.setdefault(dataset, {})[EXTRACTOR_WEIGHTS] = [DRAWN, " and ".join(unused)]
    return {name: differing for name, differing in sorted(found.items()) if differing}


def _unused_weights(facts: Mapping) -> list[str]:
    """The published weights that the extractor of a dataset names and does not start from."""
    extractor = facts["extractors"][name] if (name := extractors.extractor_of(facts)) else {}
    return [] if extractors.weights_of(extractor) else [*extractors.named_weights(extractor).values()]


def _each(found: Iterable[tuple]) -> list[tuple]:
    """Each once, by where it comes last, as what comes last is what is said."""
    return [*dict.fromkeys(reversed([*found]))][::-1]


def _training(paper: Mapping, net: str | None) -> dict:
    """What a net is trained by, after those that it goes on from; with all that goes by a choice or a dataset."""
    if net not in paper["variants"]:
        return {}
    facts = paper["variants"][net]
    own = {part: facts[part] for part in (PREPARED, OBJECTIVE) if part in facts}
    of_net = {"all": paper["training"].get(facts.get("training"), {}), "own": own}
    return {**_training(paper, facts.get("start")), net: of_net}


def _differ(papers: Iterable[tuple[str, object]], ours: Iterable[tuple[str, object]]) -> dict[str, list]:
    papers, ours = dict(papers), dict(ours)
    return {
        name: [value, papers.get(name, UNSAID.get(name, "none"))]
        for name, value in ours.items()
        if value != papers.get(name)
    }


def _of_training(told: Mapping) -> Iterator[tuple[str, object]]:
    """How clips are made, and of how many an objective measures something, of what `_training` gives."""
    for of_net in told.values():
        for of in of_net.values():
            yield from _numbers(of.get(PREPARED, {}))
        clips = of_net["own"].get(OBJECTIVE, {}).get("options", {}).get(CLIPS)
        if clips is not None:
            yield MEASURED, clips


def _numbers(value: Mapping) -> Iterator[tuple[str, object]]:
    """Numbers, lists of names and a convexity, by what they are called, however deep they stand."""
    for name, part in value.items():
        if isinstance(part, Mapping):
            yield from _numbers(part)
        elif (isinstance(part, int | float) and not isinstance(part, bool)) or name == KAPPA:
            yield name, part
        elif isinstance(part, list) and all(isinstance(one, str) for one in part):
            yield name, " and ".join(part)
