"""Clips out of tar streams and zip files, well-made, damaged and hostile, from the disk and from the loopback."""

import gzip
import hashlib
import io
import shutil
import stat
import struct
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest
from archive_site import clips_tar, content, regular, serving, special, tar, tree, write_manifest
from hypothesis import given
from hypothesis import strategies as st

from avrobust.data import archives, journal
from avrobust.data.archives import Damaged, Outcome, Passed, Reading, Search
from avrobust.program import UserError

QUICK = Reading(wait=0.0)
CLIPS = ("a_000000_000010.mp4", "-b_000002_000012.mp4", "c.webm")


@pytest.fixture
def site():
    with serving() as running:
        yield running


@pytest.fixture
def folder(tmp_path):
    """A folder two levels below the one whose whole tree the tests compare."""
    made = tmp_path / "top/kept"
    made.mkdir(parents=True)
    return made


def kept(data, wanted, folder, **options):
    return list(archives.tar_members(io.BytesIO(data), dict.fromkeys(wanted), folder, **options))


def read(search, *addresses, reading=QUICK, connections=1):
    return list(archives.read_parts(addresses, search, reading, connections))


def records(state):
    return list(journal.read(state))


# Members


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_wanted_clips_are_written_under_their_video(folder, mode):
    passed = Passed()
    made = kept(clips_tar(*CLIPS, "d.mp4", mode=mode), ["a", "-b", "c"], folder, passed=passed)
    assert tree(folder) == {"a.mp4": content(CLIPS[0]), "-b.mp4": content(CLIPS[1]), "c.webm": content(CLIPS[2])}
    assert [(one.video_id, one.path, one.bytes) for one in made] == [
        ("a", folder / "a.mp4", 30_000),
        ("-b", folder / "-b.mp4", 30_000),
        ("c", folder / "c.webm", 30_000),
    ]
    assert made[0].sha256 == hashlib.sha256(content(CLIPS[0])).hexdigest()
    assert passed == Passed(others={"d"})


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("-a_b-_c_000003_000013.mkv", "-a_b-_c"),
        ("a_000001_000002_000003_000013.mp4", "a_000001_000002"),
        ("a_000003_000013.mp4", "a_000003_000013"),  # the whole name, where it is a wanted video
        ("a_3_13.mp4", "a_3_13"),
        ("a.b.mp4", "a.b"),
        ("_000003_000013.mp4", "_000003_000013"),
        ("replacement/deep/" * 20 + "x_000003_000013.mp4", "x"),
        ("folder\\x.mp4", "x"),
        ("é.mp4", "é"),
    ],
)
def test_names_are_matched_from_the_right(folder, name, video):
    (member,) = kept(clips_tar(name), [video], folder)
    assert member.video_id == video
    assert tree(folder) == {f"{video}{member.path.suffix}": content(name)}


@pytest.mark.parametrize("name", ["a.avi", "a", "a.mp4.txt", "a.MP4", ".mp4", "a_000003_000013", "a.mp4\n"])
def test_other_names_are_counted(folder, name):
    passed = Passed()
    assert kept(clips_tar(name), ["a", ""], folder, passed=passed) == []
    assert passed == Passed(skipped={"other_name": 1}) and tree(folder) == {}


def test_nothing_is_written_outside_the_folder(tmp_path, folder):
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    names = ["../../up.mp4", f"{tmp_path}/absolute.mp4", "x/../../../dots.mp4", "....mp4"]
    hostile = tar(
        [
            *(regular(name, content(name)) for name in names),
            special("link.mp4", tarfile.SYMTYPE, "../../secret.mp4"),
            special("hard.mp4", tarfile.LNKTYPE, "../../up.mp4"),
            special("device.mp4", tarfile.CHRTYPE),
            special("block.mp4", tarfile.BLKTYPE),
            special("pipe.mp4", tarfile.FIFOTYPE),
            special("folder.mp4", tarfile.DIRTYPE),
            # A link to a folder above, and a file as if within it.
            special("out", tarfile.SYMTYPE, "../.."),
            regular("out/through.mp4", content("through")),
            regular("._up.mp4", b"Mac OS X"),
            regular("deep/._dots.mp4", b"Mac OS X"),
        ]
    )
    wanted = ["up", "absolute", "dots", "...", "link", "hard", "device", "block", "pipe", "folder", "through", "._up"]
    passed = Passed()
    kept(hostile, wanted, folder, passed=passed)
    assert tree(tmp_path) == {
        "secret.mp4": b"secret",
        "top/kept/up.mp4": content(names[0]),
        "top/kept/absolute.mp4": content(names[1]),
        "top/kept/dots.mp4": content(names[2]),
        "top/kept/....mp4": content(names[3]),
        "top/kept/through.mp4": content("through"),
    }
    assert passed == Passed(skipped={"special": 6, "apple_double": 2})


def test_empty_and_enormous_members_are_counted_and_the_next_of_the_video_taken(folder):
    passed = Passed()
    sizes = {"empty/a.mp4": 0, "big/a.mp4": 1001, "a.mp4": 1000, "again/a.mkv": 10}
    data = tar([regular(name, content(name, size)) for name, size in sizes.items()])
    (member,) = kept(data, ["a"], folder, largest=1000, passed=passed)
    assert tree(folder) == {"a.mp4": content("a.mp4", 1000)} and member.bytes == 1000
    assert passed == Passed(skipped={"empty": 1, "too_large": 1, "repeated": 1})


def test_a_sparse_file_is_special(folder):
    # A GNU header of 512 real bytes that stands for a file of 8 GB.
    header = bytearray(tarfile.TarInfo("a.mp4").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"%011o\0" % 512
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:398], header[398:410] = b"%011o\0" % (8 * 1024**3 - 512), b"%011o\0" % 512
    header[483:495] = b"77777777777\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    passed = Passed()
    assert kept(bytes(header) + bytes(512 + 1024), ["a"], folder, passed=passed) == []
    assert passed == Passed(skipped={"special": 1})


def test_what_is_there_is_only_rewritten_if_it_differs(folder):
    (folder / "a.mp4").write_bytes(content(CLIPS[0]))
    (folder / "-b.mp4").write_bytes(content("other"))
    before = (folder / "a.mp4").stat()
    kept(clips_tar(*CLIPS), ["a", "-b"], folder)
    assert (folder / "a.mp4").stat().st_ino == before.st_ino
    assert tree(folder) == {"a.mp4": content(CLIPS[0]), "-b.mp4": content(CLIPS[1])}


GZIPPED, PLAIN = clips_tar(*CLIPS), clips_tar(*CLIPS, mode="w")
# Of a plain tar, the members and the first block of the end mark.
ONE = 512 + 30_208
PLAIN_END = 3 * ONE + 512


def check_cut(data):
    with tempfile.TemporaryDirectory() as name:
        folder, members = Path(name), []
        with pytest.raises(Damaged):
            for member in archives.tar_members(io.BytesIO(data), {"a": 1, "-b": 1, "c": 1}, folder):
                members.append(member)
        whole = {"a.mp4": content(CLIPS[0]), "-b.mp4": content(CLIPS[1]), "c.webm": content(CLIPS[2])}
        assert tree(folder) == {member.path.name: whole[member.path.name] for member in members}


@given(st.integers(0, len(GZIPPED) - 1))
def test_a_gzipped_stream_cut_off_anywhere_is_damaged_and_its_whole_members_stay(length):
    check_cut(GZIPPED[:length])


@given(st.integers(0, PLAIN_END - 1) | st.sampled_from([0, 512, ONE, ONE + 512, 2 * ONE, 3 * ONE]))
def test_a_plain_stream_cut_off_anywhere_is_damaged_and_its_whole_members_stay(length):
    check_cut(PLAIN[:length])


@given(st.integers(10, len(GZIPPED) - 1), st.integers(1, 255))
def test_a_changed_byte_of_a_gzipped_stream_is_found(place, change):
    data = bytearray(GZIPPED)
    data[place] ^= change
    with tempfile.TemporaryDirectory() as name, pytest.raises(Damaged):
        kept(bytes(data), ["a", "-b", "c"], Path(name))


@given(st.binary(max_size=2000))
def test_what_is_no_archive_is_damaged(data):
    with tempfile.TemporaryDirectory() as name:
        for packed in (data, gzip.compress(data)):
            if not (data.startswith(bytes(512))):
                with pytest.raises(Damaged):
                    kept(packed, ["a"], Path(name))
        assert tree(Path(name)) == {}


def test_a_header_that_would_fill_the_memory_is_damage(folder):
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 8 * 2**30
    with pytest.raises(Damaged, match="a header of 8589934592 bytes"):
        kept(header.tobuf(tarfile.GNU_FORMAT) + bytes(10240), ["a"], folder)


def test_a_stream_is_read_once_in_order_to_its_end(folder):
    class Forward:
        """Has nothing but `read`, and gives a few bytes at a time."""

        def __init__(self, data):
            self.rest = io.BytesIO(data)

        def read(self, size):
            return self.rest.read(min(size, 1000))

    stream = Forward(clips_tar(*CLIPS) + bytes(5000))  # zeros may follow a gzip stream
    assert len(list(archives.tar_members(stream, {"a": None}, folder))) == 1
    assert stream.rest.read() == b""


# Zip files


def make_zip(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_a_zip_gives_the_same(tmp_path, folder):
    link = zipfile.ZipInfo("AVE_Dataset/AVE/link.mp4")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = make_zip(
        tmp_path / "ave.zip",
        {
            "AVE_Dataset/": b"",
            "AVE_Dataset/AVE/-a_b.mp4": content("a"),
            "../../up.mp4": content("up"),
            "/absolute.mp4": content("absolute"),
            "__MACOSX/AVE/._up.mp4": b"Mac OS X",
            "AVE_Dataset/AVE/empty.mp4": b"",
            "AVE_Dataset/AVE/bomb.mp4": bytes(2_000_000),
            "AVE_Dataset/AVE/other.mp4": content("other"),
            "AVE_Dataset/Annotations.txt": b"&",
            link: b"/etc/passwd",
        },
    )
    assert path.stat().st_size < 200_000
    before, passed = tree(tmp_path), Passed()
    wanted = dict.fromkeys(["-a_b", "up", "absolute", "empty", "bomb", "link", "._up"])
    made = list(archives.zip_members(path, wanted, folder, largest=1_000_000, passed=passed))
    new = {"-a_b": "a", "up": "up", "absolute": "absolute"}
    assert tree(tmp_path) == before | {f"top/kept/{video}.mp4": content(name) for video, name in new.items()}
    assert [member.video_id for member in made] == list(new)
    skipped = {"apple_double": 1, "empty": 1, "too_large": 1, "other_name": 1, "special": 1}
    assert passed == Passed(skipped=skipped, others={"other"})


def central(path, name, offset, form, value):
    """Change a field of a member in the directory at the end of a zip file."""
    data = bytearray(path.read_bytes())
    place = data.rindex(name.encode()) - 46
    assert data[place : place + 4] == b"PK\x01\x02"
    struct.pack_into(form, data, place + offset, value)
    path.write_bytes(data)


@pytest.mark.parametrize("stated", [100, 29_999, 30_001, 900_000])
def test_a_zip_member_of_another_size_than_stated_is_damage(tmp_path, folder, stated):
    path = make_zip(tmp_path / "z.zip", {"a.mp4": content("a"), "b.mp4": content("b")})
    central(path, "b.mp4", 24, "<I", stated)
    with pytest.raises(Damaged):
        list(archives.zip_members(path, {"a": None, "b": None}, folder))
    assert tree(folder) == {"a.mp4": content("a")}


def test_an_encrypted_member_is_the_users_matter(tmp_path, folder):
    path = make_zip(tmp_path / "z.zip", {"a.mp4": content("a"), "b.mp4": content("b")})
    central(path, "b.mp4", 8, "<H", 1)
    assert len(list(archives.zip_members(path, {"a": None}, folder))) == 1
    with pytest.raises(UserError, match=r"z\.zip: b is encrypted"):
        list(archives.zip_members(path, {"b": None}, folder))


def test_a_damaged_zip_is_damage(tmp_path, folder):
    path = make_zip(tmp_path / "z.zip", {"a.mp4": content("a")}, zipfile.ZIP_STORED)
    data = path.read_bytes()
    for broken in (b"", data[:20_000], data.replace(content("a")[500:600], bytes(100))):
        path.write_bytes(broken)
        with pytest.raises(Damaged):
            list(archives.zip_members(path, {"a": None}, folder))
    assert tree(folder) == {}


# Parts


def test_parts_are_read_and_recorded(site, tmp_path, folder):
    site.files = {"/1.tar.gz": clips_tar(*CLIPS), "/2.tar.gz": clips_tar("d.mp4", "e.mp4", mode="w")}
    urls = [f"{site.url}{path}" for path in site.files]
    search = Search(["a", "d", "z"], folder, tmp_path / "state.jsonl")
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
    search = Search(["a", "-b", "c"], folder, tmp_path / "s")
    assert read(search, f"{site.url}/p") == [Outcome(f"{site.url}/p", "read")]
    assert site.asked["/p"] == 3 and search.complete()
    assert "connection broke" in caplog.text and "try 2 of 5" in caplog.text
    assert tree(folder)["c.webm"] == content(CLIPS[2])
    assert records(tmp_path / "s")[0]["sha256"] == hashlib.sha256(site.files["/p"]).hexdigest()


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_part_of_unknown_length_that_breaks_off_fails_after_all_tries(site, tmp_path, folder, mode):
    site.files, site.cut["/p"], site.lengthless = {"/p": clips_tar(*CLIPS, mode=mode)}, 99, {"/p"}
    search = Search(["a", "-b", "c"], folder, tmp_path / "s")
    assert read(search, f"{site.url}/p", reading=Reading(tries=3, wait=0)) == [Outcome(f"{site.url}/p", "failed")]
    assert site.asked["/p"] == 3 and records(tmp_path / "s") == []
    # Whole members stay on the disk but do not count as found: nothing vouches for them before the part has ended.
    assert tree(folder) == {"a.mp4": content(CLIPS[0])} and not search.found


def test_missing_and_failing_parts_do_not_stop_the_others(site, tmp_path, folder, caplog):
    site.files = {"/1": clips_tar("a.mp4"), "/2": clips_tar("b.mp4"), "/3": b"<html>"}
    site.statuses = {"/1": [503, 500], "/2": [403] * 99}
    urls = [f"{site.url}/{name}" for name in ("0", "1", "2", "3")]
    search = Search(["a", "b"], folder, tmp_path / "s")
    outcomes = read(search, *urls, reading=Reading(tries=3, wait=0), connections=3)
    assert {one.part[-1]: one.status for one in outcomes} == {"0": "missing", "1": "read", "2": "failed", "3": "failed"}
    assert site.asked == {"/0": 1, "/1": 3, "/2": 3, "/3": 3}
    assert {record["part"]: record.get("missing", False) for record in records(tmp_path / "s")} == {
        urls[0]: True,
        urls[1]: False,
    }
    assert "/2: HTTP 403 (try 3 of 3)" in caplog.text
    # What is missing or failed is asked for again, what was read is not.
    assert Search(["a", "b"], folder, tmp_path / "s").unread(urls) == [urls[0], urls[2], urls[3]]


def test_each_wait_is_twice_the_last_or_what_the_server_says(site, tmp_path, folder):
    class Waits(Event):
        seconds = ()

        def wait(self, timeout=None):
            self.seconds += (timeout,)
            return False

    site.files, site.statuses = {"/1": clips_tar("a.mp4")}, {"/1": [503, 500, 429, 429]}
    site.retry_after = {503: "7", 429: "100000"}
    search = Search(["a"], folder, tmp_path / "s")
    search.stop = Waits()
    read(search, f"{site.url}/1", reading=Reading(wait=2.0))
    assert search.stop.seconds == (7.0, 4.0, 600.0, 600.0) and search.complete()


def test_parts_after_the_last_wanted_clip_are_not_fetched(site, tmp_path, folder):
    site.files = {"/1": clips_tar("a.mp4"), "/2": clips_tar("b.mp4")}
    outcomes = read(Search(["a"], folder, tmp_path / "s"), f"{site.url}/1", f"{site.url}/2")
    assert [one.status for one in outcomes] == ["read", "unneeded"] and site.asked == {"/1": 1}


def test_only_the_first_part_gives_a_video(tmp_path, folder):
    for name, data in (("1", "first"), ("2", "second")):
        (tmp_path / name).write_bytes(tar([regular("a.mp4", content(data)), regular(f"{name}.mp4", content(name))]))
    search = Search(["a", "1", "2"], folder, tmp_path / "s")
    read(search, str(tmp_path / "1"), str(tmp_path / "2"))
    assert search.found["a"]["part"] == str(tmp_path / "1") and tree(folder)["a.mp4"] == content("first")
    # Its file lost, both parts could give it again.
    (folder / "a.mp4").unlink()
    again = Search(["a", "1", "2"], folder, tmp_path / "s")
    assert again.unread([str(tmp_path / "1"), str(tmp_path / "2")]) == [str(tmp_path / "1"), str(tmp_path / "2")]


def test_what_a_failed_part_took_another_may_give(site, tmp_path, folder):
    site.files, site.cut["/1"] = {"/1": clips_tar("a.mp4", "b.mp4", "c.mp4"), "/2": clips_tar("a.mp4")}, 99
    search = Search(["a", "b"], folder, tmp_path / "s")
    read(search, f"{site.url}/1", f"{site.url}/2", reading=Reading(tries=1))
    assert {video: row["part"][-1] for video, row in search.found.items()} == {"a": "2"}


def test_a_journal_leads_to_the_parts_that_are_needed(tmp_path, folder):
    places = {}
    for name in ("1", "2", "3"):
        places[name] = str(tmp_path / name)
        (tmp_path / name).write_bytes(clips_tar(f"x{name}.mp4", f"y{name}.mp4"))
    state = tmp_path / "s"

    def unread(*wanted):
        return [Path(place).name for place in Search(wanted, folder, state).unread(places.values())]

    assert unread("x1", "x2") == ["1", "2", "3"]
    read(Search(["x1", "x2"], folder, state), *places.values())
    assert unread("x1", "x2") == []
    assert unread("x1", "nowhere") == ["3"]  # it was unneeded, and so not read
    read(Search(["x1", "nowhere"], folder, state), places["3"])
    assert unread("x1", "nowhere") == [] and unread("x2", "y1") == ["1"]
    (folder / "x2.mp4").write_bytes(b"cut")
    assert unread("x1", "x2") == ["2"]
    read(Search(["x1", "x2"], folder, state), places["2"])
    assert unread("x1", "x2") == [] and tree(folder)["x2.mp4"] == content("x2.mp4")


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_torn_line_of_the_journal_is_a_part_not_read(tmp_path, folder, cut):
    for name in ("1", "2"):
        (tmp_path / name).write_bytes(clips_tar(f"x{name}.mp4"))
    state, places = tmp_path / "s", [str(tmp_path / "1"), str(tmp_path / "2")]
    read(Search(["x1", "x2"], folder, state), *places)
    state.write_bytes(state.read_bytes()[:-cut])
    search = Search(["x1", "x2"], folder, state)
    assert search.unread(places) == places[1:] and list(search.found) == ["x1"]
    read(search, *search.unread(places))
    assert [record["part"] for record in records(state)] == places


@pytest.mark.parametrize("line", ['{"video_id": "a"}', "[]", "3"])
def test_another_journal_is_refused(tmp_path, folder, line):
    (tmp_path / "s").write_text(line + "\n")
    with pytest.raises(UserError, match="not the journal of an archive"):
        Search(["a"], folder, tmp_path / "s")


def test_a_truncated_local_part_fails_at_once(tmp_path, folder):
    (tmp_path / "p").write_bytes(clips_tar(*CLIPS)[:45_000])
    search = Search(["a", "-b", "c"], folder, tmp_path / "s")
    assert [one.status for one in read(search, str(tmp_path / "p"))] == ["failed"]
    assert tree(folder) == {"a.mp4": content(CLIPS[0])}


def test_leftovers_of_a_killed_run_go_and_those_of_others_stay(tmp_path, folder):
    search = Search(["a"], folder, tmp_path / "s")
    (folder / f".part-{search.mark}0-a.mp4").write_bytes(b"cut")
    (folder / ".part-0-a.mp4").write_bytes(b"of another")
    (tmp_path / "p").write_bytes(clips_tar("a.mp4"))
    read(search, str(tmp_path / "p"))
    assert sorted(tree(folder)) == [".part-0-a.mp4", "a.mp4"]


# Disk


def test_the_disk_is_never_filled(tmp_path, folder, monkeypatch):
    """A disk of 100,000 bytes of which 35,000 stay free takes two clips of 30,000."""
    monkeypatch.setattr(archives, "free_bytes", lambda at: 100_000 - sum(map(len, tree(at).values())))
    for name in ("1", "2"):
        (tmp_path / name).write_bytes(clips_tar(f"{name}a.mp4", f"{name}b.mp4"))
    search = Search(["1a", "1b", "2a", "2b"], folder, tmp_path / "s")
    reading = Reading(keep_free=35_000, wait=0)
    with pytest.raises(
        UserError, match=r"40000 bytes are free and at least 65000 are needed, of which 35000 stay free"
    ):
        read(search, str(tmp_path / "1"), str(tmp_path / "2"), reading=reading)
    assert sorted(tree(folder)) == ["1a.mp4", "1b.mp4"]
    assert [record["part"] for record in records(tmp_path / "s")] == [str(tmp_path / "1")]
    # With room again it goes on.
    monkeypatch.setattr(archives, "free_bytes", lambda at: 10**9)
    again = Search(["1a", "1b", "2a", "2b"], folder, tmp_path / "s")
    read(again, *again.unread([str(tmp_path / "1"), str(tmp_path / "2")]), reading=reading)
    assert again.complete()


def test_a_full_disk_ends_the_parts_that_are_being_read(site, tmp_path, folder, monkeypatch):
    slow = tar([regular("other.mp4", content("other", 3_000_000))])
    site.files, site.slow["/slow"] = {"/slow": slow, "/quick": clips_tar("big.mp4")}, 0.5
    monkeypatch.setattr(archives, "free_bytes", lambda at: 1000)
    search = Search(["big"], folder, tmp_path / "s")
    with pytest.raises(UserError, match="make room"):
        read(search, f"{site.url}/slow", f"{site.url}/quick", connections=2)
    # Eight seconds of the slow part were not waited for.
    assert tree(folder) == {} and records(tmp_path / "s") == [] and search.bytes < 1_500_000


def test_too_little_room_at_the_start_fetches_nothing(site, tmp_path, folder, monkeypatch):
    site.files = {"/1": clips_tar("a.mp4")}
    monkeypatch.setattr(archives, "free_bytes", lambda at: 1000)
    with pytest.raises(UserError, match=r"--keep-free-gb 1\.001e-06"):
        read(Search(["a"], folder, tmp_path / "s"), f"{site.url}/1", reading=Reading(keep_free=1001))
    assert not site.asked


# Addresses


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://example.org/1.tar.gz", "use https://"),
        ("http://127.0.0.1.example.org/1.tar.gz", "use https://"),
        ("ftp://example.org/1.tar.gz", "neither a file nor"),
        ("file:///etc/passwd", "neither a file nor"),
        ("https:///1.tar.gz", "without a host"),
        ("https://[::1/1.tar.gz", "no address"),
        ("none.tar.gz", "no such file"),
    ],
)
def test_other_addresses_are_refused(address, message):
    with pytest.raises(UserError, match=message):
        archives.check_address(address, False)


@pytest.mark.parametrize(
    "address", ["https://example.org/1", "HTTPS://example.org/1", "http://localhost:1/1", "http://[::1]/1", __file__]
)
def test_these_addresses_are_taken(address):
    archives.check_address(address, False)
    archives.check_address("http://example.org/1", True)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/1", ""),
        ("file:///etc/passwd", "not on the web"),
        ("ftp://127.0.0.1/1", "not on the web"),
        ("http://example.invalid/1", "not encrypted"),
        ("/loop", "more than 10 times"),
    ],
)
def test_redirects_lead_only_where_parts_may_come_from(site, tmp_path, folder, caplog, target, reason):
    site.files, site.redirects = {"/1": clips_tar("a.mp4")}, {"/moved": target, "/loop": "/loop"}
    search = Search(["a"], folder, tmp_path / "s")
    outcomes = read(search, f"{site.url}/moved", reading=Reading(tries=1))
    assert [one.status for one in outcomes] == ["failed" if reason else "read"] and reason in caplog.text
    assert site.asked["/loop"] <= 10


def test_no_password_or_token_is_shown_or_kept(site, tmp_path, folder, caplog):
    site.files = {"/1": clips_tar("a.mp4")}
    secret = site.url.replace("http://", "http://user:hunter2@")
    nowhere = "http://user:hunter2@127.0.0.1:1/gone?token=hunter2"
    search = Search(["a", "b"], folder, tmp_path / "s")
    made = read(search, f"{secret}/1?token=hunter2", f"{secret}/0?token=hunter2", nowhere, reading=Reading(tries=1))
    assert [one.status for one in made] == ["read", "missing", "failed"]
    with pytest.raises(UserError) as refused:
        archives.check_address("http://user:hunter2@example.org/?token=hunter2", False)
    everything = f"{caplog.text} {made} {(tmp_path / 's').read_text()} {search.found} {refused.value}"
    assert "hunter2" not in everything and "127.0.0.1:1/gone" in everything
    # Parts that only differ by their query are different parts all the same.
    assert archives.shown("https://a/b?n=1") != archives.shown("https://a/b?n=2") != archives.shown("https://a/b")


def test_a_list_names_parts(site, tmp_path):
    (tmp_path / "list.txt").write_text("\ufeff# parts\nhttps://a/1.tar.gz\r\n\n  2.tar.gz \n/3.tar.gz\n")
    assert archives.part_list(str(tmp_path / "list.txt"), QUICK) == [
        "https://a/1.tar.gz",
        str(tmp_path / "2.tar.gz"),
        "/3.tar.gz",
    ]
    site.files, site.statuses = (
        {"/k/list.txt": (tmp_path / "list.txt").read_bytes(), "/x": b"\xff"},
        {"/k/list.txt": [500]},
    )
    assert archives.part_list(f"{site.url}/k/list.txt", QUICK) == [
        "https://a/1.tar.gz",
        f"{site.url}/k/2.tar.gz",
        f"{site.url}/3.tar.gz",
    ]
    for path, message in (("/none", "HTTP 404"), ("/x", "not UTF-8")):
        with pytest.raises(UserError, match=message):
            archives.part_list(site.url + path, QUICK)


def test_addresses_of_google_drive_are_one_file():
    shown = {
        archives.shown(f"https://drive.google.com/{form}")
        for form in ("open?id=1Fj-_K", "uc?id=1Fj-_K", "uc?export=download&id=1Fj-_K", "file/d/1Fj-_K/view?usp=sharing")
    }
    assert shown == {"https://drive.google.com/file/d/1Fj-_K"}
    assert archives._drive_id("https://example.org/d/1Fj") == archives._drive_id("https://drive.google.com.x/d/1") == ""


def test_a_zip_from_the_web_is_fetched_read_and_removed(site, tmp_path, folder):
    make_zip(tmp_path / "z.zip", {"AVE/a.mp4": content("a"), "AVE/b.mp4": content("b")})
    site.files, site.cut["/z.zip"] = {"/z.zip": (tmp_path / "z.zip").read_bytes()}, 1
    search = Search(["a"], folder, tmp_path / "s")
    assert archives.read_zip(f"{site.url}/z.zip", search, QUICK).status == "read"
    assert tree(folder) == {"a.mp4": content("a")} and site.asked["/z.zip"] == 2
    (record,) = records(tmp_path / "s")
    assert record["sha256"] == hashlib.sha256(site.files["/z.zip"]).hexdigest()
    assert Search(["a"], folder, tmp_path / "s").unread([f"{site.url}/z.zip"]) == []
    assert Search(["a", "b"], folder, tmp_path / "s").unread([f"{site.url}/z.zip"]) == [f"{site.url}/z.zip"]


def test_a_damaged_zip_from_the_web_is_fetched_again(site, tmp_path, folder):
    make_zip(tmp_path / "z.zip", {"a.mp4": content("a")}, zipfile.ZIP_STORED)
    data = (tmp_path / "z.zip").read_bytes()
    site.files = {"/z.zip": data.replace(content("a")[:100], bytes(100))}
    search = Search(["a"], folder, tmp_path / "s")
    assert archives.read_zip(f"{site.url}/z.zip", search, Reading(tries=2, wait=0)).status == "failed"
    assert site.asked["/z.zip"] == 2 and tree(folder) == {}


def test_a_zip_of_google_drive_is_fetched_by_its_id_read_and_removed(tmp_path, folder, monkeypatch):
    make_zip(tmp_path / "z.zip", {"AVE/a.mp4": content("a")})
    asked = []

    def download(*, id, output, **options):
        asked.append(id)
        shutil.copy(tmp_path / "z.zip", output)

    monkeypatch.setitem(sys.modules, "gdown", SimpleNamespace(download=download))
    search = Search(["a"], folder, tmp_path / "s")
    made = archives.read_zip("https://drive.google.com/uc?id=1Fj-_K", search, QUICK)
    assert made == Outcome("https://drive.google.com/file/d/1Fj-_K", "read") and asked == ["1Fj-_K"]
    assert tree(folder) == {"a.mp4": content("a")}


def test_google_drive_may_refuse(tmp_path, folder, monkeypatch):
    def download(**options):
        raise RuntimeError("Too many users have viewed or downloaded this file recently.")

    monkeypatch.setitem(sys.modules, "gdown", SimpleNamespace(download=download))
    with pytest.raises(UserError, match=r"Too many users .* with a browser and give the path of the zip"):
        archives.read_zip("https://drive.google.com/uc?id=1Fj-_K", Search(["a"], folder, tmp_path / "s"), QUICK)


def test_a_local_zip_stays(tmp_path, folder):
    path = make_zip(tmp_path / "z.zip", {"a.mp4": content("a")})
    assert archives.read_zip(str(path), Search(["a"], folder, tmp_path / "s"), QUICK).status == "read"
    assert path.is_file() and tree(folder) == {"a.mp4": content("a")}


def test_wanted_are_the_videos_without_a_file(tmp_path):
    path = write_manifest(tmp_path / "m.csv", ["b", "-a", "b", "here"], {"here": "here.mp4"})
    assert list(archives.wanted_videos(path)) == ["b", "-a"]
