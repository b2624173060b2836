"""Parts of archives from the disk and from the loopback, their records, and what a failure leaves."""

import hashlib
import io
import shutil
import threading
import time
import zipfile
from threading import Event
from types import SimpleNamespace

import pytest
from archive_site import any_part, clips_tar, content, regular, tar, tree

from avrobust.data import archive_parts, journal
from avrobust.data.archive_addresses import check_address
from avrobust.data.archive_parts import Outcome, Reading, part_list, read_parts, read_zip
from avrobust.data.archive_search import Search
from avrobust.program import UserError

QUICK = Reading(wait=0.0)
CLIPS = ("a_000000_000010.mp4", "-b_000002_000012.mp4", "c.webm")


def read(search, *addresses, reading=QUICK, connections=1):
    return list(read_parts(addresses, search, reading, connections))


def records(state):
    return list(journal.read(state))


def zipped(members, method=zipfile.ZIP_DEFLATED):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return made.getvalue()


def set_free(monkeypatch, free):
    """Let `free(folder)` be how many bytes of the disk are free."""
    monkeypatch.setattr(shutil, "disk_usage", lambda at: SimpleNamespace(free=free(at)))


def test_parts_are_read_and_recorded(site, tmp_path, folder):
    site.files = {"/1.tar.gz": clips_tar(*CLIPS), "/2.tar.gz": clips_tar("d.mp4", "e.mp4", mode="w")}
    urls = [f"{site.url}{path}" for path in site.files]
    search = Search(any_part("a", "d", "z"), folder, tmp_path / "state.jsonl")
    assert read(search, *urls) == [Outcome(url, "read") for url in urls]
    one, two = records(tmp_path / "state.jsonl")
    assert one.pop("finished") <= two.pop("finished")
    rows = [
        {
            "video_id": video,
            "file": f"{video}.mp4",
            "bytes": 30_000,
            "sha256": hashlib.sha256(content(name)).hexdigest(),
        }
        for video, name in (("a", CLIPS[0]), ("d", "d.mp4"))
    ]
    rows[0] |= {"start": 0.0, "end": 10.0}
    sums = [hashlib.sha256(data).hexdigest() for data in site.files.values()]
    sizes = [len(data) for data in site.files.values()]
    others = [["-b_000002_000012", "c"], ["e"]]
    for number, record in enumerate((one, two)):
        expected = {"part": urls[number], "kept": [rows[number]], "others": others[number], "skipped": {}}
        assert record == expected | {"bytes": sizes[number], "sha256": sums[number]}
    assert search.found == {row["video_id"]: row | {"part": url} for row, url in zip(rows, urls, strict=True)}
    assert search.bytes == sum(sizes)


def test_a_part_that_breaks_off_is_read_anew(site, tmp_path, folder, caplog):
    site.files, site.cut = {"/p": clips_tar(*CLIPS)}, site.cut + type(site.cut)({"/p": 2})
    search = Search(any_part("a", "-b", "c"), folder, tmp_path / "s")
    assert read(search, f"{site.url}/p") == [Outcome(f"{site.url}/p", "read")]
    assert site.asked["/p"] == 3 and search.complete()
    assert "it broke off" in caplog.text and "try 2 of 5" in caplog.text
    assert tree(folder)["c.webm"] == content(CLIPS[2])
    assert records(tmp_path / "s")[0]["sha256"] == hashlib.sha256(site.files["/p"]).hexdigest()


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_part_of_unknown_length_that_breaks_off_fails_after_all_tries(site, tmp_path, folder, mode):
    site.files, site.cut["/p"], site.lengthless = {"/p": clips_tar(*CLIPS, mode=mode)}, 99, {"/p"}
    search = Search(any_part("a", "-b", "c"), folder, tmp_path / "s")
    assert read(search, f"{site.url}/p", reading=Reading(tries=3, wait=0)) == [Outcome(f"{site.url}/p", "failed")]
    assert site.asked["/p"] == 3 and records(tmp_path / "s") == []
    # Whole members stay on the disk but do not count as found: nothing vouches for them before the part has ended.
    assert tree(folder) == {"a.mp4": content(CLIPS[0])} and not search.found


def test_missing_and_failing_parts_do_not_stop_the_others(site, tmp_path, folder, caplog):
    site.files = {"/1": clips_tar("a.mp4"), "/2": clips_tar("b.mp4"), "/3": b"<html>"}
    site.statuses = {"/1": [503, 500], "/2": [403] * 99}
    urls = [f"{site.url}/{name}" for name in ("0", "1", "2", "3")]
    search = Search(any_part("a", "b"), folder, tmp_path / "s")
    outcomes = read(search, *urls, reading=Reading(tries=3, wait=0), connections=3)
    assert {one.part[-1]: one.status for one in outcomes} == {"0": "missing", "1": "read", "2": "failed", "3": "failed"}
    assert site.asked == {"/0": 1, "/1": 3, "/2": 3, "/3": 3}
    assert {record["part"]: record.get("missing", False) for record in records(tmp_path / "s")} == {
        urls[0]: True,
        urls[1]: False,
    }
    assert "/2: HTTP 403 (try 3 of 3)" in caplog.text
    missing = next(record for record in records(tmp_path / "s") if record.get("missing"))
    assert missing.keys() == {"part", "missing", "finished"} and missing["part"] == urls[0]
    # What is missing or failed is asked for again, what was read is not.
    assert Search(any_part("a", "b"), folder, tmp_path / "s").unread(urls) == [urls[0], urls[2], urls[3]]


def test_each_wait_is_twice_the_last_or_what_the_server_says(site, tmp_path, folder):
    class Waits(Event):
        seconds = ()

        def wait(self, timeout=None):
            self.seconds += (timeout,)
            return False

    site.files, site.statuses = {"/1": clips_tar("a.mp4")}, {"/1": [503, 500, 429, 429]}
    site.retry_after = {503: "7", 429: "100000"}
    search = Search(any_part("a"), folder, tmp_path / "s")
    search.stop = Waits()
    read(search, f"{site.url}/1", reading=Reading(wait=2.0))
    assert search.stop.seconds == (7.0, 4.0, 600.0, 600.0) and search.complete()


def test_parts_after_the_last_wanted_clip_are_not_fetched(site, tmp_path, folder):
    site.files = {"/1": clips_tar("a.mp4"), "/2": clips_tar("b.mp4")}
    outcomes = read(Search(any_part("a"), folder, tmp_path / "s"), f"{site.url}/1", f"{site.url}/2")
    assert [one.status for one in outcomes] == ["read", "unneeded"] and site.asked == {"/1": 1}


def test_a_truncated_local_part_fails_at_once(tmp_path, folder):
    (tmp_path / "p").write_bytes(clips_tar(*CLIPS)[:45_000])
    search = Search(any_part("a", "-b", "c"), folder, tmp_path / "s")
    assert [one.status for one in read(search, str(tmp_path / "p"))] == ["failed"]
    assert tree(folder) == {"a.mp4": content(CLIPS[0])}


def test_leftovers_of_a_killed_run_go_and_those_of_others_stay(tmp_path, folder):
    search = Search(any_part("a"), folder, tmp_path / "s")
    (folder / f".part-{search.mark}0-a.mp4").write_bytes(b"cut")
    (folder / ".part-0-a.mp4").write_bytes(b"of another")
    (tmp_path / "p").write_bytes(clips_tar("a.mp4"))
    read(search, str(tmp_path / "p"))
    assert sorted(tree(folder)) == [".part-0-a.mp4", "a.mp4"]


def test_the_disk_is_never_filled(tmp_path, folder, monkeypatch):
    """A disk of 100,000 bytes of which 35,000 stay free takes two clips of 30,000."""
    set_free(monkeypatch, lambda at: 100_000 - sum(map(len, tree(at).values())))
    for name in ("1", "2"):
        (tmp_path / name).write_bytes(clips_tar(f"{name}a.mp4", f"{name}b.mp4"))
    search = Search(any_part("1a", "1b", "2a", "2b"), folder, tmp_path / "s")
    reading = Reading(keep_free=35_000, wait=0)
    with pytest.raises(
        UserError, match=r"40000 bytes are free and at least 65000 are needed, of which 35000 stay free"
    ):
        read(search, str(tmp_path / "1"), str(tmp_path / "2"), reading=reading)
    assert sorted(tree(folder)) == ["1a.mp4", "1b.mp4"]
    assert [record["part"] for record in records(tmp_path / "s")] == [str(tmp_path / "1")]
    # With room again it goes on.
    set_free(monkeypatch, lambda at: 10**9)
    again = Search(any_part("1a", "1b", "2a", "2b"), folder, tmp_path / "s")
    read(again, *again.unread([str(tmp_path / "1"), str(tmp_path / "2")]), reading=reading)
    assert again.complete()


def test_a_full_disk_ends_the_parts_that_are_being_read(site, tmp_path, folder, monkeypatch):
    slow = tar([regular("other.mp4", content("other", 3_000_000))])
    site.files, site.slow["/slow"] = {"/slow": slow, "/quick": clips_tar("big.mp4")}, 0.5
    set_free(monkeypatch, lambda at: 1000)
    search = Search(any_part("big"), folder, tmp_path / "s")
    with pytest.raises(UserError, match="make room"):
        read(search, f"{site.url}/slow", f"{site.url}/quick", connections=2)
    # Eight seconds of the slow part were not waited for.
    assert tree(folder) == {} and records(tmp_path / "s") == [] and search.bytes < 1_500_000


def test_what_is_read_while_another_part_ends_the_run_is_recorded(tmp_path, folder):
    begun = threading.Event()

    def record(address, *_):
        if address.endswith("1"):
            begun.wait(10)
            raise UserError("no room")
        begun.set()
        time.sleep(0.3)
        return {"part": address, "kept": []}

    parts = [str(tmp_path / name) for name in ("1", "2")]
    for part in parts:
        (tmp_path / part).touch()
    with pytest.raises(UserError, match="no room"):
        list(read_parts(parts, Search(any_part("a"), folder, tmp_path / "s"), QUICK, 2, record))
    assert [record["part"] for record in records(tmp_path / "s")] == parts[1:]


def test_too_little_room_at_the_start_fetches_nothing(site, tmp_path, folder, monkeypatch):
    site.files = {"/1": clips_tar("a.mp4")}
    set_free(monkeypatch, lambda at: 1000)
    with pytest.raises(UserError, match=r"--keep-free-gb 1\.001e-06"):
        read(
            Search(any_part("a"), folder, tmp_path / "s"),
            f"{site.url}/1",
            reading=Reading(keep_free=1001),
        )
    assert not site.asked


def test_no_password_or_token_is_shown_or_kept(site, tmp_path, folder, caplog):
    site.files = {"/1": clips_tar("a.mp4")}
    secret = site.url.replace("http://", "http://user:hunter2@")
    nowhere = "http://user:hunter2@127.0.0.1:1/gone?token=hunter2"
    search = Search(any_part("a", "b"), folder, tmp_path / "s")
    made = read(search, f"{secret}/1?token=hunter2", f"{secret}/0?token=hunter2", nowhere, reading=Reading(tries=1))
    assert [one.status for one in made] == ["read", "missing", "failed"]
    with pytest.raises(UserError) as refused:
        check_address("http://user:hunter2@example.org/?token=hunter2")
    everything = f"{caplog.text} {made} {(tmp_path / 's').read_text()} {search.found} {refused.value}"
    assert "hunter2" not in everything and "127.0.0.1:1/gone" in everything


def test_a_line_of_a_list_that_is_no_address_is_named(site):
    site.files = {"/list.txt": b"1.tar.gz\n//user:hunter2@[x/2.tar?token=hunter2\n"}
    with pytest.raises(UserError, match=r"/list\.txt: https://\[x/2\.tar is no address") as refused:
        part_list(f"{site.url}/list.txt", QUICK)
    assert "hunter2" not in str(refused.value)


def test_a_list_names_parts(site, tmp_path):
    (tmp_path / "list.txt").write_text("\ufeff# parts\nhttps://a/1.tar.gz\r\n\n  2.tar.gz \n/3.tar.gz\n")
    assert part_list(str(tmp_path / "list.txt"), QUICK) == [
        "https://a/1.tar.gz",
        str(tmp_path / "2.tar.gz"),
        "/3.tar.gz",
    ]
    site.files, site.statuses = (
        {"/k/list.txt": (tmp_path / "list.txt").read_bytes(), "/x": b"\xff"},
        {"/k/list.txt": [500]},
    )
    assert part_list(f"{site.url}/k/list.txt", QUICK) == [
        "https://a/1.tar.gz",
        f"{site.url}/k/2.tar.gz",
        f"{site.url}/3.tar.gz",
    ]
    for path, message in (("/none", "HTTP 404"), ("/x", "not UTF-8")):
        with pytest.raises(UserError, match=message):
            part_list(site.url + path, QUICK)


def test_a_zip_from_the_web_is_fetched_read_and_removed(site, tmp_path, folder):
    data = zipped({"AVE/a.mp4": content("a"), "AVE/b.mp4": content("b")})
    site.files, site.cut["/z.zip"] = {"/z.zip": data}, 1
    search = Search(any_part("a"), folder, tmp_path / "s")
    assert read_zip(f"{site.url}/z.zip", search, QUICK).status == "read"
    assert tree(folder) == {"a.mp4": content("a")} and site.asked["/z.zip"] == 2
    (record,) = records(tmp_path / "s")
    assert record["sha256"] == hashlib.sha256(site.files["/z.zip"]).hexdigest()
    assert Search(any_part("a"), folder, tmp_path / "s").unread([f"{site.url}/z.zip"]) == []
    assert Search(any_part("a", "b"), folder, tmp_path / "s").unread([f"{site.url}/z.zip"]) == [f"{site.url}/z.zip"]


def test_a_damaged_zip_from_the_web_is_fetched_again(site, tmp_path, folder):
    data = zipped({"a.mp4": content("a")}, zipfile.ZIP_STORED)
    site.files = {"/z.zip": data.replace(content("a")[:100], bytes(100))}
    search = Search(any_part("a"), folder, tmp_path / "s")
    assert read_zip(f"{site.url}/z.zip", search, Reading(tries=2, wait=0)).status == "failed"
    assert site.asked["/z.zip"] == 2 and tree(folder) == {}


def test_a_zip_of_google_drive_is_fetched_read_and_removed(drive, tmp_path, folder):
    drive.files, there = {"/1": zipped({"AVE/a.mp4": content("a")}), "/2": b"<html>"}, "https://drive.google.com"
    search = Search(any_part("a"), folder, tmp_path / "s")
    assert read_zip(f"{there}/1", search, QUICK) == Outcome(f"{there}/1", "read")
    assert tree(folder) == {"a.mp4": content("a")}
    # One that is no zip is removed, too, and asked for once only.
    assert read_zip(f"{there}/2", Search(any_part("b"), folder, tmp_path / "s"), QUICK).status == "failed"
    assert tree(folder) == {"a.mp4": content("a")} and drive.asked == {"/1": 1, "/2": 1}


def test_a_local_zip_stays(tmp_path, folder):
    path = tmp_path / "z.zip"
    path.write_bytes(zipped({"a.mp4": content("a")}))
    assert read_zip(str(path), Search(any_part("a"), folder, tmp_path / "s"), QUICK).status == "read"
    assert path.is_file() and tree(folder) == {"a.mp4": content("a")}


def test_what_is_in_the_way_of_a_folder_is_named(site, tmp_path):
    site.files = {"/z.zip": zipped({"a.mp4": content("a")})}
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file: cannot be made: File exists"):
        read_zip(f"{site.url}/z.zip", Search(any_part("a"), tmp_path / "file", tmp_path / "s"), QUICK)


def test_a_long_part_is_heard_of(site, tmp_path, folder, monkeypatch, caplog):
    site.files, site.slow["/1"] = {"/1": clips_tar("a.mp4", "b.mp4")}, 0.02
    monkeypatch.setattr(archive_parts, "SILENCE", 0.01)
    with caplog.at_level("INFO"):
        read(Search(any_part("b"), folder, tmp_path / "s"), f"{site.url}/1")
    assert "MB read, 0 of 1 found" in caplog.text
