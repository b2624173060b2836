"""What schedules of adversarial training come to at a scale: which to the same, and which to other shares than said."""

import json
from collections.abc import Iterable, Mapping

from avrobust.spec.curriculum import CURRICULUM, SAID, Stages, count_sampled, half_up, stages_of
from lib.errors import SettingsError
from lib.settings import Settings, place_of
from lib.variants import Variant, variant_of


def alike(settings: Settings, paper: str, dataset: str, nets: Iterable[str]) -> dict[str, str]:
    """Return net -> the last one of `nets` that is trained in the same way but for what is drawn at random."""
    last, found = {}, {}
    for net, (variant, stages) in _scheduled(settings, paper, dataset, nets).items():
        if comes_to := _comes_to(settings, dataset, variant, stages):
            found[net] = comes_to
            last[comes_to] = net
    return {net: last[comes_to] for net, comes_to in found.items() if last[comes_to] != net}


def shares(settings: Settings, paper: str, dataset: str, nets: Iterable[str]) -> dict[str, str]:
    """Return those of `nets` that attack a share of the steps that is no whole number of them -> what it comes to."""
    found = {}
    for net, (_, stages) in _scheduled(settings, paper, dataset, nets).items():
        steps, said = _steps(settings, dataset), dict.fromkeys(stages.sampled)
        if steps and any(percent * steps % 100 for percent in said):
            counts = [str(count_sampled(percent, steps)) for percent in said]
            found[net] = f"{' to '.join(counts)} of {steps} steps"
    return found


def other_than_said(settings: Settings, paper: str, dataset: str, nets: Iterable[str]) -> str:
    """Say why a comparison of several schedules is another one at this scale than the paper's; nothing if it is not."""
    nets = _scheduled(settings, paper, dataset, nets)
    if len({json.dumps(one.recipe["prepare"], sort_keys=True) for one, _ in nets.values()}) < 2:
        return ""
    for net, counted in shares(settings, paper, dataset, nets).items():
        return f"{net} attacks {counted}, which is another share than it is called by"
    for net, other in alike(settings, paper, dataset, nets).items():
        return f"{net} comes to {other}"
    return ""


def alike_of(settings: Settings, paper: str, spec: Mapping) -> dict[str, str]:
    """Return `alike` for the ticks of a figure of bars, where their values are nets."""
    return alike(settings, paper, spec["read"]["dataset"], spec["ticks"]["values"]) if _of_nets(spec) else {}


def shares_of(settings: Settings, paper: str, spec: Mapping) -> dict[str, str]:
    """Return `shares` for the ticks of a figure of bars, where their values are nets."""
    return shares(settings, paper, spec["read"]["dataset"], spec["ticks"]["values"]) if _of_nets(spec) else {}


def read_stages(prepare: Mapping, where: str) -> Stages:
    """Return the stages that a preparation by curriculum says; SettingsError if it says none."""
    try:
        return stages_of(prepare.get("options", {}))
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{where}: {CURRICULUM}: {error}") from None


def _of_nets(spec: Mapping) -> bool:
    return "<" in spec["read"].get("variant", "")


def _scheduled(settings: Settings, paper: str, dataset: str, nets: Iterable[str]) -> dict[str, tuple[Variant, Stages]]:
    """Those of some nets that are trained by a schedule, each with its stages."""
    known = [net for net in nets if net in settings.papers[paper]["variants"]]
    variants = {net: variant_of(settings, paper, net, dataset) for net in known}
    prepared = {net: one.recipe.get("prepare", {}) for net, one in variants.items()}
    return {
        net: (variants[net], read_stages(prepare, f"{place_of(paper, 'variants')}.{net}: prepare"))
        for net, prepare in prepared.items()
        if prepare.get("name") == CURRICULUM
    }


def _steps(settings: Settings, dataset: str) -> int:
    return settings.datasets[dataset]["view"]["options"].get("frames", 0)


def _comes_to(settings: Settings, dataset: str, variant: Variant, stages: Stages) -> str:
    """All that shapes a training, as text, and what each of its epochs comes to; nothing where that is not known."""
    steps, features = _steps(settings, dataset), _fused(variant)
    if not steps or not features:
        return ""
    options = variant.recipe["prepare"].get("options", {})
    others = {name: value for name, value in options.items() if name not in SAID}
    epochs = []
    for epoch in range(1, variant.recipe["epochs"] + 1):
        of = stages.at(epoch)
        epochs.append([count_sampled(of.sampled, steps), half_up(of.dropped * features / 100), of.attack_steps])
    trained = {name: value for name, value in variant.recipe.items() if name != "prepare"}
    return json.dumps([variant.net, variant.objective, variant.start, trained, others, epochs], sort_keys=True)


def _fused(variant: Variant) -> int:
    """How many fused features a net has of a known projection; 0 where that is not known."""
    sizes = [variant.net_parts[part]["options"].get("projection", 0) for part in ("audio", "visual")]
    fusion = variant.net_parts["fusion"]["name"]
    return {"sum": sizes[0], "concat": sum(sizes)}.get(fusion, 0) if all(sizes) else 0
