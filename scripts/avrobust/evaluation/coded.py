"""Adversarial clips after H.264 and AAC: put back into their clips, encoded, packed as any file, and seen as before."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from torch import Tensor

from avrobust.attacks.loss import Inputs
from avrobust.data import media, store
from avrobust.data.batches import EvaluationViews, collate, inputs_of
from avrobust.data.encoding import encode
from avrobust.data.media import Form
from avrobust.data.store import PackedClip
from avrobust.evaluation.put_back import written
from avrobust.program import UserError


class Coded:
    """What a net is shown of such files; `views`: the clips that are attacked."""

    def __init__(self, views: EvaluationViews):
        if not hasattr(views.view, "written"):
            raise UserError(f"view {type(views.view).__name__} shows no clips of a file, so that none can be encoded")
        self.views, self.store = views, views.store
        self.places = {self.store.clip_ids[index]: int(index) for index in views.indices}

    def __call__(self, clip_ids: Sequence[str], inputs: Inputs) -> dict[str, Tensor]:
        """Return what is left of `inputs` (modality -> (N, ...), on the levels of a file) after encoding."""
        rates = {"audio_rate": self.store.audio_rate, "frame_rate": self.store.frame_rate}
        form = Form(**rates, short_side=0, minimum_frames=0)
        with TemporaryDirectory(prefix="avrobust-") as folder:
            shard, file = Path(folder) / "0.arrow", Path(folder) / "clip.mp4"
            with store.writing(shard, **rates, classes=self.store.classes) as packed:
                for number, clip_id in enumerate(clip_ids):
                    seen = {name: x[number].cpu().numpy() for name, x in inputs.items()}
                    clip = written(self.views.view, self.store, self.places[clip_id], seen)
                    frames = np.round(clip.frames * 255).astype(np.uint8)
                    encode(frames, rates["frame_rate"], clip.samples[:, None], rates["audio_rate"], file)
                    made = media.read(file, None, None, form)
                    if made.faults:
                        raise RuntimeError(f"{clip_id}: encoded it has the faults {', '.join(made.faults)}")
                    labels = self.store.labels[self.places[clip_id]]
                    rest = (None, None, made.audio, made.frames, None, *made.size)
                    packed.add(PackedClip(clip_id, "test", labels, *rest))
            view = self.views.view
            shown = EvaluationViews(view.opened([shard]), range(len(clip_ids)), view, tuple(inputs), self.views.task)
            batch = collate([shown[number] for number in range(len(clip_ids))])
            return inputs_of(batch, next(iter(inputs.values())).device)
