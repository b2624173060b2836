"""Files that the real ffmpeg program makes, and what their frames show."""

import io
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image

from avrobust.data.ffmpeg import ffmpeg_path


def ffmpeg(*arguments: str | Path) -> bytes:
    """Run the program; return what it writes to standard output."""
    command = [ffmpeg_path(), "-nostdin", "-y", "-v", "error", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def pixels(jpeg: bytes) -> np.ndarray:
    """Return a picture as integers, (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"), int)
