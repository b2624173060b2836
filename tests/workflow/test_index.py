"""paper_tables/index.csv: a line for each artefact, and what of an index that is there already stays."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from avrobust.csv_text import write_csv_text
from lib.index import COLUMNS, DONE, FAILED, rows

TABLES = SimpleNamespace(
    published={"tian2021/table1": (".csv", ".md"), "claims": (".csv",)},
    artefacts={"tian2021/table1": SimpleNamespace(paper="tian2021", kind="table")},
)
TABLE = ["tian2021", "tian2021/table1", "table", "", "skipped", "not asked for", "", "", ""]
CLAIMS = ["", "claims", "claims", "", "skipped", "not asked for", "", "", ""]


def test_what_a_run_was_not_asked_for_keeps_its_line(tmp_path: Path) -> None:
    failed = [*TABLE[:4], FAILED, "attack: no memory", "", "", ""]
    (tmp_path / "index.csv").write_text(write_csv_text(COLUMNS, [failed]), encoding="utf-8")
    (tmp_path / "claims.csv").write_text("claim,n,seeds,scale\na,88,1,demo\nb,81,1,demo\n", encoding="utf-8")
    done = ["", "claims", "claims", "claims.csv", DONE, "", "demo", "81, 88", "1"]
    assert list(rows(tmp_path, TABLES, {"claims": (DONE, "")})) == [failed, done]


@pytest.mark.parametrize("text", ["", "garbage\n", "a,b\n1\n", "<<<<<<< HEAD\npaper,artefact\n", "artefact\nclaims\n"])
def test_a_damaged_index_is_written_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "index.csv").write_text(text, encoding="utf-8")
    assert list(rows(tmp_path, TABLES, {})) == [TABLE, CLAIMS]
