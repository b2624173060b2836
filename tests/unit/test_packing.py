"""Packing: a manifest of good and bad files becomes a shard and one row of availability each."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avrobust.data import availability, locations, manifest, media, packing, store
from avrobust.data.ffmpeg import ffmpeg_path
from avrobust.data.locations import Location
from avrobust.data.manifest import Clip
from avrobust.data.media import Form
from avrobust.data.store import Store

PROGRAM = Path(__file__).parents[2] / "scripts" / "pack.py"
CLASSES = ("flute", "tuba")
FORM = Form(audio_rate=11025, frame_rate=8, short_side=24, minimum_frames=9)
REASONS = {
    "good": "",
    "silent": "no_audio_stream",
    "empty": "empty_file",
    "garbage": "unreadable",
    "short": "too_short",
    "absent": "no_file",
    "nowhere": "no_file",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("packing")
    picture = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=2")
    sound = ("-f", "lavfi", "-i", "sine=frequency=440:duration=2")
    command = [ffmpeg_path(), "-nostdin", "-y", "-v", "error"]
    for name, arguments in {
        "good": (*picture, *sound),
        "silent": picture,
        "short": (*picture, *sound, "-t", "0.5"),
    }.items():
        subprocess.run([*command, *arguments, "-pix_fmt", "yuv420p", folder / f"{name}.mp4"], check=True)
    (folder / "empty.mp4").touch()
    (folder / "garbage.mp4").write_bytes(np.random.default_rng(0).bytes(3000))
    return folder


def clips() -> list[Clip]:
    made = []
    for number, name in enumerate([*REASONS, "good"]):
        path = "" if name == "nowhere" else f"{name}.mp4"
        labels = CLASSES if number == 0 else CLASSES[number % 2 :][:1]
        split = manifest.SPLITS[number % 3]
        made.append(Clip(f"clip{number}", name, None, None, labels, split, "local", "t", path))
    made[-1] = replace(made[-1], start=0.5, end=1.75, box=(0.0, 0.25, 0.5, 1.0))
    return made


def located() -> list[tuple[Clip, Location]]:
    return [(clip, locations.in_manifest(clip)) for clip in clips()]


def pack(folder: Path, output: Path, failed_clips: str, processes: int) -> list[availability.Outcome]:
    with store.writing(output, audio_rate=FORM.audio_rate, frame_rate=FORM.frame_rate, classes=CLASSES) as shard:
        return list(packing.pack(located(), CLASSES, folder, FORM, failed_clips, processes, shard))


def test_every_clip_gets_its_row_and_good_ones_are_packed(folder, tmp_path):
    outcomes = pack(folder, tmp_path / "s.arrow", "drop", 1)
    assert [(o.clip_id, o.split, o.labels) for o in outcomes] == [(c.clip_id, c.split, c.labels) for c in clips()]
    assert [o.reason for o in outcomes] == [*REASONS.values(), ""]
    status = {"": "ok", "no_file": "pending"}
    assert [o.status for o in outcomes] == [status.get(o.reason, "media") for o in outcomes]
    opened = Store([tmp_path / "s.arrow"])
    assert opened.clip_ids == ["clip0", "clip7"]
    assert opened.labels == [(0, 1), (1,)]
    assert [opened.box(0), opened.box(1)] == [None, (0.0, 0.25, 0.5, 1.0)]
    assert opened.pixels(0, 0).shape == (24, 32, 3)
    packed = [outcomes[0], outcomes[-1]]
    assert [o.frames for o in packed] == [opened.frame_count(0), opened.frame_count(1)] == [18, 12]
    assert [o.samples for o in packed] == [len(opened.audio(0)), len(opened.audio(1))]
    assert len(opened.audio(1)) == round(1.25 * 11025)


def test_failed_clips_may_be_kept_as_blanks(folder, tmp_path):
    outcomes = pack(folder, tmp_path / "s.arrow", "zero_fill", 1)
    opened = Store([tmp_path / "s.arrow"])
    assert opened.clip_ids == [clip.clip_id for clip in clips()]
    for i, outcome in enumerate(outcomes):
        stands_in = len(np.unique(opened.pixels(i, 0).reshape(-1, 3), axis=0)) == 1
        assert (not opened.audio(i).any()) == stands_in == (outcome.status != "ok")
    assert [o.reason for o in outcomes] == [*REASONS.values(), ""]
    assert opened.labels[5] == (CLASSES.index("tuba"),)


def test_the_number_of_processes_changes_nothing(folder, tmp_path):
    one = pack(folder, tmp_path / "1.arrow", "drop", 1)
    two = pack(folder, tmp_path / "2.arrow", "drop", 2)
    assert one == two
    assert (tmp_path / "1.arrow").read_bytes() == (tmp_path / "2.arrow").read_bytes()


def run(folder: Path, output: Path, *arguments: str) -> subprocess.CompletedProcess:
    output.mkdir(exist_ok=True)
    manifest.write(output / "m.csv", clips())
    manifest.write_classes(output / "classes.txt", CLASSES)
    command = [sys.executable, PROGRAM, "--manifest", output / "m.csv", "--class-list", output / "classes.txt"]
    command += ["--media-folder", folder, "--audio-rate", 11025, "--frame-rate", 8, "--short-side", 24]
    command += ["--minimum-frames", 9, "--failed-clips", "drop", "--processes", 1, "--shard", output / "s.arrow"]
    command += ["--availability", output / "part.csv", *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def test_the_program_packs_its_rows(folder, tmp_path):
    made = run(folder, tmp_path, "--shard-index", "1", "--shards", "3")
    assert made.returncode == 0, made.stderr
    assert [outcome.clip_id for outcome in availability.read(tmp_path / "part.csv")] == ["clip2", "clip3", "clip4"]
    assert len(Store([tmp_path / "s.arrow"])) == 0  # all three are bad; the shard is valid
    header = "clip_id,split,labels,status,reason,frames,samples"
    assert (tmp_path / "part.csv").read_text().splitlines()[::2] == [header, "clip3,train,tuba,media,unreadable,0,0"]


def test_the_released_sound_is_picked_at_one_rate_and_said_to_have_another(folder, tmp_path):
    """2 s of a tone of 440 Hz at 11,000 samples a second become 1.995 s of one of 441 Hz at 11,025."""
    rates = ("--audio-rate", "11000", "--stated-audio-rate", "11025", "--picked-from", "44100")
    made = run(folder, tmp_path, "--shard-index", "0", "--shards", "8", *rates)
    assert made.returncode == 0, made.stderr
    opened = Store([tmp_path / "s.arrow"])
    assert opened.audio_rate == 11_025
    picked = media.read(folder / "good.mp4", None, None, replace(FORM, audio_rate=11_000, picked_from=44_100)).audio
    assert np.array_equal(opened.audio(0), picked) and len(picked) == pytest.approx(22_000, abs=300)


def test_a_shard_past_the_end_is_refused(folder, tmp_path):
    made = run(folder, tmp_path, "--shard-index", "3", "--shards", "3")
    assert made.returncode == 1 and "shard 3 of 3" in made.stderr.splitlines()[-1]
    assert not (tmp_path / "s.arrow").exists() and not (tmp_path / "part.csv").exists()


def test_clips_are_read_where_they_were_located(folder, tmp_path):
    """A part of another file, a file that is there and unfit, and a clip that nobody has."""
    where = {
        "clip0": Location("clip0", "ok", "", "youtube", str(folder / "good.mp4"), 0.5, 1.75),
        "clip1": Location("clip1", "ok", "", "archive", str(folder / "garbage.mp4")),
        "clip2": Location("clip2", "gone", "private video"),
        "clip3": Location("clip3", "ok", "", "archive", "nowhere.mp4"),
    }
    locations.write(tmp_path / "l.csv", where.values())
    made = run(folder, tmp_path, "--shard-index", "0", "--shards", "2", "--locations", tmp_path / "l.csv")
    assert made.returncode == 0, made.stderr
    outcomes = list(availability.read(tmp_path / "part.csv"))
    assert [(one.status, one.reason) for one in outcomes] == [
        ("ok", ""), ("media", "unreadable"), ("gone", "private video"), ("pending", "no_file"),
    ]  # fmt: skip
    opened = Store([tmp_path / "s.arrow"])
    assert opened.clip_ids == ["clip0"] and len(opened.audio(0)) == round(1.25 * 11025)


def test_locations_of_other_clips_are_refused(folder, tmp_path):
    locations.write(tmp_path / "l.csv", [Location("clip1", "pending", "no_file")])
    made = run(folder, tmp_path, "--shard-index", "0", "--shards", "4", "--locations", tmp_path / "l.csv")
    assert made.returncode == 1 and "l.csv: not the clips of this shard" in made.stderr.splitlines()[-1]
