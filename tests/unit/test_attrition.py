"""Counts of clips by class, split and status."""

from pathlib import Path

import pandas as pd
from artefacts import make

from avrobust.data.availability import Outcome, write
from avrobust.report.attrition import COLUMNS, attrition

OUTCOMES = [
    Outcome("a", "train", ("flute",), "ok", "", 10, 10),
    Outcome("b", "train", ("flute", "tuba"), "gone", "private video", 0, 0),
    Outcome("c", "test", ("tuba",), "media", "too_short", 3, 3),
    Outcome("d", "train", ("tuba",), "ok", "", 10, 10),
]


def test_every_class_and_split_has_a_row_and_clips_of_two_classes_count_in_both():
    rows = attrition("music", ("tuba", "flute"), OUTCOMES).to_dict("records")
    assert {*rows[0]} == {*COLUMNS} - {"scale", "unit"} and {row["dataset"] for row in rows} == {"music"}
    assert [(row["class"], row["split"]) for row in rows] == [
        (name, split) for name in ("tuba", "flute", "all") for split in ("train", "val", "test")
    ]
    found = {(row["class"], row["split"]): (row["wanted"], row["ok"], row["gone"], row["media"]) for row in rows}
    assert found["flute", "train"] == (2, 1, 1, 0)
    assert found["tuba", "train"] == (2, 1, 1, 0)
    assert found["all", "train"] == (3, 2, 1, 0)
    assert found["all", "test"] == found["tuba", "test"] == (1, 0, 0, 1)
    assert found["all", "val"] == found["flute", "test"] == (0, 0, 0, 0)
    assert all(row["wanted"] == sum(row[status] for status in COLUMNS[6:]) for row in rows)


def test_a_dataset_of_the_users_own_is_called_by_its_name(tmp_path: Path):
    given: dict[str, list[Path]] = {"classes": [], "availability": []}
    for name in ("music", "ave"):
        given["classes"].append(tmp_path / f"{name}.txt")
        given["classes"][-1].write_text("tuba\nflute\n", encoding="utf-8")
        given["availability"].append(tmp_path / f"{name}.csv")
        write(given["availability"][-1], OUTCOMES)
    spec = {"datasets": ["music", "ave"], "names": {"ave": "my takes"}}
    made = make("attrition", spec, tmp_path / "availability", **given)
    assert made.returncode == 0, made.stderr
    rows = pd.read_csv(tmp_path / "availability.csv")
    assert [*rows["dataset"]] == ["music"] * 9 + ["my takes"] * 9
    assert "my takes train: 2 of 3 clips" in made.stderr
