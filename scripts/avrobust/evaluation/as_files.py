"""Adversarial clips as a file could hold them: 8-bit frames and 16-bit sound, or H.264 and AAC."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from avrobust.attacks.loss import Inputs
from avrobust.evaluation.craft import Crafted
from avrobust.metrics.schema import CODED, ROUNDED, TRUNCATED
from avrobust.spec.conditions import Condition
from avrobust.views.view import Input

# (clip ids, inputs that a file can hold) -> what a net is shown of the file.
Coder = Callable[[Sequence[str], Inputs], Inputs]


@dataclass(frozen=True)
class AsFiles:
    """The forms of `avrobust.metrics.schema.FORMS` that what an attack made takes in files.

    `forms`: what the view says of each modality. What is made under one of the conditions `coded` goes through `coder`
    too.
    """

    forms: Mapping[str, Input]
    coder: Coder | None = None
    coded: Collection[Condition] = ()

    def __call__(self, clip_ids: Sequence[str], clean: Inputs, crafted: Crafted) -> dict[str, Inputs]:
        """Return form -> inputs (modality -> (N, ...)), none where no file holds such inputs."""
        found = quantised(crafted.inputs, clean, self.forms)
        if found and self.coder is not None and not set(crafted.conditions).isdisjoint(self.coded):
            found[CODED] = self.coder(clip_ids, found[ROUNDED])
        return found


def quantised(inputs: Inputs, clean: Inputs, forms: Mapping[str, Input]) -> dict[str, Inputs]:
    """Return `inputs` (modality -> (N, ...)) on the levels of a file: `rounded` and `truncated`; {} if there are none.

    Frames are rounded to the nearest level, or down, as a cast to uint8 does; sound, whose levels are 128 times as
    narrow, to the nearest. What no file holds is as in `clean`, and what is all as in `clean` is that very tensor, so
    that nothing is computed of it again.
    """
    if any(forms[name].levels is None for name in inputs):
        return {}
    nearest = {name: _held(x, clean[name], forms[name], torch.round) for name, x in inputs.items()}
    cut = {
        name: _held(x, clean[name], forms[name], torch.floor) if forms[name].is_picture else nearest[name]
        for name, x in inputs.items()
    }
    return {ROUNDED: nearest, TRUNCATED: cut}


def _held(x: Tensor, clean: Tensor, form: Input, whole: Callable[[Tensor], Tensor]) -> Tensor:
    # In float32, in which 255 times a 255th is that whole number again, for each of them.
    held = (whole(x * form.levels) / form.levels).clamp(form.low, form.highest)
    if form.padding:
        held[..., -form.padding :] = clean[..., -form.padding :]
    return clean if torch.equal(held, clean) else held
