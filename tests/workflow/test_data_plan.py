"""`make plan`: what the paper scale's data need, and what of them is there."""

import re
from pathlib import Path

import pytest
from planning import ROOT, copy_project, plan, program, unedited

from data_plan import row


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    return copy_project(tmp_path_factory.mktemp("data_plan") / "project")


def rows(text: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split() for line in text.splitlines() if line and line[0] != " "}


def test_what_is_needed_adds_up(project):
    found = rows(program(project, "data_plan", "datasets={music_videos: {}}").stdout)
    assert set(found) >= {"music", "kinetics_sounds", "ave", "music_videos"} and "audioset_balanced" not in found
    assert "music_videos" not in rows(program(project, "data_plan").stdout)
    # 250 videos an hour of 12 MB; a packed second takes 0.21 MB.
    assert found["music"][1:7] == ["520", "0", "0", "2.1", "6.2", "13.4"]
    assert found["ave"][1:5] == ["4,143", "0", "0", "0.0"]
    datasets = [name for name in found if name not in ("dataset", "all", "hours", "all:")]
    number = {name: [float(found[name][k].replace(",", "")) for k in (1, 4)] for name in datasets}
    assert float(found["all"][1].replace(",", "")) == sum(clips for clips, _ in number.values())
    # music and music_videos are the same videos, of which music_videos has more.
    hours = sum(hours for name, (_, hours) in number.items() if name != "music")
    assert float(found["all"][4]) == pytest.approx(hours, abs=0.11)


def test_features_take_the_room_of_what_the_encoders_give(project):
    """400 columns of 64 bands and ten windows of 512, two bytes each: 61 kB a clip, 128 GB of two million."""
    run = program(project, "data_plan", "datasets={audioset: {}, kinetics_sounds_31: {}}")
    found = rows(run.stdout)
    assert "features, GB" in run.stdout.splitlines()[0]
    of_clip = 2 * (400 * 64 + 10 * 512)
    for name, clips in (("audioset", 2_084_320), ("kinetics_sounds_31", 23_600)):
        planned = row(plan(project, scale="paper", datasets={name: {}}), name)["features, GB"]
        assert planned == pytest.approx(clips * of_clip / 1e9)
        assert f"{planned:.1f}" in found[name]
    assert "features, GB" not in program(project, "data_plan").stdout


def test_what_is_there_and_what_is_lost_is_not_asked_for(project):
    locations = project / "results/paper/data/ave/locations"
    locations.mkdir(parents=True)
    (locations / "0000.csv").write_text("clip_id,status\na,ok\nb,gone\nc,ok\nd,pending\n")
    kinds = ["ok", "geo", "transient", "ok"]
    lines = [f'{{"video_id": "{video}", "kind": "{kind}"}}\n' for video, kind in zip("efge", kinds, strict=True)]
    (locations / "0001.jsonl").write_text("".join(lines) + '{"video_id": "cut o')
    # e was tried twice and counts once: here are a, c and e; lost are b and f.
    assert rows(program(project, "data_plan").stdout)["ave"][1:4] == ["4,143", "3", "2"]
    (locations / "0001.csv").write_text("clip_id,status\ne,media\n")
    # Of three shards there is no such one: they were smaller when it was made.
    (locations / "0003.csv").write_text("clip_id,status\na,ok\nc,ok\n")
    (locations / "0004.jsonl").write_text('{"video_id": "c", "kind": "ok"}\n')
    assert rows(program(project, "data_plan").stdout)["ave"][1:4] == ["4,143", "2", "2"]


def test_the_page_on_data_says_what_the_plan_says():
    """Gigabytes of media and of shards, by which a user chooses a disk: docs/data.md, "What to run"."""
    named = ("music", "kinetics_sounds", "ave", "audioset_balanced", "audioset")
    made = plan(unedited(), scale="paper", datasets={name: {} for name in (*named, "kinetics_sounds_721")})
    page = (ROOT / "docs/data.md").read_text(encoding="utf-8")
    said = re.findall(r"([\d.]+)\s+([GT])B,\s+and\s+([\d.]+)\s+([GT])B\s+packed", page)
    for name, (media, of_media, packed, of_packed) in zip(named, said, strict=True):
        planned = row(made, name)
        for text, unit, gigabytes in ((media, of_media, "media, GB"), (packed, of_packed, "packed, GB")):
            number = planned[gigabytes] / (1000 if unit == "T" else 1)
            assert text == f"{number:.{len(text.partition('.')[2])}f}", (name, gigabytes)
    about, whole = re.search(r"\(about (\d+) GB of the (\d+) GB are `train`", page).groups()
    assert float(about) < float(whole)
    for name in ("kinetics_sounds", "kinetics_sounds_721"):
        assert row(made, name)["archive"] == f"{about} GB"
    # A zip is as large as what it holds.
    assert row(made, "ave")["archive"] == f"{row(made, 'ave')['media, GB']:.0f} GB"


@pytest.mark.parametrize(
    ("argument", "message"),
    [("scale=papr", "error: "), ("scale=demo", "scale demo has no dataset that comes from published lists")],
)
def test_what_cannot_be_planned_is_one_line(project, argument, message):
    run = program(project, "data_plan", argument)
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.startswith(message) and run.stderr.count("\n") == 1
