"""scripts/archive.py as a program, against a web server on the loopback: what it writes, says, and survives."""

import csv
import hashlib
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from archive_site import clips_tar, content, tree, write_manifest

PROGRAM = Path(__file__).resolve().parents[3] / "scripts/archive.py"


@pytest.fixture
def command(tmp_path):
    """Return a function that makes the command line for some wanted videos and more arguments."""

    def made(wanted, *arguments):
        manifest = write_manifest(tmp_path / "manifest.csv", wanted)
        places = {"--folder": "media", "--state": "state.jsonl", "--output": "archive.csv"}
        fixed = [f"{option}={tmp_path / name}" for option, name in places.items()]
        quick = ["--keep-free-gb=0.001", "--wait=0.01"]
        return [sys.executable, PROGRAM, f"--manifest={manifest}", *fixed, *quick, *map(str, arguments)]

    return made


def ran(command, status=0):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def table(path):
    with path.open(newline="") as file:
        return {row.pop("video_id"): row for row in csv.DictReader(file)}


def test_lists_of_parts_become_a_table(site, tmp_path, command):
    site.files = {
        "/k400/1.tar.gz": clips_tar("train/-b_000001_000011.mp4", "train/c_000001_000011.mp4"),
        "/k400/2.tar.gz": clips_tar("../../a.mp4", mode="w"),
        "/k400/train.txt": f"{site.url}/k400/1.tar.gz\n{site.url}/k400/gone.tar.gz\n".encode(),
        "/k400/val.txt": b"2.tar.gz\n",
    }
    line = command(["a", "-b", "nowhere"], "--part-list", f"{site.url}/k400/train.txt", f"{site.url}/k400/val.txt")
    told = ran(line)
    expected = "video_id,file,bytes,sha256,part,start,end\n"
    for video, name, part in (("-b", "train/-b_000001_000011.mp4", 1), ("a", "../../a.mp4", 2)):
        digest = hashlib.sha256(content(name)).hexdigest()
        expected += (
            f"{video},{video}.mp4,30000,{digest},{site.url}/k400/{part}.tar.gz,{'1.0,11.0' if part == 1 else ','}\n"
        )
    assert (tmp_path / "archive.csv").read_bytes().decode() == expected
    assert set(tree(tmp_path)) == {
        "manifest.csv", "state.jsonl", "state.jsonl.lock", "archive.csv", "media/-b.mp4", "media/a.mp4",
    }  # fmt: skip
    assert "gone.tar.gz: the server does not have it" in told
    assert "2 of 3 wanted videos are there, 1 in no part that was read" in told
    assert "1 parts missing, 2 parts read" in told and "3/3" in told and "MB/s, 2 of 3 found" in told
    # Again: only the missing part is asked for, and the table is the same to the byte.
    site.asked.clear()
    ran(line)
    assert [path for path in site.asked if "tar" in path] == ["/k400/gone.tar.gz"]
    assert (tmp_path / "archive.csv").read_bytes().decode() == expected


def test_a_failed_part_is_named_and_the_next_run_goes_on_with_it_only(site, tmp_path, command):
    site.files = {f"/{number}.tar.gz": clips_tar(f"v{number}.mp4", f"w{number}.mp4") for number in (1, 2, 3)}
    site.cut["/2.tar.gz"] = 3
    parts = [f"{site.url}{path}" for path in site.files]
    line = command(["v1", "v2", "v3"], "--tries=3", "--parts", *parts)
    told = ran(line, status=1)
    assert told.splitlines()[-1] == (
        f"error: 1 of 3 parts could not be read: {parts[1]}; run the same command again: it goes on with these only"
    )
    assert not (tmp_path / "archive.csv").exists() and site.asked == {"/1.tar.gz": 1, "/2.tar.gz": 3, "/3.tar.gz": 1}
    ran(line)
    assert site.asked == {"/1.tar.gz": 1, "/2.tar.gz": 4, "/3.tar.gz": 1}
    assert {video: row["part"] for video, row in table(tmp_path / "archive.csv").items()} == {
        f"v{number}": part for number, part in enumerate(parts, start=1)
    }
    # With all there nothing is asked for, not even the list.
    ran(line)
    assert site.asked.total() == 6


def test_killed_in_the_middle_of_a_part_it_goes_on(site, tmp_path, command):
    names = [f"s{number:02}_000001_000011.mp4" for number in range(100)]
    site.files = {
        "/quick.tar.gz": clips_tar("q.mp4"),
        "/slow.tar.gz": clips_tar(*names),
        "/none.tar.gz": clips_tar("n.mp4"),
    }
    site.slow["/slow.tar.gz"] = 0.5
    wanted = ["q", *(name.partition("_")[0] for name in names)]
    line = command(wanted, "--connections=1", "--parts", *(f"{site.url}{path}" for path in site.files))
    running = subprocess.Popen(line, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while len(list((tmp_path / "media").glob("s*.mp4"))) < 10 and time.monotonic() < deadline:
            time.sleep(0.01)
    finally:
        running.kill()
        running.wait()
    left = tree(tmp_path / "media")
    whole = {"q.mp4": content("q.mp4")} | {f"{name[:3]}.mp4": content(name) for name in names}
    assert 10 < len([name for name in left if not name.startswith(".")]) < 101
    assert all(whole[name] == data for name, data in left.items() if not name.startswith("."))
    (record,) = map(json.loads, (tmp_path / "state.jsonl").read_text().splitlines())
    assert record["part"] == f"{site.url}/quick.tar.gz" and not (tmp_path / "archive.csv").exists()

    # As if killed while it wrote, too.
    with (tmp_path / "state.jsonl").open("a") as state:
        state.write('{"part": "http://127')
    site.slow.clear()
    site.asked.clear()
    inodes = {name: (tmp_path / "media" / name).stat().st_ino for name in left if not name.startswith(".")}
    ran(line)
    assert site.asked == {"/slow.tar.gz": 1}  # one part was read before; with the other all is found
    assert tree(tmp_path / "media") == whole
    assert all((tmp_path / "media" / name).stat().st_ino == inode for name, inode in inodes.items())
    assert len(table(tmp_path / "archive.csv")) == 101


def test_a_kept_file_that_is_lost_is_fetched_again_from_its_part(site, tmp_path, command):
    site.files = {f"/{number}.tar.gz": clips_tar(f"v{number}.mp4") for number in (1, 2, 3)}
    line = command(["v1", "v2", "v3"], "--parts", *(f"{site.url}{path}" for path in site.files))
    ran(line)
    before = (tmp_path / "archive.csv").read_bytes()
    (tmp_path / "media/v2.mp4").write_bytes(b"cut")
    ran(line)
    assert site.asked == {"/1.tar.gz": 1, "/2.tar.gz": 2, "/3.tar.gz": 1}
    assert (tmp_path / "archive.csv").read_bytes() == before
    assert (tmp_path / "media/v2.mp4").read_bytes() == content("v2.mp4")


def test_a_zip_becomes_a_table(site, tmp_path, command):
    with zipfile.ZipFile(tmp_path / "ave.zip", "w") as archive:
        archive.writestr("AVE_Dataset/AVE/-a.mp4", content("a"))
    ran(command(["-a"], "--zip", tmp_path / "ave.zip"))
    (row,) = table(tmp_path / "archive.csv").values()
    assert row == {
        "file": "-a.mp4",
        "bytes": "30000",
        "sha256": hashlib.sha256(content("a")).hexdigest(),
        "part": str(tmp_path / "ave.zip"),
        "start": "",
        "end": "",
    }


def test_nothing_wanted_is_a_table_without_rows(site, tmp_path, command):
    ran(command([], "--part-list", f"{site.url}/none.txt"))
    assert (tmp_path / "archive.csv").read_text() == "video_id,file,bytes,sha256,part,start,end\n" and not site.asked


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parts", "SITE/1.tar.gz", "SITE/2.tar.gz"], "the server has none of the 2 parts, for one"),
        (["--parts", "http://example.org/1.tar.gz"], "not encrypted; use https://"),
        (["--parts", "none.tar.gz"], "none.tar.gz: no such file"),
        (["--parts", "https://[::1/1.tar.gz"], "https://[::1/1.tar.gz: no address"),
        (["--part-list", "SITE/none.txt"], "the list of parts cannot be read: HTTP 404"),
        (["--part-list", "SITE/empty.txt"], "no part is named there"),
        (["--zip", "none.zip"], "none.zip: no such file"),
        (["--zip", "SITE/none.zip"], "the server has none of the 1 parts"),
        (["--keep-free-gb=1e9", "--parts", "SITE/good.tar.gz"], "make room or keep less free"),
    ],
)
def test_mistakes_are_told_in_one_line(site, tmp_path, command, arguments, message):
    site.files = {"/empty.txt": b"# nothing\n", "/good.tar.gz": clips_tar("a.mp4")}
    told = ran(command(["a"], *(text.replace("SITE", site.url) for text in arguments)), status=1)
    last = told.splitlines()[-1]
    assert last.startswith("error: ") and message in last
    assert not (tmp_path / "archive.csv").exists() and not list(tmp_path.rglob("*.mp4"))
