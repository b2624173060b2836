"""Decoded frames as JPEG or PNG: scaled down, upright, all of one size.

Frames stay luma and chroma, as videos have them and JPEG keeps them, from the decoder to the file, and chroma stays at
half the width and height. Frames of red, green and blue from FFV1, which lost nothing, become PNG, and lose nothing
here either, unless they are scaled.
"""

import io
from contextlib import AbstractContextManager

import av
import numpy as np
import simplejpeg
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

# Two to three times the bytes of what the plain ffmpeg call of the released scripts writes.
JPEG_QUALITY = 90
# What FFV1 has of red, green and blue, and what PyAV makes of it: uint8 or float32 (height, width, 3).
EXACT = {"bgr0": "rgb24", "gbrpf32le": "gbrpf32le"}


class Pictures:
    """Collects frames as JPEG, or PNG; a frame added twice in a row is encoded once.

    `libav` stands around every call into libav and may swallow its exceptions; such a frame is left out.
    """

    def __init__(self, short_side: int, libav: AbstractContextManager) -> None:
        """Scale frames down to a short side of `short_side` pixels, never up; 0: as they are."""
        self.short_side = short_side
        self.libav = libav
        self.reformatter = VideoReformatter()
        self.files: list[bytes] = []
        self.decoded_size = (0, 0)
        self.last: av.VideoFrame | None = None
        self.encoded = b""
        self.matrix: tuple[int, ...] = ()
        self.exact = False

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of all pictures, (0, 0) before the first."""
        if not self.files:
            return 0, 0
        width, height = self.decoded_size if self.exact else _even(self.decoded_size)
        return (height, width) if _on_its_side(self.matrix) else (width, height)

    def add(self, frame: av.VideoFrame) -> None:
        """Append a frame; a stream may change its size, and all frames take that of the first."""
        if frame is not self.last:
            encoded = None
            with self.libav:
                # Once a clip: side data and its frame hold each other, so the frame's memory is freed late.
                self.matrix = self.matrix or _display_matrix(frame)
                if not self.files:
                    self.decoded_size = _scaled((frame.width, frame.height), self.short_side)
                    self.exact = frame.format.name in EXACT and self.decoded_size == (frame.width, frame.height)
                encoded = self._png(frame) if self.exact else self._jpeg(frame)
            if encoded is None:
                return
            self.last, self.encoded = frame, encoded
        self.files.append(self.encoded)

    def _jpeg(self, frame: av.VideoFrame) -> bytes:
        upright = [_upright(plane, self.matrix) for plane in planes(frame, self.decoded_size, self.reformatter)]
        return simplejpeg.encode_jpeg_yuv_planes(*upright, quality=JPEG_QUALITY)

    def _png(self, frame: av.VideoFrame) -> bytes:
        """Return the very values of a frame, those of floats rounded to the nearest of 8 bits."""
        from PIL import Image  # not of every packing

        if (frame.width, frame.height) != self.decoded_size or frame.format.name not in EXACT:
            raise ValueError(f"a frame of {frame.width} x {frame.height} {frame.format.name} after others")
        pixels = frame.to_ndarray(format=EXACT[frame.format.name])
        if pixels.dtype != np.uint8:
            pixels = np.round(pixels.clip(0, 1) * np.float32(255)).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(_upright(pixels, self.matrix)).save(file, "PNG", compress_level=1)
        return file.getvalue()


def planes(frame: av.VideoFrame, size: tuple[int, int], reformatter: VideoReformatter) -> list[np.ndarray]:
    """Scale a frame to `size` (width, height) and return its luma (height, width) and its two chromas, half as large.

    uint8 of full range, with the coefficients of BT.601 as JPEG has them. The last line or column of an odd size is
    left out, because chroma counts by two: simplejpeg 1.9 reads beyond planes that do not.
    """
    made = reformatter.reformat(
        frame, *size, "yuvj420p", dst_colorspace=Colorspace.ITU601, interpolation=Interpolation.BICUBIC, threads=1
    )
    width, height = _even(size)
    return [
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: height // part, : width // part]
        for plane, part in zip(made.planes, (1, 2, 2), strict=True)
    ]


def plain(colour: tuple[int, int, int], side: int) -> bytes:
    """Return a square of `side` pixels of one colour, RGB, as JPEG."""
    return simplejpeg.encode_jpeg(np.full((side, side, 3), colour, np.uint8), quality=JPEG_QUALITY)


def _display_matrix(frame: av.VideoFrame) -> tuple[int, ...]:
    """Return the nine numbers that say how to turn the stream's frames, row by row; by default the identity."""
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            return tuple(np.frombuffer(data, np.int32).tolist())
    return (1, 0, 0, 0, 1, 0, 0, 0, 1)


def _on_its_side(matrix: tuple[int, ...]) -> bool:
    x_from_x, y_from_x = matrix[:2]
    return abs(y_from_x) > abs(x_from_x)


def _even(size: tuple[int, int]) -> tuple[int, int]:
    return size[0] // 2 * 2, size[1] // 2 * 2


def _upright(pixels: np.ndarray, matrix: tuple[int, ...]) -> np.ndarray:
    """Apply a display matrix (quarter turns and mirrors) to pixels (height, width) or (height, width, colours)."""
    x_from_x, y_from_x, _, x_from_y, y_from_y = matrix[:5]
    if _on_its_side(matrix):
        pixels = pixels.swapaxes(0, 1)
        x_from_x, y_from_y = x_from_y, y_from_x
    pixels = pixels[:, ::-1] if x_from_x < 0 else pixels
    pixels = pixels[::-1] if y_from_y < 0 else pixels
    return np.ascontiguousarray(pixels)


def _scaled(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    short = min(size)
    if not 0 < short_side < short:
        return size
    width, height = (round(length * short_side / short) for length in size)
    return width, height
