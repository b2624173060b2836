"""Units: each that a file may say is explained, to readers too."""

import re
from pathlib import Path

from avrobust.report.localisation import ALL
from avrobust.spec.units import FIXED, UNITS, of_measure

PAGE = Path(__file__).parents[2] / "docs/results.md"


def test_the_page_names_each_unit_and_each_column_of_one_unit() -> None:
    _, section = PAGE.read_text(encoding="utf-8").split("## Units\n")
    section = section.split("\n## ")[0]
    named = {*re.findall(r"`(\w+)`", section)}
    assert named >= {*UNITS, *FIXED} - {"above_any_low", "above_any_high"}


def test_a_measure_has_one_unit_wherever_it_is_published() -> None:
    """Above a floor is a difference of percentages; what is no share of anything is a score."""
    units = {name: of_measure(name) for name in ALL}
    assert {name for name, unit in units.items() if unit == "points"} == {"pointing_above_floor", "mass_above_floor"}
    assert {name for name, unit in units.items() if unit == "score"} == {"correlation"}
    assert {of_measure(name) for name in ("silhouette", "ratio", "shift")} == {"score"}
