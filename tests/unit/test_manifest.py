"""Manifests: written and read back, from a user's table with all its mistakes, with files found, by the program."""

import json
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avrobust.data import lists, manifest
from avrobust.data.manifest import Clip
from avrobust.program import UserError

ROOT = Path(__file__).parents[2]
RESOURCES = ROOT / "resources"
PROGRAM = [sys.executable, ROOT / "scripts" / "manifest.py"]
GOOD = "clip_id,path,label,split\na,a.mp4,flute,train\nb,b.mp4,tuba,val\nc,c.mp4,flute|tuba,test\n"

words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="|"), min_size=1)
seconds = st.floats(0, 1e5, allow_nan=False)


@st.composite
def clips(draw) -> Clip:
    start, length = draw(st.one_of(st.just((None, 0)), st.tuples(seconds, st.floats(0.1, 100))))
    x, y = (sorted(draw(st.tuples(st.floats(0, 0.49), st.floats(0.5, 1)))) for _ in "xy")
    return Clip(
        clip_id=draw(words),
        video_id=draw(words),
        start=start,
        end=None if start is None else start + length,
        labels=tuple(draw(st.lists(words, min_size=1, max_size=3, unique=True))),
        split=draw(st.sampled_from(manifest.SPLITS)),
        source=draw(words),
        list=draw(words),
        path="media/" + draw(words).replace("..", ""),
        box=draw(st.sampled_from([None, (x[0], y[0], x[1], y[1])])),
    )


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "media").mkdir()
    for name in "abc":
        (tmp_path / "media" / f"{name}.mp4").touch()
    return tmp_path


def table_clips(folder: Path, text: str, classes=("flute", "tuba")) -> list[Clip]:
    (folder / "table.csv").write_text(text, encoding="utf-8")
    return list(lists.table_clips(folder / "table.csv", classes, folder / "media"))


@given(written=st.lists(clips(), max_size=5))
def test_what_is_written_is_read_again(tmp_path_factory, written):
    path = tmp_path_factory.mktemp("manifest") / "manifest.csv"
    assert manifest.write(path, written) == len(written)
    classes = {label for clip in written for label in clip.labels}
    assert list(manifest.read(path, classes)) == written


def test_the_header_is_the_contract(tmp_path):
    manifest.write(tmp_path / "m.csv", [Clip("i", "v", 1.5, 2.0, ("a", "b"), "val", "s", "l", "p", (0, 0, 0.5, 1))])
    assert (tmp_path / "m.csv").read_text() == (
        "clip_id,video_id,start,end,labels,split,source,list,path,box\ni,v,1.5,2.0,a|b,val,s,l,p,0 0 0.5 1\n"
    )


def test_a_table_becomes_a_manifest(folder):
    text = "\ufeffsplit,label,clip_id,path,note,start,end\ntrain,flute,a,a.mp4,x,1,2.5\nval,tuba|flute,b,b.mp4,,,\n"
    made = table_clips(folder, text + "test,tuba,c,/far/c.mp4,,,\n")
    assert made[0] == Clip("a", "a", 1.0, 2.5, ("flute",), "train", "local", "table.csv", "a.mp4")
    assert made[1].labels == ("tuba", "flute") and made[1].start is None
    assert made[2].path == "/far/c.mp4"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("clip_id,path", "clip,path", "row 1: no column clip_id; the header is: clip, path, label, split"),
        ("flute,train", "oboe,train", "row 2: label 'oboe' is none of the classes: flute, tuba; .*classes-from-table"),
        ("flute,train", "flute|flute,train", "row 2: labels 'flute.flute' name a class more than once"),
        ("flute,train", ",train", "row 2: label is empty"),
        ("b,b.mp4", ",b.mp4", "row 3: clip_id is empty"),
        ("b,b.mp4", "b,", "row 3: path is empty"),
        ("b,b.mp4", "a,b.mp4", "row 3: clip_id 'a' is taken, see .*row 2"),
        ("tuba,val", "tuba,dev", "row 3: split 'dev' is none of train, val, test"),
        ("tuba,val", "tuba,test", "no row has split val"),
        ("tuba,val", "tuba", "row 3: 3 cells, but the header has 4"),
        ("b.mp4", "../b.mp4", "row 3: path '../b.mp4' leads out of the media folder"),
        ("b.mp4", "x/../../b.mp4", "row 3: path .* leads out of the media folder"),
        (GOOD, "clip_id,path,label,split\n", "the table has no rows"),
        (GOOD, "", "row 1: no column clip_id, path, label, split; the header is: nothing"),
        (".mp4", ".avi", "none of the first 3 files is there"),
    ],
)
def test_mistakes_in_a_table(folder, old, new, message):
    assert old in GOOD
    with pytest.raises(UserError, match=message):
        table_clips(folder, GOOD.replace(old, new))


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ("5,5", "row 2: start 5 and end 5 are no span"),
        ("-1,5", "row 2: start -1"),
        ("5,", "row 2: end '' is not a number"),
        ("one,5", "row 2: start 'one' is not a number"),
        ("0,nan", "row 2: end 'nan' is not a number"),
    ],
)
def test_mistakes_in_spans(folder, span, message):
    with pytest.raises(UserError, match=message):
        table_clips(folder, f"clip_id,path,label,split,start,end\na,a.mp4,flute,train,{span}\n")


def test_a_table_that_is_not_utf8(folder):
    (folder / "table.csv").write_bytes(GOOD.replace("flute", "flûte").encode("latin-1"))
    with pytest.raises(UserError, match=r"table\.csv: not UTF-8"):
        list(lists.table_clips(folder / "table.csv", ["flute"], folder / "media"))


def test_paths_that_stay_inside_are_allowed(folder):
    assert table_clips(folder, GOOD.replace("b.mp4", "x/../b.mp4"))[1].path == "x/../b.mp4"


def test_classes_are_taken_from_the_table(folder):
    (folder / "table.csv").write_text(GOOD)
    assert lists.table_classes(folder / "table.csv") == ("flute", "tuba")


@pytest.mark.parametrize("names", [[], [""], ["a", "a"], ["a|b"], [" a"], ["a\nb"]])
def test_bad_class_lists(tmp_path, names):
    with pytest.raises(UserError):
        manifest.write_classes(tmp_path / "classes.txt", names)
    assert not (tmp_path / "classes.txt").exists()


def test_a_class_list_keeps_its_order(tmp_path):
    manifest.write_classes(tmp_path / "classes.txt", ["tuba", "acoustic guitar", "flute"])
    assert manifest.read_classes(tmp_path / "classes.txt") == ("tuba", "acoustic guitar", "flute")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("i,v,,,oboe,train,s,l,p,", "label 'oboe' is none of the classes: flute"),
        ("i,v,,,flute,train,s,l,../p,", "leads out of the media folder"),
        ("i,v,,,flute,train,s,l,p,0 0 1", "box '0 0 1' is not"),
        ("i,v,,,flute,train,s,l,p,0 0 1 2", "box '0 0 1 2' is not"),
        (",v,,,flute,train,s,l,p,", "clip_id is empty"),
    ],
)
def test_a_manifest_that_was_edited_badly(tmp_path, row, message):
    (tmp_path / "m.csv").write_text(",".join(manifest.COLUMNS) + f"\n{row}\n")
    with pytest.raises(UserError, match="row 2: .*" + message):
        list(manifest.read(tmp_path / "m.csv", ["flute"]))


def test_memory_stays_flat_over_many_rows(folder):
    def peak(rows: int) -> int:
        with (folder / "table.csv").open("w") as file:
            file.write(GOOD)
            file.writelines(f"clip{number:07d},a.mp4,flute,train\n" for number in range(rows))
        tracemalloc.start()
        count = manifest.write(
            folder / "m.csv", lists.table_clips(folder / "table.csv", ["flute", "tuba"], folder / "media")
        )
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == rows + 3
        return size

    few, many = peak(2_000), peak(20_000)
    # Eight bytes a row to find repeats, held a few times over while they are sorted; a set of ids takes 150.
    assert (many - few) / 18_000 < 60


def run(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run([*PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_the_program_writes_both_files_or_none(folder):
    (folder / "table.csv").write_text(GOOD)
    outputs = ("--manifest", folder / "m.csv", "--class-list", folder / "classes.txt")
    common = ("local", "--table", folder / "table.csv", "--folder", folder / "media", *outputs)
    wrong = run(*common, "--classes", "flute", "oboe")
    assert wrong.returncode == 1
    last = wrong.stderr.splitlines()[-1]
    assert last.startswith("error: ") and "row 3: label 'tuba'" in last and "Traceback" not in wrong.stderr
    assert not (folder / "m.csv").exists() and not (folder / "classes.txt").exists()
    assert run(*common, "--classes-from-table").returncode == 0
    assert (folder / "classes.txt").read_text() == "flute\ntuba\n"
    assert len(list(manifest.read(folder / "m.csv", ["flute", "tuba"]))) == 3


# The lists of one protocol that the program is run with.
VIDEOS = ("--list", *(f"{name}={RESOURCES}/music/MUSIC_{name}_videos.json" for name in ("solo", "duet")))
INSTRUMENTS = (
    "accordion", "acoustic_guitar", "cello", "clarinet", "erhu", "flute", "saxophone", "trumpet", "tuba", "violin",
    "xylophone",
)  # fmt: skip


def outputs(folder: Path) -> tuple[str | Path, ...]:
    return "--manifest", folder / "m.csv", "--class-list", folder / "classes.txt"


def test_the_program_makes_a_protocol_s_manifest(tmp_path):
    media = tmp_path / "media" / "acoustic guitar"
    media.mkdir(parents=True)
    ids = json.loads((RESOURCES / "music" / "MUSIC_solo_videos.json").read_text())["videos"]["acoustic_guitar"]
    (media / f"{ids[5]}.mp4").touch()
    command = ("protocol", "--protocol", "music_videos", *VIDEOS, '--options={"duets":"first"}')
    made = run(*command, "--classes", *INSTRUMENTS, "--folder", tmp_path / "media", *outputs(tmp_path))
    assert made.returncode == 0, made.stderr
    clips = list(manifest.read(tmp_path / "m.csv", INSTRUMENTS))
    assert len(clips) == 685
    assert {clip.video_id: clip.path for clip in clips if clip.path} == {ids[5]: f"acoustic guitar/{ids[5]}.mp4"}
    assert manifest.read_classes(tmp_path / "classes.txt") == INSTRUMENTS


def test_the_program_takes_classes_from_a_file(tmp_path):
    (tmp_path / "eval.csv").write_text('# a\n# b\n# c\n-x, 0.000, 10.000, "/m/09x0r,/m/04rlf"\n')
    common = ("protocol", "--list", f"eval={tmp_path}/eval.csv", "--folder", tmp_path / "none", *outputs(tmp_path))
    index = ("--class-index", RESOURCES / "audioset" / "class_labels_indices.csv")
    assert run(*common, "--protocol", "audioset", *index, "--options={}").returncode == 0
    assert [clip.labels for clip in manifest.read(tmp_path / "m.csv")] == [("Speech", "Music")]
    assert len(manifest.read_classes(tmp_path / "classes.txt")) == 527
    wrong = run(*common, "--protocol", "released", *index)
    assert wrong.stderr.splitlines()[-1].startswith("error: --class-index is for audioset; give --classes")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--protocol": ["musik"]}, "error: unknown name 'musik'; registered are: audioset, crmt, kinetics, "),
        ({"--options": ['{"duets":"second"}']}, "error: option duets is 'second'; it can be drop or first"),
        ({"--options": ["[]"]}, "error: --options: [] is no JSON object"),
        ({"--classes": ["flute"]}, "category 'acoustic_guitar': label 'acoustic_guitar' is none of the classes: flute"),
        ({"--list": ["solo=nowhere.json"]}, "error: list 'duet' is missing; the protocol takes solo, duet"),
        ({"--list": [*VIDEOS[1:], "solo=a"]}, "error: --list: a name is given twice"),
    ],
)
def test_mistakes_on_the_command_line(tmp_path, change, message):
    given = {"--protocol": ["music_videos"], "--classes": INSTRUMENTS, "--list": VIDEOS[1:]} | change
    command = [word for name, values in given.items() for word in (name, *values)]
    wrong = run("protocol", *command, "--folder", tmp_path, *outputs(tmp_path))
    assert wrong.returncode == 1
    assert message in wrong.stderr.splitlines()[-1] and "Traceback" not in wrong.stderr
    assert not (tmp_path / "m.csv").exists() and not (tmp_path / "classes.txt").exists()


def video(video_id: str, *labels: str) -> Clip:
    return Clip(video_id, video_id, 3.0, 13.0, labels, "test", "youtube", "list.csv", "")


def found(folder: Path, *clips: Clip) -> list[str]:
    return [clip.path for clip in lists.with_local_files(clips, folder)]


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_files_are_found_in_every_layout(tmp_path):
    touch(tmp_path, "a b/x1.mkv", "c/x1.mp4", "other/-x2_000001_000011.mp4", "x_3.webm", "x_3_1_2.mp4", "x_3.txt")
    (tmp_path / "a b" / "circle").symlink_to(tmp_path)
    wanted = [video("x1", "a_b"), video("-x2", "a_b"), video("x_3", "c"), video("x4", "c")]
    assert found(tmp_path, *wanted) == ["a b/x1.mkv", "other/-x2_000001_000011.mp4", "x_3.webm", ""]


def test_the_folder_of_a_clip_s_class_comes_first(tmp_path):
    touch(tmp_path, "a/x.mp4", "m/a/x.mp4", "m/b/x.mp4", "n/b/x.MP4")
    wanted = [video("x", "a"), video("x", "b"), video("x", "c"), video("x", "c", "b"), video("x", "a", "b")]
    assert found(tmp_path, *wanted) == ["a/x.mp4", "m/b/x.mp4", "a/x.mp4", "m/b/x.mp4", "a/x.mp4"]


def test_a_local_file_changes_nothing_but_the_path(tmp_path):
    touch(tmp_path, "x.mp4")
    (clip,) = lists.with_local_files([video("x", "a")], tmp_path)
    assert clip == replace(video("x", "a"), path="x.mp4")


def test_a_media_folder_may_be_missing_unless_nothing_else_has_the_files(tmp_path):
    assert found(tmp_path / "none", video("x", "a")) == [""]
    with pytest.raises(UserError, match="none: the media folder is missing"):
        list(lists.with_local_files([video("x", "a")], tmp_path / "none", required=True))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file: the media folder is missing or no folder"):
        found(tmp_path / "file", video("x", "a"))


def test_memory_grows_with_the_files_and_not_with_the_rows(tmp_path):
    touch(tmp_path, *(f"{number % 7}/f{number}.mp4" for number in range(300)))

    def peak(rows: int) -> int:
        tracemalloc.start()
        clips = (video(f"f{number}", "a") for number in range(rows))
        assert sum(bool(clip.path) for clip in lists.with_local_files(clips, tmp_path)) == min(rows, 300)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(20_000) - peak(400) < 20_000
