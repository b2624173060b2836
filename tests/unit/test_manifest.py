"""Manifests: written and read back, from a user's table with all its mistakes, with files found, by the program."""

import json
import subprocess
import sys
import tracemalloc
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


def test_test_clips_of_videos_in_training_are_known(tmp_path):
    """Of the video, not of the clip's name or its label; clips of validation do not count."""
    splits = {"a1": "train", "a2": "test", "b1": "val", "b2": "test", "c1": "test", "c2": "train", "d1": "test"}
    clips = [Clip(name, f"video {name[0]}", 0.0, 1.0, (name,), split, "s", "l", "p") for name, split in splits.items()]
    manifest.write(tmp_path / "m.csv", clips)
    assert manifest.clips_seen_in_training(tmp_path / "m.csv") == {"a2", "c1"}


def test_a_table_becomes_a_manifest(folder):
    text = "\ufeffsplit,label,clip_id,path,start,end\ntrain,flute,a,a.mp4,1,2.5\nval,tuba|flute,b,b.mp4,,\n"
    made = table_clips(folder, text + "test,tuba,c,/far/c.mp4,,\n")
    assert made[0] == Clip("a", "a", 1.0, 2.5, ("flute",), "train", "local", "table.csv", "a.mp4")
    assert made[1].labels == ("tuba", "flute") and made[1].start is None
    assert made[2].path == "/far/c.mp4"


@pytest.mark.parametrize(
    "header",
    [
        "start,end",
        "Start,END",
        " start, end ",
        "time_start,time_end",
        "Time Start,Time End",
        "start_time,end_time",
        "start,end,,",
        '"start","end"',
    ],
)
def test_spans_are_understood_however_their_columns_are_written(folder, header):
    empty = "," * header.count(",,") * 2
    rows = "".join(
        f" {name} ,{name}.mp4, flute ,{split}, 2 ,5.5 {empty}\n"
        for name, split in zip("abc", manifest.SPLITS, strict=True)
    )
    made = table_clips(folder, f"CLIP_ID, Path,label ,split,{header}\n{rows}")
    assert [(clip.clip_id, clip.path, clip.labels, clip.start, clip.end) for clip in made] == [
        (name, f"{name}.mp4", ("flute",), 2.0, 5.5) for name in "abc"
    ]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "start,ende",
            r"column 'ende' is not known, and nothing is ignored; .* clip_id, path, label, split, start, end",
        ),
        ("begin,end", "column 'begin' is not known"),
        ("note,Note 2", "column 'note' is not known"),
        ("start,time_start", "column start stands there twice, as 'start' and 'time_start'"),
        ("label,Label", "column label stands there twice, as 'label' and 'label' and 'Label'"),
        ("start,", "column start without end; give both or none"),
        ("end,", "column end without start; give both or none"),
        (",", "row 2: '2' in a column without a name"),
    ],
)
def test_no_column_is_passed_over(folder, header, message):
    with pytest.raises(UserError, match=message):
        table_clips(
            folder, f"clip_id,path,label,split,{header}\na,a.mp4,flute,train,2,{'' if header[-1] == ',' else 5}\n"
        )


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_other_separators_are_named(folder, separator, name):
    with pytest.raises(UserError, match=f"row 1: separated by {name}; save it with commas"):
        table_clips(folder, GOOD.replace(",", separator))


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
        ("tuba,val", "tuba,Val", "row 3: split 'Val' is none of train, val, test"),
        ("tuba,val", "tuba,", "row 3: split '' is none of train, val, test"),
        ("tuba,val", " ,val", "row 3: label is empty"),
        ("b.mp4", "../b.mp4", "row 3: path '../b.mp4' leads out of the media folder"),
        ("b.mp4", "x/../../b.mp4", "row 3: path .* leads out of the media folder"),
        (GOOD, "clip_id,path,label,split\n", "the table has no rows"),
        (GOOD, "", "row 1: no column clip_id, path, label, split; the header is: nothing$"),
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
        (",5", "row 2: start '' is not a number"),
        ("5,2", "row 2: start 5 and end 2 are no span"),
        ("nan,5", "row 2: start 'nan' is not a number"),
        ("0,inf", "row 2: end 'inf' is not a number"),
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


def test_a_clip_that_is_trained_with_and_tested_on_is_warned_of(folder, capsys):
    rows = f"d,x/../a.mp4,flute,test\ne,{folder}/media/a.mp4,flute,val\nf,c.mp4,tuba,test\n"
    table_clips(folder, GOOD + rows)
    said = "trained with under another name, the same seconds of the same file, and so no test"
    table = folder / "table.csv"
    assert capsys.readouterr().out == f"warning: {table}: {said}: 'd' of test (row 5), 'e' of val (row 6)\n"
    # Other seconds of the file are other clips.
    header = "clip_id,path,label,split,start,end\n"
    spans = ["a,a.mp4,flute,train,0,1", "b,b.mp4,tuba,val,,", "c,a.mp4,tuba,test,1,2"]
    table_clips(folder, header + "\n".join(spans))
    assert capsys.readouterr().out == ""
    table_clips(folder, header + "\n".join([*spans, "d,a.mp4,tuba,test,0,1.0"]))
    assert "'d' of test (row 5)" in capsys.readouterr().out


def test_a_name_that_is_too_long_is_a_file_that_is_not_there(folder):
    assert len(table_clips(folder, GOOD.replace("a.mp4", f"{'a' * 300}.mp4"))) == 3


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
    (folder / "table.csv").write_text(f"{GOOD}d,a.mp4,tuba,train\n")
    assert run(*common, "--classes-from-table").returncode == 0
    assert (folder / "classes.txt").read_text() == "flute\ntuba\n"
    assert len(list(manifest.read(folder / "m.csv", ["flute", "tuba"]))) == 4


def clip_of(label: str, split: str) -> Clip:
    return Clip(f"{label} {split}", "v", None, None, (label,), split, "local", "t", "p")


def test_a_class_that_training_never_sees_is_named(capsys):
    clips = [clip_of("dog", "train"), clip_of("dog", "val"), clip_of("dog", "test"), clip_of("bird", "val")]
    clips += [clip_of("cat", "test")]
    for taken, message in ((clips[:4], "t.csv: no clip in train of class bird, which val has"), (clips, "val has")):
        passed = []
        with pytest.raises(UserError, match=message):
            passed.extend(lists.with_classes_checked(taken, ["dog", "bird", "cat"], "t.csv"))
    with pytest.raises(UserError, match="no clip in train of 2 classes: bird, cat, which test has"):
        list(lists.with_classes_checked([clips[0], clip_of("bird", "test"), clips[4]], ["dog", "bird", "cat"], "t"))
    # One clip of several classes is a clip of each.
    both = Clip("b", "v", None, None, ("bird", "cat"), "train", "local", "t", "p")
    clips += [both, clip_of("bird", "test")]
    assert list(lists.with_classes_checked(clips, ["dog", "bird", "cat"], "t")) == clips
    assert capsys.readouterr().out == ""
    # Nothing to train with at all is said elsewhere.
    assert list(lists.with_classes_checked(clips[1:3], ["dog", "bird", "cat"], "t")) == clips[1:3]


def test_a_class_without_a_test_or_without_a_clip_is_warned_of(capsys):
    clips = [clip_of("dog", "train"), clip_of("dog", "test"), clip_of("cat", "train")]
    assert list(lists.with_classes_checked(clips, ["dog", "cat", "eel", "fox"], "t.csv")) == clips
    assert capsys.readouterr().out.splitlines() == [
        "warning: t.csv: no clip in test of class cat, which train has",
        "warning: t.csv: no clip at all of 2 classes: eel, fox; nets have an output for each of them all the same",
    ]


def test_classes_that_are_written_in_two_ways_are_warned_of(capsys):
    names = ("Dog", "dog", "tap dancing", "tap_dancing", "tapdance")
    clips = [clip_of(name, split) for name in names for split in ("train", "test")]
    assert list(lists.with_classes_checked(clips, names, "t.csv")) == clips
    assert capsys.readouterr().out.splitlines() == [
        "warning: t.csv: 'Dog' and 'dog' are 2 classes; are they meant to be one?",
        "warning: t.csv: 'tap dancing' and 'tap_dancing' are 2 classes; are they meant to be one?",
    ]


def test_a_name_that_is_not_utf8_is_named_in_one_line(folder):
    table = folder / "t\udce9.csv"
    table.write_text(f"{GOOD}d,a.mp4,tuba,train\n")
    wrong = run("local", "--table", table, "--folder", folder / "media", "--classes-from-table", *outputs(folder))
    assert wrong.returncode == 1 and "Traceback" not in wrong.stderr
    assert wrong.stderr.splitlines()[-1].startswith("error: 't\\xe9.csv': a name that is not UTF-8")
    assert not (folder / "m.csv").exists()


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
