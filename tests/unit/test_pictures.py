"""Frames as JPEG, against the real ffmpeg program."""

import io
from contextlib import nullcontext
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from clip_files import ffmpeg, pixels
from PIL import Image

from avrobust.data.encoding import encode_without_loss
from avrobust.data.pictures import Pictures, plain, planes


def made(path: Path, short_side: int) -> Pictures:
    pictures = Pictures(short_side, nullcontext())
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            pictures.add(frame)
    return pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def moving(folder) -> Path:
    path = folder / "moving.mp4"
    source = "testsrc2=size=214x120:rate=10:duration=1,noise=alls=20:allf=t"
    ffmpeg("-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", path)
    return path


@pytest.mark.parametrize("size", [(214, 120), (160, 90), (128, 72), (107, 60), (91, 51)])
def test_pixels_are_those_of_the_command_line(moving, size):
    """Within one level, in every plane, scaled or not; an odd last line or column is left out.

    Chroma lies to the left of its pixels, where H.264 has it if it does not say; the command line then takes either
    end for the middle.
    """
    scale = f"scale={size[0]}:{size[1]}:flags=bicubic:in_chroma_loc=left:out_chroma_loc=left"
    raw = ffmpeg("-i", moving, "-frames:v", "1", "-vf", scale, "-pix_fmt", "yuvj420p", "-f", "rawvideo", "-")
    shapes = [(size[1], size[0]), *[((size[1] + 1) // 2, (size[0] + 1) // 2)] * 2]
    wanted = np.split(np.frombuffer(raw, np.uint8), np.cumsum([h * w for h, w in shapes])[:-1])
    with av.open(str(moving)) as container:
        found = planes(next(container.decode(video=0)), size, VideoReformatter())
    assert [plane.shape for plane in found] == [
        (size[1] // 2 * 2, size[0] // 2 * 2),
        *[(size[1] // 2, size[0] // 2)] * 2,
    ]
    for plane, other, shape in zip(found, wanted, shapes, strict=True):
        other = other.reshape(shape)[: plane.shape[0], : plane.shape[1]]
        assert np.abs(plane.astype(int) - other).max() <= 1
        assert np.ptp(plane) > 100


@pytest.mark.parametrize("colour", [(200, 40, 90), (20, 160, 230), (128, 128, 128)])
@pytest.mark.parametrize("matrix", ["bt709", "smpte170m"])
def test_colours_are_those_of_the_video(folder, colour, matrix):
    """Whatever coefficients it was encoded with."""
    path = folder / f"{matrix}.mp4"
    Image.new("RGB", (64, 48), colour).save(folder / "colour.png")
    ffmpeg("-loop", "1", "-i", folder / "colour.png", "-frames:v", "2", "-vf", f"scale=out_color_matrix={matrix}",
           "-colorspace", matrix, "-c:v", "libx264", "-qp", "1", "-pix_fmt", "yuv420p", path)  # fmt: skip
    shown = pixels(made(path, 0).files[0]).reshape(-1, 3).mean(0)
    assert np.abs(shown - colour).max() <= 2
    # The command line leaves the values as they are, which JPEG takes for those of BT.601.
    ffmpeg("-i", path, "-frames:v", "1", "-q:v", "1", folder / "plain.jpg")
    off = np.abs(pixels((folder / "plain.jpg").read_bytes()).reshape(-1, 3).mean(0) - colour).max()
    assert off > 10 if matrix == "bt709" and colour != (128, 128, 128) else off <= 2


@pytest.mark.parametrize(
    ("short_side", "size"), [(0, (214, 120)), (60, (106, 60)), (120, (214, 120)), (999, (214, 120))]
)
def test_frames_are_scaled_down_never_up(moving, short_side, size):
    pictures = made(moving, short_side)
    assert pictures.size == size
    assert len(pictures.files) == 10
    assert {pixels(jpeg).shape for jpeg in pictures.files} == {(size[1], size[0], 3)}


def test_a_repeated_frame_is_encoded_once_and_equal_frames_give_equal_bytes(moving):
    pictures = Pictures(50, nullcontext())
    with av.open(str(moving)) as container:
        first, second = (frame for frame, _ in zip(container.decode(video=0), range(2), strict=False))
    for frame in (first, first, second, first):
        pictures.add(frame)
    one, repeated, other, again = pictures.files
    assert one is repeated
    assert one == again != other


@pytest.mark.parametrize(
    "matrix",
    [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (1, 0, 0, 1)],
    ids=["90", "180", "270", "0"],
)
def test_frames_stand_as_the_command_line_turns_them(folder, moving, matrix):
    path = folder / "turned.mp4"
    data = bytearray(moving.read_bytes())
    place = data.index(b"tkhd") + 4 + 40  # the track header's matrix, nine 32-bit numbers, four of them ours
    a, b, c, d = (int(value * 65536).to_bytes(4, "big", signed=True) for value in matrix)
    zero = bytes(4)
    data[place : place + 36] = a + b + zero + c + d + zero + zero + zero + (1 << 30).to_bytes(4, "big")
    path.write_bytes(data)
    ffmpeg("-i", path, "-frames:v", "1", "-vf", "format=gray", folder / "turned.png")
    wanted = Image.open(folder / "turned.png").convert("L")
    for short_side, allowed in ((0, 6), (60, 18)):
        pictures = made(path, short_side)
        assert (pictures.size[0] > pictures.size[1]) == (wanted.size[0] > wanted.size[1])
        picture = Image.fromarray(pixels(pictures.files[0]).astype(np.uint8)).convert("L").resize(wanted.size)
        found, stands = np.asarray(picture, int), np.asarray(wanted, int)
        assert np.abs(found - stands).mean() < allowed
        assert min(np.abs(turned - stands).mean() for turned in (found[::-1], found[:, ::-1])) > 1.5 * allowed


def test_a_plain_picture_is_of_its_colour():
    picture = pixels(plain((123, 116, 104), 24))
    assert picture.shape == (24, 24, 3)
    assert np.abs(picture - (123, 116, 104)).max() <= 1


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_rgb_frames_without_loss_are_kept_without_loss_unless_they_are_scaled(tmp_path, kind):
    """Also of an odd size, which no video in luma and chroma has; floats rounded to the nearest level."""
    drawn = np.random.default_rng(0).random((3, 33, 35, 3), np.float32)
    frames = drawn if kind is np.float32 else np.round(drawn * 255).astype(np.uint8)
    encode_without_loss(frames, 8, np.zeros(4000, np.int16), 11025, tmp_path / "clip.mkv")
    kept, scaled = made(tmp_path / "clip.mkv", 33), made(tmp_path / "clip.mkv", 20)
    assert kept.size == (35, 33) and len(kept.files) == 3
    for encoded, frame in zip(kept.files, drawn, strict=True):
        assert np.array_equal(Image.open(io.BytesIO(encoded)), np.round(frame * 255))
    assert all(encoded.startswith(b"\xff\xd8") for encoded in scaled.files) and scaled.size == (20, 20)
