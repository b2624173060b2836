"""MIT-MUSIC as its authors list it (github.com/roudimit/MUSIC_dataset), split 7:1:2 as Zhang et al. (ICLR 2025) say.

The paper counts 685 "videos of solos and duets" in 11 categories: the 536 solos and 149 duets of these lists. It leaves
open which one label a video of two instruments has, which video is in which split, and which part of a video is used.
Here a video is one clip, all of it; classes are balanced over the splits, and a hash of the video id decides.

Lists: solo, duet, JSON {"videos": {category: [id, ...]}}, where a category of duets is "instrument instrument". Option:

duets   `drop`: solos only, 375 + 54 + 107; a task of one label per clip has no right answer for a duet. `first`: all
        685, 479 + 68 + 138; a duet has the label of the instrument that its category names first.
"""

import json
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path

from avrobust.data import manifest
from avrobust.data.lists import check_names, chosen, refuse_repeats, stratified
from avrobust.data.manifest import SPLITS, Clip
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
    videos = [(Path(lists[name]).name, label, video) for name in names for label, video in _read(lists[name], classes)]
    places = [(f"{file}, {label}", video) for file, label, video in videos]
    refuse_repeats("video", array("q", (hash(video) for _, video in places)), lambda: places)
    split_of = stratified({video: label for _, label, video in videos}, WEIGHTS)
    for split in SPLITS:
        for file, label, video in videos:
            if split_of[video] == split:
                yield Clip(video, video, None, None, (label,), split, "youtube", file, "")


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
