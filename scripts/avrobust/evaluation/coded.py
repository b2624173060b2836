"""Adversarial clips after H.264 and AAC: put back into their clips, encoded, packed as any file, and seen as before."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from avrobust.spec.coded import refusal
from avrobust.views.view import FileView


class Coded:
    """What a net is shown of such files; `views`: the clips that are attacked, `threads`: so many clips at a time.

    Raises:
        UserError: such clips cannot be encoded, which the first one tells, before anything is attacked.
    """

    def __init__(self, views: EvaluationViews, threads: int = 1):
        if not isinstance(views.view, FileView):
            raise UserError(f"view {type(views.view).__name__} shows no clips of a file, so that none can be encoded")
        self.views, self.store, self.threads = views, views.store, threads
        *_, height, width = views.view.inputs(self.store)["visual"].shape
        if why := refusal(width, height, self.store.audio_rate):
            raise UserError(f"{why}, or take `coded` out of the paper's paper.yaml")
        self.rates = {"audio_rate": self.store.audio_rate, "frame_rate": self.store.frame_rate}
        self.places = {self.store.clip_ids[index]: int(index) for index in views.indices}
        with TemporaryDirectory(prefix="avrobust-") as folder:
            self._as_packed(next(iter(self.places)), {}, Path(folder) / "clip.mp4")

    def __call__(self, clip_ids: Sequence[str], inputs: Inputs) -> dict[str, Tensor]:
        """Return what is left of `inputs` (modality -> (N, ...), on the levels of a file) after encoding.

        Raises:
            UserError: a clip cannot be encoded, or comes out broken.
        """
        arrays = {name: x.cpu().numpy() for name, x in inputs.items()}
        seen = [{name: array[number] for name, array in arrays.items()} for number in range(len(clip_ids))]
        with TemporaryDirectory(prefix="avrobust-") as folder, ThreadPoolExecutor(self.threads) as pool:
            shard = Path(folder) / "0.arrow"
            files = [Path(folder) / f"{number}.mp4" for number in range(len(clip_ids))]
            with store.writing(shard, **self.rates, classes=self.store.classes) as packed:
                # libav and the JPEG library let other threads run; each clip has an encoder of one thread to itself.
                for clip in pool.map(self._as_packed, clip_ids, seen, files):
                    packed.add(clip)
            view = self.views.view
            shown = EvaluationViews(view.opened([shard]), range(len(clip_ids)), view, tuple(inputs), self.views.task)
            batch = collate([shown[number] for number in range(len(clip_ids))])
            return inputs_of(batch, next(iter(inputs.values())).device)

    def _as_packed(self, clip_id: str, seen: Mapping[str, np.ndarray], file: Path) -> PackedClip:
        """Put what a net sees back into its clip, and return what is packed of `file`, which is removed again."""
        place = self.places[clip_id]
        clip = written(self.views.view, self.store, place, seen)
        frames, samples = np.round(clip.frames * 255).astype(np.uint8), clip.samples[:, None]
        try:
            encode(frames, self.rates["frame_rate"], samples, self.rates["audio_rate"], file)
        except UserError as error:
            raise UserError(f"clip {clip_id} as H.264 and AAC: {error}") from None
        made = media.read(file, None, None, Form(**self.rates, short_side=0, minimum_frames=0))
        file.unlink()
        if made.faults:
            raise UserError(
                f"clip {clip_id} as H.264 and AAC: {', '.join(made.faults)} (docs/data.md says what that is); leave it "
                "out of the list of clips, or take `coded` out of the paper's paper.yaml"
            )
        return PackedClip(
            clip_id, "test", self.store.labels[place], None, None, made.audio, made.frames, None, *made.size
        )
