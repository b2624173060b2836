"""Where each clip of a shard is found, what is asked of the web, and what is never asked again."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from clip_files import ffmpeg
from web_site import WebSite, refusal

from avrobust.data import fetching, journal
from avrobust.data.fetching import DAYS_UNTIL_GONE, Kept, Site, Video, fetched, located, locations
from avrobust.data.locations import Location
from avrobust.data.manifest import Clip
from avrobust.data.rate import Budget
from avrobust.data.refusals import AGE, GEO, GONE, GONE_MAYBE, KINDS, MEDIA, TRANSIENT, UNKNOWN
from avrobust.data.web_video import WebVideos
from avrobust.program import UserError

TODAY = datetime.now(UTC).date().isoformat()


def clip(clip_id: str, start: float | None = None, end: float | None = None, path: str = "", video: str = "") -> Clip:
    return Clip(clip_id, video or clip_id, start, end, ("a",), "train", "youtube", "list.csv", path)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"x")


def test_sources_are_tried_in_their_order(tmp_path):
    touch(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "c.mp4").touch()
    clips = [clip("a", path="a.mp4"), clip("b", path="b.mp4"), clip("c", path="c.mp4"), clip("d")]
    archive = {name: Kept(f"kept/{name}.mp4") for name in "bc"}

    def found(*sources: str) -> dict[str, tuple[str, str]]:
        made, videos = located(clips, sources, tmp_path, archive, False)
        assert [one.video_id for one in videos] == [name for name in "abcd" if made[name].status != "ok"] * (
            "youtube" in sources
        )
        assert list(made) == list("abcd")
        return {name: (one.source, one.path) for name, one in made.items() if one.status == "ok"}

    local = {name: ("local", str(tmp_path / f"{name}.mp4")) for name in "ab"}
    kept = {name: ("archive", f"kept/{name}.mp4") for name in "bc"}
    # An empty file is none, and called what it is if no other source has the clip.
    made, _ = located(clips, ["local"], tmp_path, {}, False)
    assert [made[name].reason for name in "abcd"] == ["", "", "empty_file", "no_file"]
    assert found("local") == local and found("archive") == kept and found("youtube") == {}
    assert found("local", "archive", "youtube") == kept | local
    assert found("archive", "local") == local | kept


def test_a_clip_that_nobody_has_is_pending(tmp_path):
    (one, two), none = located([clip("a"), clip("b", 1, 2)], ["local", "archive"], tmp_path, {}, True)[0].values(), []
    assert one == Location("a", "pending", "no_file") and two == Location("b", "pending", "no_file") and none == []


def test_a_file_of_other_seconds_is_no_clip_s_and_a_longer_one_holds_it_as_a_part(tmp_path):
    touch(tmp_path, "l_0_60.mp4", "m_10_20.mp4")
    archive = {"v": Kept("v.mp4", (10.0, 20.0)), "w": Kept("w.mp4", (0.0, 60.0)), "x": Kept("x.mp4")}
    clips = [
        clip("v1", 10.4, 20.4, video="v"), clip("v2", 50, 60, video="v"), clip("v3", video="v"), clip("w", 20, 30),
        clip("x", 7, 9), clip("l", 20, 30, "l_0_60.mp4"), clip("m", 10, 20, "m_10_20.mp4"),
    ]  # fmt: skip
    made, videos = located(clips, ["local", "archive"], tmp_path, archive, True)
    assert videos == []
    assert {name: (one.status, one.reason, one.start, one.end) for name, one in made.items()} == {
        "v1": ("ok", "", None, None),
        "v2": ("pending", "other_span", None, None),
        "v3": ("ok", "", None, None),
        "w": ("ok", "", 20, 30),
        "x": ("ok", "", None, None),
        "l": ("ok", "", 20, 30),
        "m": ("ok", "", None, None),
    }
    # The web has what the archive has not.
    _, (video,) = located(clips, ["local", "archive", "youtube"], tmp_path, archive, True)
    assert (video.video_id, video.span) == ("v", (50, 60))


def test_one_video_is_asked_for_once_for_all_its_clips(tmp_path):
    clips = [
        clip("a", 30, 40, video="v"),
        clip("b", 5, 15, video="v"),
        clip("c", 1, 2, video="w"),
        clip("d", video="u"),
    ]
    _, videos = located(clips, ["youtube"], tmp_path, {}, False)
    assert videos == [
        Video("v", (5, 40), tuple(clips[:2])),
        Video("w", (1, 2), (clips[2],)),
        Video("u", None, (clips[3],)),
    ]
    # One clip that is the whole video makes it the whole video for the others, too.
    both = [clip("a", 30, 40, video="v"), clip("b", video="v")]
    assert located(both, ["youtube"], tmp_path, {}, False)[1] == [Video("v", None, tuple(both))]
    # A part whose place nobody knows cannot be asked for.
    made, videos = located(both, ["youtube"], tmp_path, {}, True)
    assert made["b"] == Location("b", "pending", "no_start_time") and videos == [Video("v", (30, 40), (both[0],))]


def test_clips_are_placed_in_what_was_fetched():
    video = Video("v", (5.0, 40.0), (clip("a", 30.0, 40.0, video="v"), clip("b", 5.0, 15.0, video="v")))
    record = {"kind": "ok", "reason": "", "file": "v_0_1.mp4", "offset": 2.0}
    assert locations(video, record, Path("media")) == [
        Location("a", "ok", "", "youtube", "media/v_0_1.mp4", 28.0, 38.0),
        Location("b", "ok", "", "youtube", "media/v_0_1.mp4", 3.0, 13.0),
    ]
    whole = Video("v", None, (clip("a"),))
    assert locations(whole, record | {"offset": 0.0}, Path("m")) == [Location("a", "ok", "", "youtube", "m/v_0_1.mp4")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("days", [1, 2, 4, 5])
def test_a_refusal_becomes_a_status(kind, days):
    record = {"kind": kind, "reason": "said", "days": [f"2026-01-0{day + 1}" for day in range(days)]}
    (made,) = locations(Video("v", None, (clip("v"),)), record, Path())
    final = {GONE: "gone", GEO: "geo", AGE: "age", MEDIA: "media"}
    # "Unavailable" counts when it was said on two days, what nobody knows on five.
    if (kind == GONE_MAYBE and days >= 2) or (kind == UNKNOWN and days >= 5):
        final[kind] = "gone"
    assert made == Location("v", final.get(kind, "pending"), "said", "youtube")
    assert DAYS_UNTIL_GONE == {GONE_MAYBE: 2, UNKNOWN: 5}


@pytest.fixture
def site():
    with WebSite() as running:
        yield running


def asking(site: WebSite, folder: Path, retry: str = "transient") -> Site:
    videos = WebVideos(url_template=site.template, request_pause=0, retries=0)
    return Site(videos, Budget(folder / "requests.json", 3_600_000), retry, 1)


def asked(site: WebSite) -> list[str]:
    return [path.rpartition("/")[2] for path, _ in site.asked if path.startswith("/watch/")]


@pytest.mark.parametrize(
    ("kind", "days", "again"),
    [
        # What is asked for again: by --retry transient, gone, all.
        (GONE, ["2026-01-01"], "-ga"),
        (GEO, ["2026-01-01"], "-ga"),
        (AGE, ["2026-01-01"], "-ga"),
        (MEDIA, ["2026-01-01"], "--a"),
        (TRANSIENT, [TODAY], "tga"),
        # Not twice a day, unless it is asked for by name; not when it was said on enough days.
        (GONE_MAYBE, ["2026-01-01"], "tga"),
        (GONE_MAYBE, [TODAY], "-ga"),
        (GONE_MAYBE, ["2026-01-01", "2026-01-02"], "-ga"),
        (UNKNOWN, ["2026-01-01"] * 4, "tga"),
        (UNKNOWN, [*["2026-01-01"] * 3, TODAY], "-ga"),
        (UNKNOWN, ["2026-01-01"] * 5, "-ga"),
    ],
)
def test_what_is_final_is_never_asked_for_again(site, tmp_path, monkeypatch, kind, days, again):
    site.offer("v", b"", of_page=[refusal(404)])
    for letter, retry in zip("tga", fetching.RETRIES, strict=True):
        state = tmp_path / f"{letter}.jsonl"
        with journal.writing(state) as write:
            write({"video_id": "v", "kind": kind, "reason": "said", "days": days, "attempts": 3})
        site.asked.clear()
        ((_, record),) = fetched(
            [Video("v", None, (clip("v"),))], tmp_path / "media", state, asking(site, tmp_path, retry)
        )
        assert (asked(site) != []) == (letter in again), retry
        if letter in again:
            assert (record["kind"], record["attempts"]) == (GONE_MAYBE, 4)
            assert record["days"] == sorted({*(days if kind == GONE_MAYBE else []), TODAY})
        else:
            assert (record["kind"], record["days"]) == (kind, days)


def test_what_was_fetched_is_kept_and_fetched_again_if_it_is_lost(site, tmp_path):
    sources = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=8:d=2", "-f", "lavfi", "-i", "sine=d=2")
    ffmpeg(*sources, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", tmp_path / "made.mp4")
    site.offer("v", tmp_path / "made.mp4")
    state, media = tmp_path / "s.jsonl", tmp_path / "media"
    videos = [Video("v", None, (clip("v"),))]
    for times, damaged in ((1, False), (1, True), (2, True), (3, False)):
        ((_, record),) = fetched(videos, media, state, asking(site, tmp_path, "transient"))
        assert len(asked(site)) == times and record["kind"] == "ok" and record["days"] == []
        assert (media / record["file"]).stat().st_size == record["bytes"]
        if damaged:
            (media / record["file"]).write_bytes(b"cut")
            # What a killed download leaves behind.
            (media / ".part-1-00000000-v.mp4").mkdir()
        assert [path.name for path in media.iterdir() if not path.name.startswith(".part")] == ["v.mp4"]
    assert [path.name for path in media.iterdir()] == ["v.mp4"]
    (last,) = {one["video_id"]: one for one in journal.read(state)}.values()
    assert last["file"] == "v.mp4" and last["span"] is None and last["offset"] == 0.0


def test_five_videos_in_a_row_that_the_tool_cannot_read_are_its_own_fault(site, tmp_path):
    state, names = tmp_path / "s.jsonl", [f"v{number}" for number in range(11)]
    for name in names:
        # A page of two videos is what nobody can choose from.
        site.offer(name, b"", files=2)
    site.offer("v4", b"", of_page=[refusal(404)])
    videos = [Video(name, None, (clip(name),)) for name in names]
    with pytest.raises(UserError, match="5 videos in a row could not be read by yt-dlp"):
        list(fetched(videos, tmp_path / "media", state, asking(site, tmp_path)))
    # Four, one that is gone, and five.
    assert [record["video_id"] for record in journal.read(state)] == names[:10]


def test_a_disk_that_is_nearly_full_stops_before_the_next_video(site, tmp_path):
    site.offer("v", b"")
    full = Site(asking(site, tmp_path).videos, Budget(tmp_path / "r", 3_600_000), "transient", 10**18)
    with pytest.raises(UserError, match=r"3 videos of this shard need about 0\.0 GB more"):
        list(fetched([Video(name, None, (clip(name),)) for name in "vwx"], tmp_path / "media", tmp_path / "s", full))
    assert asked(site) == []


def test_what_may_pass_is_tried_four_times_with_longer_and_longer_waits(site, tmp_path, monkeypatch):
    site.offer("v", b"", of_page=[refusal(503)])
    waits: list[float] = []
    monkeypatch.setattr(fetching.time, "sleep", waits.append)
    ((_, record),) = fetched([Video("v", None, (clip("v"),))], tmp_path / "m", tmp_path / "s", asking(site, tmp_path))
    assert (record["kind"], record["attempts"], len(asked(site))) == (TRANSIENT, 4, 4)
    # Two seconds, four, eight, each random by half of it; the budget's own waits are thousandths.
    waits = [wait for wait in waits if wait >= 1]
    assert [low <= wait <= 3 * low for wait, low in zip(waits, (1, 2, 4), strict=True)] == [True] * 3
