"""Whether a net answers each clip by itself, as all rows of a cell take for granted."""

from pathlib import Path

import torch

from avrobust.data.batches import EvaluationViews, collate, inputs_of
from avrobust.models.late_fusion import LateFusion
from avrobust.models.modes import evaluating
from avrobust.program import UserError

# Rounding and a sparse coding that stops an iteration earlier, as a share of the largest logit.
TOLERANCE = 1e-2


def check_alone(path: Path, model: LateFusion, views: EvaluationViews, device: torch.device) -> None:
    """Ask the net for its first clips alone, then beside as many others; fewer than these are not compared.

    Of a defence that works on groups of clips a group is asked for.

    Raises:
        UserError: it answers otherwise: the size of a batch, its order or chance would shape what is stored.
    """
    group = model.clips_together
    if len(views) < 2 * group:
        return
    inputs = inputs_of(collate([views[number] for number in range(2 * group)]), device)
    with evaluating(model), torch.inference_mode():
        beside = model(inputs)[:group]
        alone = model({name: x[:group] for name, x in inputs.items()})
    if not torch.allclose(alone, beside, rtol=0, atol=TOLERANCE * beside.abs().max().item()):
        raise UserError(
            f"{path}: the net answers a clip otherwise beside other clips, or when it is asked again; make its parts "
            "work on each clip by itself and draw nothing at random, or say by `clips_together` how many they need"
        )
