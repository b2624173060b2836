"""Answers in words, judged: which clips a model recognises clean, and which of these an attack makes it miss."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import nan

import numpy as np

from avrobust.asked.answers import CLEAN, Answer
from avrobust.asked.synonyms import is_named
from avrobust.metrics.interval import Mean, mean
from avrobust.program import UserError


@dataclass(frozen=True)
class Judged:
    """Clips of one dataset and surrogate. `right`: attack or `clean` -> whether a clip's class was named, (clips,)."""

    clip_ids: tuple[str, ...]
    right: Mapping[str, np.ndarray]

    @property
    def recognised(self) -> Mean:
        """Per cent of clean clips whose class is named."""
        return _percent(self.right[CLEAN].astype(float))

    def missed(self, attack: str) -> np.ndarray:
        """Of each clip 100 if it is missed under an attack, 0 if not, NaN if it is not recognised clean, (clips,).

        Raises:
            UserError: nothing was asked under this attack.
        """
        if attack not in self.right:
            raise UserError(f"no answers under {attack}; there are those under {', '.join(self.right)}")
        return np.where(self.right[CLEAN], 100.0 * ~self.right[attack], nan)

    def success(self, attack: str) -> Mean:
        """Per cent of the clips recognised clean that are missed under an attack.

        Raises:
            UserError: nothing was asked under this attack, or no clip is recognised clean.
        """
        if not self.right[CLEAN].any():
            raise UserError(f"none of {len(self.clip_ids)} clean clips is recognised, so that no attack can succeed")
        return mean(self.missed(attack)[None], 0.0, 100.0)


def judge(answers: Iterable[Answer], synonyms: Mapping[str, Iterable[str]]) -> dict[tuple[str, str], Judged]:
    """Return what was answered right by dataset and surrogate; clips are sorted by their names.

    Raises:
        UserError: a clip was not asked about clean, or not under every attack.
    """
    right: dict[tuple[str, str], dict[str, dict[str, bool]]] = {}
    for one in answers:
        of_attack = right.setdefault((one.dataset, one.surrogate), {}).setdefault(one.attack, {})
        of_attack[one.clip_id] = is_named(one.label, one.answer, synonyms)
    return {place: _judged(place, of) for place, of in right.items()}


def _judged(place: tuple[str, str], right: Mapping[str, Mapping[str, bool]]) -> Judged:
    clip_ids = tuple(sorted(right.get(CLEAN, ())))
    if other := next((attack for attack, of in right.items() if tuple(sorted(of)) != clip_ids), None):
        raise UserError(f"answers of {' and '.join(place)}: {other} and {CLEAN} are not of the same clips; ask anew")
    return Judged(clip_ids, {attack: np.array([of[one] for one in clip_ids]) for attack, of in right.items()})


def _percent(values: np.ndarray) -> Mean:
    return mean(100.0 * values[None], 0.0, 100.0)
