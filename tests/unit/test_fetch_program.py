"""The program that fetches: from its command line to a shard's locations, out of all three sources."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from clip_files import ffmpeg
from web_site import WebSite, refusal

from avrobust.data import manifest
from avrobust.data.manifest import Clip

SCRIPTS = Path(__file__).parents[2] / "scripts"


def clip(clip_id: str, start: float | None = None, end: float | None = None, path: str = "") -> Clip:
    return Clip(clip_id, clip_id, start, end, ("a",), "train", "youtube", "list.csv", path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two shards of three clips; a folder has `here`, an archive the two of `kept`, the web `web` but not `gone`."""
    clips = [clip("here", path="here.mp4"), clip("kept", 12, 14), clip("first")]
    clips += [clip("whole"), clip("web"), clip("gone")]
    manifest.write(tmp_path / "manifest.csv", clips)
    (tmp_path / "media").mkdir()
    (tmp_path / "media/here.mp4").write_bytes(b"x")
    (tmp_path / "archive.csv").write_text(
        "video_id,file,start,end\nkept,kept_10.mp4,10.0,20.0\nwhole,whole.mp4,,\n", encoding="utf-8"
    )
    return tmp_path


def fetch(folder: Path, shard: int, site: WebSite, *more: str) -> tuple[list[dict[str, str]], str]:
    """Return the locations of a shard, and the log."""
    web = {"url_template": site.template, "request_pause": 0, "retries": 0}
    words = [
        *("--manifest", "manifest.csv", "--shard-index", str(shard), "--shards", "2"),
        *("--sources", "local", "archive", "youtube", "--media-folder", "media", "--archive", "archive.csv"),
        *("--folder", "fetched", "--web", json.dumps(web), "--videos-per-hour", "360000", "--keep-free-gb", "0.001"),
        *("--state", "state.jsonl", "--locations", "locations.csv"),
    ]
    made = subprocess.run(
        [sys.executable, SCRIPTS / "fetch.py", *words, *more], cwd=folder, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    with (folder / "locations.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file)), made.stderr


def test_clips_are_found_where_they_are_and_counted(folder: Path) -> None:
    sources = ("-f", "lavfi", "-i", "testsrc=s=64x48:r=8:d=2", "-f", "lavfi", "-i", "sine=d=2")
    ffmpeg(*sources, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", folder / "made.mp4")
    with WebSite() as site:
        for name in ("first", "web"):
            site.offer(name, folder / "made.mp4")
        site.offer("gone", b"", of_page=[refusal(404)])
        (here, kept, first), _ = fetch(folder, 0, site)
        (whole, web, gone), log = fetch(folder, 1, site)
        pages = [path.rpartition("/")[2] for path, _ in site.asked if path.startswith("/watch/")]
        assert pages == ["first", "web", "gone"]
    place = ("clip_id", "status", "source", "path", "start", "end")
    assert [here[name] for name in place] == ["here", "ok", "local", "media/here.mp4", "", ""]
    # Seconds 12 to 14 of a video of which 10 to 20 are kept.
    assert [kept[name] for name in place] == ["kept", "ok", "archive", "fetched/kept_10.mp4", "2.0", "4.0"]
    assert [whole[name] for name in place] == ["whole", "ok", "archive", "fetched/whole.mp4", "", ""]
    for one in (first, web):
        name = one["clip_id"]
        assert [one[fact] for fact in place] == [name, "ok", "youtube", f"fetched/{name}.mp4", "", ""]
        assert (folder / one["path"]).read_bytes()
    assert [gone[name] for name in place] == ["gone", "pending", "youtube", "", "", ""] and "404" in gone["reason"]
    # The rate is shared by all that fetch from here, beside the folder.
    assert (folder / "requests.json").is_file()
    # What is counted of the web while it goes on, and of all clips at the end.
    assert re.search(r"^fetching: 2/2 \(.* videos.*, 1 ok, 1 pending\)$", log, flags=re.MULTILINE), log
    assert log.splitlines()[-1].endswith("1 ok archive, 1 ok youtube, 1 pending youtube"), log


def test_nothing_is_asked_of_the_web_for_a_part_of_a_video_that_nobody_knows(folder: Path) -> None:
    with WebSite() as site:
        locations, log = fetch(folder, 1, site, "--spans-needed")
        assert site.asked == []
    assert [one["reason"] for one in locations[1:]] == ["no_start_time"] * 2
    assert log.splitlines()[-1].endswith("1 ok archive, 2 pending")


def test_an_unknown_word_about_the_web_is_one_line(folder: Path) -> None:
    words = ["--manifest", "manifest.csv", "--shard-index", "0", "--shards", "2", "--sources", "youtube"]
    words += [
        "--media-folder",
        "media",
        "--folder",
        "f",
        "--state",
        "s",
        "--locations",
        "l",
        "--web",
        '{"cookie": "c"}',
    ]
    made = subprocess.run([sys.executable, SCRIPTS / "fetch.py", *words], cwd=folder, capture_output=True, text=True)
    assert made.returncode == 1
    assert made.stderr == "error: --web: got an unexpected keyword argument 'cookie'\n"
