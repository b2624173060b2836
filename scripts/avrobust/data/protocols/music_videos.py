"""MIT-MUSIC as its authors list it (github.com/roudimit/MUSIC_dataset), split 7:1:2 as Zhang et al. (ICLR 2025) say.

The paper counts 685 "videos of solos and duets" in 11 categories: the 536 solos and 149 duets of these lists. It leaves
open which one label a video of two instruments has, which video is in which split, and which part of a video is used.
Here a video is one clip, all of it; classes are balanced over the splits, and a hash of the video id decides.

Lists: solo, duet, JSON {"videos": {category: [id, ...]}}, where a category of duets is "instrument instrument". Option:

duets   `drop`: solos only, 375 + 54 + 107; a task of one label per clip has no right answer for a duet. `first`: all
        685, 479 + 68 + 138; a duet has the label of the instrument that its category names first.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from avrobust.data import manifest
from avrobust.data.lists import check_names, chosen, divided
from avrobust.data.manifest import Clip
from avrobust.program import UserError

OPTIONS = {"duets": ("drop", "first")}
WEIGHTS = {"train": 7, "val": 1, "test": 2}


def clips(lists: Mapping[str, Path], classes: tuple[str, ...], options: Mapping[str, str]) -> Iterator[Clip]:
    """Yield the clips in the order train, val, test, in each in the order of the lists, solos first.

    Raises UserError if a list is missing or none, names another instrument, or a video comes twice.
    """
    option = chosen(OPTIONS, options)
    check_names(lists, ["solo", "duet"])
    names = ["solo", "duet"] if option["duets"] == "first" else ["solo"]
    made = [
        Clip(video, video, None, None, (label,), "", "youtube", Path(lists[name]).name, "")
        for name in names
        for label, video in _read(lists[name], classes)
    ]
    yield from divided(made, [f"{clip.list}, {clip.labels[0]}" for clip in made], WEIGHTS)


def _read(path: str | Path, classes: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield (the instrument named first, video id)."""
    with manifest.readable(path):
        text = Path(path).read_text(encoding="utf-8-sig")
    try:
        categories = json.loads(text)["videos"].items()
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise UserError(f'{path}: not a list of MIT-MUSIC, {{"videos": {{category: [id, ...]}}}}') from None
    for category, videos in categories:
        where = f"{path}, category {category!r}"
        for instrument in category.split(" "):
            manifest.labels(where, instrument, frozenset(classes))
        if not isinstance(videos, list) or not all(isinstance(video, str) and video for video in videos):
            raise UserError(f"{where}: not a list of video ids")
        for video in videos:
            yield category.split(" ")[0], video
