"""Scores: what their values can be, and that it holds of all that is measured."""

from math import inf, isfinite
from pathlib import Path

import numpy as np
import pytest

from avrobust.metrics.scores import Score, Scores, bounds, write_scores
from avrobust.program import UserError
from avrobust.report import localisation, tsne
from avrobust.spec.conditions import CLEAN

IDENTITY = {"dataset": "music", "variant": "localisation", "seed": 1, "attack": "fgsm"}
POINTING = Score("music", "localisation", "fgsm", CLEAN, "pointing")


def of_three(path: Path, values: list[float]) -> Scores:
    columns = {"clip_id": ["a", "b", "c"], "label": [0, 1, 1], "modality": ["clean"] * 3, "budget": [""] * 3}
    write_scores(path, IDENTITY, {**columns, "measure": ["pointing"] * 3, "value": values})
    return Scores([path])


def test_all_that_is_measured_has_a_range() -> None:
    """Without one the extremes that were seen would stand for it, and an interval would promise too much."""
    for one in (*localisation.MEASURES, *localisation.CHANCE):
        assert all(map(isfinite, bounds(one.name))), one.name
    for name in tsne.MEASURES:
        for embedding in ("audio", "visual"):
            assert bounds(f"{name}_{embedding}")[0] > -inf, name
    assert bounds("somebody's own") == (-inf, inf)


def test_values_come_by_clip_and_one_out_of_its_range_is_named(tmp_path: Path) -> None:
    found = of_three(tmp_path / "a.parquet", [0.0, 1.0 + 1e-7, np.nan]).values([POINTING])
    assert found.clips == ("a", "b", "c") and found.seeds == (1,)
    np.testing.assert_allclose(found.values, [[[0, 1, np.nan]]], atol=1e-6)
    for wrong in (1.5, -0.1, inf):
        with pytest.raises(UserError, match=r"pointing of music/localisation/fgsm, clean .* not between 0 and 1"):
            of_three(tmp_path / "b.parquet", [0.0, wrong, 1.0]).values([POINTING])


def test_a_seed_that_is_no_number_is_named(tmp_path: Path) -> None:
    columns = {name: [] for name in ("clip_id", "label", "modality", "budget", "measure", "value")}
    write_scores(tmp_path / "a.parquet", {**IDENTITY, "seed": "one"}, columns)
    with pytest.raises(UserError, match=r"a\.parquet: cannot be read as parquet \(invalid literal for int"):
        Scores([tmp_path / "a.parquet"])
