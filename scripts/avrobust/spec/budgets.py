"""Budgets by name: how far an attack may go in each modality, as a paper's file says it.

    small: 0.006                                      l-infinity, the same in both modalities
    uneven: {audio: 0.002, visual: 0.006}
    l2: {norm: l2_clip, epsilon: 1.5, range: [0, 1]}  `range` in natural units where it is not the modality's own
    quiet: {audio: {norm: l2_clip, snr: 30}}          a modality that is not named is given nothing
    sweep: [0.002, 0.004]                             numbered points: sweep/1 and sweep/2
    calibrated: {from: calibrated}                    a file that a job makes: results/<scale>/budgets/calibrated.json
    unbounded: {epsilon: range}                       as far as the valid range is wide

What a modality is given is a mapping with `norm` and either `epsilon` or `snr`: what `avrobust.attacks.budget` takes.
"""

import math
from collections.abc import Mapping

MODALITIES = ("audio", "visual")
# What a file that a job makes is named by.
FROM = "from"
# Float32 rounding of clip + step: allowed on top of an epsilon, and as a share of one above 1.
SLACK = 1e-6
# As far as the valid range is wide.
RANGE = "range"
_PARTS = ("norm", "epsilon", "snr", "range")
# As in `avrobust.attacks.norms`; a ratio of signal and noise is one of whole clips.
NORMS = ("linf", "l2_step", "l2_clip")
OF_SNR = "l2_clip"


def named(budgets: Mapping[str, object]) -> dict[str, dict]:
    """Return every budget by its name, points of a list by their numbers, each in its long form.

    The long form is modality -> {norm, epsilon or snr, range}, or {from: name} of one that a job makes.

    Raises:
        ValueError: one says something else.
    """
    found: dict[str, dict] = {}
    for name, value in budgets.items():
        points = {f"{name}/{number}": point for number, point in enumerate(value, 1)} if _is_list(value) else None
        for one, point in (points if points is not None else {name: value}).items():
            try:
                found[one] = _long(point)
            except ValueError as error:
                raise ValueError(f"{one}: {error}") from None
    return found


def points(name: str, budgets: Mapping[str, object]) -> list[str]:
    """Return the names that `name` stands for: itself, or the points of a list."""
    value = budgets.get(name)
    return [f"{name}/{number}" for number in range(1, len(value) + 1)] if _is_list(value) else [name]


def printed(budget: Mapping) -> str | None:
    """Return a budget's strength for a caption: its epsilon, where it has one for both modalities; else None."""
    strengths = {str(of.get("epsilon", "")) for of in budget.values()} if FROM not in budget else set()
    number = next(iter(budget.values())).get("epsilon") if len(strengths) == 1 and len(budget) == 2 else None
    return f"{number:g}" if isinstance(number, int | float) else None


def strength(name: str, strengths: Mapping[str, str]) -> str:
    """Return what is printed for a budget: what is said of it in `strengths`, else its name; 0 for none."""
    return strengths.get(name, name) if name else "0"


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _long(value: object) -> dict:
    if isinstance(value, Mapping) and FROM in value:
        if len(value) > 1 or not isinstance(value[FROM], str):
            raise ValueError(f"{FROM}: names a budget that a job makes and stands alone, got {dict(value)}")
        return dict(value)
    if isinstance(value, Mapping) and value and set(value) <= set(MODALITIES):
        return {name: _of_modality(value[name]) for name in MODALITIES if name in value}
    return {name: _of_modality(value) for name in MODALITIES}


def _of_modality(value: object) -> dict:
    given = value if isinstance(value, Mapping) else {"epsilon": value}
    if unknown := [name for name in given if name not in _PARTS]:
        raise ValueError(f"unknown {', '.join(map(str, unknown))}; known are {', '.join((*MODALITIES, *_PARTS, FROM))}")
    if ("epsilon" in given) == ("snr" in given):
        raise ValueError(f"either epsilon or snr must be given, got {value!r}")
    strength = given.get("epsilon", given.get("snr"))
    is_number = isinstance(strength, int | float) and not isinstance(strength, bool) and math.isfinite(strength)
    if not (is_number and (strength >= 0 or "snr" in given)) and given.get("epsilon") != RANGE:
        raise ValueError(f"{strength!r} is no strength; give a number, of an epsilon one that is not negative")
    long = {"norm": "linf", **given}
    if long["norm"] not in NORMS:
        raise ValueError(f"norm: {long['norm']!r} is not allowed; allowed are {', '.join(NORMS)}")
    if "snr" in long and long["norm"] != OF_SNR:
        raise ValueError(f"snr = {long['snr']!r} needs norm {OF_SNR}, got {long['norm']}")
    if RANGE in long and not _is_range(long[RANGE]):
        raise ValueError(f"range: {long[RANGE]!r} is not allowed; give [lowest, highest]")
    return long


def _is_range(value: object) -> bool:
    return _is_list(value) and [type(bound) in (int, float) for bound in value] == [True, True] and value[0] < value[1]
