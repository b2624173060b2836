"""From the published lists in resources/ to clips: exact counts, splits that nothing but the list decides, mistakes."""

import csv
import hashlib
import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avrobust.data import lists
from avrobust.data.manifest import SPLITS, Clip
from avrobust.data.protocols.registry import CLASS_NAMES, PROTOCOLS
from avrobust.lazy import load
from avrobust.program import UserError

RESOURCES = Path(__file__).parents[2] / "resources"
README = (RESOURCES / "README.md").read_text(encoding="utf-8")
TIMES = {"times": RESOURCES / "kinetics_sounds" / "times.csv"}
ANNOTATIONS = {"annotations": RESOURCES / "ave" / "annotations.csv"}
MUSIC = {name: RESOURCES / "music" / f"MUSIC_{name}_videos.json" for name in ("solo", "duet")}
INSTRUMENTS = tuple(json.loads(MUSIC["solo"].read_text())["videos"])
KINETICS_HEADER = "label,youtube_id,time_start,time_end,split"


def released_lists(suffix: str = "") -> dict[str, Path]:
    return {split: RESOURCES / "tian2021" / f"{split}{suffix}.csv" for split in SPLITS}


def classes_of(files: dict[str, Path]) -> tuple[str, ...]:
    lines = (line for split in SPLITS for line in files[split].read_text().splitlines())
    return tuple(sorted({line.split("/")[1] for line in lines}))


def made(protocol: str, files: dict[str, Path], classes: tuple[str, ...], **options: str) -> list[Clip]:
    return list(load(PROTOCOLS, protocol)(files, classes, options))


def released(suffix: str, **options: str) -> list[Clip]:
    files = released_lists(suffix)
    classes = classes_of(files)
    return made("released", files | (ANNOTATIONS if "labels" in options else {}), classes, **options)


def sizes(clips: list[Clip]) -> tuple[int, ...]:
    counts = Counter(clip.split for clip in clips)
    return tuple(counts[split] for split in SPLITS)


def videos(clips: list[Clip], split: str) -> set[str]:
    return {clip.video_id for clip in clips if clip.split == split}


def overlaps(clips: list[Clip]) -> tuple[int, int, int]:
    train, val, test = (videos(clips, split) for split in SPLITS)
    return len(train & val), len(train & test), len(val & test)


def splits_of(clips: list[Clip]) -> dict[str, str]:
    return {clip.video_id: clip.split for clip in clips}


def check_stratified(clips: list[Clip], weights: dict[str, int]) -> None:
    per_class = Counter(clip.labels[0] for clip in clips)
    counts = Counter((clip.labels[0], clip.split) for clip in clips)
    for label, count in per_class.items():
        for split, weight in weights.items():
            assert abs(counts[label, split] - count * weight / sum(weights.values())) <= 1, (label, split)


# Resources


def resources() -> list[Path]:
    return sorted(path for path in RESOURCES.rglob("*") if path.is_file() and path.name != "README.md")


def rows_of(path: Path) -> int:
    if path.suffix == ".json":
        return sum(map(len, json.loads(path.read_text())["videos"].values()))
    header = 0 if path.parent.name == "tian2021" else 1
    return len(list(csv.reader(path.open(encoding="utf-8", newline="")))) - header


@pytest.mark.parametrize("path", resources(), ids=lambda path: path.name)
def test_every_resource_is_what_the_readme_says(path):
    section = README.split(f"## `{path.parent.name}/`")[1].split("\n## ")[0]
    assert f"| `{path.name}` | {rows_of(path)} | `{hashlib.sha256(path.read_bytes()).hexdigest()}` |" in section


def test_the_class_lists_have_the_classes_of_the_papers():
    with (RESOURCES / "kinetics_sounds" / "class_lists.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    of_27 = {row["k400_name"].replace(" ", "_") for row in rows if row["in27_cvpr21"] == "1"}
    assert of_27 == set(classes_of(released_lists("_kinetics")))
    names = [row["k400_name"] for row in sorted(rows, key=lambda row: int(row["idx31"] or 99)) if row["idx31"]]
    assert len(names) == 31 and names == sorted(names)
    # Underscores sort otherwise than spaces; the numbers of the lists of CRMT must not change by it.
    assert [name.replace(" ", "_") for name in names] == sorted(name.replace(" ", "_") for name in names)


# Registry


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_protocol_knows_its_options(name):
    protocol = load(PROTOCOLS, name)
    with pytest.raises(UserError, match=r"option 'tempo' is none of the protocol's: "):
        list(protocol({}, ("a",), {"tempo": "allegro"}))
    options = protocol.__globals__["OPTIONS"]
    for option, values in options.items():
        with pytest.raises(UserError, match=f"option {option} is 'odd'; it can be {' or '.join(values)}"):
            list(protocol({}, ("a",), {option: "odd"}))
        # What is allowed is no mistake; that no list is given is.
        for value in values:
            with pytest.raises(UserError, match=r"list|index"):
                list(protocol({}, ("a",), {option: value}))


def test_class_names_are_of_protocols():
    assert set(CLASS_NAMES) <= set(PROTOCOLS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"train", "val"},
            "list 'test' is missing; the protocol takes train, val, test, times .optional., annotations",
        ),
        ({"train", "val", "test", "dev"}, "list 'dev' is of no use here"),
    ],
)
def test_lists_have_known_names(given, message):
    files = released_lists()
    with pytest.raises(UserError, match=message):
        made("released", {name: files.get(name, files["val"]) for name in given}, INSTRUMENTS)


# Released lists


@pytest.mark.parametrize(
    ("suffix", "classes", "counts"),
    [("", 11, (312, 104, 104)), ("_kinetics", 27, (9309, 3103, 3104)), ("_AVE", 28, (3339, 402, 402))],
)
def test_released_lists_keep_their_splits(suffix, classes, counts):
    clips = released(suffix)
    assert sizes(clips) == counts
    assert len({clip.clip_id for clip in clips}) == len(clips) == sum(counts)
    assert len({clip.labels for clip in clips}) == classes
    assert {(clip.source, clip.path, clip.box) for clip in clips} == {("youtube", "", None)}
    assert [clip.split for clip in clips] == sorted((clip.split for clip in clips), key=SPLITS.index)
    assert {clip.split: clip.list for clip in clips} == {split: f"{split}{suffix}.csv" for split in SPLITS}


@pytest.mark.parametrize("suffix", ["", "_kinetics"])
def test_no_video_of_music_or_kinetics_sounds_is_in_two_splits(suffix):
    assert overlaps(released(suffix)) == (0, 0, 0)


def test_the_papers_numbers_exchange_validation_and_test():
    as_released, printed = released("_kinetics"), released("_kinetics", val_test="printed")
    assert sizes(printed) == (9309, 3104, 3103)
    assert videos(printed, "test") == videos(as_released, "val")
    assert videos(printed, "val") == videos(as_released, "test")
    assert {clip.clip_id for clip in printed} == {clip.clip_id for clip in as_released}


def test_times_of_kinetics_sounds():
    files = released_lists("_kinetics")
    clips = made("released", files | TIMES, classes_of(files))
    timed = [clip for clip in clips if clip.start is not None]
    assert len(clips) == 15_516 and len(timed) == 15_246
    assert {clip.end - clip.start for clip in timed} == {10.0}
    assert all(clip.end is None for clip in clips if clip.start is None)
    # From the annotations of Kinetics-400.
    assert {clip.video_id: clip.start for clip in clips}["_9pC6FvYj3w"] == 21.0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("id,begin\nx,1\n", "row 1: no column start"),
        ("id,start\nx,soon\n", "row 2: start 'soon' is not a number"),
        ("id,start\nx,-1\n", "row 2: start -1 is before the video begins"),
        ("id,start\nx,1\nx,1\n", "row 3: id 'x' was there before"),
        ("id,start,end\nx,1,2\n", "column 'end' is not known"),
        ("id,start\nx,1\ny,1\n", "none of its 2 ids is a video of the lists"),
    ],
)
def test_mistakes_in_times(tmp_path, rows, message):
    (tmp_path / "times.csv").write_text(rows)
    with pytest.raises(UserError, match=message):
        made("released", released_lists() | {"times": tmp_path / "times.csv"}, INSTRUMENTS)
    if "none of" in message:
        with pytest.raises(UserError, match=message):
            made("resplit", released_lists() | {"times": tmp_path / "times.csv"}, INSTRUMENTS)


def test_repeated_videos_of_ave_are_named_by_split_and_row():
    clips = released("_AVE")
    renamed = [clip for clip in clips if clip.clip_id != clip.video_id]
    # 27 twice in train, one twice in val, 10 of train in val, 8 of train in test.
    assert Counter(clip.split for clip in renamed) == {"train": 27, "val": 11, "test": 8}
    assert all(re.fullmatch(rf"{clip.video_id}\.{clip.split}\d+", clip.clip_id) for clip in renamed)
    rows = released_lists("_AVE")["test"].read_text().splitlines()
    last = renamed[-1]
    number = int(last.clip_id.rpartition("test")[2])
    assert rows[number - 1].startswith(f"/{last.labels[0]}/{last.video_id}.wav,")


def test_ave_leaks_eight_test_videos_and_they_can_be_dropped():
    kept, dropped = released("_AVE"), released("_AVE", leaked="drop")
    assert overlaps(kept) == (10, 8, 0)
    assert overlaps(dropped) == (0, 0, 0)
    # 18 videos, of which one stands in train twice.
    assert sizes(dropped) == (3339 - 19, 402, 402)
    assert set(dropped) < set(kept)


def test_ave_has_its_own_labels_again():
    old, new = released("_AVE"), released("_AVE", labels="annotations")
    changed = [(one.labels[0], other.labels[0]) for one, other in zip(old, new, strict=True) if one != other]
    assert len(changed) == 46
    assert Counter(changed).most_common(2) == [(("Mandolin", "Banjo"), 17), (("Female_speech", "Male_speech"), 8)]
    assert [clip.clip_id for clip in old] == [clip.clip_id for clip in new]

    def categories(clips: list[Clip]) -> Counter[int]:
        found: dict[str, set[str]] = {}
        for clip in clips:
            found.setdefault(clip.video_id, set()).update(clip.labels)
        return Counter(map(len, found.values()))

    assert categories(old) == {1: 4097}
    assert categories(new) == {1: 4052, 2: 44, 3: 1}


def test_options_of_the_released_lists_go_together():
    both = released("_AVE", labels="annotations", val_test="printed")
    alone = {(clip.list, clip.video_id): clip.labels for clip in released("_AVE", labels="annotations")}
    assert next(clip for clip in both if clip.split == "test").list == "val_AVE.csv"
    assert Counter(label for clip in both for label in clip.labels) == Counter(
        label for clip in released("_AVE", labels="annotations") for label in clip.labels
    )
    once = Counter((clip.list, clip.video_id) for clip in both)
    assert all(alone[clip.list, clip.video_id] == clip.labels for clip in both if once[clip.list, clip.video_id] == 1)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("train,1,c---zaDCTaE,Cat", "row 1 of .*train_AVE.csv is not video 'c---zaDCTaE'"),
        ("train,154,-ccciEuH9FE,Yodel", "label 'Yodel' is none of the classes"),
        ("dev,154,-ccciEuH9FE,Cat", "split 'dev' is none of"),
        ("train,9999,-ccciEuH9FE,Cat", "row 9999 of"),
    ],
)
def test_annotations_of_other_lists(tmp_path, row, message):
    (tmp_path / "a.csv").write_text(f"split,row,id,label\n{row.replace('c---zaDCTaE', 'xxxxxxxxxxx')}\n")
    files = released_lists("_AVE")
    with pytest.raises(UserError, match="row 2: .*" + message.replace("c---zaDCTaE", "xxxxxxxxxxx")):
        made("released", files | {"annotations": tmp_path / "a.csv"}, classes_of(files), labels="annotations")


def test_annotations_are_needed_for_their_labels():
    files = released_lists("_AVE")
    with pytest.raises(UserError, match="list 'annotations' is missing"):
        made("released", files, classes_of(files), labels="annotations")


@pytest.mark.parametrize("row", ["", "a,b", "/c/x.wav,/c/y.mp4,82", "/c/x.wav,/c/x.mp4,", "/q/x.wav,/q/x.mp4,82"])
def test_a_released_list_that_is_none(tmp_path, row):
    (tmp_path / "list.csv").write_text(f"/c/x.wav,/c/x.mp4,82\n{row}\n")
    with pytest.raises(UserError, match="row 2"):
        made("released", dict.fromkeys(SPLITS, tmp_path / "list.csv"), ("c",))


# Splits by hash


counts = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), st.integers(0, 60), max_size=12)
weights = st.lists(st.integers(1, 20), min_size=2, max_size=3).map(lambda found: dict(zip(SPLITS, found, strict=False)))


@given(counts=counts, weights=weights)
def test_quotas_add_up_and_are_fair(counts, weights):
    table = lists.quotas(counts, weights)
    whole, total = sum(weights.values()), sum(counts.values())
    for label, count in counts.items():
        assert sum(table[label].values()) == count
        for name, weight in weights.items():
            assert table[label][name] >= 0 and abs(table[label][name] - count * weight / whole) <= 1
    for name, weight in list(weights.items())[:-1]:
        assert abs(sum(row[name] for row in table.values()) - total * weight / whole) <= 0.5


def test_quotas_by_hand():
    # 3.5, 0.5 and 1 of each class; in all 7, 1 and 2.
    table = lists.quotas({"a": 5, "b": 5}, {"train": 7, "val": 1, "test": 2})
    assert sorted(map(tuple, (row.values() for row in table.values()))) == [(3, 1, 1), (4, 0, 1)]


def test_a_class_of_few_videos_keeps_one_to_train_with():
    weights = {"train": 19, "val": 1}
    # One video in each of forty classes: two are for validation by their share, and each class needs its one.
    assert sum(row["val"] for row in lists.quotas({f"c{n:02d}": 1 for n in range(40)}, weights).values()) == 2
    assert set(lists.stratified({f"v{n}": f"c{n:02d}" for n in range(40)}, weights).values()) == {"train"}
    both = lists.stratified({f"v{n}": f"c{n // 2:02d}" for n in range(40)}, weights)
    assert sorted(both.values()) == ["train"] * 38 + ["val"] * 2


def test_the_hash_is_fixed():
    # By `printf 0:flute | sha256sum` and so on.
    begins = {"flute": "3abbfdeb91fb", "tuba": "257a6745730c"}
    assert {word: lists.rank(word).hex()[:12] for word in begins} == begins


@given(seed=st.integers(0, 10**6))
def test_a_split_does_not_depend_on_the_order(seed):
    labels = {f"video{number}": "abc"[number % 7 % 3] for number in range(40)}
    items = list(labels.items())
    random.Random(seed).shuffle(items)
    ratio = {"train": 7, "val": 1, "test": 2}
    assert lists.stratified(dict(items), ratio) == lists.stratified(labels, ratio)


# MIT-MUSIC, 685 videos


@pytest.mark.parametrize(("options", "counts"), [({}, (375, 54, 107)), ({"duets": "first"}, (479, 68, 138))])
def test_the_videos_of_music(options, counts):
    clips = made("music_videos", MUSIC, INSTRUMENTS, **options)
    assert sizes(clips) == counts
    assert overlaps(clips) == (0, 0, 0) and len({clip.clip_id for clip in clips}) == sum(counts)
    assert {clip.labels[0] for clip in clips} == set(INSTRUMENTS)
    assert {(clip.start, clip.end, clip.path, clip.source) for clip in clips} == {(None, None, "", "youtube")}
    check_stratified(clips, {"train": 7, "val": 1, "test": 2})


def test_a_duet_has_its_first_instrument():
    clips = made("music_videos", MUSIC, INSTRUMENTS, duets="first")
    duets = json.loads(MUSIC["duet"].read_text())["videos"]
    labels = {clip.video_id: clip.labels for clip in clips if clip.list == "MUSIC_duet_videos.json"}
    assert len(labels) == 149
    assert all(labels[video] == (pair.split()[0],) for pair, ids in duets.items() for video in ids)
    assert {"flute", "saxophone", "acoustic_guitar", "xylophone", "trumpet", "cello", "clarinet"} == {
        label for (label,) in labels.values()
    }


def test_the_solos_of_the_released_split_are_among_the_videos():
    labels = {clip.video_id: clip.labels for clip in made("music_videos", MUSIC, INSTRUMENTS)}
    assert all(labels[clip.video_id] == clip.labels for clip in released(""))


def shuffled(path: Path, folder: Path, seed: int) -> Path:
    """Write a list of videos in another order."""
    generator = random.Random(seed)
    categories = list(json.loads(path.read_text())["videos"].items())
    generator.shuffle(categories)
    for _, ids in categories:
        generator.shuffle(ids)
    target = folder / path.name
    target.write_text(json.dumps({"videos": dict(categories)}))
    return target


def test_the_order_of_the_videos_changes_no_split(tmp_path):
    files = {name: shuffled(path, tmp_path, 3) for name, path in MUSIC.items()}
    there = made("music_videos", files, INSTRUMENTS, duets="first")
    here = made("music_videos", MUSIC, tuple(reversed(INSTRUMENTS)), duets="first")
    assert splits_of(there) == splits_of(here)
    assert [clip.clip_id for clip in there] != [clip.clip_id for clip in here]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "not a list of MIT-MUSIC"),
        ("{", "not a list of MIT-MUSIC"),
        ('{"videos": {"kazoo": ["a"]}}', "category 'kazoo': label 'kazoo' is none of the classes"),
        ('{"videos": {"flute": "ab"}}', "category 'flute': not a list of video ids"),
        ('{"videos": {"flute": ["a", "a"]}}', "flute: video 'a' is taken, see solo.json, flute"),
        ('{"videos": {"flute": ["a"], "tuba": ["a"]}}', "tuba: video 'a' is taken, see solo.json, flute"),
    ],
)
def test_mistakes_in_a_list_of_videos(tmp_path, text, message):
    (tmp_path / "solo.json").write_text(text)
    with pytest.raises(UserError, match=message):
        made("music_videos", MUSIC | {"solo": tmp_path / "solo.json"}, INSTRUMENTS)


# Kinetics-Sounds, 7:2:1


def test_kinetics_sounds_split_anew():
    files = released_lists("_kinetics")
    clips = made("resplit", files | TIMES, classes_of(files))
    assert sizes(clips) == (10_861, 3_103, 1_552)
    assert overlaps(clips) == (0, 0, 0)
    check_stratified(clips, {"train": 7, "val": 2, "test": 1})
    same = {clip.clip_id: (clip.labels, clip.start) for clip in made("released", files | TIMES, classes_of(files))}
    assert {clip.clip_id: (clip.labels, clip.start) for clip in clips} == same
    # Not the released split under another name.
    assert 0.55 < len(videos(clips, "train") & videos(released("_kinetics"), "train")) / 9309 < 0.85


def test_kinetics_sounds_may_be_split_as_released():
    files = released_lists("_kinetics")
    clips = made("resplit", files | TIMES, classes_of(files), split="released")
    assert sizes(clips) == (9_309, 3_103, 3_104)
    assert clips == made("released", files | TIMES, classes_of(files))


@pytest.mark.parametrize(
    ("protocol", "options", "digest"),
    [
        ("resplit", {}, "33c9bccb7ff7"),
        ("music_videos", {}, "30fa87fa841d"),
        ("music_videos", {"duets": "first"}, "fbe585103396"),
    ],
)
def test_the_new_splits_stay_what_they_are(protocol, options, digest):
    """Another hash of (clip, split) is another split, with which no trained net and no number would go."""
    files = released_lists("_kinetics") if protocol == "resplit" else MUSIC
    classes = classes_of(files) if protocol == "resplit" else INSTRUMENTS
    split = sorted(f"{clip.clip_id} {clip.split}" for clip in made(protocol, files, classes, **options))
    assert hashlib.sha256("\n".join(split).encode()).hexdigest()[:12] == digest


def test_another_order_of_the_lists_gives_the_same_new_split(tmp_path):
    files = released_lists("_kinetics")
    other = {}
    for split, path in zip(SPLITS, reversed(files.values()), strict=True):
        other[split] = tmp_path / f"{split}.csv"
        other[split].write_text("\n".join(reversed(path.read_text().splitlines())) + "\n")
    classes = classes_of(files)
    assert splits_of(made("resplit", other, classes)) == splits_of(made("resplit", files, classes[::-1]))


def test_a_video_may_not_come_twice_where_splits_are_made(tmp_path):
    (tmp_path / "list.csv").write_text("/c/x.wav,/c/x.mp4,82\n")
    with pytest.raises(UserError, match=r"list\.csv, row 1: video 'x' is taken"):
        made("resplit", dict.fromkeys(SPLITS, tmp_path / "list.csv"), ("c",))


# Kinetics-400


@pytest.fixture
def annotations(tmp_path) -> dict[str, Path]:
    """Twenty clips of each of two classes and some of another in train, as CVDF writes it; val as DeepMind does."""
    train = [f"{KINETICS_HEADER},is_cc"]
    for number in range(20):
        train += [f"playing guitar,-g{number},{number},{number + 10},train,0", f"singing,s{number},0,10,train,1"]
        train += [f"abseiling,a{number},0,10,train,0"]
    files = {
        "train": train,
        "val": [KINETICS_HEADER, "singing,v1,3,13,validate", "playing guitar,v2,9,19,validate", "bowling,v3,0,9,val"],
        "test": [KINETICS_HEADER, "singing,t1,5,15,test"],
    }
    for name, lines in files.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return {name: tmp_path / f"{name}.csv" for name in files}


TWO = ("singing", "playing_guitar")


def test_classes_of_kinetics(annotations):
    del annotations["test"]
    clips = made("kinetics", annotations, TWO)
    assert sizes(clips) == (38, 2, 2)
    assert overlaps(clips) == (0, 0, 0)
    assert Counter(clip.labels[0] for clip in clips if clip.split == "val") == {"singing": 1, "playing_guitar": 1}
    assert {clip.video_id for clip in clips if clip.split == "test"} == {"v1", "v2"}
    by_video = {clip.video_id: clip for clip in clips}
    assert by_video["-g7"].clip_id == "-g7_000007_000017"
    assert (by_video["-g7"].start, by_video["-g7"].end) == (7.0, 17.0)


def test_kinetics_without_held_out_clips(annotations):
    two_lists = {name: annotations[name] for name in ("train", "val")}
    clips = made("kinetics", two_lists, TWO, validation="none_held_out")
    assert sizes(clips) == (40, 2, 2)
    assert videos(clips, "val") == videos(clips, "test") == {"v1", "v2"}
    assert len({clip.clip_id for clip in clips}) == 44
    three = made("kinetics", annotations, TWO, validation="none_held_out")
    assert sizes(three) == (40, 2, 1) and videos(three, "test") == {"t1"}
    with pytest.raises(UserError, match="list 'test' is of no use here"):
        made("kinetics", annotations, TWO)


def test_the_order_of_annotations_changes_no_split(annotations):
    del annotations["test"]
    before = splits_of(made("kinetics", annotations, TWO))
    header, *rows = annotations["train"].read_text().splitlines()
    random.Random(1).shuffle(rows)
    annotations["train"].write_text("\n".join([header, *rows]) + "\n")
    assert splits_of(made("kinetics", annotations, TWO[::-1])) == before


def test_a_video_that_is_annotated_twice_stays_in_one_split(annotations):
    del annotations["test"]
    with annotations["train"].open("a") as file:
        file.writelines(f"singing,-g{number},{number},{number + 10},train,0\n" for number in range(20))
    clips = made("kinetics", annotations, TWO)
    assert overlaps(clips) == (0, 0, 0)
    assert len({clip.clip_id for clip in clips}) == len(clips) == 62
    assert any(re.fullmatch(r"-g3_000003_000013\.(train|val)\d+", clip.clip_id) for clip in clips)


@pytest.mark.parametrize(
    ("text", "classes", "message"),
    [
        ("label,id\n", TWO, "row 1: no column youtube_id, time_start, time_end"),
        (f"{KINETICS_HEADER}\nsinging,a,10,0,train\n", TWO, "row 2: start 10 and end 0 are no span"),
        (f"{KINETICS_HEADER}\nsinging,,0,10,train\n", TWO, "row 2: youtube_id is empty"),
        (f"{KINETICS_HEADER}\nsinging,a,0,10\n", TWO, "row 2: 4 cells, but the header has 5"),
        (f"{KINETICS_HEADER}\nsinging,a,0,10,val\n", TWO, "row 2: split 'val' in the list that is given as train"),
        (f"{KINETICS_HEADER},weight\nsinging,a,0,10,train,1\n", TWO, "column 'weight' is not known"),
        (f"{KINETICS_HEADER.replace(',', ';')}\nsinging;a;0;10;train\n", TWO, "separated by semicolons"),
        (f"{KINETICS_HEADER}\nsinging,a,0,10,train\n", TWO, "no clip of class playing_guitar; is the name that of"),
    ],
)
def test_mistakes_in_annotations(annotations, text, classes, message):
    annotations["train"].write_text(text)
    with pytest.raises(UserError, match=r"train\.csv.*" + message):
        made("kinetics", {name: annotations[name] for name in ("train", "val")}, classes)


def test_own_copies_of_lists_may_come_from_a_spreadsheet(annotations, tmp_path):
    """With a byte order mark, other case and spaces they are the same lists."""
    del annotations["test"]
    before = made("kinetics", annotations, TWO)
    text = annotations["train"].read_text().replace(KINETICS_HEADER, "Label, YouTube_ID ,Time Start,time_end,SPLIT")
    annotations["train"].write_text(text.replace("singing,", " singing ,"), encoding="utf-8-sig")
    assert made("kinetics", annotations, TWO) == before
    lists_ = {name: tmp_path / f"copy_{name}.csv" for name in SPLITS}
    for name, path in lists_.items():
        path.write_text(f"/flute/{name}.wav,/flute/{name}.mp4,82\n", encoding="utf-8-sig")
    assert [clip.video_id for clip in made("released", lists_, ("flute",))] == list(SPLITS)
    for name in ("train", "test"):
        lists_[name].write_text(f"{name}1_000001_000011 0\n{name}2 0\n", encoding="utf-8-sig")
    clips = made("crmt", {name: lists_[name] for name in ("train", "test")}, ("flute",))
    assert {clip.video_id for clip in clips} == {"train1", "train2", "test1", "test2"}
    videos_ = {name: tmp_path / f"{name}.json" for name in ("solo", "duet")}
    for name, path in videos_.items():
        path.write_text(json.dumps({"videos": {"flute": [name]}}), encoding="utf-8-sig")
    assert [clip.video_id for clip in made("music_videos", videos_, ("flute",))] == ["solo"]


def test_lists_of_crmt(tmp_path):
    rows = [f"--{number}_00{number:04d}_00{number + 10:04d} {number % 2}" for number in range(40)]
    (tmp_path / "train.txt").write_text("\n".join(rows) + "\n")
    (tmp_path / "test.txt").write_text("a_b-c 1\n\nd_000001_000011 0\n")
    clips = made("crmt", {name: tmp_path / f"{name}.txt" for name in ("train", "test")}, TWO)
    assert sizes(clips) == (38, 2, 2)
    # In alphabetical order, not the one given.
    assert clips[0].labels == ("playing_guitar",) and (clips[0].start, clips[0].end) == (0.0, 10.0)
    assert [(clip.clip_id, clip.start, clip.labels) for clip in clips[-2:]] == [
        ("a_b-c", None, ("singing",)),
        ("d_000001_000011", 1.0, ("playing_guitar",)),
    ]


@pytest.mark.parametrize(("row", "message"), [("x", "'x' is not 'id_start_end label'"), ("x 2", "none of 0 to 1")])
def test_mistakes_in_lists_of_crmt(tmp_path, row, message):
    (tmp_path / "list.txt").write_text(f"a 0\n{row}\n")
    with pytest.raises(UserError, match="row 2: .*" + message):
        made("crmt", {"train": tmp_path / "list.txt", "test": tmp_path / "list.txt"}, TWO)
