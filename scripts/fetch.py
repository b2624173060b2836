"""Locate the clips of one shard: in a folder, in what was kept of an archive, or by fetching them from the web.

Killed at any point, the same command goes on with the videos that are missing.
"""

import argparse
import csv
import logging
from collections import Counter
from pathlib import Path

from avrobust.data import locations, manifest
from avrobust.data.fetching import RETRIES, SOURCES, Kept, Site, fetched, located
from avrobust.data.fetching import locations as locations_of
from avrobust.data.rate import Budget
from avrobust.data.web_video import WebVideos
from avrobust.program import UserError, json_argument, natural, positive, progress, run

log = logging.getLogger("fetch")


def arguments() -> argparse.Namespace:
    """Return the command line's values."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--shard-index", type=natural, required=True, help="which shard, from 0")
    parser.add_argument("--shards", type=positive, required=True, help="how many shards the manifest is cut into")
    parser.add_argument("--sources", nargs="+", choices=SOURCES, required=True, help="in the order of trying")
    parser.add_argument("--media-folder", type=Path, required=True, help="where relative paths of the manifest start")
    parser.add_argument("--archive", nargs="?", type=Path, help="CSV of scripts/archive.py")
    parser.add_argument("--folder", type=Path, required=True, help="where fetched and kept videos lie")
    parser.add_argument("--spans-needed", action="store_true", help="a clip is a part of its video, never the whole")
    parser.add_argument("--web", type=json_argument, default={}, help="JSON of an avrobust.data.web_video.WebVideos")
    parser.add_argument("--videos-per-hour", type=float, default=250.0, help="of one host, all processes together")
    parser.add_argument("--rate-file", type=Path, help="what these processes share; default: beside --folder")
    parser.add_argument("--keep-free-gb", type=float, default=10.0, help="stop before less is free on the disk")
    parser.add_argument("--retry", choices=RETRIES, default="transient", help="which refusals to ask again")
    parser.add_argument("--state", type=Path, required=True, help="journal of what was fetched; it survives a kill")
    parser.add_argument("--locations", type=Path, required=True, help="output, CSV")
    return parser.parse_args()


def main() -> None:
    """Run the program."""
    given = arguments()
    clips = manifest.shard(given.manifest, None, given.shard_index, given.shards)
    found, videos = located(clips, given.sources, given.media_folder, _archive(given), given.spans_needed)
    rate_file = given.rate_file or given.folder.with_name("requests.json")
    try:
        videos_of_site = WebVideos(**given.web)
    except TypeError as error:
        raise UserError(f"--web: {str(error).removeprefix('WebVideos.__init__() ')}") from None
    site = Site(
        videos_of_site,
        Budget(rate_file, given.videos_per_hour),
        given.retry,
        round(given.keep_free_gb * 1e9),
    )
    counts: Counter[str] = Counter()
    made = fetched(videos, given.folder, given.state, site) if videos else ()
    for video, record in progress(made, label="fetching", unit="videos", total=len(videos), note=lambda: _told(counts)):
        for location in locations_of(video, record, given.folder):
            found[location.clip_id] = location
            counts[location.status] += 1
    locations.write(given.locations, (found[clip.clip_id] for clip in clips))
    statuses = Counter(f"{one.status} {one.source}".strip() for one in found.values())
    log.info("%s", _told(statuses))


def _archive(given: argparse.Namespace) -> dict[str, Kept]:
    if not given.archive:
        return {}
    with given.archive.open(encoding="utf-8", newline="") as file:
        return {
            row["video_id"]: Kept(str(given.folder / row["file"]), (float(row["start"]), float(row["end"])))
            if row["start"]
            else Kept(str(given.folder / row["file"]))
            for row in csv.DictReader(file)
        }


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))


if __name__ == "__main__":
    run(main)
