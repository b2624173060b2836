"""Nets whose schedules of adversarial training come to the same at a scale: as many steps, features, attack steps."""

import json
from collections.abc import Iterable, Mapping

from avrobust.spec.curriculum import CURRICULUM, SAID, count_sampled, half_up, stages_of
from lib.settings import Settings
from lib.variants import Variant, variant_of


def alike(settings: Settings, paper: str, dataset: str, nets: Iterable[str]) -> dict[str, str]:
    """Return net -> the last one of `nets` that is trained in the same way but for what is drawn at random."""
    last, found = {}, {}
    for net in nets:
        if net in settings.papers[paper]["variants"] and (comes_to := _comes_to(settings, paper, dataset, net)):
            found[net] = comes_to
            last[comes_to] = net
    return {net: last[comes_to] for net, comes_to in found.items() if last[comes_to] != net}


def _comes_to(settings: Settings, paper: str, dataset: str, net: str) -> str:
    """All that shapes a training, as text, and what each of its epochs comes to; nothing for one without a schedule."""
    variant = variant_of(settings, paper, net, dataset)
    prepared = variant.recipe.get("prepare", {})
    if prepared.get("name") != CURRICULUM:
        return ""
    steps, features = settings.datasets[dataset]["view"]["options"].get("frames"), _fused(variant)
    if not steps or not features:
        return ""
    stages = stages_of(prepared["options"])
    others = {name: value for name, value in prepared["options"].items() if name not in SAID}
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


def alike_of(settings: Settings, paper: str, spec: Mapping) -> dict[str, str]:
    """Return the same for the ticks of a figure of bars, whose values are nets."""
    if "<" not in spec["read"].get("variant", ""):
        return {}
    return alike(settings, paper, spec["read"]["dataset"], spec["ticks"]["values"])
