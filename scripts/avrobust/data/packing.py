"""From manifest rows to one shard: decode in several processes, write in the manifest's order."""

import gc
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from avrobust.data import media
from avrobust.data.availability import Outcome
from avrobust.data.locations import Location
from avrobust.data.manifest import Clip
from avrobust.data.media import Form, Media
from avrobust.data.shards import ShardWriter
from avrobust.data.store import PackedClip
from avrobust.processes import in_order

# What becomes of a clip that is not ok: left out, or packed as blank frames and silence with its labels,
# as the loader that Tian & Xu released does.
FAILED_CLIPS = ("drop", "zero_fill")


def pack(
    clips: Iterable[tuple[Clip, Location]],
    classes: Iterable[str],
    media_folder: str | Path,
    form: Form,
    failed_clips: str,
    processes: int,
    shard: ShardWriter,
) -> Iterator[Outcome]:
    """Decode each clip where it was located, add it to the shard, and yield what came of it, in the order of `clips`.

    A clip whose file is missing, broken or unfit is an outcome, not an error. Raises UserError if a file
    kills the decoding process, and names the files it may have been.
    """
    number = {name: index for index, name in enumerate(classes)}
    for (clip, location), made in in_order(partial(_decoded, Path(media_folder), form), clips, processes):
        status, reason = location.status, location.reason
        if made.faults:
            status, reason = "pending" if made.faults == ("no_file",) else "media", "+".join(made.faults)
        ok = status == "ok"
        yield Outcome(clip.clip_id, clip.split, clip.labels, status, reason, len(made.frames), len(made.audio))
        if not ok and failed_clips == "drop":
            continue
        kept = made if ok else media.blank(form)
        labels = tuple(number[name] for name in clip.labels)
        span, size = (clip.start, clip.end), kept.size
        shard.add(PackedClip(clip.clip_id, clip.split, labels, *span, kept.audio, kept.frames, clip.box, *size))


def _decoded(folder: Path, form: Form, located: tuple[Clip, Location]) -> Media:
    _, location = located
    if location.status != "ok":
        return media.NOTHING
    made = media.read(folder / location.path, location.start, location.end, form)
    # PyAV leaves a frame in a cycle of references, and Python, which sees a small object, is in no hurry.
    gc.collect()
    return made
