"""The store: what is packed is read again, from anywhere, and broken files are named."""

import io
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from avrobust.data import store
from avrobust.data.store import PackedClip, Store
from avrobust.program import UserError


def jpeg(value: int) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (6, 4), (value, 0, 0)).save(data, "JPEG", quality=95, subsampling=0)
    return data.getvalue()


def clip(number: int, samples: int = 50, frames: int = 3) -> PackedClip:
    return PackedClip(
        clip_id=f"clip{number}",
        split=("train", "val", "test")[number % 3],
        labels=(number % 5, 7),
        start=None,
        end=None if number % 2 else 2.5,
        audio=np.random.default_rng(number).integers(-(2**15), 2**15, samples, np.int16),
        frames=[jpeg(10 * k) for k in range(frames)],
        box=None if number % 2 else (0.1, 0.2, 0.3, 0.4),
        width=6,
        height=4,
    )


CLASSES = tuple("abcdefgh")


def write(path, clips, audio_rate=11025, classes=CLASSES):
    with store.writing(path, audio_rate=audio_rate, frame_rate=8, classes=classes) as shard:
        for one in clips:
            shard.add(one)
    return path


@pytest.fixture
def shards(tmp_path):
    return [
        write(tmp_path / "0.arrow", map(clip, range(40))),
        write(tmp_path / "1.arrow", []),
        write(tmp_path / "2.arrow", map(clip, range(40, 45))),
    ]


def check(opened: Store, numbers) -> None:
    for i in numbers:
        made = clip(i)
        assert opened.audio(i).tolist() == made.audio.tolist()
        assert [opened.encoded(i, k) for k in range(opened.frame_count(i))] == made.frames


def test_what_is_packed_is_read_in_any_order(shards):
    opened = Store(shards)
    assert len(opened) == 45 and (opened.audio_rate, opened.frame_rate) == (11025, 8)
    assert opened.clip_ids == [f"clip{i}" for i in range(45)]
    assert opened.classes == CLASSES
    assert opened.labels[7] == (2, 7)
    assert [opened.box(0), opened.box(1)] == [(0.1, 0.2, 0.3, 0.4), None]
    assert opened.indices("val").tolist() == list(range(1, 45, 3))
    check(opened, np.random.default_rng(0).permutation(45).tolist())
    assert opened.pixels(3, 1).shape == (4, 6, 3)
    assert abs(int(opened.pixels(3, 2)[..., 0].mean()) - 20) <= 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 4)), max_size=40))
def test_any_sizes(tmp_path_factory, sizes):
    path = write(tmp_path_factory.mktemp("store") / "s", (clip(i, *size) for i, size in enumerate(sizes)))
    opened = Store([path])
    assert [(len(opened.audio(i)), opened.frame_count(i)) for i in range(len(opened))] == sizes
    for i, (samples, _) in enumerate(sizes):
        assert opened.audio(i).tolist() == clip(i, samples).audio.tolist()


def test_audio_is_a_view_into_the_file(shards):
    sound = Store(shards).audio(3)
    assert sound.dtype == np.int16 and not sound.flags.owndata and not sound.flags.writeable


def test_many_shards_do_not_use_up_the_open_files(shards, monkeypatch):
    monkeypatch.setattr("avrobust.data.shards.OPEN_SHARDS", 1)
    check(Store(shards), [0, 44, 1, 43])


def test_a_store_travels_to_another_process(shards):
    opened = Store(shards)
    opened.audio(0)
    code = (
        "import pickle, sys; s = pickle.load(sys.stdin.buffer);"
        "print(len(s), s.audio(44).sum(dtype='i8'), len(s.encoded(44, 2)), 'torch' in sys.modules)"
    )
    path = {"PYTHONPATH": ":".join(sys.path)}
    made = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(opened), capture_output=True, check=True, env=path
    )
    assert made.stdout.split() == [
        b"45",
        str(clip(44).audio.sum(dtype="i8")).encode(),
        str(len(clip(44).frames[2])).encode(),
        b"False",
    ]


def test_places_that_do_not_exist(shards):
    opened = Store(shards)
    for i, k in [(45, 0), (-1, 0), (0, 3), (0, -1)]:
        with pytest.raises(IndexError):
            opened.encoded(i, k)


def test_equal_clips_give_equal_bytes(tmp_path):
    one, two = (write(tmp_path / name, map(clip, range(20))).read_bytes() for name in "ab")
    assert one == two


def test_a_failed_writing_leaves_nothing(tmp_path):
    with (
        pytest.raises(ZeroDivisionError),
        store.writing(tmp_path / "s", audio_rate=1, frame_rate=1, classes=CLASSES) as shard,
    ):
        shard.add(clip(0))
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keep", [0, 3, 100, 0.5, 0.999])
def test_a_file_cut_short_is_named(shards, keep):
    data = shards[0].read_bytes()
    shards[0].write_bytes(data[: keep if isinstance(keep, int) else int(keep * len(data))])
    with pytest.raises(UserError, match=r"0\.arrow.*pack"):
        Store(shards)


def read_all(path) -> list:
    opened = Store([path])
    return [
        (
            *(opened.clip_ids[i], opened.splits[i], opened.labels[i], opened.box(i), opened.audio(i).tolist()),
            *(opened.encoded(i, k) for k in range(opened.frame_count(i))),
        )
        for i in range(len(opened))
    ]


def flipped(path, where: int, bit: int = 0):
    """Write beside `path` the same file with one bit flipped; a new file, because the old one is mapped."""
    data = bytearray(path.read_bytes())
    data[where] ^= 1 << bit
    damaged = path.with_name("damaged.arrow")
    damaged.unlink(missing_ok=True)
    damaged.write_bytes(data)
    return damaged


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (clip(7).audio.tobytes()[20:30], "sound of clip7 has changed"),
        (clip(7).frames[2][-20:], "frame 2 of clip0 has changed"),
        (b"clip7", "what it says of a clip has changed"),
        (b"trainval", "what it says of a clip has changed"),
        (np.array([7.0, 7.0]).tobytes(), "what it says of a clip has changed"),
    ],
)
def test_a_flipped_bit_is_named_with_what_to_do(tmp_path, part, said):
    clips = [replace(clip(i), start=7.0, end=7.0) for i in range(10)]
    path = write(tmp_path / "whole.arrow", clips)
    damaged = flipped(path, path.read_bytes().index(part))
    with pytest.raises(UserError) as error:
        read_all(damaged)
    assert f"{damaged}: the shard is damaged, {said}" in str(error.value)
    assert f"`rm {damaged}` and the same command" in str(error.value)


def test_damaged_clips_do_not_hinder_the_others(tmp_path):
    path = write(tmp_path / "whole.arrow", map(clip, range(10)))
    damaged = flipped(path, path.read_bytes().index(clip(7).audio.tobytes()))
    check(Store([damaged]), [*range(7), 8, 9])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_bit_flips_either_nothing_has_changed_or_the_shard_is_named(tmp_path_factory, data):
    path = write(tmp_path_factory.getbasetemp() / "any.arrow", map(clip, range(3)))
    end = path.read_bytes().rindex(b"\xff\xff\xff\xff\0\0\0\0")
    damaged = flipped(path, data.draw(st.integers(0, end - 1)), data.draw(st.integers(0, 7)))
    try:
        assert read_all(damaged) == read_all(path)
    except UserError as error:
        assert str(damaged) in str(error) and "\n" not in str(error)


def test_files_that_are_no_shards_are_named(shards, tmp_path):
    foreign = tmp_path / "foreign.arrow"
    with pa.ipc.new_file(str(foreign), pa.schema({"x": pa.int8()})):
        pass
    (tmp_path / "text.arrow").write_text("not Arrow at all, but longer than a magic number")
    for name in ("foreign.arrow", "text.arrow", "absent.arrow"):
        with pytest.raises(UserError, match=name):
            Store([*shards, tmp_path / name])
    with pytest.raises(UserError, match="no shard"):
        Store([])


def test_shards_that_do_not_fit_together(shards, tmp_path):
    with pytest.raises(UserError, match="different rates"):
        Store([*shards, write(tmp_path / "r.arrow", [], audio_rate=16000)])
    with pytest.raises(UserError, match=r"0\.arrow and \S+c\.arrow are shards of different classes"):
        Store([*shards, write(tmp_path / "c.arrow", [], classes=CLASSES[::-1])])
    with pytest.raises(UserError, match="twice"):
        Store([*shards, write(tmp_path / "t.arrow", [clip(44)])])


@pytest.mark.parametrize("subsampling", [0, 2])
def test_frames_are_decoded_as_pillow_does(tmp_path, subsampling):
    """To the bit, so that it does not matter by what they are read."""
    noise = np.random.default_rng(0).integers(0, 256, (46, 62, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(noise).resize((124, 92)).save(data, "JPEG", quality=90, subsampling=subsampling)
    clip = PackedClip("a", "test", (0,), None, None, np.zeros(3, np.int16), [data.getvalue()], None, 124, 92)
    with store.writing(tmp_path / "shard.arrow", audio_rate=11025, frame_rate=8, classes=CLASSES) as shard:
        shard.add(clip)
    wanted = np.asarray(Image.open(data).convert("RGB"))
    assert np.array_equal(Store([tmp_path / "shard.arrow"]).pixels(0, 0), wanted)
