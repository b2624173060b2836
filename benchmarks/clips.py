"""Clips for the benchmarks of packing and reading, like an ordinary download, and how they are packed."""

import subprocess
from pathlib import Path

from avrobust.data import locations, packing, store
from avrobust.data.ffmpeg import ffmpeg_path
from avrobust.data.manifest import Clip
from avrobust.data.media import Form

SECONDS, SIZE, RATE = 10, "640x360", 25
# As at the paper scale.
FORM = Form(audio_rate=11_025, frame_rate=8, short_side=256, minimum_frames=49)


def make(folder: Path, count: int) -> list[Path]:
    """Render clips with motion and noise, H.264 at half a megabit a second and AAC, as sites send 360 lines."""
    paths = [folder / f"{number:03d}.mp4" for number in range(count)]
    for number, path in enumerate(paths):
        picture = f"testsrc2=size={SIZE}:rate={RATE}:duration={SECONDS},noise=alls=12:allf=t:all_seed={number}"
        sound = f"anoisesrc=color=pink:sample_rate=44100:duration={SECONDS}:seed={number}"
        command = [ffmpeg_path(), "-nostdin", "-v", "error", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound]
        command += ["-b:v", "500k", "-pix_fmt", "yuv420p", "-ac", "2", "-b:a", "96k", str(path)]
        subprocess.run(command, check=True)
    return paths


def pack(paths: list[Path], rows: int, shard: Path, processes: int) -> None:
    """Pack `rows` clips of those files, one after the other and again, as scripts/pack.py does."""
    files = [(f"{row:04d}", paths[row % len(paths)]) for row in range(rows)]
    clips = [Clip(name, name, None, None, ("a",), "train", "local", "", str(path)) for name, path in files]
    located = [(clip, locations.in_manifest(clip)) for clip in clips]
    with store.writing(shard, audio_rate=FORM.audio_rate, frame_rate=FORM.frame_rate, classes=("a",)) as writer:
        made = list(packing.pack(located, ("a",), "/", FORM, "drop", processes, writer))
    assert all(outcome.status == "ok" for outcome in made)
