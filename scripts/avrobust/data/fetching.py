"""The clips of a shard from their sources in the configured order: a folder, an archive, the web.

What came of each video of the web is written to a journal at once, so that a later run asks only for what is missing.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from avrobust.data import journal, spans
from avrobust.data.disk import check_room
from avrobust.data.local_files import part
from avrobust.data.locations import Location
from avrobust.data.manifest import Clip
from avrobust.data.rate import Budget
from avrobust.data.refusals import AGE, GEO, GONE, GONE_MAYBE, MEDIA, THROTTLED, TOOL, TRANSIENT, UNKNOWN
from avrobust.data.spans import Span
from avrobust.data.web_video import Refused, WebVideos, fetch
from avrobust.files import remove_leftovers
from avrobust.program import UserError

log = logging.getLogger(__name__)

SOURCES = ("local", "archive", "youtube")

# What a run tries again. `transient`: what may be another time. `gone`: what the site refused, too. `all`: also what
# came and was unfit.
RETRIES = ("transient", "gone", "all")
FINAL = {"transient": (GONE, GEO, AGE, MEDIA), "gone": (MEDIA,), "all": ()}

STATUS = {GONE: "gone", GEO: "geo", AGE: "age", MEDIA: "media"}

# "Video unavailable" is sometimes said of videos that are there: it counts when it was said on so many days. So does
# what the site says in words that nobody has classified, so that it is not asked for ever.
DAYS_UNTIL_GONE = {GONE_MAYBE: 2, UNKNOWN: 5}

# Tries of one video in a run, and seconds before the next one; each wait is twice the one before, and random by half.
TRIES, FIRST_WAIT = 4, 2.0

# A video of ten seconds at 360 lines, as long as none was fetched.
USUAL_BYTES = 1_500_000

# So many videos in a row that the tool cannot read are its own fault, not theirs.
TOOL_FAILURES = 5


class Site(NamedTuple):
    """A web site as source: how videos are asked for, at which rate, and which refusals are asked again."""

    videos: WebVideos
    budget: Budget
    retry: str
    keep_free: int


class Video(NamedTuple):
    """A video of the web and its clips; `span` covers them, in seconds of the video; None: the whole video."""

    video_id: str
    span: tuple[float, float] | None
    clips: tuple[Clip, ...]


class Kept(NamedTuple):
    """What was kept of a video out of an archive: its file, and which seconds these are by its name, if it says so."""

    path: str
    span: Span | None = None


def located(
    clips: Sequence[Clip], sources: Iterable[str], media: Path, archive: Mapping[str, Kept], spans_needed: bool
) -> tuple[dict[str, Location], list[Video]]:
    """Return the clips that a folder or an archive has, clip id -> location, and the videos to ask the web for.

    `sources`: of SOURCES, in order. `media`: the folder that relative paths of the manifest start from. `archive`:
    video id -> what was kept of it. A clip that no source has is located as pending, as is one whose place in the video
    is not known although it is a part of it (`spans_needed`), and one of which only other seconds were kept.
    """
    found: dict[str, Location] = {}
    wanted: dict[str, list[Clip]] = {}
    for clip in clips:
        place = Location(clip.clip_id, "pending", "no_file")
        for source in sources:
            if source == "local" and clip.path and (path := media / clip.path).is_file():
                place = place._replace(reason="empty_file")
                if path.stat().st_size:
                    place = Location(clip.clip_id, "ok", "", source, str(path), *part(clip))
            elif source == "archive" and clip.video_id in archive:
                place, kept = place._replace(reason="other_span"), archive[clip.video_id]
                if spans.covers(kept.span, clip.start, clip.end):
                    seconds = spans.part(kept.span, clip.start, clip.end)
                    place = Location(clip.clip_id, "ok", "", source, kept.path, *seconds)
            elif source == "youtube" and spans_needed and clip.start is None:
                place = place._replace(reason="no_start_time")
            elif source == "youtube":
                wanted.setdefault(clip.video_id, []).append(clip)
            if place.status == "ok" or source == "youtube":
                break
        found[clip.clip_id] = place
    return found, [_video(video_id, of_video) for video_id, of_video in wanted.items()]


def _video(video_id: str, clips: list[Clip]) -> Video:
    whole = any(clip.start is None for clip in clips)
    span = None if whole else (min(clip.start for clip in clips), max(clip.end for clip in clips))
    return Video(video_id, span, tuple(clips))


def fetched(videos: Sequence[Video], folder: Path, state: Path, site: Site) -> Iterator[tuple[Video, dict]]:
    """Bring every video into `folder` unless that is done, and yield it with its last record, in order.

    A record has `video_id`, `kind` (`ok` or a kind of avrobust.data.refusals), `reason`, `days` (on which that was the
    answer), `attempts`, `time`, and where the kind is `ok` `file`, `offset`, `bytes` and `span`.

    Raises UserError: the disk is nearly full, the site wants no more requests for a long time, or the tool is too old.
    What is done stays done: the same command goes on.
    """
    tool_failures = 0
    # A program that outlived its killed Snakemake may still be at these videos.
    with journal.alone(state), journal.writing(state) as write:
        remove_leftovers(folder)
        records = {record["video_id"]: record for record in journal.read(state)}
        for number, video in enumerate(videos):
            record = records.get(video.video_id)
            if not _is_done(record, video, folder, site.retry):
                _check_disk(folder, site.keep_free, len(videos) - number, records.values())
                record = _fetched(video, folder, site, record)
                write(record)
                records[video.video_id] = record
                tool_failures = tool_failures + 1 if record["kind"] == TOOL else 0
                if tool_failures == TOOL_FAILURES:
                    raise UserError(
                        f"{TOOL_FAILURES} videos in a row could not be read by yt-dlp ({record['reason']}); it is too "
                        "old or lacks a JavaScript runtime: install a newer yt-dlp and deno, then go on"
                    )
            yield video, record


def locations(video: Video, record: Mapping, folder: Path) -> list[Location]:
    """Return where the clips of a video are, given its last record."""
    kind, reason = record["kind"], record["reason"]
    if kind != "ok":
        if _is_gone_by_days(record):
            kind = GONE
        status = STATUS.get(kind, "pending")
        return [Location(clip.clip_id, status, reason, "youtube") for clip in video.clips]
    path, offset = str(folder / record["file"]), record["offset"]
    return [
        Location(clip.clip_id, "ok", "", "youtube", path)
        if clip.start is None
        else Location(clip.clip_id, "ok", "", "youtube", path, clip.start - offset, clip.end - offset)
        for clip in video.clips
    ]


def _is_done(record: Mapping | None, video: Video, folder: Path, retry: str) -> bool:
    if record is None:
        return False
    if record["kind"] == "ok":
        path = folder / record["file"]
        same = record["span"] == (list(video.span) if video.span else None)
        return same and path.is_file() and path.stat().st_size == record["bytes"]
    if record["kind"] in DAYS_UNTIL_GONE:
        final = _is_gone_by_days(record) and GONE in FINAL[retry]
        return final or (retry == "transient" and record["days"][-1] == _today())
    return record["kind"] in FINAL[retry]


def _is_gone_by_days(record: Mapping) -> bool:
    return record["kind"] in DAYS_UNTIL_GONE and len(record["days"]) >= DAYS_UNTIL_GONE[record["kind"]]


def _fetched(video: Video, folder: Path, site: Site, last: Mapping | None) -> dict:
    """Ask for a video, several times if need be, and return its record."""
    random = Random(video.video_id)
    seconds = "".join(f"_{round(1000 * second)}" for second in video.span or ())
    target = folder / f"{video.video_id}{seconds}.mp4"
    before = last or {"attempts": 0, "days": [], "kind": ""}
    for attempt in range(1, TRIES + 1):
        site.budget.acquire(site.videos.host)
        record = {"video_id": video.video_id, "attempts": before["attempts"] + attempt, "time": journal.now()}
        try:
            made = fetch(video.video_id, video.span, target, site.videos)
        except Refused as refused:
            record |= {"kind": str(refused.kind), "reason": refused.reason}
            if refused.kind == THROTTLED:
                site.budget.throttled(site.videos.host, refused.retry_after)
                continue
            if refused.kind == TRANSIENT and attempt < TRIES:
                time.sleep(FIRST_WAIT * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))
                continue
        else:
            site.budget.succeeded(site.videos.host)
            came = {"file": made.path.name, "offset": made.offset, "bytes": made.bytes, "span": video.span}
            came |= {"seconds": made.seconds, "height": made.height, "yt_dlp": made.ytdlp_version}
            return record | came | {"kind": "ok", "reason": "", "days": []}
        break
    same = before["days"] if before["kind"] == record["kind"] else []
    return record | {"days": sorted({*same, _today()})}


def _check_disk(folder: Path, keep_free: int, videos: int, records: Iterable[Mapping]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    sizes = [record["bytes"] for record in records if record["kind"] == "ok"] or [USUAL_BYTES]
    size = videos * sum(sizes) / len(sizes) / 1e9
    check_room(folder, keep_free, more=f"; {videos} videos of this shard need about {size:.1f} GB more")


def _today() -> str:
    return journal.now()[:10]
