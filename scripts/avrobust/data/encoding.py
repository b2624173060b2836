"""Pictures and sound as a video file, H.264 with AAC, as sites have them."""

from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags

from avrobust.files import replacing
from avrobust.program import UserError

# This quality keeps faint textures, which tell rendered classes apart.
VIDEO_CODEC, VIDEO_OPTIONS = "libx264", {"preset": "ultrafast", "crf": "14"}
AUDIO_CODEC, AUDIO_OPTIONS, AUDIO_BITS = "aac", {"aac_coder": "fast"}, 128_000
# No trace of a version or of the date gets into the file.
FORMAT_OPTIONS = {"fflags": "+bitexact"}
LAYOUTS = {1: "mono", 2: "stereo"}


def encode(frames: np.ndarray, frame_rate: int, samples: np.ndarray, sample_rate: int, path: Path) -> None:
    """Write an mp4 file whole or not at all; what is equal gives equal files.

    `frames`: uint8 (frames, height, width, 3), RGB, of even height and width. `samples`: (samples, channels), beyond
    [-1, 1] cut off. Equal for one version of PyAV, which brings its own ffmpeg, on one kind of processor.
    Raises `UserError` if the file cannot be written.
    """
    samples = np.ascontiguousarray(np.clip(samples, -1, 1).astype(np.float32).T)
    try:
        with replacing(path) as temporary, av.open(str(temporary), "w", "mp4", FORMAT_OPTIONS) as container:
            video = container.add_stream(VIDEO_CODEC, rate=frame_rate, options=VIDEO_OPTIONS)
            video.height, video.width = frames.shape[1:3]
            video.pix_fmt = "yuv420p"
            audio = container.add_stream(AUDIO_CODEC, rate=sample_rate, options=AUDIO_OPTIONS)
            audio.bit_rate, audio.layout = AUDIO_BITS, LAYOUTS[len(samples)]
            for stream in (video, audio):
                # One thread, so that no trace of the number of cores gets into the file either.
                stream.codec_context.thread_count = 1
                stream.codec_context.flags |= Flags.bitexact
            sound = av.AudioFrame.from_ndarray(samples, format="fltp", layout=LAYOUTS[len(samples)])
            sound.sample_rate, sound.pts = sample_rate, 0
            pictures = (av.VideoFrame.from_ndarray(pixels, format="rgb24") for pixels in frames)
            for stream, parts in ((video, pictures), (audio, (sound,))):
                for part in (*parts, None):
                    container.mux(stream.encode(part))
    except (av.FFmpegError, OSError) as error:
        raise UserError(f"{path} could not be written: {error}") from None
