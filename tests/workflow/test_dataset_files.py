"""The files of workflow/datasets and workflow/weights.yaml, against what is published of their data."""

import json
import re

import pytest
import yaml
from planning import ROOT, plan, unedited

from avrobust.data.protocols import music_videos, resplit
from lib.errors import SettingsError
from lib.jobs.data import parts
from lib.settings import check

DATASETS = {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in (ROOT / "workflow/datasets").glob("*.yaml")}
KINETICS = ("kinetics_sounds", "kinetics_sounds_31", "kinetics_sounds_721")
AUDIOSET = ("audioset", "audioset_balanced")
# Whoever has the videos of one has those of the others.
MEDIA = {"ave": ("ave", "ave_clips"), "audioset": AUDIOSET, "kinetics": KINETICS, "music": ("music", "music_videos")}


def test_datasets_of_the_same_videos_fetch_them_once_and_from_one_place() -> None:
    for media, names in MEDIA.items():
        assert sorted(names) == sorted(name for name, facts in DATASETS.items() if facts["media"] == media)
        for fact in ("sources", "megabytes_per_video", "clip_seconds", "task", "class_index"):
            assert len({json.dumps(DATASETS[name].get(fact)) for name in names}) == 1, (media, fact)
    assert sum(map(len, MEDIA.values())) == len(DATASETS)


def test_classes_are_those_of_the_papers() -> None:
    """Zhang et al. have the classes of Tian & Xu, in another order; Li et al. 31 of the 34 that there were at first."""
    classes = {name: facts.get("classes", []) for name, facts in DATASETS.items()}
    counts = {"ave": 28, "ave_clips": 28, "music": 11, "music_videos": 11, "kinetics_sounds_31": 31}
    counts |= dict.fromkeys(("kinetics_sounds", "kinetics_sounds_721"), 27) | dict.fromkeys(AUDIOSET, 0)
    assert {name: len(set(of)) for name, of in classes.items()} == counts
    assert {name: len(of) for name, of in classes.items()} == counts
    assert set(classes["music_videos"]) == set(classes["music"]) and classes["ave_clips"] == classes["ave"]
    assert set(classes["kinetics_sounds_721"]) == set(classes["kinetics_sounds"])
    assert set(classes["kinetics_sounds"]) < set(classes["kinetics_sounds_31"])


def test_a_class_is_no_option_of_a_command_line() -> None:
    with pytest.raises(SettingsError, match=r"mine\.yaml: classes\.1: '--seed' does not match"):
        check({"classes": ["dog", "--seed"]}, ROOT / "workflow/schemas/dataset.json", "mine.yaml")


def test_clips_of_the_web_are_looked_for_at_home_first() -> None:
    web = {name: facts["sources"][-1] for name, facts in DATASETS.items() if facts["sources"][0] == "local"}
    archived = dict.fromkeys((*KINETICS, *MEDIA["ave"]), "archive")
    assert web == archived | dict.fromkeys((*AUDIOSET, "music", "music_videos"), "youtube")


def test_kinetics_is_read_from_the_lists_of_parts_of_its_splits() -> None:
    """Kinetics-400 as github.com/cvdfoundation/kinetics-dataset publishes it."""
    place = "https://s3.amazonaws.com/kinetics/400"
    for name in KINETICS:
        splits = ("train", "val") if name == "kinetics_sounds_31" else ("train",)
        assert DATASETS[name]["archive"] == {"part_lists": [f"{place}/{one}/k400_{one}_path.txt" for one in splits]}
    annotations = {split: {"url": f"{place}/annotations/{split}.csv"} for split in ("train", "val")}
    assert DATASETS["kinetics_sounds_31"]["lists"] == annotations
    # Of all its parts, 436 GB, those of another split too are more.
    assert 350 == DATASETS["kinetics_sounds"]["archive_gigabytes"] < DATASETS["kinetics_sounds_31"]["archive_gigabytes"]


def test_audioset_is_read_from_the_lists_of_its_authors() -> None:
    """research.google.com/audioset/download.html; digests of the lists as they came."""
    place = "https://storage.googleapis.com/us_audioset/youtube_corpus/v1/csv"
    digests = {
        "balanced": {"sha256": "3b83e5ff9ed72cfda37d4e36ce08250e107c1ea70f109f6ab6668ac200db5e94"},
        "eval": {"sha256": "f7055f53935f70e74e39494a5c8c4c78f1700fce275028bd36e31186f33d45db"},
        "unbalanced": {"git_blob": "09dd5a7ca8b5c9067007115ca053c455c502d55c"},
    }
    files = {"balanced": "balanced_train", "eval": "eval", "unbalanced": "unbalanced_train"}
    lists = {name: {"url": f"{place}/{files[name]}_segments.csv", **digests[name]} for name in files}
    assert DATASETS["audioset"]["lists"] == lists
    assert DATASETS["audioset_balanced"]["lists"] == {name: lists[name] for name in ("balanced", "eval")}
    # Segments of each list.
    assert DATASETS["audioset_balanced"]["clips"] == 22_160 + 20_371
    assert DATASETS["audioset"]["clips"] == 2_041_789 + 22_160 + 20_371
    assert DATASETS["audioset"]["task"] == "multiple"


def test_clips_are_as_many_as_the_lists_of_the_project_hold() -> None:
    solos, duets = (
        sum(
            map(len, json.loads((ROOT / DATASETS["music_videos"]["lists"][name]).read_text("utf-8"))["videos"].values())
        )
        for name in ("solo", "duet")
    )
    assert DATASETS["music_videos"]["clips"] == {"by": "duets", "drop": solos, "first": solos + duets}
    assert (solos, duets) == (536, 149)
    released = [DATASETS["kinetics_sounds_721"]["lists"][split] for split in ("train", "val", "test")]
    rows = sum(bool(line.strip()) for one in released for line in (ROOT / one).read_text("utf-8").splitlines())
    assert DATASETS["kinetics_sounds_721"]["clips"] == rows == 15_516
    assert DATASETS["kinetics_sounds"]["lists"] == DATASETS["kinetics_sounds_721"]["lists"]


def test_clips_are_split_as_their_protocols_split_them() -> None:
    """Of Kinetics-Sounds Zhang et al. print 10,861, 3,103 and 1,552."""
    kinetics, music = (DATASETS[name]["shares"] for name in ("kinetics_sounds_721", "music_videos"))
    assert kinetics["anew"] == resplit.WEIGHTS and music == music_videos.WEIGHTS
    assert parts(15_516, kinetics["anew"]) == {"train": 10_861, "val": 3_103, "test": 1_552}
    assert [parts(count, music)["test"] for count in (536, 685)] == [107, 138]
    rows = {
        split: len((ROOT / DATASETS["kinetics_sounds_721"]["lists"][split]).read_text("utf-8").splitlines())
        for split in ("train", "val", "test")
    }
    assert kinetics["released"] == parts(15_516, kinetics["released"]) == rows
    of_choice = {
        choice: plan(unedited(), scale="paper", papers=["zhang2025"], zhang2025={"kinetics_sounds_split": choice})
        for choice in ("anew", "released")
    }
    tests = {choice: made.data.split_clips("kinetics_sounds_721", "test") for choice, made in of_choice.items()}
    assert tests == {"anew": 1_552, "released": 3_104}


# Li et al.: a second of 16 frames for an R(2+1)D. Zhang et al.: ten seconds of two frames, of which six are there.
SIXTEEN = {"audio_rate": 16_000, "frame_rate": 16, "short_side": 128, "minimum_frames": 16}
TWO = {"audio_rate": 16_000, "frame_rate": 2, "short_side": 128, "minimum_frames": 6 * 2 + 1}
EXTRACTED = (*AUDIOSET, "kinetics_sounds_31")
SIZES = {
    **dict.fromkeys(EXTRACTED, SIXTEEN),
    **dict.fromkeys(("ave_clips", "kinetics_sounds_721", "music_videos"), TWO),
    **{name: {} for name in ("ave", "kinetics_sounds", "music")},  # the scale's
}


@pytest.mark.parametrize("name", DATASETS)
def test_clips_are_stored_and_seen_as_their_paper_sees_them(name: str) -> None:
    facts = DATASETS[name]
    assert {key: facts[key] for key in (*SIXTEEN,) if key in facts} == SIZES[name]
    ten_seconds = {"seconds": 10, "frames": 20, "frame_size": 112}
    views = dict.fromkeys(("ave_clips", "kinetics_sounds_721"), ten_seconds)
    views |= {"music_videos": ten_seconds | {"random_stretch": True}}
    seen = {"name": "clip", "options": views[name]} if name in views else None
    features = {"name": "features", "options": {"extractor": {"by": "features"}}}
    assert facts.get("view") == (features if name in EXTRACTED else seen)


def test_weights_are_those_whose_file_says_how_their_digest_begins() -> None:
    weights = yaml.safe_load((ROOT / "workflow/weights.yaml").read_text("utf-8"))
    # torchvision's names.
    files = {
        "alexnet_imagenet": "alexnet-owt",
        "resnet18_imagenet": "resnet18",
        "resnet152_imagenet": "resnet152",
        "r2plus1d_18_kinetics400": "r2plus1d_18",
        "vgg11_bn_imagenet": "vgg11_bn",
    }
    assert weights.keys() == files.keys()
    for name, file in files.items():
        told = re.fullmatch(rf"https://download\.pytorch\.org/models/{file}-(\w{{8}})\.pth", weights[name]["url"])
        assert told[1] == weights[name]["sha256"]
