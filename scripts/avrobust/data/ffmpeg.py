"""Where the ffmpeg program is."""

import shutil

from avrobust.program import UserError


def ffmpeg_path() -> str:
    """Path of the ffmpeg program: the one that imageio-ffmpeg ships, else the one on the PATH.

    In this order, because the shipped one is pinned with the environment, so that files come out alike on
    every machine, and is linked statically, so that it starts in a fifth of the time. The environment variable
    IMAGEIO_FFMPEG_EXE names another one. Raises `UserError` when there is none.
    """
    import imageio_ffmpeg

    try:
        named = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError:
        raise UserError("imageio-ffmpeg ships no ffmpeg for this platform; install one on the PATH") from None
    if found := shutil.which(named):
        return found
    raise UserError(f"IMAGEIO_FFMPEG_EXE is {named}, which is no program; correct or unset it")
