"""Reading cells: what is right, what is not comparable, and that the order of rows does not matter."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cell_files import CLEAN, write_cell
from hypothesis import given, settings
from hypothesis import strategies as st

from avrobust.metrics.rows import SCHEMA, Cells, read_cell
from avrobust.program import UserError
from avrobust.spec.flat import Condition

LABELS = [0, 1, 1, 2]
PREDICTIONS = {CLEAN: [0, 1, 1, 0], ("audio", 0.006): [0, 0, 1, 0], ("audio", 0.012): [1, 0, 0, 0]}
CLEAN_CONDITION = Condition("music", "concat", "fgsm", "clean")


def cells(folder: Path, *identities: str, labels: list[int] = LABELS) -> Cells:
    return Cells(read_cell(write_cell(folder, one, labels, PREDICTIONS)) for one in identities)


def test_reads_what_was_written(tmp_path: Path) -> None:
    cell = read_cell(write_cell(tmp_path, "music/concat/3/fgsm", LABELS, PREDICTIONS))
    assert (cell.dataset, cell.variant, cell.seed, cell.attack) == ("music", "concat", 3, "fgsm")
    assert cell.clips.tolist() == ["clip0", "clip1", "clip2", "clip3"]
    assert cell.labels.tolist() == LABELS
    assert {key: value.tolist() for key, value in cell.predictions.items()} == PREDICTIONS


def test_outcomes_are_conditions_by_seeds_by_clips(tmp_path: Path) -> None:
    held = cells(tmp_path, "music/concat/1/fgsm", "music/concat/0/fgsm")
    outcomes = held.outcomes([CLEAN_CONDITION, CLEAN_CONDITION._replace(modality="audio", epsilon=0.012)])
    assert outcomes.seeds == (0, 1)
    assert outcomes.clips == 4
    assert outcomes.correct.tolist() == [[[True, True, True, False]] * 2, [[False] * 4] * 2]


def test_majority_is_the_share_of_the_most_frequent_label(tmp_path: Path) -> None:
    outcomes = cells(tmp_path, "music/concat/0/fgsm").outcomes([CLEAN_CONDITION._replace(modality="majority")])
    assert outcomes.correct.tolist() == [[[False, True, True, False]]]


def test_a_computed_budget_is_found(tmp_path: Path) -> None:
    path = write_cell(tmp_path, "music/concat/0/fgsm", LABELS, {CLEAN: LABELS, ("audio", 0.1 + 0.2): LABELS})
    condition = CLEAN_CONDITION._replace(modality="audio", epsilon=0.3)
    assert Cells([read_cell(path)]).outcomes([condition]).correct.all()


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(12)))
def test_order_of_rows_changes_nothing(order: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plain = read_cell(write_cell(Path(folder), "music/concat/0/fgsm", LABELS, PREDICTIONS))
        mixed = read_cell(write_cell(Path(folder), "music/concat/0/fgsm", LABELS, PREDICTIONS, order=order))
    assert np.array_equal(plain.clips, mixed.clips)
    assert np.array_equal(plain.labels, mixed.labels)
    assert all(np.array_equal(plain.predictions[key], mixed.predictions[key]) for key in PREDICTIONS)


def test_dictionary_encoded_text_is_read(tmp_path: Path) -> None:
    path = write_cell(tmp_path, "music/concat/0/fgsm", LABELS, PREDICTIONS)
    table = pq.read_table(path)
    for name in ("clip_id", "modality"):
        table = table.set_column(table.column_names.index(name), name, table[name].dictionary_encode())
    pq.write_table(table, path)
    assert {key: value.tolist() for key, value in read_cell(path).predictions.items()} == PREDICTIONS


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (range(11), "other clips or labels"),
        ([0, 0, 1, 2, 3], "twice"),
        ([], "no rows"),
    ],
)
def test_incomplete_cells_are_refused(tmp_path: Path, order: list[int], message: str) -> None:
    path = write_cell(tmp_path, "music/concat/0/fgsm", LABELS, PREDICTIONS)
    pq.write_table(pq.read_table(path).take(pa.array(order, pa.int64())), path)
    with pytest.raises(UserError, match=message):
        read_cell(path)


@pytest.mark.parametrize("share", [0.2, 0.9])
def test_a_cell_cut_short_is_named_with_what_to_do(tmp_path: Path, share: float) -> None:
    path = write_cell(tmp_path, "music/concat/0/fgsm", LABELS, PREDICTIONS)
    os.truncate(path, int(share * path.stat().st_size))
    with pytest.raises(UserError, match=rf"^{path}: cannot be read as parquet .*; `rm {path}` and the same command"):
        read_cell(path)


def test_a_flipped_bit_among_the_values_is_noticed(tmp_path: Path) -> None:
    """Every byte of every page: what a clip was taken for, and whatever else a cell holds."""
    path = write_cell(tmp_path, "music/concat/0/fgsm", LABELS, PREDICTIONS)
    whole = path.read_bytes()
    columns = [pq.read_metadata(path).row_group(0).column(number) for number in range(len(SCHEMA.names))]
    for column in columns:
        for where in range(column.dictionary_page_offset, column.dictionary_page_offset + column.total_compressed_size):
            path.write_bytes(whole[:where] + bytes([whole[where] ^ 1]) + whole[where + 1 :])
            try:
                cell = read_cell(path)
            except UserError as error:
                assert f"`rm {path}`" in str(error)
            else:
                assert {key: value.tolist() for key, value in cell.predictions.items()} == PREDICTIONS
                assert cell.labels.tolist() == LABELS


def test_other_files_are_refused(tmp_path: Path) -> None:
    text, foreign = tmp_path / "text.parquet", tmp_path / "foreign.parquet"
    text.write_text("not parquet")
    pq.write_table(pa.table({"clip_id": ["a"]}), foreign)
    with pytest.raises(UserError, match="cannot be read as parquet"):
        read_cell(text)
    with pytest.raises(UserError, match="cannot be read as parquet"):
        read_cell(tmp_path / "absent.parquet")
    with pytest.raises(UserError, match="no attack, dataset, epsilon, label"):
        read_cell(foreign)


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    held = cells(tmp_path, "music/concat/0/fgsm", "music/minsim/1/fgsm", "music/sum/0/fgsm")
    other = read_cell(write_cell(tmp_path, "ave/concat/0/fgsm", [0], {CLEAN: [0]}))
    with pytest.raises(UserError, match=r"seeds \[1\], but .* has \[0\]"):
        held.outcomes([CLEAN_CONDITION, CLEAN_CONDITION._replace(variant="minsim")])
    with pytest.raises(UserError, match="no cell of music/film/fgsm among those given"):
        held.outcomes([CLEAN_CONDITION._replace(variant="film")])
    with pytest.raises(UserError, match=r"holds audio 0.006, audio 0.012, clean 0"):
        held.outcomes([CLEAN_CONDITION._replace(modality="visual", epsilon=0.006)])
    with pytest.raises(UserError, match="other clips"):
        Cells([read_cell(tmp_path / "music/concat/s0/fgsm.parquet"), other]).outcomes(
            [CLEAN_CONDITION, CLEAN_CONDITION._replace(dataset="ave")]
        )
    with pytest.raises(UserError, match="music/concat/s0/fgsm is given twice"):
        cells(tmp_path, "music/concat/0/fgsm", "music/concat/0/fgsm")
