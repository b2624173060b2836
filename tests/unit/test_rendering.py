"""Rendered datasets as files: decoded with a real decoder, and the program as a user runs it."""

import csv
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from avrobust.data import manifest
from avrobust.data.ffmpeg import ffmpeg_path
from avrobust.data.rendering import encode, footage, planned_clips, render_clip, sounding
from avrobust.data.world import FRAME_RATES
from avrobust.program import UserError
from avrobust.spec.rendered import Clearness, Dataset, class_sizes, file_name

FORTY = ["--labels", "2", "--classes", *(f"c{number}" for number in range(40))]
PROGRAM = Path(__file__).parents[2] / "scripts" / "render.py"
DATASET = Dataset(
    name="music", classes=("flute", "Church bell"), clips={"train": 2, "val": 1}, seconds=1.0, width=64, height=48,
    seed=1,
)  # fmt: skip


SEVERAL = replace(
    DATASET, name="audioset", classes=("Siren", "Pig", "Rain", "Civil defense siren"), clips={"train": 40, "test": 8},
    size_ratio=20, labels=4, parents={"Civil defense siren": "Siren"},
)  # fmt: skip


def decoded(path: Path) -> tuple[np.ndarray, np.ndarray, float]:
    """Frames uint8 (frames, height, width, 3), samples float (samples,) mixed to mono from time 0, and their rate."""
    with av.open(str(path)) as container:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    with av.open(str(path)) as container:
        parts = [(frame.time, frame.sample_rate, frame.to_ndarray()) for frame in container.decode(audio=0)]
    rate = parts[0][1]
    samples = np.concatenate([part.mean(axis=0) for _, _, part in parts])
    # AAC starts with priming samples, at times before 0.
    return frames, samples[round(-parts[0][0] * rate) :], rate


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def command(folder: Path, *extra: str) -> list[str | Path]:
    """The command that a user types; later arguments win over the ones given here."""
    return [
        sys.executable, PROGRAM, "--dataset", "music", "--classes", "flute", "Church bell", "--clips",
        '{"train": 2, "val": 1}', "--seconds", "1", "--width", "64", "--height", "48", "--media", folder / "media",
        "--class-list", folder / "classes.txt", "--manifest", folder / "manifest.csv", *extra,
    ]  # fmt: skip


def program(folder: Path, *extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(folder, *extra), capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rendered")
    done = program(folder, "--processes", "2")
    assert done.returncode == 0, done.stderr
    return folder


def test_a_file_holds_the_frames_and_samples_that_were_drawn(tmp_path):
    for planned in planned_clips(DATASET):
        drawn = footage(DATASET, planned)
        encode(drawn, tmp_path / "clip.mp4")
        frames, samples, rate = decoded(tmp_path / "clip.mp4")
        assert frames.shape == drawn.frames.shape
        # Lossy, but by less than the textures: those have an amplitude of 0.05 * 255 = 13 and more.
        assert np.abs(frames.mean(axis=-1) - drawn.frames.mean(axis=-1)).mean() < 3
        assert rate == drawn.sample_rate
        original = drawn.samples.mean(axis=1)
        assert np.corrcoef(samples[: len(original)], original[: len(samples)])[0, 1] > 0.9
        with av.open(str(tmp_path / "clip.mp4")) as container:
            video, audio = container.streams.video[0], container.streams.audio[0]
            assert (video.codec.canonical_name, audio.codec.canonical_name) == ("h264", "aac")
            assert video.average_rate == drawn.frame_rate
            assert audio.channels == drawn.samples.shape[1]


def test_sound_and_movement_start_together_in_the_file(tmp_path):
    # So far above all other sounds that its own first note is the first that is heard.
    clear = replace(DATASET, clearness=Clearness(sound=40, picture=0))
    for planned in planned_clips(clear):
        drawn = footage(clear, planned)
        encode(drawn, tmp_path / "clip.mp4")
        frames, samples, rate = decoded(tmp_path / "clip.mp4")
        left, top, right, bottom = (round(side) for side in np.array(drawn.boxes[0]) * [64, 48, 64, 48])
        frames = frames[:, top:bottom, left:right]
        heard = np.argmax(np.abs(samples) > 0.3 * np.abs(samples).max()) / rate
        changed = np.abs(np.diff(frames.mean(axis=-1), axis=0)).max(axis=(1, 2))
        seen = (np.argmax(changed > 0.3 * changed.max()) + 1) / drawn.frame_rate
        onset = drawn.onsets[0][0]
        assert heard == pytest.approx(onset, abs=0.06)
        assert onset - 0.01 <= seen <= onset + 3 / drawn.frame_rate


def test_the_program_writes_every_clip_and_the_manifest(rendered):
    with (rendered / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["clip_id"] for row in rows] == [
        "church_bell_train_0000", "church_bell_train_0001", "church_bell_val_0000",
        "flute_train_0000", "flute_train_0001", "flute_val_0000",
    ]  # fmt: skip
    assert ",".join(rows[0]) == "clip_id,video_id,start,end,labels,split,source,list,path,box"
    box = rows[0].pop("box").split(" ")
    assert rows[0] == {
        "clip_id": "church_bell_train_0000", "video_id": "church_bell_train_0000", "start": "0.0", "end": "1.0",
        "labels": "Church bell", "split": "train", "source": "render", "list": "render:seed=1",
        "path": "church_bell_train_0000.mp4",
    }  # fmt: skip
    assert [float(side) for side in box] == pytest.approx(
        footage(DATASET, planned_clips(DATASET)[0]).boxes[0], abs=5e-5
    )
    assert names(rendered / "media") == [row["path"] for row in rows]
    assert len(list(manifest.read(rendered / "manifest.csv", DATASET.classes))) == 6


def test_sizes_of_classes_fall_by_equal_factors():
    assert class_sizes(3, 100, 25) == [100, 20, 4]
    assert class_sizes(4, 8) == [8, 8, 8, 8]
    assert class_sizes(3, 4, 100) == [4, 1, 1]
    assert class_sizes(2, 0, 20) == [0, 0]
    assert class_sizes(1, 5, 20) == [5]
    three = replace(DATASET, classes=("a", "b", "c"), clips={"train": 100, "test": 7})
    assert [replace(three, size_ratio=ratio).sizes("train") for ratio in (1, 25)] == [[100] * 3, [100, 20, 4]]
    assert (three.sizes("test"), three.sizes("val")) == ([7, 7, 7], [0, 0, 0])


def test_as_many_clips_are_made_as_are_planned():
    clips = planned_clips(SEVERAL)
    for split in SEVERAL.clips:
        assert sum(clip.split == split for clip in clips) == sum(SEVERAL.sizes(split))
    assert [sum(clip.label == label and clip.split == "train" for clip in clips) for label in range(4)] == [
        40,
        15,
        5,
        2,
    ]


def test_a_clip_has_one_to_four_labels_and_a_kind_of_siren_is_a_siren_too(tmp_path):
    numbers = []
    for planned in planned_clips(SEVERAL):
        objects = sounding(SEVERAL, planned)
        assert objects[0] == planned.label
        assert len(set(objects)) == len(objects)
        # Never both: the kind is the siren that is heard.
        assert not {0, 3} <= set(objects)
        numbers.append(len(objects) + (3 in objects))
    assert set(numbers) == {1, 2, 3, 4}
    assert all(numbers.count(number) > 0.15 * len(numbers) for number in (1, 2, 3))


def test_rows_of_several_labels_name_all_of_them_and_a_box_only_where_one_object_sounds(tmp_path):
    several = replace(SEVERAL, seconds=0.5)
    for planned in planned_clips(several)[:12]:
        objects, row = sounding(several, planned), render_clip(planned, dataset=several, media=tmp_path)
        names = {several.classes[label] for label in objects}
        assert set(row.labels) == names | ({"Siren"} if "Civil defense siren" in names else set())
        assert (row.box is None) == (len(objects) > 1)


def test_a_run_after_a_kill_gives_the_same_bytes_whatever_the_number_of_processes(rendered, tmp_path):
    media = tmp_path / "media"
    media.mkdir()
    (media / "flute_val_0000.mp4").write_bytes(b"of another run")
    (media / ".part-1-flute_val_0000.mp4").write_bytes(b"half a fi")
    (tmp_path / "manifest.csv").write_text("old")
    done = program(tmp_path, "--processes", "1")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "manifest.csv").read_bytes() == (rendered / "manifest.csv").read_bytes()
    assert names(media) == names(rendered / "media")
    for path in media.iterdir():
        assert path.read_bytes() == (rendered / "media" / path.name).read_bytes()


def test_a_killed_run_leaves_whole_files_no_manifest_and_no_process(rendered, tmp_path):
    many = command(tmp_path, "--processes", "2", "--clips", '{"train": 400, "val": 1}')
    with subprocess.Popen(many, stderr=subprocess.PIPE) as running:
        deadline = time.monotonic() + 60
        while len(list((tmp_path / "media").glob("[a-z]*.mp4"))) < 6 and time.monotonic() < deadline:
            time.sleep(0.02)
        running.kill()
        # Its workers hold the other end of the pipe: this returns when they have ended too.
        running.communicate(timeout=30)
    assert not (tmp_path / "manifest.csv").exists()
    whole = [path for path in (tmp_path / "media").iterdir() if not path.name.startswith(".")]
    assert 6 <= len(whole) < 802
    for path in whole:
        frames, _, _ = decoded(path)
        assert len(frames) in FRAME_RATES
    for name in {path.name for path in whole} & set(names(rendered / "media")):
        assert (tmp_path / "media" / name).read_bytes() == (rendered / "media" / name).read_bytes()


def test_a_clip_depends_on_seed_and_dataset_but_not_on_the_other_clips(rendered, tmp_path):
    first = planned_clips(DATASET)[0]
    expected = (rendered / "media" / f"{first.clip_id}.mp4").read_bytes()
    for change, same in (({"clips": {"train": 9}}, True), ({"seed": 2}, False), ({"name": "ave"}, False)):
        row = render_clip(first, dataset=replace(DATASET, **change), media=tmp_path)
        assert ((tmp_path / row.path).read_bytes() == expected) == same, change


def test_a_failed_encoding_leaves_no_file_and_says_why(tmp_path):
    drawn = footage(DATASET, planned_clips(DATASET)[0])
    odd = replace(drawn, frames=drawn.frames[:, :, :-1])
    with pytest.raises(UserError, match=r"clip\.mp4 could not be written"):
        encode(odd, tmp_path / "clip.mp4")
    assert names(tmp_path) == []


def test_a_media_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "media").write_text("not a folder")
    done = program(tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"error: the folder {tmp_path / 'media'} cannot be made: File exists\n"


def test_a_failed_run_is_one_line_and_leaves_no_manifest(tmp_path):
    (tmp_path / "manifest.csv").write_text("old")
    in_the_way = tmp_path / "media" / f"{planned_clips(DATASET)[-1].clip_id}.mp4"
    in_the_way.mkdir(parents=True)
    done = program(tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: {in_the_way} could not be written")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "manifest.csv").exists()
    assert all(path.suffix == ".mp4" for path in (tmp_path / "media").iterdir())


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--clips", '{"dev": 1}'], "split 'dev' is none of train, val, test"),
        (["--clips", '{"train": 1.5}'], "split 'train': 1.5 is not a whole number"),
        (["--clips", '{"train": 0}'], "no clips asked for"),
        (["--clips", "3"], "--clips 3: give an object"),
        (["--width", "65"], "width 65: give an even number"),
        (["--height", "8"], "height 8: give an even number of pixels, 32 or more"),
        (["--seconds", "nan"], "seconds nan"),
        (["--classes", "Drum", "drum"], "classes 'Drum' and 'drum' give the same file names"),
        (["--classes", "!"], "class '!' has no letter or digit"),
        (["--classes", *(f"c{i}" for i in range(61))], "61 classes given: a rendered dataset has 1 to 60"),
        (["--size-ratio", "0.5"], "size_ratio 0.5"),
        (["--labels", "5"], "labels 5: a clip has 1 to 4"),
        (
            ["--labels", "2", "--parents", '{"drum": "flute"}'],
            "parents: 'drum', in drum: flute, is not one of the classes; give one of flute, Church bell",
        ),
        (
            ["--labels", "2", "--parents", '{"flute": "drum"}'],
            "parents: 'drum', in flute: drum, is not one of the classes",
        ),
        (["--parents", '{"Church bell": "flute"}'], "a clip of such a class has two labels, but labels is 1"),
        (
            ["--labels", "2", "--parents", '{"Church bell": "flute", "flute": "Church bell"}'],
            "parents: 'Church bell' is a kind of 'flute', and that of 'Church bell'; a parent has no parent",
        ),
        (
            ["--labels", "2", "--classes", "a", "b", "c", "--parents", '{"a": "c", "b": "c"}'],
            "parents: 'a' and 'b' are both a kind of 'c'; a parent has one child",
        ),
        (
            [*FORTY, "--parents", '{"c38": "c0", "c39": "c20"}'],
            "parents: 'c38' and 'c39' would have one sound, because the places of 'c0' and 'c20' among the classes are "
            "a multiple of 20 apart; move one of these",
        ),
        (
            [*FORTY, "--parents", '{"c30": "c1", "c31": "c36"}'],
            "parents: 'c30' and 'c31' would have one picture, because the places of 'c1' and 'c36' among the classes "
            "are a multiple of 35 apart",
        ),
        ([*FORTY, "c40", "--parents", '{"c30": "c1"}'], "41 classes: the rendered world has 1 to 40 with parents"),
        (["--parents", "3"], "--parents 3: give an object"),
        (["--sound-clearness", "nan"], "clearness of the sound: nan dB is not from -60 to 60"),
    ],
)
def test_mistakes_are_one_line(tmp_path, extra, message):
    done = program(tmp_path, *extra)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("label", "name"),
    [("acoustic_guitar", "acoustic_guitar"), ("Church bell", "church_bell"),
     ("Fixed-wing aircraft, airplane", "fixed_wing_aircraft_airplane"), ("Frying (food)", "frying_food")],
)  # fmt: skip
def test_file_names_hold_letters_digits_and_underscores(label, name):
    assert file_name(label) == name


def test_ffmpeg_is_found_and_runs():
    done = subprocess.run([ffmpeg_path(), "-version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("ffmpeg version")


def test_a_wrong_ffmpeg_is_named(monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/nowhere/ffmpeg")
    with pytest.raises(UserError, match="/nowhere/ffmpeg"):
        ffmpeg_path()
