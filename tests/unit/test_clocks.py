"""Picture and sound keep their moments in whatever way the two clocks of a file disagree, or a reason is named.

In every file the picture turns white and the sound begins at the same instant, second 5 of 10; then times are changed.
"""

import math
import random
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from clip_files import ffmpeg, pixels

from avrobust.data import media
from avrobust.data.media import Form

FORM = Form(audio_rate=11025, frame_rate=8, short_side=0, minimum_frames=9)
ONSET = 5.0
PICTURE = "color=black:size=64x48:rate=25:duration={},drawbox=enable='gte(t,{})':color=white:t=fill"
SOUND = "sine=frequency=1000:sample_rate=44100:duration={},volume=enable='lt(t,{})':volume=0"
H264 = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "60", "-pix_fmt", "yuv420p", "-threads", "1")
MPEG2 = ("-c:v", "mpeg2video", "-b:v", "1M", "-c:a", "mp2")
SPANS = [(None, None), (0.0, 10.0), (3.0, 9.0), (4.37, 8.9)]


def picture(seconds: float = 10, onset: float = ONSET) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", PICTURE.format(seconds, onset))


def sound(seconds: float = 10, onset: float = ONSET) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", SOUND.format(seconds, onset))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("clocks")


@pytest.fixture(scope="module")
def plain(folder) -> Path:
    path = folder / "plain.mp4"
    ffmpeg(*picture(), *sound(), *H264, "-c:a", "aac", path)
    return path


def onsets(path: Path, span: tuple[float | None, float | None]) -> tuple[float | None, float | None, tuple[str, ...]]:
    """Return the seconds of the file at which the picture turns white and the sound begins, and the faults."""
    made = media.read(path, *span, FORM)
    begin = span[0] or 0.0
    white = next((k / 8 + begin for k, frame in enumerate(made.frames) if pixels(frame).mean() > 128), None)
    loud = np.flatnonzero(np.abs(made.audio.astype(int)) > 300)
    return white, loud[0] / 11025 + begin if len(loud) else None, made.faults


def assert_right(path: Path, white: float = ONSET, loud: float = ONSET, within: float = 0.06) -> None:
    """The sound begins `within` 60 ms (encoders add up to 45), the picture turns in the slot where `-r 8` has it.

    Slot k of `-r 8` shows a frame from before k / 8: up to two slots before it at a constant rate, and after a pause
    as little as one slot behind.
    """
    for span in SPANS:
        found_white, found_loud, faults = onsets(path, span)
        assert faults == (), span
        assert found_loud == pytest.approx(loud, abs=within), span
        assert white - 0.13 <= found_white <= white + 0.25, span


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "late.ts", "late.flv", "late.mpg"])
def test_sound_that_begins_late(folder, plain, name):
    codecs = MPEG2 if name.endswith("mpg") else ("-c:v", "copy", "-c:a", "aac")
    ffmpeg("-i", plain, "-itsoffset", "2", *sound(8, 3), "-map", "0:v", "-map", "1:a", *codecs, folder / name)
    assert_right(folder / name)


@pytest.mark.parametrize("name", ["picture.mp4", "picture.mkv", "picture.ts"])
def test_a_picture_that_begins_late(folder, plain, name):
    ffmpeg("-itsoffset", "3", *picture(7, 2), "-i", plain, "-map", "0:v", "-map", "1:a", *H264, "-c:a", "copy",
           folder / name)  # fmt: skip
    assert_right(folder / name)


def test_sound_that_begins_long_after_a_transport_stream_was_opened(folder):
    """What was not heard when the file was opened says the time of every sixth packet only."""
    path = folder / "unheard.ts"
    ffmpeg(*picture(28, 20), "-itsoffset", "12", *sound(16, 8), "-map", "0:v", "-map", "1:a", *H264, "-g", "250",
           "-c:a", "aac", path)  # fmt: skip
    for span in [(None, None), (15.0, 25.0), (17.3, 27.0)]:
        white, loud, faults = onsets(path, span)
        assert faults == () and loud == pytest.approx(20, abs=0.06) and 20 <= white <= 20.25


@pytest.mark.parametrize("early", ["sound", "picture"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_stream_that_begins_before_time_zero(folder, plain, early, suffix):
    """By a second. Some formats cut it there, others count from where it begins; the other is a second behind."""
    path = folder / f"{early}_early.{suffix}"
    maps = ("-map", "0:a", "-map", "1:v") if early == "sound" else ("-map", "0:v", "-map", "1:a")
    ffmpeg("-itsoffset", "-1", "-i", plain, "-i", plain, *maps, "-c", "copy", path)
    for span in [(None, None), (3.0, 9.0)]:
        white, loud, faults = onsets(path, span)
        assert faults == ()
        assert -0.2 <= white - loud - (1 if early == "sound" else -1) <= 0.25


def test_pictures_before_time_zero_that_say_no_time_are_named(folder, plain):
    """Matroska has times below 0, which libav takes for none; the first frame that says its time follows nothing."""
    path = folder / "below.mkv"
    ffmpeg("-itsoffset", "-2.5", "-i", plain, "-c", "copy", "-avoid_negative_ts", "disabled", path)
    with av.open(str(path)) as container:
        times = [frame.pts for frame in container.decode(video=0)]
    assert times[0] is None and times[-1] is not None
    for span in [(None, None), (0.0, 6.0)]:
        assert "times_missing" in onsets(path, span)[2]


@pytest.mark.parametrize("name", ["gap.mp4", "gap.mkv", "gap.ts", "gap.flv"])
def test_sound_with_a_gap(folder, plain, name):
    ffmpeg("-i", plain, "-c", "copy", "-bsf:a", "noise=drop='between(pts*tb,2,4)'", folder / name)
    assert_right(folder / name)
    silent = media.read(folder / name, 1.0, 6.0, FORM).audio
    assert len(silent) == 5 * 11025 and not silent[round(1.1 * 11025) : 3 * 11025].any()


@pytest.mark.parametrize("offset", ["100", "95440"])
def test_transport_streams_begin_anywhere_and_wrap_around(folder, plain, offset):
    """Their clocks count to 2^33 / 90,000 s = 95,443.7 s and then from 0: here at second 3.7."""
    path = folder / f"at{offset}.ts"
    ffmpeg("-i", plain, "-c", "copy", "-output_ts_offset", offset, path)
    assert_right(path)


def test_a_file_that_was_cut_by_an_edit_list(folder, plain):
    """Between key frames: decoders need what lies before, and nobody is to see it."""
    path = folder / "cut.mp4"
    ffmpeg("-ss", "2.8", "-i", plain, "-c", "copy", path)
    for span in [(None, None), (1.0, 4.0)]:
        white, loud, faults = onsets(path, span)
        assert faults == () and loud == pytest.approx(2.2, abs=0.06) and 2.2 <= white <= 2.45


def test_a_rate_that_changes(folder, plain):
    parts = [folder / "first.ts", folder / "second.ts"]
    ffmpeg("-i", plain, "-t", "4.8", "-c:v", "copy", "-c:a", "mp2", parts[0])
    ffmpeg("-ss", "4.8", "-i", plain, "-c:v", "copy", "-c:a", "mp2", "-ar", "48000", "-ac", "2",
           "-output_ts_offset", "4.8", parts[1])  # fmt: skip
    path = folder / "rates.ts"
    ffmpeg("-i", f"concat:{parts[0]}|{parts[1]}", "-c", "copy", path)
    # The second part is moved by 0.07 s where it is written, picture and sound.
    assert_right(path, 5.07, 5.07)


@pytest.mark.parametrize("name", ["pauses.mp4", "pauses.mkv", "pauses.ts"])
def test_a_picture_that_pauses(folder, plain, name):
    """Frames at 0, 1, 2, 3, 5 and 9 s: each is shown until the next one, also where a span begins or ends between."""
    chosen = "select='lt(t,3.01)*not(mod(n,25))+eq(n,125)+eq(n,225)'"
    codecs = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-threads", "1", "-c:a", "copy")
    ffmpeg("-i", plain, "-vf", chosen, "-fps_mode", "vfr", *codecs, folder / name)
    assert_right(folder / name)
    # 3.5 to 4.5 s is one frame, of second 3; 6 to 8 s another, of second 5.
    for span, level in [((3.5, 4.5), 0), ((6.0, 8.0), 255)]:
        made = media.read(folder / name, *span, FORM)
        assert len(made.frames) == pytest.approx(8 * (span[1] - span[0]), abs=1)
        assert all(abs(pixels(frame).mean() - level) < 3 for frame in made.frames)


def test_a_picture_of_a_frame_in_two_seconds(folder):
    """A decoder still holds the frames of the span when the next one after it was read."""
    path = folder / "slow.mp4"
    slow = "color=black:size=64x48:rate=1/2:duration=30,format=gray,geq=lum=8*T"
    codecs = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-pix_fmt", "yuv420p", "-threads", "1")
    ffmpeg("-f", "lavfi", "-i", slow, *sound(30), *codecs, "-c:a", "aac", path)
    made = media.read(path, 9.0, 13.0, FORM)
    assert made.faults == () and len(made.frames) == pytest.approx(32, abs=1)
    # The frame of second 8 for a second, that of 10 for two, that of 12 for one.
    levels = [pixels(frame).mean() / 8 for frame in made.frames]
    for slot, second in ((2, 8), (12, 10), (20, 10), (28, 12)):
        assert levels[slot] == pytest.approx(second, abs=0.5)


def test_program_streams_do_not_say_every_time(folder, plain):
    """Of H.264 in one only the first frame that begins in a block of 2 kB says its time."""
    path = folder / "few.mpg"
    noisy = (*picture()[:3], f"{picture()[3]},noise=alls=10:allf=t")
    ffmpeg(*noisy, *sound(), *H264, "-c:a", "mp2", "-f", "vob", path)
    with av.open(str(path)) as container:
        times = [frame.pts for frame in container.decode(video=0)]
    assert len(times) == 250 and times.count(None) > 100
    assert_right(path)


def test_pictures_without_any_time_are_named(folder, plain):
    path = folder / "raw.h264"
    ffmpeg("-i", plain, "-c:v", "copy", "-an", path)
    assert media.read(path, None, None, FORM).faults == ("no_audio_stream", "no_frames", "times_missing")


def test_theora_says_that_the_picture_stays_by_empty_packets(folder, plain):
    path = folder / "stays.ogv"
    ffmpeg("-i", plain, "-c:v", "libtheora", "-c:a", "libvorbis", path)
    assert_right(path)


# The times of an FLV file are plain numbers before each packet, so that any can be written there.


@pytest.fixture(scope="module")
def tags(folder, plain) -> bytes:
    path = folder / "plain.flv"
    ffmpeg("-i", plain, "-c", "copy", path)
    return path.read_bytes()


def retimed(data: bytes, change: Callable[[str, int], float]) -> bytes:
    """Change the time of each packet, in milliseconds, by `change(kind, time)`; a codec's header keeps its own."""
    out, at = bytearray(data), 13
    while at < len(data):
        kind = {8: "sound", 9: "picture"}.get(data[at])
        if kind and data[at + 12] == 1:
            time = int.from_bytes(data[at + 7 : at + 8] + data[at + 4 : at + 7], "big")
            new = round(change(kind, time)).to_bytes(4, "big")
            out[at + 4 : at + 8] = new[1:] + new[:1]
        at += 11 + int.from_bytes(data[at + 1 : at + 4], "big") + 4
    return bytes(out)


def moved(data: bytes, milliseconds: int) -> bytes:
    """Move the packets of sound in the file, to beside those of the picture so much later; times stay."""
    found, at = [], 13
    while at < len(data):
        size = 11 + int.from_bytes(data[at + 1 : at + 4], "big") + 4
        time = int.from_bytes(data[at + 7 : at + 8] + data[at + 4 : at + 7], "big")
        media_packet = data[at] in (8, 9) and data[at + 12] == 1
        found.append((time + milliseconds * (data[at] == 8) if media_packet else -math.inf, data[at : at + size]))
        at += size
    return data[:13] + b"".join(packet for _, packet in sorted(found, key=lambda one: one[0]))


def of(kind: str, milliseconds: float, after: float = 0) -> Callable[[str, int], float]:
    """Move what is of one kind and later than `after` by so much."""
    return lambda this, time: time + milliseconds * (this == kind and time >= after)


@pytest.mark.parametrize(
    ("change", "white", "loud"),
    [
        (of("sound", 0), 5.0, 5.0),
        (of("sound", 1500), 5.0, 6.5),
        (of("picture", 1500), 6.5, 5.0),
        (of("sound", 300, after=3000), 5.0, 5.3),
        (of("sound", -300, after=3000), 5.0, 4.7),
        (of("picture", 1500, after=3000), 6.5, 5.0),
        (lambda kind, time: time + 1500 * (time >= 3000), 6.5, 6.5),
    ],
    ids=["none", "late", "picture", "gap", "overlap", "pause", "both"],
)
def test_times_that_disagree_are_kept(folder, tags, change, white, loud):
    path = folder / "kept.flv"
    path.write_bytes(retimed(tags, change))
    assert_right(path, white, loud)


@pytest.mark.parametrize("speed", [0.96, 1.04])
def test_a_clock_of_the_sound_that_goes_wrong_is_followed(folder, tags, speed):
    path = folder / "drift.flv"
    path.write_bytes(retimed(tags, lambda kind, time: time * (speed if kind == "sound" else 1)))
    assert_right(path, 5.0, 5.0 * speed, within=0.06 + media.JITTER)


@pytest.mark.parametrize("milliseconds", [-4000, 4000])
def test_sound_may_lie_far_from_its_picture_in_the_file(folder, tags, milliseconds):
    path, indexed = folder / "apart.flv", folder / "apart.mkv"
    path.write_bytes(moved(tags, milliseconds))
    ffmpeg("-i", path, "-c", "copy", "-max_interleave_delta", "1", indexed)
    for file in (path, indexed):
        assert_right(file)
        made = media.read(file, 1.0, 4.0, FORM)
        assert len(made.audio) == pytest.approx(3 * 11025, abs=12)


def test_a_clock_that_jumps_ahead_leaves_a_pause_in_both(folder, tags):
    path = folder / "ahead.flv"
    path.write_bytes(retimed(tags, lambda kind, time: time + 20_000 * (time >= 4000)))
    white, loud, faults = onsets(path, (None, None))
    assert faults == ("sound_interrupted",)  # in the middle, second 15 of 30
    assert loud == pytest.approx(25, abs=0.06) and 25 <= white <= 25.25
    assert onsets(path, (22.0, 30.0))[2] == ()


@pytest.mark.parametrize("kinds", ["sound", "picture", "sound and picture"])
def test_a_clock_that_goes_back_is_named(folder, tags, kinds):
    path = folder / "back.flv"
    path.write_bytes(retimed(tags, lambda kind, time: time - 3000 * (kind in kinds and time >= 4000)))
    for span in [(None, None), (0.5, 9.5)]:
        assert "clock_goes_back" in onsets(path, span)[2]


def test_two_recordings_in_one_file_are_named(folder, plain):
    path = folder / "one.ts"
    ffmpeg("-i", plain, "-c", "copy", path)
    twice = folder / "twice.ts"
    twice.write_bytes(2 * path.read_bytes())
    # Where one ends and the other begins, packets are lost.
    assert onsets(twice, (None, None))[2] == ("corrupt_stream", "clock_goes_back")
    assert onsets(twice, (3.0, 9.0))[2] == ("clock_goes_back",)


def test_times_of_another_day_are_named(folder, tags):
    path = folder / "far.flv"
    path.write_bytes(retimed(tags, lambda kind, time: time + 2_000_000 * (time >= 4000)))
    assert "corrupt_stream" in onsets(path, (None, None))[2]


def test_times_that_jitter_change_nothing(folder, tags):
    """Recorders' times do; what was cut at each of them would crackle."""
    drawn = random.Random(0)
    straight, shaken = folder / "straight.flv", folder / "shaken.flv"
    straight.write_bytes(tags)
    shaken.write_bytes(
        retimed(tags, lambda kind, time: time + (drawn.uniform(-20, 20) if kind == "sound" and time > 100 else 0))
    )
    one, other = (media.read(path, None, None, FORM).audio for path in (straight, shaken))
    assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (of("sound", 6000), "sound_begins_late"),
        (of("sound", 4000, after=3000), "sound_interrupted"),
    ],
)
def test_no_sound_at_the_middle_frame_is_named(folder, tags, change, fault):
    """Which is at 5.1 s: 82 frames."""
    path = folder / "middle.flv"
    path.write_bytes(retimed(tags, change))
    assert onsets(path, (None, None))[2] == (fault,)
