"""Availability: the parts must be the manifest, row by row, and enough clips must be left."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avrobust.data import availability, manifest
from avrobust.data.availability import Outcome, Tally
from avrobust.data.manifest import Clip
from avrobust.program import UserError

PROGRAM = Path(__file__).parents[2] / "scripts" / "availability.py"


def outcome(number: int, status: str = "ok", reason: str = "", labels=("flute",)) -> Outcome:
    return Outcome(f"clip{number}", manifest.SPLITS[number % 3], labels, status, reason, 82, 110336)


def clip(made: Outcome) -> Clip:
    return Clip(made.clip_id, "v", None, None, made.labels, made.split, "local", "t", "p")


def parts(folder: Path, outcomes: list[Outcome], size: int) -> list[Path]:
    paths = []
    for first in range(0, len(outcomes), size):
        paths.append(folder / f"{first}.csv")
        availability.write(paths[-1], outcomes[first : first + size])
    return paths


@given(count=st.integers(1, 12), size=st.integers(1, 5), random=st.randoms())
def test_parts_in_any_order_join_in_the_manifests(tmp_path_factory, count, size, random):
    outcomes = [outcome(number, "media", "too_short+no_audio_stream", ("a", "b")) for number in range(count)]
    paths = parts(tmp_path_factory.mktemp("parts"), outcomes, size)
    random.shuffle(paths)
    assert list(availability.joined(paths, map(clip, outcomes))) == outcomes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda clips: clips[:-1], "more clips than in the manifest"),
        (lambda clips: clips[:4], "more clips than in the manifest"),
        (lambda clips: [*clips, clip(outcome(9))], "no part begins with clip 'clip9'"),
        (lambda clips: [clips[1], clips[0], *clips[2:]], "no part begins with clip 'clip1'"),
        (lambda clips: [clips[0], clips[2], clips[1], *clips[3:]], "'clip1', val, flute where .* 'clip2', test"),
        (lambda clips: [clips[0], clip(outcome(1, labels=("tuba",))), *clips[2:]], "'clip1', val, tuba"),
    ],
)
def test_parts_that_are_not_the_manifest(tmp_path, change, message):
    outcomes = [outcome(number) for number in range(6)]
    paths = parts(tmp_path, outcomes, 4)
    with pytest.raises(UserError, match=message):
        list(availability.joined(paths, change([clip(made) for made in outcomes])))


def test_a_part_given_twice_or_empty(tmp_path):
    outcomes = [outcome(number) for number in range(3)]
    (path,) = parts(tmp_path, outcomes, 3)
    with pytest.raises(UserError, match="same clips"):
        list(availability.joined([path, path], map(clip, outcomes)))
    availability.write(tmp_path / "none.csv", [])
    with pytest.raises(UserError, match=r"none\.csv: the part has no rows"):
        list(availability.joined([path, tmp_path / "none.csv"], map(clip, outcomes)))


def tally(outcomes: list[Outcome]) -> Tally:
    made = Tally()
    assert list(made.passing(outcomes)) == outcomes
    return made


def test_the_share_that_is_just_enough():
    # Two ok of four in each split.
    outcomes = [outcome(number, *(() if number < 6 else ("pending", "no_file"))) for number in range(12)]
    tally(outcomes).check(0.5)
    with pytest.raises(UserError, match=r"train has 2 of 4 clips \(2 pending no_file\); val has 2 of 4"):
        tally(outcomes).check(0.51)


def test_a_split_or_class_without_a_clip():
    bad = [outcome(1, "media", "no_audio_stream"), outcome(4, "media", "too_short"), outcome(7, "media", "too_short")]
    good = [outcome(0), outcome(2)]
    with pytest.raises(UserError, match=r"val has 0 of 3 clips \(2 media too_short, 1 media no_audio_stream\)"):
        tally(good + bad).check(0.0)
    with pytest.raises(UserError, match=r"val has 0 of 0 clips \(none wanted\)"):
        tally(good).check(0.0)
    # A class needs one clip in train; that it has one in val does not help, nor that none was wanted in train.
    for split in (1, 2):
        with pytest.raises(UserError, match="classes without a clip in train: bird"):
            tally([outcome(0), outcome(1), outcome(2), outcome(3 + split, labels=("bird",))]).check(0.0)
    lost = [outcome(3, "pending", "no_file", ("tuba",)), outcome(4, labels=("tuba",))]
    with pytest.raises(UserError, match="classes without a clip in train: tuba"):
        tally(good + lost).check(0.0)
    tally([*good, *lost, outcome(6, labels=("flute", "tuba"))]).check(0.0)


def test_a_class_that_a_split_has_lost_is_warned_of(capsys):
    lost = outcome(5, "gone", "private video", ("tuba",))
    made = tally([outcome(0, labels=("flute", "tuba")), outcome(1), outcome(2), outcome(4, labels=("tuba",)), lost])
    made.check(0.0)
    assert capsys.readouterr().out == "warning: test has lost the last clip of 1 classes: tuba\n"


def test_the_table_counts_every_clip():
    lines = tally([outcome(0), outcome(3, "media", "too_short"), outcome(1), outcome(4, "pending", "no_file")]).table()
    assert [line.split() for line in lines] == [
        ["split", "ok", "gone", "geo", "age", "media", "pending", "all"],
        ["train", "1", "0", "0", "0", "1", "0", "2"],
        ["val", "1", "0", "0", "0", "0", "1", "2"],
        ["test", "0", "0", "0", "0", "0", "0", "0"],
    ]


def test_a_shard_with_too_few_clips_is_named(tmp_path):
    outcomes = [outcome(number, *(("gone", "private video") if number in (1, 4, 5) else ())) for number in range(8)]
    paths = parts(tmp_path, outcomes, 4)  # 3 of 4 and 2 of 4
    availability.check_shards(paths, 0.5)
    with pytest.raises(UserError, match=r"1 of 2 shards .* the worst is \S*4\.csv, 2 of 4"):
        availability.check_shards(paths, 0.75)


@pytest.mark.parametrize("row", ["c,train,a,fine,,1,1", "c,dev,a,ok,,1,1", "c,train,a,ok,,-1,1", "c,train,a,ok,,1,x"])
def test_a_part_that_was_edited_badly(tmp_path, row):
    (tmp_path / "part.csv").write_text(",".join(availability.COLUMNS) + f"\n{row}\n")
    with pytest.raises(UserError, match=r"part\.csv, row 2"):
        list(availability.read(tmp_path / "part.csv"))


def test_the_program_writes_only_what_passes(tmp_path):
    outcomes = [outcome(number, *(("media", "no_frames") if number % 2 else ())) for number in range(6)]
    paths = parts(tmp_path, outcomes, 4)
    manifest.write(tmp_path / "m.csv", map(clip, outcomes))

    def run(share: str) -> subprocess.CompletedProcess:
        command = [sys.executable, PROGRAM, "--manifest", tmp_path / "m.csv", "--minimum-share", share]
        command += ["--output", tmp_path / "all.csv", "--parts", *paths]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    made = run("0.6")
    assert made.returncode == 1 and not (tmp_path / "all.csv").exists()
    assert "train has 1 of 2 clips (1 media no_frames)" in made.stderr.splitlines()[-1]
    made = run("0.5")
    assert made.returncode == 0 and "pending" in made.stderr
    assert list(availability.read(tmp_path / "all.csv")) == outcomes
