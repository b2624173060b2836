"""The printed values: complete, and consistent with themselves but for the known misprints."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from avrobust.report.tables import Published, read_published

FOLDER = Path(__file__).parents[2] / "workflow/papers/tian2021/published"
UNIMODAL = ["Unimodal_A_clean", "Unimodal_V_clean"]
ATTACKED = ["X_A", "X_V", "X_AV"]
DEFENDED = ["AV_clean", *ATTACKED, "Avg", "RI"]
DEFENCES = ["None", "Unimodal A", "Unimodal V", "PCL", "MaxSim", "MinSim", "ExFMem", "MinSim+ExFMem"]
LAYOUTS = {
    # name: keys, rows, columns, and the columns over which the paper takes Avg
    "table1": (["dataset", "attack"], 6, ["AV_clean", *ATTACKED, "Avg", *UNIMODAL], ATTACKED),
    "tableA1": (["dataset", "attack"], 3, ["AV_clean", *ATTACKED, "Avg", *UNIMODAL], ATTACKED),
    "table2": (["fusion"], 5, ["AV_clean", *ATTACKED, "Avg"], ["AV_clean", *ATTACKED]),
    "table3": (["dataset", "defence", "attack"], 16, DEFENDED, ATTACKED),
    "tableA2": (["dataset", "defence", "attack"], 8, DEFENDED, ATTACKED),
    "tableA3": (["dataset", "defence", "attack"], 18, DEFENDED, ATTACKED),
}
# Clips in the test set: every printed accuracy is a whole number of them.
CLIPS = {"MUSIC": 104, "KS": 3104, "AVE": 402}


def read(name: str) -> dict[tuple[str, ...], Published]:
    return read_published(FOLDER / f"{name}.csv", LAYOUTS[name][0])


def misfits(name: str, parts: Sequence[str]) -> list[tuple[tuple[str, ...], float]]:
    """Rows whose Avg is not the mean of their printed columns, with what it should be."""
    values = {place: one.value for place, one in read(name).items()}
    found = []
    for place, value in values.items():
        if place[-1] == "Avg":
            mean = sum(values[*place[:-1], part] for part in parts) / len(parts)
            # Each printed number may be off by 0.005: the mean of the parts, and Avg itself.
            if abs(mean - value) > 0.01 + 1e-9:
                found.append((place[:-1], round(mean, 2)))
    return found


def misfits_of_improvement(name: str) -> list[tuple[tuple[str, ...], float]]:
    """Rows whose RI is not what their printed AV_clean and Avg say, with what it should be."""
    values = {place: one.value for place, one in read(name).items()}
    found = []
    for (dataset, defence, attack, column), value in values.items():
        if column == "RI":
            totals = [
                values[dataset, one, attack, "AV_clean"] + values[dataset, one, attack, "Avg"]
                for one in (defence, "None")
            ]
            # The paper has it from the printed numbers, without any rounding left.
            if abs(totals[0] - totals[1] - value) > 1e-9:
                found.append(((dataset, defence, attack), round(totals[0] - totals[1], 2)))
    return found


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_place_is_there_in_printed_order(name: str) -> None:
    _, rows, columns, _ = LAYOUTS[name]
    places = list(read(name))
    assert [place[-1] for place in places] == columns * rows
    assert len({place[:-1] for place in places}) == rows


def test_averages_fit_but_for_the_known_misprint() -> None:
    found = {name: misfits(name, parts) for name, (*_, parts) in LAYOUTS.items()}
    assert found == {
        "table1": [(("MUSIC", "PGD"), 5.13)],
        "tableA1": [],
        "table2": [],
        "table3": [(("MUSIC", "PCL", "FGSM"), 51.92)],
        "tableA2": [],
        "tableA3": [],
    }


def test_relative_improvements_fit_but_for_the_known_misprints() -> None:
    assert misfits_of_improvement("table3") == [(("KS", "MinSim", "FGSM"), 8.90)]
    assert misfits_of_improvement("tableA2") == []
    assert misfits_of_improvement("tableA3") == [(("MUSIC", "MaxSim", "MIM"), 12.82)]
    # The misprinted Avg of PCL went into its RI, which therefore fits the printed Avg.
    # In whole clips of 104: 87, 85, 39, 38 for PCL and 92, 54, 47, 16 for None.
    assert round(100 / 104 * (87 - 92 + (85 + 39 + 38 - 54 - 47 - 16) / 3), 2) == 9.62


def test_misprints_are_marked() -> None:
    notes = {(name, *place): one.note for name in LAYOUTS for place, one in read(name).items() if one.note}
    assert notes == {
        ("table1", "MUSIC", "PGD", "Avg"): "misprint: 5.13 by its own columns",
        ("table1", "KS", "FGSM", "X_AV"): "8.09 in Table 3 for the same model and attack",
        ("table3", "MUSIC", "PCL", "FGSM", "Avg"): "misprint: 51.92 by its own columns",
        ("table3", "MUSIC", "PCL", "FGSM", "RI"): "follows from the misprinted Avg: 9.62 by its own columns",
        ("table3", "KS", "None", "FGSM", "X_AV"): "8.18 in Table 1 for the same model and attack",
        ("table3", "KS", "MinSim", "FGSM", "RI"): "misprint: 8.90 by its own columns",
        ("tableA3", "MUSIC", "Unimodal V", "MIM", "X_V"): "the same as under FGSM in Table 3",
        ("tableA3", "MUSIC", "MaxSim", "MIM", "RI"): "misprint: 12.82 by its own columns",
    }


def test_table_2_average_includes_the_clean_column() -> None:
    assert len(misfits("table2", ATTACKED)) == 5


@pytest.mark.parametrize("name", LAYOUTS)
def test_accuracies_are_whole_numbers_of_clips(name: str) -> None:
    for (*keys, column), one in read(name).items():
        clips = CLIPS.get(keys[0], 104)
        if column not in ("Avg", "RI"):
            assert 100 * round(one.value * clips / 100) / clips == pytest.approx(one.value, abs=0.005 + 1e-9)


def test_values_against_the_text() -> None:
    table1, appendix, table2 = (read(name) for name in ("table1", "tableA1", "table2"))
    assert [table1["KS", "MIM", name].value for name in ATTACKED] == [3.87, 1.55, 0.32]
    assert [appendix["AVE", "PGD", name].value for name in ATTACKED] == [20.15, 11.44, 1.99]
    assert [table2["Gated-Concat", name].value for name in ATTACKED] == [45.19, 43.27, 13.46]
    # The same net, clean, in two tables.
    assert table2["Concat", "AV_clean"].value == table1["MUSIC", "FGSM", "AV_clean"].value


def test_defences_against_the_text() -> None:
    table3, appendix2, appendix3 = (read(name) for name in ("table3", "tableA2", "tableA3"))
    for table, datasets in ((table3, ["MUSIC", "KS"]), (appendix2, ["AVE"])):
        assert [place[:2] for place in table if place[-1] == "RI"] == [(a, b) for a in datasets for b in DEFENCES]
    compared = [*DEFENCES[:5], "Ours (Full)"]
    assert [place[1] for place in appendix3 if place[-1] == "RI"] == 3 * compared
    assert [table3["MUSIC", "MinSim+ExFMem", "FGSM", name].value for name in DEFENDED] == [
        90.38, 73.08, 53.85, 42.31, 56.41, 20.83,
    ]  # fmt: skip
    assert appendix2["AVE", "PCL", "FGSM", "RI"].value == -0.67
    assert [appendix3["KS", one, "MIM", "RI"].value for one in ("PCL", "Ours (Full)")] == [19.44, 15.45]


def test_a_net_has_one_clean_accuracy_in_all_tables() -> None:
    clean: dict[tuple[str, str], set[float]] = {}
    for name in ("table3", "tableA2", "tableA3"):
        for (dataset, defence, _, column), one in read(name).items():
            if column == "AV_clean":
                clean.setdefault((dataset, defence.replace("Ours (Full)", "MinSim+ExFMem")), set()).add(one.value)
    for name in ("table1", "tableA1"):
        for (dataset, _, column), one in read(name).items():
            if column in ("AV_clean", "Unimodal_A_clean", "Unimodal_V_clean"):
                net = {"AV_clean": "None"}.get(column, column.replace("_clean", "").replace("_", " "))
                clean[dataset, net].add(one.value)
    assert len(clean) == 24
    assert {net: values for net, values in clean.items() if len(values) > 1} == {}


def test_a_unimodal_net_does_not_see_the_other_modality() -> None:
    for name in ("table3", "tableA2", "tableA3"):
        values = {place: one.value for place, one in read(name).items()}
        for (dataset, defence, attack, column), value in values.items():
            if defence == "Unimodal A" and column in ("X_V", "X_AV"):
                assert value == values[dataset, defence, attack, {"X_V": "AV_clean", "X_AV": "X_A"}[column]]
            if defence == "Unimodal V" and column in ("X_A", "X_AV"):
                assert value == values[dataset, defence, attack, {"X_A": "AV_clean", "X_AV": "X_V"}[column]]
