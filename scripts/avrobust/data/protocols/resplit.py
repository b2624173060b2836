"""The clips of the released lists of Tian & Xu, split anew.

Zhang et al. (ICLR 2025) use the 15,516 clips of Kinetics-Sounds in 27 classes, 7:2:1 for training, validation and
test, that is 10,861, 3,103 and 1,552. They say neither which clip is where nor whether classes are balanced: here
classes are, and a hash of the video id decides.

Lists: train, val, test, and the optional times, as avrobust.data.protocols.released has them. Option:

split   `anew`: in which of the three lists a clip stands plays no part. `released`: it says the split, 6:2:2.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from avrobust.data.lists import check_names, chosen, divided
from avrobust.data.manifest import SPLITS, Clip
from avrobust.data.protocols import released

OPTIONS = {"split": ("anew", "released")}
WEIGHTS = {"train": 7, "val": 2, "test": 1}


def clips(lists: Mapping[str, Path], classes: tuple[str, ...], options: Mapping[str, str]) -> Iterator[Clip]:
    """Yield the clips in the order train, val, test, in each in the order of the lists.

    Raises UserError if a list is missing or none, a video comes twice, or an option does not exist.
    """
    option = chosen(OPTIONS, options)
    check_names(lists, SPLITS, ["times"])
    if option["split"] == "released":
        yield from released.clips(lists, classes, {})
        return
    rows = [row for name in SPLITS for row in released.read(lists[name], classes)]
    starts = released.start_times(lists, (row.video_id for row in rows))
    made = [released.clip_of(row, "", starts) for row in rows]
    yield from divided(made, [f"{row.list}, row {row.number}" for row in rows], WEIGHTS)
