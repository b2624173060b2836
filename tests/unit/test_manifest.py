"""Manifests: written and read back, from a user's table with all its mistakes, from the released lists."""

import csv
import hashlib
import re
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avrobust.data import lists, manifest
from avrobust.data.manifest import Clip
from avrobust.program import UserError

ROOT = Path(__file__).parents[2]
LISTS = ROOT / "resources" / "tian2021"
PROGRAM = [sys.executable, ROOT / "scripts" / "manifest.py"]
# (rows, distinct ids), from the released files.
RELEASED = {
    "train.csv": (312, 312),
    "val.csv": (104, 104),
    "test.csv": (104, 104),
    "train_kinetics.csv": (9309, 9309),
    "val_kinetics.csv": (3103, 3103),
    "test_kinetics.csv": (3104, 3104),
    "train_AVE.csv": (3339, 3312),
    "val_AVE.csv": (402, 401),
    "test_AVE.csv": (402, 402),
}
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


@pytest.mark.parametrize("name", RELEASED)
def test_released_lists_are_untouched(name):
    data = (LISTS / name).read_bytes()
    assert f"| `{name}` | {RELEASED[name][0]} | `{hashlib.sha256(data).hexdigest()}` |" in (
        ROOT / "resources" / "README.md"
    ).read_text(encoding="utf-8")
    ids = re.findall(r"^/[^/]+/([^/]+)\.wav,", data.decode(), re.MULTILINE)
    assert (len(ids), len(set(ids))) == RELEASED[name]


def released(suffix: str, folder: Path) -> tuple[list[str], list[Clip]]:
    files = {split: LISTS / f"{split}{suffix}.csv" for split in manifest.SPLITS}
    rows = [row for path in files.values() for row in csv.reader(path.open(encoding="utf-8"))]
    classes = sorted({row[0].split("/")[1] for row in rows})
    return classes, list(lists.released_clips(files, classes, folder))


@pytest.mark.parametrize(("suffix", "classes"), [("", 11), ("_kinetics", 27), ("_AVE", 28)])
def test_released_lists_become_manifests(tmp_path, suffix, classes):
    names, made = released(suffix, tmp_path)
    assert len(names) == classes
    assert Counter(clip.split for clip in made) == {
        split: RELEASED[f"{split}{suffix}.csv"][0] for split in manifest.SPLITS
    }
    assert len({clip.clip_id for clip in made}) == len(made)
    assert {clip.path for clip in made} == {""}
    manifest.write(tmp_path / "m.csv", made)
    assert list(manifest.read(tmp_path / "m.csv", names)) == made


def test_repeated_videos_of_ave_are_named_by_split_and_row(tmp_path):
    _, made = released("_AVE", tmp_path)
    renamed = [clip for clip in made if clip.clip_id != clip.video_id]
    # 27 twice in train, one twice in val, 10 of train in val, 8 of train in test.
    assert Counter(clip.split for clip in renamed) == {"train": 27, "val": 11, "test": 8}
    assert all(re.fullmatch(rf"{clip.video_id}\.{clip.split}\d+", clip.clip_id) for clip in renamed)
    rows = (LISTS / "test_AVE.csv").read_text().splitlines()
    last = renamed[-1]
    number = int(last.clip_id.rpartition("test")[2])
    assert rows[number - 1].startswith(f"/{last.labels[0]}/{last.video_id}.wav,")


def test_files_are_found_in_every_layout(tmp_path):
    files = {}
    for split, row in zip(manifest.SPLITS, ["a_b/x1", "a_b/-x2", "c/x_3"], strict=True):
        files[split] = tmp_path / f"{split}.csv"
        files[split].write_text(f"/{row}.wav,/{row}.mp4,82\n")
    media = tmp_path / "media"
    for name in ("a b/x1.mkv", "c/x1.mp4", "other/-x2_000001_000011.mp4", "x_3.webm", "x_3_1_2.mp4", "x_3.txt"):
        (media / name).parent.mkdir(parents=True, exist_ok=True)
        (media / name).touch()
    (media / "a b" / "circle").symlink_to(media)
    made = list(lists.released_clips(files, ["a_b", "c"], media))
    assert [clip.path for clip in made] == ["a b/x1.mkv", "other/-x2_000001_000011.mp4", "x_3.webm"]


@pytest.mark.parametrize("row", ["", "a,b", "/c/x.wav,/c/y.mp4,82", "/c/x.wav,/c/x.mp4,", "/q/x.wav,/q/x.mp4,82"])
def test_a_list_that_is_none(tmp_path, row):
    (tmp_path / "list.csv").write_text(f"/c/x.wav,/c/x.mp4,82\n{row}\n")
    files = dict.fromkeys(manifest.SPLITS, tmp_path / "list.csv")
    with pytest.raises(UserError, match="row 2"):
        list(lists.released_clips(files, ["c"], tmp_path))
