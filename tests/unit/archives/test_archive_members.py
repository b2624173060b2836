"""Clips out of tar streams and zip files, well-made, damaged and hostile."""

import gzip
import hashlib
import io
import stat
import struct
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from archive_site import clips_tar, content, regular, special, tar, tree
from hypothesis import given
from hypothesis import strategies as st

from avrobust.data.archive_members import Damaged, Sieve, tar_members, zip_members
from avrobust.program import UserError

CLIPS = ("a_000000_000010.mp4", "-b_000002_000012.mp4", "c.webm")


@pytest.fixture
def folder(tmp_path):
    """A folder two levels below the one whose whole tree the tests compare."""
    made = tmp_path / "top/kept"
    made.mkdir(parents=True)
    return made


def sieve_for(wanted, folder, **options):
    return Sieve(lambda video, _: video in wanted, folder, **options)


def kept(data, sieve):
    return list(tar_members(io.BufferedReader(io.BytesIO(data)), sieve))


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_wanted_clips_are_written_under_their_video(folder, mode):
    sieve = sieve_for(["a", "-b", "c"], folder)
    made = kept(clips_tar(*CLIPS, "d.mp4", mode=mode), sieve)
    assert tree(folder) == {"a.mp4": content(CLIPS[0]), "-b.mp4": content(CLIPS[1]), "c.webm": content(CLIPS[2])}
    assert [(one["video_id"], one["file"], one["bytes"]) for one in made] == [
        ("a", "a.mp4", 30_000),
        ("-b", "-b.mp4", 30_000),
        ("c", "c.webm", 30_000),
    ]
    assert made[0]["sha256"] == hashlib.sha256(content(CLIPS[0])).hexdigest()
    assert (sieve.skipped, sieve.others) == ({}, {"d"})


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
    (member,) = kept(clips_tar(name), sieve_for([video], folder))
    assert member["video_id"] == video
    assert tree(folder) == {f"{video}{Path(member['file']).suffix}": content(name)}


@pytest.mark.parametrize("name", ["a.avi", "a", "a.mp4.txt", "a.MP4", ".mp4", "a_000003_000013", "a.mp4\n"])
def test_other_names_are_counted(folder, name):
    sieve = sieve_for(["a", ""], folder)
    assert kept(clips_tar(name), sieve) == []
    assert (sieve.skipped, sieve.others) == ({"other_name": 1}, set()) and tree(folder) == {}


def test_a_name_that_is_not_utf8_is_no_clip_and_stands_in_no_journal(folder):
    sieve = sieve_for(["a"], folder)
    assert [
        one["video_id"]
        for one in kept(tar([regular(name, b"x") for name in ("a\udce9.mp4", "dos\udce9/a.mp4")]), sieve)
    ] == ["a"]
    assert (sieve.skipped, sieve.others) == ({"other_name": 1}, set())


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
    sieve = sieve_for(wanted, folder)
    kept(hostile, sieve)
    assert tree(tmp_path) == {
        "secret.mp4": b"secret",
        "top/kept/up.mp4": content(names[0]),
        "top/kept/absolute.mp4": content(names[1]),
        "top/kept/dots.mp4": content(names[2]),
        "top/kept/....mp4": content(names[3]),
        "top/kept/through.mp4": content("through"),
    }
    assert (sieve.skipped, sieve.others) == ({"special": 6, "apple_double": 2}, set())


def test_empty_and_enormous_members_are_counted_and_the_next_of_the_video_taken(folder):
    sieve = sieve_for(["a"], folder, largest=1000)
    sizes = {"empty/a.mp4": 0, "big/a.mp4": 1001, "a.mp4": 1000, "again/a.mkv": 10}
    data = tar([regular(name, content(name, size)) for name, size in sizes.items()])
    (member,) = kept(data, sieve)
    assert tree(folder) == {"a.mp4": content("a.mp4", 1000)} and member["bytes"] == 1000
    assert (sieve.skipped, sieve.others) == ({"empty": 1, "too_large": 1, "repeated": 1}, set())


def test_a_sparse_file_is_special(folder):
    # A GNU header of 512 real bytes that stands for a file of 8 GB.
    header = bytearray(tarfile.TarInfo("a.mp4").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"%011o\0" % 512
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:398], header[398:410] = b"%011o\0" % (8 * 1024**3 - 512), b"%011o\0" % 512
    header[483:495] = b"77777777777\0"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    sieve = sieve_for(["a"], folder)
    assert kept(bytes(header) + bytes(512 + 1024), sieve) == []
    assert (sieve.skipped, sieve.others) == ({"special": 1}, set())


def test_what_is_there_is_only_rewritten_if_it_differs(folder):
    (folder / "a.mp4").write_bytes(content(CLIPS[0]))
    (folder / "-b.mp4").write_bytes(content("other"))
    before = (folder / "a.mp4").stat()
    kept(clips_tar(*CLIPS), sieve_for(["a", "-b"], folder))
    assert (folder / "a.mp4").stat().st_ino == before.st_ino
    assert tree(folder) == {"a.mp4": content(CLIPS[0]), "-b.mp4": content(CLIPS[1])}


def test_what_is_in_the_way_of_a_clip_is_named(folder):
    (folder / "a.mp4").mkdir()
    with pytest.raises(UserError, match=r"kept/a\.mp4: cannot be written: Is a directory"):
        kept(clips_tar("a.mp4"), sieve_for(["a"], folder))
    assert [path.name for path in folder.iterdir()] == ["a.mp4"]


GZIPPED, PLAIN = clips_tar(*CLIPS), clips_tar(*CLIPS, mode="w")
# Of a plain tar, the members and the first block of the end mark.
ONE = 512 + 30_208
PLAIN_END = 3 * ONE + 512


def check_cut(data):
    with tempfile.TemporaryDirectory() as name:
        folder, members = Path(name), []
        with pytest.raises(Damaged):
            for member in tar_members(io.BufferedReader(io.BytesIO(data)), sieve_for(["a", "-b", "c"], folder)):
                members.append(member)
        whole = {"a.mp4": content(CLIPS[0]), "-b.mp4": content(CLIPS[1]), "c.webm": content(CLIPS[2])}
        assert tree(folder) == {member["file"]: whole[member["file"]] for member in members}


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
        kept(bytes(data), sieve_for(["a", "-b", "c"], Path(name)))


@given(st.binary(max_size=2000))
def test_what_is_no_archive_is_damaged(data):
    with tempfile.TemporaryDirectory() as name:
        for packed in (data, gzip.compress(data)):
            if not (data.startswith(bytes(512))):
                with pytest.raises(Damaged):
                    kept(packed, sieve_for(["a"], Path(name)))
        assert tree(Path(name)) == {}


def test_a_header_that_would_fill_the_memory_is_damage(folder):
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 8 * 2**30
    with pytest.raises(Damaged, match="a header of 8589934592 bytes"):
        kept(header.tobuf(tarfile.GNU_FORMAT) + bytes(10240), sieve_for(["a"], folder))


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_stream_is_read_once_in_order_to_its_end(folder, mode):
    class Forward(io.RawIOBase):
        """Cannot go back, and gives a few bytes at a time."""

        def __init__(self, data):
            self.rest = io.BytesIO(data)

        def readable(self):
            return True

        def readinto(self, buffer):
            return self.rest.readinto(buffer[:1000])

    stream = Forward(clips_tar(*CLIPS, mode=mode) + bytes(3_000_000))  # zeros may follow the end
    assert len(list(tar_members(io.BufferedReader(stream), sieve_for(["a"], folder)))) == 1
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
    before = tree(tmp_path)
    wanted = ["-a_b", "up", "absolute", "empty", "bomb", "link", "._up"]
    sieve = sieve_for(wanted, folder, largest=1_000_000)
    made = list(zip_members(path, sieve))
    new = {"-a_b": "a", "up": "up", "absolute": "absolute"}
    assert tree(tmp_path) == before | {f"top/kept/{video}.mp4": content(name) for video, name in new.items()}
    assert [member["video_id"] for member in made] == list(new)
    skipped = {"apple_double": 1, "empty": 1, "too_large": 1, "other_name": 1, "special": 1}
    assert (sieve.skipped, sieve.others) == (skipped, {"other"})


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
        list(zip_members(path, sieve_for(["a", "b"], folder)))
    assert tree(folder) == {"a.mp4": content("a")}


def test_an_encrypted_member_is_the_users_matter(tmp_path, folder):
    path = make_zip(tmp_path / "z.zip", {"a.mp4": content("a"), "b.mp4": content("b")})
    central(path, "b.mp4", 8, "<H", 1)
    assert len(list(zip_members(path, sieve_for(["a"], folder)))) == 1
    with pytest.raises(UserError, match=r"z\.zip: b is encrypted"):
        list(zip_members(path, sieve_for(["b"], folder)))


def test_a_damaged_zip_is_damage(tmp_path, folder):
    path = make_zip(tmp_path / "z.zip", {"a.mp4": content("a")}, zipfile.ZIP_STORED)
    data = path.read_bytes()
    for broken in (b"", data[:20_000], data.replace(content("a")[500:600], bytes(100))):
        path.write_bytes(broken)
        with pytest.raises(Damaged):
            list(zip_members(path, sieve_for(["a"], folder)))
    assert tree(folder) == {}
