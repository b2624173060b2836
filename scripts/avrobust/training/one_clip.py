"""One clip of a training's first epoch: in which batch it is, and what crafting makes of it there."""

import torch
import torch.nn.functional as F
from torch import Tensor

from avrobust.data.batches import Batch, collate
from avrobust.data.shards import Shards
from avrobust.models.late_fusion import LateFusion
from avrobust.models.modes import evaluating
from avrobust.program import UserError
from avrobust.training.clips import training_batches
from avrobust.training.prepare.curriculum import Crafted
from avrobust.training.recipe import TrainingRecipe
from avrobust.views.view import View

EPOCH = 1


def batch_of(
    clip: str, store: Shards, view: View, model: LateFusion, recipe: TrainingRecipe, seed: int
) -> tuple[Batch, int]:
    """Return the batch of the first epoch that `clip` is in, and its place there.

    Without a name it is the first clip that the epoch shows, by the order of the classes, then of the ids.

    Raises:
        UserError: no such clip to train on, or it is in the last batch, which is incomplete and left out.
    """
    views, batches = training_batches(store, view, model, "single", recipe, seed)
    batches.epoch = EPOCH
    shown = {position: keys for keys in batches for _, position in keys}
    ids = {store.clip_ids[index]: position for position, index in enumerate(views.indices)}
    if clip and clip not in ids:
        raise UserError(f"--clip: {clip!r} is no clip to train on; such are {', '.join(sorted(ids)[:3])} ...")
    if clip and ids[clip] not in shown:
        raise UserError(
            f"--clip: the first epoch does not show {clip!r}, because its last batch is incomplete and left out; give "
            "another one"
        )
    by_class = sorted(
        (store.labels[views.indices[position]][0], name) for name, position in ids.items() if position in shown
    )
    name = clip or by_class[0][1]
    keys = shown[ids[name]]
    return collate([views[key] for key in keys]), [position for _, position in keys].index(ids[name])


def looked_at(model: LateFusion, crafted: Crafted, place: int) -> dict[str, object]:
    """Return what `avrobust.metrics.one_clip.OneClip` has of the clip at a place of a batch, but for its names."""
    sampling, fits = crafted.sampling, slice(place, place + 1)
    clean, moved = ({name: x[fits] for name, x in of.items()} for of in (crafted.inputs, crafted.moved))
    shared = {
        name: crafted.perturbations.get(name, sampling.nothing(name, x))[place] for name, x in crafted.inputs.items()
    }
    copies, names = crafted.copies(), getattr(crafted.threat.attack.points, "names", None)
    with evaluating(model), torch.no_grad():
        logits = torch.cat([model(clean), model(moved)])
    step = crafted.inputs["audio"].shape[-1] // sampling.segments.shape[1]
    found = {
        "predictions": logits.argmax(dim=1),
        "cross_entropy": F.cross_entropy(logits, crafted.labels[fits].expand(2), reduction="none"),
        "epsilons": torch.stack([_epsilon(crafted, name) for name in ("audio", "visual")]),
        "segments": sampling.segments[place],
        "sampled": sampling.sampled[place],
        "dropped": crafted.dropped[place],
        "frames": _bytes(clean["visual"][0]),
        "sound": clean["audio"][0, 0],
        "copied_frames": torch.stack([_bytes(copy["visual"][place]) for copy in copies]),
        "copied_sounds": torch.stack([copy["audio"][place, 0].view(-1, step) for copy in copies]),
        "frame_steps": _last(shared["visual"]),
        "sound_steps": shared["audio"],
        "moved_frames": _last(moved["visual"][0]),
        "moved_sound": moved["audio"][0, 0],
    }
    return {
        **{name: x.cpu().numpy() for name, x in found.items()},
        "copies": names or [f"point {number}" for number in range(1, len(copies) + 1)],
        "sampled_percent": float(crafted.stage.sampled),
        "dropped_percent": float(crafted.stage.dropped),
        "attack_steps": crafted.stage.attack_steps,
    }


def _epsilon(crafted: Crafted, name: str) -> Tensor:
    """Return the largest epsilon of a modality in natural units, 0 of one that is not attacked."""
    return crafted.budgets[name].epsilon.max().cpu() if name in crafted.budgets else torch.zeros(())


def _last(pictures: Tensor) -> Tensor:
    """Return pictures (..., 3, H, W) as (..., H, W, 3)."""
    return pictures.movedim(-3, -1)


def _bytes(pictures: Tensor) -> Tensor:
    """Return pictures in [0, 1], (..., 3, H, W), as uint8 (..., H, W, 3)."""
    return (255 * _last(pictures)).round().clamp(0, 255).to(torch.uint8)
