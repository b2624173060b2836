"""AudioSet's segment lists: several labels, odd ids, short segments, mistakes, and memory over many rows."""

import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from avrobust.data import local_files, manifest
from avrobust.data.manifest import Clip
from avrobust.data.protocols import audioset
from avrobust.program import UserError

CLASS_INDEX = Path(__file__).parents[2] / "resources" / "audioset" / "class_labels_indices.csv"
HEADER = "# Segments csv created\n# num_ytids=2\n# YTID, start_seconds, end_seconds, positive_labels\n"
SPEECH, MAN, MUSIC = "/m/09x0r", "/m/05zppz", "/m/04rlf"


@pytest.fixture
def write(tmp_path) -> Callable[..., dict[str, Path]]:
    """Return a function that writes lists, name=rows, and returns what a protocol gets."""

    def written(**texts: str) -> dict[str, Path]:
        for name, text in texts.items():
            (tmp_path / f"{name}.csv").write_text(HEADER + text)
        return {"class_index": CLASS_INDEX} | {name: tmp_path / f"{name}.csv" for name in texts}

    return written


def made(files: dict[str, Path], **options: str) -> list[Clip]:
    return list(audioset.clips(files, audioset.class_names(CLASS_INDEX), options))


def test_the_classes_are_the_display_names_in_order():
    names = audioset.class_names(CLASS_INDEX)
    assert len(names) == len(set(names)) == 527
    assert (
        names[:2] == ("Speech", "Male_speech,_man_speaking")
        and names[137] == "Music"
        and names[526] == "Field_recording"
    )
    # What a class name of this project may be.
    assert all(re.fullmatch(r"[^|\s]+", name) for name in names)


def test_segments_become_clips(write):
    files = write(
        eval=f'abc, 30.000, 40.000, "{SPEECH}"\n',
        balanced=f'--PJHxphWEs, 0.000, 7.251, "{MUSIC},{MAN}"\n',
    )
    balanced, evaluated = made(files)
    labels = ("Music", "Male_speech,_man_speaking")
    assert balanced == Clip(
        "--PJHxphWEs_0_7251", "--PJHxphWEs", 0.0, 7.251, labels, "train", "youtube", "balanced.csv", ""
    )
    assert (evaluated.clip_id, evaluated.labels, evaluated.split) == ("abc_30000_40000", ("Speech",), "test")


def test_clips_survive_the_manifest(write, tmp_path):
    clips = made(write(balanced=f'a, 0.000, 10.000, "{MAN},{MUSIC}"\n-b, 1.500, 11.500, "{SPEECH}"\n'))
    assert manifest.write(tmp_path / "m.csv", clips) == 2
    assert list(manifest.read(tmp_path / "m.csv", audioset.class_names(CLASS_INDEX))) == clips


def test_short_segments_are_kept_or_dropped(write):
    rows = [("a", 10), ("b", 9.999), ("c", 1)]
    files = write(eval="".join(f'{name}, 5.000, {5 + length:.3f}, "{MUSIC}"\n' for name, length in rows))
    assert [clip.video_id for clip in made(files)] == ["a", "b", "c"]
    assert [clip.video_id for clip in made(files, short="drop")] == ["a"]


def test_a_twentieth_of_training_is_held_out_wherever_it_stands(write):
    rows = [f'video{number}, 0.000, 10.000, "{MUSIC}"\n' for number in range(4000)]
    clips = made(write(unbalanced="".join(rows[:3000]), balanced="".join(rows[3000:])))
    splits = {clip.video_id: clip.split for clip in clips}
    # 200 expected; 5 standard deviations are 69.
    assert 131 < sum(split == "val" for split in splits.values()) < 269
    assert set(splits.values()) == {"train", "val"}
    other = made(write(balanced="".join(reversed(rows))))
    assert {clip.video_id: clip.split for clip in other} == splits
    assert [clip.list for clip in clips[2999:3001]] == ["unbalanced.csv", "balanced.csv"]


def test_evaluation_segments_are_never_held_out(write):
    rows = "".join(f'video{number}, 0.000, 10.000, "{MUSIC}"\n' for number in range(500))
    assert {clip.split for clip in made(write(eval=rows))} == {"test"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f'b, 0.000, "{MUSIC}"', "row 5: 3 cells, but a segment is"),
        (f"b, 0.000, 10.000, {MUSIC},{MAN}", "row 5: 5 cells, but a segment is"),
        ("", "row 5: 0 cells"),
        ('b, 0.000, 10.000, "/m/none"', "row 5: label '/m/none' is not in .*class_labels_indices"),
        ('b, 0.000, 10.000, ""', "row 5: label '' is not in"),
        (f'b, 0.000, 10.000, "{MUSIC},{MUSIC}"', "row 5: labels .* name a class more than once"),
        (f'b, 10.000, 10.000, "{MUSIC}"', "row 5: start 10.000 and end 10.000 are no span"),
        (f'b, -1.000, 10.000, "{MUSIC}"', "row 5: start -1.000"),
        (f'b, nan, 10.000, "{MUSIC}"', "row 5: start 'nan'"),
        (f'b, 0.000, inf, "{MUSIC}"', "row 5: end 'inf' is not a number"),
        (f'b, 0:00, 0:10, "{MUSIC}"', "row 5: start '0:00'"),
        (f', 0.000, 10.000, "{MUSIC}"', "row 5: the video id is empty"),
        (f'b, , , "{MUSIC}"', "row 5: the start is empty"),
        (f'a, 0.000, 10.000, "{MUSIC}"', "row 5: video 'a' is taken, see .*balanced.csv, row 4"),
    ],
)
def test_mistakes_in_a_segment_list(write, row, message):
    files = write(balanced=f'a, 0.000, 10.000, "{MUSIC}"\n{row}\nc, 0.000, 10.000, "{MUSIC}"\n')
    with pytest.raises(UserError, match=r"balanced\.csv, " + message):
        made(files)


def test_a_video_may_not_stand_in_two_lists(write):
    row = f'-a, 0.000, 10.000, "{MUSIC}"\n'
    files = write(unbalanced=f'b, 0.000, 10.000, "{MUSIC}"\n{row}', eval=row.replace("0.000, 10", "20.000, 30"))
    with pytest.raises(UserError, match=r"eval\.csv, row 4: video '-a' is taken, see .*unbalanced\.csv, row 5"):
        made(files)


@pytest.mark.parametrize("kept", range(3))
def test_header_lines_must_be_there(write, kept):
    files = write(eval="")
    header = "".join(HEADER.splitlines(keepends=True)[:kept])
    files["eval"].write_text(f'{header}a, 0.000, 10.000, "{MUSIC}"\n')
    with pytest.raises(UserError, match=r"eval\.csv: not a segment list of AudioSet; the first 3 lines begin with #"):
        made(files)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("index,mid\n", "row 1: no column display_name"),
        ("index,mid,display_name\n0,/m/a,A\n2,/m/b,B\n", "row 3: index '2' should be 1"),
        ("index,mid,display_name\n0,/m/a,A\n1,/m/a,B\n2,/m/c,C\n", "row 4: index '2' should be 1"),
        ("index,mid,display_name\n0,/m/a,A b\n1,/m/b,A  b\n", "classes given more than once: A_b"),
        ("index,mid,display_name\n", "no class is given"),
    ],
)
def test_mistakes_in_the_class_index(tmp_path, text, message):
    (tmp_path / "index.csv").write_text(text)
    with pytest.raises(UserError, match=r"index\.csv.*" + message):
        audioset.class_names(tmp_path / "index.csv")


def test_what_must_be_given(write):
    files = write(eval="")
    with pytest.raises(UserError, match="classes are other ones than those given"):
        list(audioset.clips(files, ("Speech", "Music"), {}))
    with pytest.raises(UserError, match="no segments; give at least one of the lists unbalanced, balanced, eval"):
        made(write())
    with pytest.raises(UserError, match="give it as --class-index"):
        made({"eval": files["eval"]})
    with pytest.raises(UserError, match="list 'train' is of no use here"):
        made(files | {"train": files["eval"]})


def test_lists_without_a_segment_give_none(write):
    assert made(write(eval="", balanced="")) == []


def test_memory_stays_flat_over_many_segments(write, tmp_path):
    def peak(rows: int) -> int:
        files = write(unbalanced="".join(f'v{number}, 0.000, 10.000, "{MUSIC},{MAN}"\n' for number in range(rows)))
        tracemalloc.start()
        clips = audioset.clips(files, audioset.class_names(CLASS_INDEX), {})
        count = manifest.write(tmp_path / "m.csv", local_files.with_local_files(clips, tmp_path / "none"))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == rows
        return size

    few, many = peak(1_000), peak(15_000)
    # Eight bytes a row to find repeats, held a few times over while they are sorted; a set of ids takes 150.
    assert (many - few) / 14_000 < 60
