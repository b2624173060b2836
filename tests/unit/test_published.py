"""The printed values: complete, and consistent with themselves but for the known misprints."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from avrobust.report.tables import Published, read_published

FOLDER = Path(__file__).parents[2] / "workflow/papers/tian2021/published"
UNIMODAL = ["Unimodal_A_clean", "Unimodal_V_clean"]
ATTACKED = ["X_A", "X_V", "X_AV"]
LAYOUTS = {
    # name: keys, rows, columns, and the columns over which the paper takes Avg
    "table1": (["dataset", "attack"], 6, ["AV_clean", *ATTACKED, "Avg", *UNIMODAL], ATTACKED),
    "tableA1": (["dataset", "attack"], 3, ["AV_clean", *ATTACKED, "Avg", *UNIMODAL], ATTACKED),
    "table2": (["fusion"], 5, ["AV_clean", *ATTACKED, "Avg"], ["AV_clean", *ATTACKED]),
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


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_place_is_there_in_printed_order(name: str) -> None:
    _, rows, columns, _ = LAYOUTS[name]
    places = list(read(name))
    assert [place[-1] for place in places] == columns * rows
    assert len({place[:-1] for place in places}) == rows


def test_averages_fit_but_for_the_known_misprint() -> None:
    found = {name: misfits(name, parts) for name, (*_, parts) in LAYOUTS.items()}
    assert found == {"table1": [(("MUSIC", "PGD"), 5.13)], "tableA1": [], "table2": []}


def test_misprints_are_marked() -> None:
    notes = {(name, *place): one.note for name in LAYOUTS for place, one in read(name).items() if one.note}
    assert notes == {
        ("table1", "MUSIC", "PGD", "Avg"): "misprint: 5.13 by its own columns",
        ("table1", "KS", "FGSM", "X_AV"): "8.09 in Table 3 for the same model and attack",
    }


def test_table_2_average_includes_the_clean_column() -> None:
    assert len(misfits("table2", ATTACKED)) == 5


@pytest.mark.parametrize("name", LAYOUTS)
def test_accuracies_are_whole_numbers_of_clips(name: str) -> None:
    for (*keys, column), one in read(name).items():
        clips = CLIPS.get(keys[0], 104)
        if column != "Avg":
            assert round(100 * round(one.value * clips / 100) / clips, 2) == pytest.approx(one.value, abs=0.0101)


def test_values_against_the_text() -> None:
    table1, appendix, table2 = (read(name) for name in ("table1", "tableA1", "table2"))
    assert [table1["KS", "MIM", name].value for name in ATTACKED] == [3.87, 1.55, 0.32]
    assert [appendix["AVE", "PGD", name].value for name in ATTACKED] == [20.15, 11.44, 1.99]
    assert [table2["Gated-Concat", name].value for name in ATTACKED] == [45.19, 43.27, 13.46]
    # The same net, clean, in two tables.
    assert table2["Concat", "AV_clean"].value == table1["MUSIC", "FGSM", "AV_clean"].value
