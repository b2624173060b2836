"""Clips of the user's own in the place of a paper's dataset: their name and classes, and no printed values."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from planning import plan, unedited

from lib.own_clips import Own, in_its_place
from lib.plan import Plan
from lib.settings import SettingsError

TABLE = "clip_id,path,label,split\n" + "".join(
    f"{label}{number},{label}{number}.mp4,{label},{split}\n"
    for label in ("dog_bark", "cat")
    for number, split in enumerate(("train", "val", "test"))
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "my_clips.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def own(table: Path, **more: str) -> Plan:
    """Return the demo's plan with this table in the place of Kinetics-Sounds."""
    given = {"source": "local", "table": str(table), "folder": str(table.parent), "classes": "table", **more}
    return plan(unedited(), datasets={"kinetics_sounds": given})


def spec(made: Plan, name: str) -> dict:
    return made.grid.artefacts["tian2021", name].spec


def test_tables_figures_and_claims_call_them_by_their_name(table: Path) -> None:
    made = own(table)
    said = " (my_clips in the place of KS)"
    rows = {row["keys"]["dataset"]: row.get("ours_only", False) for row in spec(made, "table3")["rows"][:8]}
    assert rows == {"MUSIC": False}
    assert {row["keys"]["dataset"] for row in spec(made, "table3")["rows"]} == {"MUSIC", "my_clips"}
    for name in ("table1", "table3", "tableA3", "figureA2", "figure4", "localisation"):
        assert spec(made, name)["title"].endswith(said)
    for name in ("table2", "tableA1", "figure3", "figure5"):
        assert "my_clips" not in spec(made, name)["title"]
    for name in ("table1", "localisation", "figure4", "claims"):
        assert spec(made, name)["names"] == {"kinetics_sounds": "my_clips"}
    assert spec(made, "figure4")["labels"]["dataset"] == {"music": "MUSIC", "kinetics_sounds": "my_clips"}
    sentences = {one["name"]: one["sentence"] for one in spec(made, "claims")["claims"]}
    assert sentences["joint_not_always_better"].endswith(f"both attacked{said}.")
    assert "my_clips" not in sentences["attacks_reduce_accuracy_ave"]
    assert own(table, name="Pets").grid.artefacts["tian2021", "table1"].spec["rows"][-1]["keys"]["dataset"] == "Pets"


def test_what_is_printed_steps_aside_of_these_rows_alone(table: Path) -> None:
    rows = spec(own(table), "table1")["rows"]
    ours_only = {(row["keys"]["dataset"], row["keys"]["attack"]) for row in rows if row.get("ours_only")}
    assert {("my_clips", "FGSM"), ("my_clips", "MIM official"), ("MUSIC", "FGSM official")} <= ours_only
    assert not ours_only & {("MUSIC", "FGSM"), ("MUSIC", "MIM official")}
    assert own(table).notes == plan(unedited()).notes


def test_what_is_printed_steps_aside_of_rankings_too(table: Path) -> None:
    """Whose rows are told apart by other keys than the dataset."""
    given = {"source": "local", "table": str(table), "folder": str(table.parent), "classes": "table"}
    made = plan(unedited(), papers=["li2022"], datasets={"kinetics_sounds_31": given}).grid.artefacts
    ours_only = {
        name: {row.get("ours_only", False) for row in made["li2022", name].spec["rows"]}
        for name in ("table1", "table2")
    }
    assert ours_only == {"table1": {True, False}, "table2": {True}}


def test_nothing_that_is_printed_stands_in_figures_of_them(table: Path) -> None:
    """Neither values beside bars and curves nor lines of what the paper's text says."""
    given = {"source": "local", "table": str(table), "folder": str(table.parent), "classes": "table"}

    def printed(**changes: object) -> set[str]:
        made = plan(unedited(), papers=["zhang2025"], **changes)
        read = made.tables.read("published")
        return {name for paper, name in made.grid.artefacts if read(SimpleNamespace(artefact=f"{paper}/{name}"))}

    assert printed() == {f"figure{number}" for number in (1, 2, 5, 6, 7, 9, 10, 11, 12)}
    assert printed(datasets={"kinetics_sounds_721": given}) == {"figure10", "figure11"}
    assert printed(datasets={"music_videos": given}) == {f"figure{number}" for number in (1, 2, 5, 6, 7, 9, 12)}


def test_answers_about_them_stand_beside_nothing_that_is_printed() -> None:
    spec = {"title": "Figure 13", "read": {"dataset": "ave_clips"}}
    paper = {
        "datasets": ["ave_clips"],
        "labels": {},
        "claims": [],
        "artefacts": {"f": {"kind": "answers", "spec": spec}},
    }
    made = in_its_place(paper, {"ave_clips": Own("mine")})["artefacts"]["f"]["spec"]
    assert made["ours_only"] and made["title"] == "Figure 13 (mine in the place of ave_clips)"


def test_ledgers_call_them_by_their_name(table: Path) -> None:
    made, names = own(table), {"kinetics_sounds": "my_clips"}
    assert spec(made, "realisable")["names"] == made.tables.artefacts["availability"].spec["names"] == names
    assert json.loads(made.analysis.names) == names
    of_the_paper = plan(unedited())
    assert of_the_paper.analysis.names == "{}"
    assert of_the_paper.tables.artefacts["availability"].spec["names"] == {}


@pytest.mark.parametrize("name", ["MUSIC", "music", "other"])
def test_a_name_that_other_clips_have_is_refused(table: Path, name: str) -> None:
    """As the paper prints a dataset, as its folder is called, or as other clips of the user's."""
    given = {"source": "local", "table": str(table), "folder": str(table.parent), "classes": "table"}
    others = {"ave": {**given, "name": "other"}, "kinetics_sounds": {**given, "name": name}}
    of = "ave" if name == "other" else "music"
    wanted = rf"datasets\.kinetics_sounds: '{name}' is what clips of {of} are called; give another `name`"
    with pytest.raises(SettingsError, match=wanted):
        plan(unedited(), datasets=others)
    assert spec(own(table, name="kinetics_sounds"), "realisable")["names"] == {"kinetics_sounds": "kinetics_sounds"}


@pytest.mark.parametrize("name", ["AVE ", " ", "Ave", "my\nclips", "mine\n"])
def test_a_name_that_looks_like_another_in_a_table_is_refused(table: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=r"datasets\.kinetics_sounds: .*; give another `name`"):
        own(table, name=name)


def test_heat_maps_show_their_first_classes_and_diagrams_count_them(table: Path) -> None:
    """Figure 4 has two rows of Kinetics-Sounds: by name `cat` comes first."""
    made = own(table)
    shown = [(row["dataset"], row["class"], row["title"]) for row in spec(made, "figure4")["rows"]]
    assert shown == [
        ("music", "cello", "playing cello"),
        ("kinetics_sounds", "cat", "cat"),
        ("kinetics_sounds", "dog_bark", "dog bark"),
    ]
    assert made.grid.examples["kinetics_sounds", "localisation", "mim"] == {"cat", "dog_bark"}
    kept = {"source": "local", "table": str(table), "folder": str(table.parent), "classes": "table"}
    music = plan(unedited(), datasets={"music": kept})
    assert music.grid.artefacts["tian2021", "figure2"].spec["classes"] == 2


def test_a_row_of_a_class_that_is_not_there_is_left_out(table: Path) -> None:
    table.write_text("".join(line for line in TABLE.splitlines(keepends=True) if "dog" not in line), encoding="utf-8")
    assert [row["class"] for row in spec(own(table), "figure4")["rows"]] == ["cello", "cat"]


def test_with_the_classes_of_the_paper_its_rows_stay(table: Path) -> None:
    rows = spec(own(table, classes="dataset"), "figure4")["rows"]
    assert [row["class"] for row in rows] == ["cello", "shuffling_cards", "blowing_nose"]


def test_what_a_user_calls_other_clips_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"datasets\.ave: name needs `source: local`, but the source is render"):
        plan(unedited(), datasets={"ave": {"name": "Mine"}})


def test_figures_of_classes_show_the_first_of_them_that_they_have(table: Path) -> None:
    """Else the job that measures a net would be told classes that no clip is of."""
    given = {"source": "local", "table": str(table), "folder": str(table.parent), "classes": "table"}
    made = plan(unedited(), papers=["li2022"], datasets={"audioset_balanced": given})
    hulls, crust = (made.grid.artefacts["li2022", name].spec for name in ("figure3", "figure1b"))
    assert (hulls["classes"], crust["of_class"]) == (["cat", "dog_bark"], "cat")
    assert made.grid.measured["audioset_balanced", "mid_fusion"] == {"cat", "dog_bark"}
