"""From manifest rows to one shard: decode in several processes, write in the manifest's order."""

import gc
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import TypeVar

from avrobust.data import media
from avrobust.data.availability import Outcome
from avrobust.data.manifest import Clip
from avrobust.data.media import Form, Media
from avrobust.data.store import PackedClip, ShardWriter
from avrobust.program import UserError

Given, Made = TypeVar("Given"), TypeVar("Made")

# What becomes of a clip that is not ok: left out, or packed as blank frames and silence with its labels,
# as the loader that Tian & Xu released does.
FAILED_CLIPS = ("drop", "zero_fill")

# Clips under way for each process: enough that none waits, few enough that memory stays flat.
CLIPS_UNDER_WAY = 3


def pack(
    clips: Iterable[Clip],
    classes: Iterable[str],
    media_folder: str | Path,
    form: Form,
    failed_clips: str,
    processes: int,
    shard: ShardWriter,
) -> Iterator[Outcome]:
    """Decode each clip, add it to the shard, and yield what came of it, in the order of `clips`.

    A clip whose file is missing, broken or unfit is an outcome, not an error. Raises UserError if a file
    kills the decoding process, and names the files it may have been.
    """
    number = {name: index for index, name in enumerate(classes)}
    for clip, made in in_order(partial(_decoded, Path(media_folder), form), clips, processes):
        ok = not made.faults
        status = "ok" if ok else "pending" if made.faults == ("no_file",) else "media"
        yield Outcome(
            clip.clip_id,
            clip.split,
            clip.labels,
            status,
            "+".join(made.faults),
            len(made.frames),
            len(made.audio),
        )
        if not ok and failed_clips == "drop":
            continue
        kept = made if ok else media.blank(form)
        shard.add(
            PackedClip(
                clip_id=clip.clip_id,
                split=clip.split,
                labels=tuple(number[name] for name in clip.labels),
                start=clip.start,
                end=clip.end,
                audio=kept.audio,
                frames=kept.frames,
                box=clip.box,
                width=kept.size[0],
                height=kept.size[1],
            )
        )


def in_order(make: Callable[[Given], Made], given: Iterable[Given], processes: int) -> Iterator[tuple[Given, Made]]:
    """Yield (item, make(item)) in the order given, made in that many processes, never far ahead.

    One process means this one. Raises UserError if a process dies, and names the items it may have been.
    """
    if processes == 1:
        yield from ((item, make(item)) for item in given)
        return
    # Not forked: the libraries in use hold threads and locks.
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"))
    under_way: deque[tuple[Given, Future[Made]]] = deque()
    try:
        for item in given:
            under_way.append((item, pool.submit(make, item)))
            if len(under_way) == CLIPS_UNDER_WAY * processes:
                yield under_way[0][0], under_way[0][1].result()
                under_way.popleft()
        while under_way:
            yield under_way[0][0], under_way[0][1].result()
            under_way.popleft()
    except BrokenProcessPool:
        suspects = "; ".join(str(item) for item, future in under_way if not future.done() or future.exception())
        raise UserError(f"a decoding process died, from a crash or lack of memory, at one of: {suspects}") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _decoded(folder: Path, form: Form, clip: Clip) -> Media:
    # An empty path is no file; joined to the folder it would be the folder, which is none either.
    made = media.read(folder / clip.path, clip.start, clip.end, form)
    # PyAV leaves a frame in a cycle of references, and Python, which sees a small object, is in no hurry.
    gc.collect()
    return made
