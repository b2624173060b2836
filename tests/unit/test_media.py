"""Decoding, against the real ffmpeg program, on files with every fault that real clips have."""

import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from clip_files import ffmpeg, pixels

from avrobust import imagenet
from avrobust.data import containers, media
from avrobust.data.ffmpeg import ffmpeg_path
from avrobust.data.frame_rate import constant_rate, unneeded
from avrobust.data.media import Form

FORM = Form(audio_rate=11025, frame_rate=8, short_side=0, minimum_frames=49)
REAL_CLIPS = Path(__file__).parents[2] / "../shared/data/clips"

PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=7")
SOUND = ("-f", "lavfi", "-i", "aevalsrc=sin(2000*t)|sin(3000*t*t):sample_rate=44100:duration=7")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p")
# The grey level tells which frame it is; ffv1 keeps it exactly.
NUMBERED = "color=black:size=32x32:rate=30:duration=4,format=gray,geq=lum=2*N"


OLD_PROGRAM = b"version 5.1" in subprocess.run([ffmpeg_path(), "-version"], stdout=subprocess.PIPE).stdout


def numbers(made: media.Media) -> list[int]:
    return [round(pixels(frame).mean() / 2) for frame in made.frames]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("media")


@pytest.fixture(scope="module")
def ordinary(folder) -> Path:
    path = folder / "ordinary.mp4"
    ffmpeg(*PICTURE, *SOUND, *H264, "-c:a", "aac", "-movflags", "faststart", path)
    return path


@pytest.fixture(scope="module")
def numbered(folder) -> Path:
    path = folder / "numbered.mkv"
    ffmpeg("-f", "lavfi", "-i", NUMBERED, *SOUND, "-shortest", "-c:v", "ffv1", "-c:a", "pcm_s16le", path)
    return path


def test_an_ordinary_clip(ordinary):
    made = media.read(ordinary, None, None, FORM)
    assert made.faults == ()
    assert made.size == (64, 48)
    assert len(made.frames) == 58
    assert made.audio.dtype == np.int16 and made.audio.ndim == 1


# Which frames `-r 8` of version 5.1.9 writes of the two files.
EVEN = [0, 1, 3, 7, 10, 14, 18, 22, 25, 29, 33, 37, 40, 44, 48, 52, 55]
EVEN += [59, 63, 67, 70, 74, 78, 82, 85, 89, 93, 97, 100, 104, 108, 112, 115, 119]
UNEVEN = [0, 1, 3, 7, 10, 14, 18, 22, 25, 29, 30, 30, 30, 30, 30, 60, 61, 62, 63, 67, 70, 74, 78, 82, 85, 89]


def test_the_frames_are_those_of_the_command_line(numbered):
    assert numbers(media.read(numbered, None, None, FORM)) == EVEN


def test_the_frames_of_a_variable_rate_are_those_of_the_command_line(folder):
    path = folder / "variable.mkv"
    # 30 a second, but of every second second only the first frame.
    chosen = f"{NUMBERED},select='not(mod(floor(n/30)\\,2))+not(mod(n\\,30))'"
    codecs = ("-c:v", "ffv1", "-c:a", "pcm_s16le")
    ffmpeg("-f", "lavfi", "-i", chosen, *SOUND, "-t", "4", "-fps_mode", "vfr", *codecs, path)
    assert numbers(media.read(path, None, None, FORM)) == UNEVEN


@pytest.mark.parametrize("channels", ["mono", "stereo", "5.1"])
def test_sound_is_that_of_the_command_line(folder, channels):
    path = folder / f"{channels}.mp4"
    ffmpeg(*PICTURE, *SOUND, *H264, "-af", f"pan={channels}|{CHANNELS[channels]}", "-c:a", "aac", path)
    wanted = np.frombuffer(ffmpeg("-i", path, "-vn", "-ac", "1", "-ar", "11025", "-f", "s16le", "-"), "<i2")
    sound = media.read(path, None, None, FORM).audio
    # Newer programs leave out what the encoder added at the end, at most one packet of 1024 samples.
    assert 7 * 11025 <= len(wanted) <= len(sound) <= len(wanted) + (0 if OLD_PROGRAM else 256)
    assert np.abs(sound[: len(wanted) - 50].astype(int) - wanted[:-50]).max() <= 1
    assert np.abs(wanted.astype(int)).max() > 5000


def test_the_released_sound_is_picked_without_a_low_pass(folder):
    """Sample k is number round(44100 k / 11000) of what is decoded at 44,100; noise above 5.5 kHz is folded back."""
    path = folder / "high.mov"  # which has the times of sound exactly
    noise = np.random.default_rng(0).standard_normal(3 * 44100)
    bins = np.fft.rfftfreq(len(noise), 1 / 44100)
    band = np.fft.irfft(np.fft.rfft(noise) * ((bins > 6500) & (bins < 7800)))
    samples = np.round(band / band.std() * 0.1179 * 32768).astype("<i2")
    (folder / "high.raw").write_bytes(samples.tobytes())
    raw = ("-f", "s16le", "-ar", "44100", "-ac", "1", "-i", folder / "high.raw")
    ffmpeg(*PICTURE, *raw, *H264, "-shortest", "-c:a", "pcm_s16le", path)
    picked = media.read(path, None, None, Form(11_000, 8, 0, 1, picked_from=44_100)).audio
    assert picked[:60].tolist() == samples[PICKED].tolist()
    assert np.sqrt(np.mean((picked / 32768) ** 2)) == pytest.approx(0.1178, abs=0.0003)
    power = np.abs(np.fft.rfft(picked)) ** 2
    folded = np.fft.rfftfreq(len(picked), 1 / 11000)
    inside = (folded > 11_000 - 7800 - 10) & (folded < 11_000 - 6500 + 10)
    assert power[inside].sum() > 0.97 * power.sum()
    # In a span sample k is the one nearest to its start plus k / 11,000.
    part = media.read(path, 1.0, 2.0, Form(11_000, 8, 0, 1, picked_from=44_100)).audio
    assert len(part) == 11_000 and part[:6].tolist() == samples[[44100, 44104, 44108, 44112, 44116, 44120]].tolist()
    # Resampled, next to nothing is left.
    resampled = media.read(path, None, None, Form(11_025, 8, 0, 1)).audio
    assert np.sqrt(np.mean((resampled / 32768) ** 2)) < 0.001


# 44100 k / 11000 is 4 k and k / 110: one half more at k = 55, where 220 is the even one.
PICKED = [*(4 * k for k in range(56)), 225, 229, 233, 237]

CHANNELS = {
    "mono": "c0=c0",
    "stereo": "c0=c0|c1=c1",
    "5.1": "FL=c0|FR=c1|FC=0.5*c0|LFE=c1|BL=0.3*c1|BR=0.7*c0",
}


def test_a_span_is_the_same_span_of_the_whole(numbered):
    whole, part = (media.read(numbered, *span, FORM) for span in [(None, None), (1.5, 3.25)])
    first = round(1.5 * 11025)
    assert len(part.audio) == round(1.75 * 11025)
    # Another start of the resampler moves it by less than half a sample; the sine sweeps slowly here.
    difference = part.audio[200:-200].astype(int) - whole.audio[first : first + len(part.audio)][200:-200]
    assert np.abs(difference).mean() < 0.05 * np.abs(whole.audio.astype(int)).mean()
    # 1.75 s are frames 45 to 97; from the span's start the rule is the one for whole files.
    slots = ((k, (k - 45) / 30 * 8, 8 / 30) for k in range(45, 98))
    assert numbers(part)[:3] == [45, 46, 48]
    assert len(numbers(part)) == len(list(constant_rate(slots)))
    assert set(numbers(part)) <= set(range(45, 98))


def test_a_span_of_inter_coded_video_begins_at_its_own_frame(folder, ordinary):
    whole, part = (media.read(ordinary, *span, FORM) for span in [(None, None), (2.96, 5.0)])
    # At 25 frames a second 2.96 s is frame 74, slot 23.68: frame 74 was shown in slot 25 of the whole.
    difference = [np.abs(pixels(part.frames[0]) - pixels(frame)).mean() for frame in whole.frames]
    assert int(np.argmin(difference)) in (24, 25, 26)
    assert min(difference) < 10


@pytest.fixture(scope="module")
def rising(folder) -> Path:
    """Ten levels brighter each second, with a key frame only every ten."""
    path = folder / "rising.mkv"
    picture = "color=black:size=64x48:rate=25:duration=25,format=gray,geq=lum=10*T,noise=alls=8:allf=t"
    ffmpeg("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", "sine=duration=25", "-c:v", "libx264", "-preset",
           "veryfast", "-g", "250", "-bf", "2", "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-threads", "1",
           "-c:a", "mp2", path)  # fmt: skip
    return path


@pytest.mark.parametrize("way", ["mp4", "ts", "m2ts", "mpg", "mpeg2.ts", "flv", "avi", "no_index.mkv", "fragments.mp4"])
def test_spans_begin_at_their_own_frame_in_every_format(folder, rising, way):
    """Formats without an index are searched by their times, and the search may end behind the place."""
    path = folder / f"rising.{way}"
    options = {
        "mpg": ("-bsf:v", "h264_mp4toannexb", "-f", "vob"),
        "avi": ("-bsf:v", "h264_mp4toannexb", "-c:a", "pcm_s16le"),
        "mpeg2.ts": ("-c:v", "mpeg2video", "-q:v", "2", "-g", "60", "-bf", "2"),
        "no_index.mkv": ("-f", "matroska", "-live", "1"),
        "flv": ("-c:a", "aac"),
        "fragments.mp4": ("-movflags", "frag_keyframe+empty_moov"),
    }
    ffmpeg("-i", rising, "-c", "copy", *options.get(way, ()), path)
    for start, end in [(12.1, 15.0), (9.5, 11.0), (20.9, 23.0)]:
        made = media.read(path, start, end, FORM)
        assert set(made.faults) <= {"too_short"}
        levels = [pixels(frame).mean() for frame in made.frames]
        # Levels are those of a tenth of a second, and noisy; the last slot shows a frame from before the end.
        assert levels[0] / 10 == pytest.approx(start, abs=0.25)
        assert levels[-1] / 10 == pytest.approx(end, abs=0.35)
        assert len(made.frames) == pytest.approx(8 * (end - start), abs=2.5)
        assert len(made.audio) == round((end - start) * 11025)


def test_a_stream_that_no_decoder_knows_is_named_and_another_is_taken(folder, ordinary):
    """A telephone has sound in a format of its own, beside or in place of one that others know."""
    whole = ordinary.read_bytes()
    (folder / "apac.mp4").write_bytes(whole.replace(b"mp4a", b"apac").replace(b"esds", b"dapa"))
    (folder / "zzz9.mp4").write_bytes(whole.replace(b"avc1", b"zzz9"))
    ffmpeg("-i", ordinary, "-map", "0:v", "-map", "0:a", "-map", "0:a", "-c", "copy", folder / "two.mp4")
    two = (folder / "two.mp4").read_bytes()
    (folder / "two.mp4").write_bytes(two.replace(b"mp4a", b"apac", 1).replace(b"esds", b"dapa", 1))
    made = {name: media.read(folder / f"{name}.mp4", None, None, FORM) for name in ("apac", "zzz9", "two")}
    assert {name: one.faults for name, one in made.items()} == {
        "apac": ("no_audio_decoder",), "zzz9": ("no_video_decoder",), "two": (),
    }  # fmt: skip
    assert np.array_equal(made["two"].audio, media.read(ordinary, None, None, FORM).audio)


def test_a_span_past_the_end_is_empty(ordinary):
    made = media.read(ordinary, 20.0, 25.0, FORM)
    assert made.faults == ("no_frames", "no_samples")


def test_sound_that_starts_late_is_padded_within_a_span(folder):
    path = folder / "late.mkv"
    ffmpeg(*PICTURE, "-itsoffset", "2", *SOUND, *H264, "-c:a", "pcm_s16le", path)
    sound = media.read(path, 0.0, 4.0, FORM).audio
    assert len(sound) == 4 * 11025
    assert not sound[: 2 * 11025 - 30].any()
    assert np.abs(sound[2 * 11025 + 30 : 3 * 11025].astype(int)).mean() > 1000


def test_the_first_of_several_streams_is_taken(folder, numbered):
    path = folder / "several.mkv"
    maps = ("-map", "1:v", "-map", "0:v", "-map", "1:a", "-map", "0:a")
    ffmpeg(*PICTURE, "-i", numbered, "-f", "lavfi", "-i", "anullsrc", *maps[:5], "1:a", "-map", "2:a", "-t", "4",
           "-c:v", "ffv1", "-c:a", "pcm_s16le", path)  # fmt: skip
    made = media.read(path, None, None, FORM)
    assert made.size == (32, 32)
    assert made.audio.any()


def test_a_cover_is_no_video(folder):
    path = folder / "song.mp4"
    ffmpeg(*SOUND, *PICTURE, "-map", "0", "-map", "1", "-frames:v", "1", "-c:v", "mjpeg", "-c:a", "aac",
           "-disposition:v", "attached_pic", path)  # fmt: skip
    assert media.read(path, None, None, FORM).faults == ("no_video_stream",)


def test_files_without_sound_or_picture(folder):
    ffmpeg(*PICTURE, *H264, folder / "silent.mp4")
    ffmpeg(*SOUND, "-c:a", "aac", folder / "sound.mp4")
    silent, sound = (media.read(folder / name, None, None, FORM) for name in ("silent.mp4", "sound.mp4"))
    assert (silent.faults, len(silent.frames), len(silent.audio)) == (("no_audio_stream",), 58, 0)
    assert (sound.faults, len(sound.frames)) == (("no_video_stream",), 0)
    assert len(sound.audio) > 7 * 11025


def test_files_that_are_none(folder):
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "garbage.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    (folder / "list.m3u8").write_text("#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    faults = {
        name: media.read(folder / name, None, None, FORM).faults
        for name in ("empty.mp4", "garbage.mp4", "list.m3u8", "absent.mp4", "")
    }
    assert faults == {
        "empty.mp4": ("empty_file",),
        "garbage.mp4": ("unreadable",),
        "list.m3u8": ("unreadable",),
        "absent.mp4": ("no_file",),
        "": ("folder",),
    }


@pytest.mark.parametrize("name", ["whole.mkv", "whole.webm", "streamed.mkv"])
def test_a_part_of_a_matroska_file_is_not_taken_for_all_of_it(folder, name):
    codecs = ("-c:v", "libvpx", "-c:a", "libvorbis") if name.endswith("webm") else (*H264, "-c:a", "aac")
    # Where it is streamed, the length of a file is not known when its beginning is written.
    ffmpeg(*PICTURE, *SOUND, *codecs, *(("-live", "1") if "streamed" in name else ()), folder / name)
    data = (folder / name).read_bytes()
    assert media.read(folder / name, None, None, FORM).faults == ()
    for kept in (len(data) // 2, len(data) - 1):
        (folder / "cut").write_bytes(data[:kept])
        assert ("file_ends_early" in media.read(folder / "cut", None, None, FORM).faults) == ("whole" in name)
    (folder / "cut").write_bytes(data + b"more")
    assert "file_ends_early" not in media.read(folder / "cut", None, None, FORM).faults


BIDIRECTIONAL = ("-c:v", "libx264", "-preset", "medium", "-bf", "3", "-b_strategy", "0", "-pix_fmt", "yuv420p")


@pytest.fixture(scope="module")
def bidirectional(folder) -> Path:
    path = folder / "bidirectional.mp4"
    ffmpeg(*PICTURE, *SOUND, *BIDIRECTIONAL, "-c:a", "aac", path)
    return path


@pytest.mark.parametrize("span", [(None, None), (0.0, 4.0), (2.3, 5.7), (6.5, 9.0)])
def test_what_is_left_out_changes_nothing(bidirectional, span):
    """Half of the frames are referred to by no other and shown in no slot; without decoding them all is the same."""
    skipped = unneeded(bidirectional, *span, FORM.frame_rate)
    assert len(skipped) > 10
    whole, part = (media._read(bidirectional, *span, FORM, left_out) for left_out in (frozenset(), skipped))
    assert (whole.frames, whole.size, whole.faults) == (part.frames, part.size, part.faults)
    assert np.array_equal(whole.audio, part.audio)


def test_a_broken_frame_that_would_be_shown_makes_others_count(folder, bidirectional):
    """Then another frame is shown in its slot, which may be one that was left out: all are decoded."""
    path = folder / "hole.mp4"
    skipped = unneeded(bidirectional, None, None, FORM.frame_rate)
    with av.open(str(bidirectional)) as container:
        shown = [packet for packet in container.demux(video=0) if packet.size and packet.pts not in skipped]
        # Of H.264 in mp4 byte 4 is the first of a slice: a slice of importance 0 is referred to by none.
        holes = [(packet.pos, packet.size) for packet in shown if bytes(packet)[4] == 0x01]
    assert holes
    data = bytearray(bidirectional.read_bytes())
    for place, size in holes:
        data[place + 4 : place + size] = b"\xff" * (size - 4)
    path.write_bytes(data)
    with pytest.raises(media._Needed):
        media._read(path, None, None, FORM, skipped)
    made = media.read(path, None, None, FORM)
    assert "corrupt_stream" in made.faults
    assert made.frames == media._read(path, None, None, FORM, frozenset()).frames


def test_a_short_file(folder):
    path = folder / "short.mp4"
    ffmpeg(*PICTURE, *SOUND, *H264, "-c:a", "aac", "-t", "2", path)
    assert media.read(path, None, None, FORM).faults == ("too_short",)


@pytest.mark.parametrize(("seconds", "faults"), [(2.5, ("sound_ends_early",)), (4.5, ())])
def test_sound_has_to_reach_the_middle_frame(folder, seconds, faults):
    """Evaluation looks at the middle of the picture; where there is no sound, there is nothing to hear."""
    path = folder / "early.mp4"
    ffmpeg(*PICTURE, *SOUND, *H264, "-c:a", "aac", "-af", f"atrim=duration={seconds}", "-t", "7", path)
    assert media.read(path, None, None, FORM).faults == faults


def test_a_file_cut_short(folder, ordinary):
    path = folder / "cut.mp4"
    data = ordinary.read_bytes()
    path.write_bytes(data[: int(0.6 * len(data))])
    made = media.read(path, None, None, FORM)
    assert "corrupt_stream" in made.faults
    assert 10 < len(made.frames) < 58


def test_packets_that_cannot_be_decoded(folder, ordinary):
    path = folder / "broken.mp4"
    data = bytearray(ordinary.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = b"\xff" * 3000
    path.write_bytes(data)
    made = media.read(path, None, None, FORM)
    assert "corrupt_stream" in made.faults
    assert len(made.frames) > 10
    # What is broken outside a span is none of its faults.
    assert media.read(path, 0.0, 0.5, Form(11025, 8, 0, 1)).faults == ()


def test_a_broken_time_does_not_fill_the_disk(folder):
    path = folder / "jump.mkv"
    jump = f"{NUMBERED},setpts='PTS+gte(N\\,60)*5000/TB'"
    codecs = ("-c:v", "ffv1", "-c:a", "pcm_s16le")
    ffmpeg("-f", "lavfi", "-i", jump, *SOUND, "-fps_mode", "passthrough", *codecs, path)
    made = media.read(path, None, None, FORM)
    assert made.faults == ("corrupt_stream", "too_short")
    assert numbers(made)[-1] < 60


def test_the_stand_in_is_of_the_mean_colour_and_silent():
    """Which the normalisation turns into the zeros of the released loader, to within a grey level."""
    made = media.blank(Form(11025, 8, 24, 49))
    assert len(made.frames) == 49 and made.size == (24, 24)
    assert np.abs(pixels(made.frames[0]) - 255 * np.array(imagenet.MEAN)).max() < 1.5
    assert len(made.audio) == 49 * 11025 // 8 and not made.audio.any()


# name: faults, frames and samples, as measured with `ffmpeg -r 8` and `-ac 1 -ar 11025` of version 5.1.9; but for two
# files whose samples are more, by what that leaves out: 155 ms without sound in the first, 15 ms before it in the other
REAL = {
    "vggsound_ZYc410CE4Rg_0_10000.mp4": ("", 82, 110336),
    "vggsound_3qesirWAGt4_20000_30000.mp4": ("", 82, 110336),
    "kinetics_flipping_pancake.mkv": ("", 84, 114304),
    "kinetics_demo_noaudio.mp4": ("no_audio_stream", 82, 0),
    "nasa_13013_multistream.mp4": ("", 106, 143943),
    "chaplin.mp4": ("", 79, 105996),
    "fire2_vfr_rotated_mono.mp4": ("too_short", 21, 24931 + 1711),
    "no_duration.webm": ("too_short", 42, 53582 + 165),
    "video_with_failing_audio.mp4": ("", 91, 123852),
    "bigbuckbunny_51.mp4": ("too_short", 44, 58565),
    "corrupted.mp4": ("no_audio_stream+corrupt_stream+too_short", 42, 0),
    "rotated_90.mov": ("no_audio_stream+too_short", 2, 0),
    "tiny_no_streams.mp4": ("no_video_stream+no_audio_stream", 0, 0),
    "tiny_audio_only.mp4": ("no_video_stream", 0, 512),
    "zero_bytes.webm": ("empty_file", 0, 0),
}


@pytest.mark.skipif(not REAL_CLIPS.is_dir(), reason="the real odd clips are not beside this checkout")
@pytest.mark.parametrize("name", REAL)
def test_real_clips(name):
    made = media.read(REAL_CLIPS / name, None, None, Form(11025, 8, 72, 49))
    assert ("+".join(made.faults), len(made.frames), len(made.audio)) == REAL[name]


def test_a_late_part_of_a_long_file_is_sought_and_not_read_from_the_beginning(tmp_path):
    """A minute; what cannot be sought would be read whole, with the same frames and many times as slowly."""
    sources = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=8:d=60", "-f", "lavfi", "-i", "sine=d=60")
    path = tmp_path / "long.mp4"
    ffmpeg(*sources, "-c:v", "libx264", "-preset", "ultrafast", "-g", "8", "-pix_fmt", "yuv420p", path)
    with av.open(str(path)) as container:
        file = containers.Reading(container, 50.0, True)
        sought = containers._after_seeking(file, 50.0)
        times = [containers._shown(next(sought), file.begin) for _ in range(4)] if sought else []
    assert times and 30 < min(times) < 50
