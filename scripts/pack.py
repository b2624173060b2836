"""Pack one shard of a manifest: its clips, decoded, with random access, and what came of each."""

import argparse
import logging
from collections import Counter

from avrobust.data import availability, locations, manifest, packing, store
from avrobust.data.media import Form
from avrobust.program import UserError, natural, positive, progress, run

log = logging.getLogger(__name__)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", required=True)
    parser.add_argument("--class-list", required=True)
    parser.add_argument("--media-folder", required=True, help="what relative paths of the manifest start from")
    parser.add_argument("--shard-index", type=natural, required=True, help="which shard, from 0")
    parser.add_argument("--shards", type=positive, required=True, help="how many shards the manifest is cut into")
    parser.add_argument(
        "--locations", nargs="?", help="CSV of scripts/fetch.py; without it the manifest says where the clips are"
    )
    parser.add_argument("--audio-rate", type=positive, required=True, help="samples per second")
    parser.add_argument(
        "--stated-audio-rate",
        type=positive,
        help="the rate that the shard says it has, if not --audio-rate: the released script of Tian & Xu writes "
        "11,000 samples per second and its loader takes them for 11,025",
    )
    parser.add_argument(
        "--picked-from",
        nargs="?",
        type=positive,
        help="resample to this rate and take the nearest samples for --audio-rate, without a low-pass: the released "
        "script of Tian & Xu takes them from 44,100 samples per second",
    )
    parser.add_argument("--frame-rate", type=positive, required=True, help="frames per second")
    parser.add_argument(
        "--short-side", type=natural, required=True, help="pixels; frames are never enlarged; 0: as it is"
    )
    parser.add_argument("--minimum-frames", type=natural, required=True, help="a clip with fewer is too short")
    parser.add_argument("--failed-clips", choices=packing.FAILED_CLIPS, required=True)
    parser.add_argument("--processes", type=positive, default=1)
    parser.add_argument("--shard", required=True, help="output, Arrow")
    parser.add_argument("--availability", required=True, help="output, CSV")
    arguments = parser.parse_args()

    classes = manifest.read_classes(arguments.class_list)
    clips = manifest.shard(arguments.manifest, classes, arguments.shard_index, arguments.shards)
    if not clips:
        raise UserError(f"shard {arguments.shard_index} of {arguments.shards}: {arguments.manifest} has too few rows")
    if arguments.locations:
        folder, places = ".", locations.of_clips(arguments.locations, clips)
    else:
        folder, places = arguments.media_folder, [locations.in_manifest(clip) for clip in clips]
    form = Form(
        audio_rate=arguments.audio_rate,
        frame_rate=arguments.frame_rate,
        short_side=arguments.short_side,
        minimum_frames=arguments.minimum_frames,
        picked_from=arguments.picked_from,
    )
    stated_rate = arguments.stated_audio_rate or arguments.audio_rate
    rates = {"audio_rate": stated_rate, "frame_rate": arguments.frame_rate}
    with store.writing(arguments.shard, **rates, classes=classes) as shard:
        made = packing.pack(
            zip(clips, places, strict=True), classes, folder, form, arguments.failed_clips, arguments.processes, shard
        )
        outcomes = list(progress(made, label="packing", unit="clips", total=len(clips)))
        availability.write(arguments.availability, outcomes)
    log.info("%s", dict(Counter(outcome.status for outcome in outcomes)))


if __name__ == "__main__":
    run(main)
