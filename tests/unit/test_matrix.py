"""Maps of numbers: cells by hand, a row of clean clips, the same bytes twice."""

import csv
from pathlib import Path

import pytest
from artefacts import drawn_twice
from figures import NETS, SPEC, factor, write_cells

from avrobust.metrics.rows import cells_of
from avrobust.program import UserError
from avrobust.report.matrix import measure
from avrobust.spec.artefacts.matrix import layout, needs

MAPS = {
    "title": "Transfer",
    "measure": "success",
    "maps": [
        {
            "title": "", "each": SPEC["bars"], "read": SPEC["read"],
            "rows": factor("surrogate", *NETS), "columns": factor("victim", *NETS),
        },
        {
            "title": "crafted on RcR", "read": {**SPEC["read"], "surrogate": "RcR"},
            "rows": SPEC["bars"], "columns": factor("victim", *NETS),
        },
    ],
    "calibrated": SPEC["calibrated"],
    "sources": SPEC["sources"],
}  # fmt: skip


def test_cells_by_hand_and_a_row_of_clean_clips(tmp_path: Path) -> None:
    by_fgsm, by_noise, on_rcr = measure(layout(MAPS), cells_of(write_cells(tmp_path)))
    assert by_fgsm.cells["AcV", "AsV"][1].value == 60 and by_noise.cells["RcR", "RcR"][1].value == pytest.approx(5)
    assert on_rcr.cells["fgsm", "AsV"][1] == by_fgsm.cells["RcR", "AsV"][1]
    assert [round(point.value) for _, point in by_fgsm.floor.values()] == [20, 50, 0]
    assert (by_fgsm.title, on_rcr.title) == ("FGSM", "crafted on RcR")
    assert len({need.reading for need in needs(layout(MAPS))}) == 2 * 9 * 2


def test_program_draws_equal_bytes_twice(tmp_path: Path) -> None:
    text, data = drawn_twice("matrix", MAPS, tmp_path, cells=write_cells(tmp_path / "cells"))
    assert all(
        words in text for words in ("Transfer", "FGSM", "clean error", "crafted on RcR", "60", "clips, of the paper's")
    )
    rows = list(csv.DictReader(data.splitlines()))
    assert len(rows) == 2 * 9 + 6 + 3 * 3
    assert [row["note"] for row in rows if row["note"]] == ["calibrated"]
    assert rows[1]["ours"] == "60.00" and rows[1]["low"] != ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"measure": "loss"}, "'loss' is none of success, accuracy"),
        ({"maps": [MAPS["maps"][1]] * 2}, "two maps are called 'crafted on RcR'"),
        ({"maps": [{**MAPS["maps"][1], "rows": factor("net", "a")}]}, "attack must be given"),
    ],
)  # fmt: skip
def test_mistakes_in_a_layout_are_named(change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        list(needs(layout({**MAPS, **change})))
