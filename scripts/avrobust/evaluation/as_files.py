"""Adversarial clips as a file could hold them: 8-bit frames and 16-bit sound, or H.264 and AAC."""

from collections.abc import Callable, Collection, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from avrobust.attacks.loss import Inputs
from avrobust.evaluation.craft import Crafted
from avrobust.metrics.schema import CODED, ROUNDED, TRUNCATED
from avrobust.spec.conditions import Condition
from avrobust.views.view import Input

# (clip ids, inputs that a file can hold) -> what a net is shown of the file.
Coder = Callable[[Sequence[str], Inputs], Inputs]
# Input -> it rounded, and truncated; None where that is the clean input.
Held = MutableMapping[Tensor, tuple[Tensor | None, ...]]


@dataclass(frozen=True)
class AsFiles:
    """The forms of `avrobust.metrics.schema.FORMS` that what an attack made takes in files.

    `forms`: what the view says of each modality. What is made under one of the conditions `coded` goes through `coder`
    too.
    """

    forms: Mapping[str, Input]
    coder: Coder | None = None
    coded: Collection[Condition] = ()
    # Of inputs that somebody still has: other conditions and victims are shown the very same.
    _held: Held = field(default_factory=WeakTensorKeyDictionary, init=False, repr=False, compare=False)

    def __call__(self, clip_ids: Sequence[str], clean: Inputs, crafted: Crafted) -> dict[str, Inputs]:
        """Return form -> inputs (modality -> (N, ...)), none where no file holds such inputs."""
        found = quantised(crafted.inputs, clean, self.forms, self._held)
        if found and self.coder is not None and not set(crafted.conditions).isdisjoint(self.coded):
            found[CODED] = self.coder(clip_ids, found[ROUNDED])
        return found


def quantised(inputs: Inputs, clean: Inputs, forms: Mapping[str, Input], held: Held | None = None) -> dict[str, Inputs]:
    """Return `inputs` (modality -> (N, ...)) on the levels of a file: `rounded` and `truncated`; {} if there are none.

    Frames are rounded to the nearest level, or down, as a cast to uint8 does; sound, whose levels are 128 times as
    narrow, to the nearest. What no file holds is as in `clean`, and what is all as in `clean` is that very tensor, so
    that nothing is computed of it again. `held`: what is known of inputs, to which others are added.
    """
    if any(forms[name].levels is None for name in inputs):
        return {}
    held = WeakTensorKeyDictionary() if held is None else held
    for name, x in inputs.items():
        if x not in held:
            nearest = _on_levels(x, clean[name], forms[name], torch.round)
            held[x] = (
                nearest,
                _on_levels(x, clean[name], forms[name], torch.floor) if forms[name].is_picture else nearest,
            )
    made = {name: [clean[name] if one is None else one for one in held[x]] for name, x in inputs.items()}
    return {form: {name: of[number] for name, of in made.items()} for number, form in enumerate((ROUNDED, TRUNCATED))}


def _on_levels(x: Tensor, clean: Tensor, form: Input, whole: Callable[[Tensor], Tensor]) -> Tensor | None:
    # In float32, in which 255 times a 255th is that whole number again, for each of them.
    made = whole(x * form.levels).div_(form.levels).clamp_(form.low, form.highest)
    if form.padding:
        made[..., -form.padding :] = clean[..., -form.padding :]
    return None if torch.equal(made, clean) else made
