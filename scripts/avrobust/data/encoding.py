"""Pictures and sound as a video file: H.264 with AAC, or without any loss.

The codecs are those of sites, the quality is not: theirs is worse (x264's own default is crf 23), and so is what an
upload leaves of faint detail.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags

from avrobust.files import replacing
from avrobust.program import FULL, UserError

# This quality keeps faint textures, which tell rendered classes apart.
VIDEO_CODEC, VIDEO_OPTIONS = "libx264", {"preset": "ultrafast", "crf": "14"}
AUDIO_CODEC, AUDIO_OPTIONS, AUDIO_BITS = "aac", {"aac_coder": "fast"}, 128_000
# No trace of a version or of the date gets into the file.
FORMAT_OPTIONS = {"fflags": "+bitexact"}
LAYOUTS = {1: "mono", 2: "stereo"}
# FFV1 of 8 bits a colour, or of floats, which ffmpeg reads from version 8 on; PCM of 16 bits or floats. By the type of
# what is written: the codec's pixels, its options, how PyAV calls these pixels; codec and samples of the sound.
LOSSLESS = {
    np.dtype(np.uint8): ("bgr0", {"level": "3"}, "rgb24"),
    np.dtype(np.float32): ("gbrpf32le", {"level": "4", "strict": "experimental"}, "gbrpf32le"),
}
PCM = {np.dtype(np.int16): ("pcm_s16le", "s16"), np.dtype(np.float32): ("pcm_f32le", "flt")}


def encode(frames: np.ndarray, frame_rate: int, samples: np.ndarray, sample_rate: int, path: Path) -> None:
    """Write an mp4 file whole or not at all; what is equal gives equal files.

    `frames`: uint8 (frames, height, width, 3), RGB, of even height and width. `samples`: (samples, channels), beyond
    [-1, 1] cut off. Equal for one version of PyAV, which brings its own ffmpeg, on one kind of processor.
    Raises `UserError` if the file cannot be written, `OSError` of a full disk.
    """
    samples = np.ascontiguousarray(np.clip(samples, -1, 1).astype(np.float32).T)
    with _written(path, "mp4") as container:
        video = container.add_stream(VIDEO_CODEC, rate=frame_rate, options=VIDEO_OPTIONS)
        video.pix_fmt = "yuv420p"
        audio = container.add_stream(AUDIO_CODEC, rate=sample_rate, options=AUDIO_OPTIONS)
        audio.bit_rate, audio.layout = AUDIO_BITS, LAYOUTS[len(samples)]
        sound = av.AudioFrame.from_ndarray(samples, format="fltp", layout=LAYOUTS[len(samples)])
        _mux(container, video, frames, "rgb24", audio, sound)


def encode_without_loss(frames: np.ndarray, frame_rate: int, samples: np.ndarray, sample_rate: int, path: Path) -> None:
    """Write a Matroska file, FFV1 with PCM, of which the very values can be read.

    `frames`: RGB (frames, height, width, 3), uint8, or float32 in [0, 1]. `samples`: (samples,) of one channel, int16,
    or float32 in [-1, 1]. Raises as `encode` does.
    """
    pixels, options, name = LOSSLESS[frames.dtype]
    codec, form = PCM[samples.dtype]
    with _written(path, "matroska") as container:
        video = container.add_stream("ffv1", rate=frame_rate, options=options)
        video.pix_fmt = pixels
        audio = container.add_stream(codec, rate=sample_rate)
        audio.layout = LAYOUTS[1]
        sound = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format=form, layout=LAYOUTS[1])
        _mux(container, video, frames, name, audio, sound)


@contextmanager
def _written(path: Path, form: str) -> Iterator[av.container.OutputContainer]:
    try:
        with replacing(path) as temporary, av.open(str(temporary), "w", form, FORMAT_OPTIONS) as container:
            yield container
    except (av.FFmpegError, OSError) as error:
        if error.errno in FULL:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise UserError(f"{path} could not be written: {error}") from None


def _mux(
    container: av.container.OutputContainer,
    video: av.VideoStream,
    frames: np.ndarray,
    pixels: str,
    audio: av.AudioStream,
    sound: av.AudioFrame,
) -> None:
    video.height, video.width = frames.shape[1:3]
    for stream in (video, audio):
        # One thread, so that no trace of the number of cores gets into the file either.
        stream.codec_context.thread_count = 1
        stream.codec_context.flags |= Flags.bitexact
    sound.sample_rate, sound.pts = audio.codec_context.sample_rate, 0
    pictures = (av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=pixels) for picture in frames)
    for stream, parts in ((video, pictures), (audio, (sound,))):
        for part in (*parts, None):
            container.mux(stream.encode(part))
