"""Reading cells: what is right, what is not comparable, and that the order of rows does not matter."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cell_files import CLEAN, write_cell
from hypothesis import given, settings
from hypothesis import strategies as st

from avrobust.metrics.rows import Cell, Cells, cells_of, read_cells
from avrobust.program import UserError
from avrobust.spec.any_of import AnyOf
from avrobust.spec.conditions import Condition, Reading

LABELS = [0, 1, 1, 2]
PREDICTIONS = {CLEAN: [0, 1, 1, 0], ("audio", "small"): [0, 0, 1, 0], ("audio", "large"): [1, 0, 0, 0]}
READING = Reading("music", "concat", "concat", "fgsm", Condition("clean"))


def read_cell(path: Path) -> Cell:
    """Return the one cell of a file."""
    (cell,) = read_cells(path)
    return cell


def predictions(cell: Cell) -> dict:
    return {condition[:2]: answers.predictions.tolist() for condition, answers in cell.answers.items()}


def cells(folder: Path, *identities: str, labels: list[int] = LABELS) -> Cells:
    return Cells(read_cell(write_cell(folder, one, labels, PREDICTIONS)) for one in identities)


def test_reads_what_was_written(tmp_path: Path) -> None:
    cell = read_cell(write_cell(tmp_path, "music/concat/3/fgsm", LABELS, PREDICTIONS))
    names = (cell.dataset, cell.surrogate, cell.victim, cell.seed, cell.attack)
    assert names == ("music", "concat", "concat", 3, "fgsm")
    assert predictions(cell) == PREDICTIONS
    for answers in cell.answers.values():
        assert answers.clips.tolist() == ["clip0", "clip1", "clip2", "clip3"]
        assert answers.labels.tolist() == LABELS
    assert cell.answers[Condition("audio", "large")].epsilons["audio"].tolist() == [0.012] * 4


def test_outcomes_are_conditions_by_seeds_by_clips(tmp_path: Path) -> None:
    held = cells(tmp_path, "music/concat/1/fgsm", "music/concat/0/fgsm")
    outcomes = held.outcomes([READING, READING._replace(condition=Condition("audio", "large"))])
    assert outcomes.seeds == (0, 1)
    assert outcomes.clips == 4
    assert outcomes.correct.tolist() == [[[True, True, True, False]] * 2, [[False] * 4] * 2]


def test_the_worst_of_several_recognises_what_each_of_them_does(tmp_path: Path) -> None:
    """Clip by clip and seed by seed: of 0, 1, 1, 2 the weak attack leaves clips 0 and 2, another one 0 and 1."""
    held = [
        *(write_cell(tmp_path, f"music/concat/{seed}/fgsm", LABELS, PREDICTIONS) for seed in (0, 1)),
        write_cell(tmp_path, "music/concat/0/pgd", LABELS, {("audio", "small"): [0, 1, 0, 0]}),
        write_cell(tmp_path, "music/concat/1/pgd", LABELS, {("audio", "small"): [1, 0, 1, 2]}),
    ]
    weak = READING._replace(condition=Condition("audio", "small"))
    other = weak._replace(attack="pgd")
    outcomes = Cells(map(read_cell, held)).outcomes([weak, AnyOf((weak, other)), AnyOf((other,)), AnyOf((other, weak))])
    first, second = outcomes.correct.transpose(1, 0, 2).tolist()
    assert first[1:] == [[True, False, False, False], [True, True, False, False], [True, False, False, False]]
    assert second[1:] == [[False, False, True, False], [False, False, True, True], [False, False, True, False]]
    assert first[0] == second[0] == [True, False, True, False]


def test_an_attack_that_went_too_far_is_not_one_of_any_at_a_budget(tmp_path: Path) -> None:
    """Whatever its code seems to promise; a millionth more, as float32 rounds, is within it."""
    weak = READING._replace(condition=Condition("audio", "small"))
    made = {}
    for name, norm in (("pgd", 0.0060009), ("far", 0.0060012)):
        (tmp_path / name).mkdir()
        given = {("audio", "small"): [0, 1, 0, 0]}
        made[name] = Cells(
            [read_cell(write_cell(tmp_path / name, "music/concat/0/fgsm", LABELS, given, norms={"audio": norm}))]
        )
    made["pgd"].outcomes([AnyOf((weak,))])
    made["far"].outcomes([weak])
    with pytest.raises(
        UserError, match=r"fgsm.* leaves its ball: audio moved by 0.0060012, allowed 0.006; take it out of"
    ):
        made["far"].outcomes([AnyOf((weak,))])


def test_majority_is_the_share_of_the_most_frequent_label(tmp_path: Path) -> None:
    outcomes = cells(tmp_path, "music/concat/0/fgsm").outcomes([READING._replace(condition=Condition("majority"))])
    assert outcomes.correct.tolist() == [[[False, True, True, False]]]


def test_a_file_holds_many_cells_and_other_numbers_of_steps(tmp_path: Path) -> None:
    steps = {CLEAN: LABELS, ("both", "small"): [0, 0, 0, 0], ("both", "small", 20): LABELS}
    paths = [write_cell(tmp_path, "music/concat/0/fgsm", LABELS, PREDICTIONS)]
    paths += [write_cell(tmp_path, "music/exfmem/0/fgsm", LABELS, steps, surrogate="concat")]
    whole = tmp_path / "bundle.parquet"
    pq.write_table(pa.concat_tables(pq.read_table(path) for path in paths), whole)
    held = Cells(read_cells(whole))
    transferred = READING._replace(victim="exfmem", condition=Condition("both", "small"))
    longer = transferred._replace(condition=Condition("both", "small", 20))
    assert held.outcomes([transferred, longer]).correct.sum(axis=2).tolist() == [[1], [4]]
    assert held.outcomes([READING]).correct.sum() == 3
    with pytest.raises(UserError, match=r"no cell of music/exfmem/fgsm among those given .*music/concat/exfmem/fgsm"):
        held.outcomes([transferred._replace(surrogate="exfmem")])


def test_where_a_point_lies_the_rows_say(tmp_path: Path) -> None:
    path = write_cell(tmp_path, "music/concat/0/fgsm", LABELS, {CLEAN: LABELS, ("both", "sweep/2"): LABELS})
    point = READING._replace(condition=Condition("both", "sweep/2"))
    assert [Cells(read_cells(path)).epsilon(one) for one in (READING, point)] == [0.0, 0.012]
    table = pq.read_table(path)
    other = pa.array([0.012] * 4 + [0.1, 0.012, 0.012, 0.012])
    pq.write_table(table.set_column(table.column_names.index("epsilon_visual"), "epsilon_visual", other), path)
    with pytest.raises(UserError, match=r"both at sweep/2 has no single epsilon, but 0.012 to 0.1"):
        Cells(read_cells(path)).epsilon(point)


@settings(deadline=None, max_examples=20)
@given(st.permutations(range(12)))
def test_order_of_rows_changes_nothing(order: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plain = read_cell(write_cell(Path(folder), "music/concat/0/fgsm", LABELS, PREDICTIONS))
        mixed = read_cell(write_cell(Path(folder), "music/concat/0/fgsm", LABELS, PREDICTIONS, order=order))
    assert predictions(plain) == predictions(mixed) == PREDICTIONS
    for condition, answers in plain.answers.items():
        assert np.array_equal(answers.clips, mixed.answers[condition].clips)
        assert np.array_equal(answers.labels, mixed.answers[condition].labels)


def test_dictionary_encoded_text_is_read(tmp_path: Path) -> None:
    path = write_cell(tmp_path, "music/concat/0/fgsm", LABELS, PREDICTIONS)
    table = pq.read_table(path)
    for name in ("clip_id", "modality"):
        table = table.set_column(table.column_names.index(name), name, table[name].dictionary_encode())
    pq.write_table(table, path)
    assert predictions(read_cell(path)) == PREDICTIONS


@pytest.mark.parametrize(
    ("order", "message"),
    [
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
    columns = [
        pq.read_metadata(path).row_group(0).column(number) for number in range(pq.read_metadata(path).num_columns)
    ]
    for column in columns:
        for where in range(column.dictionary_page_offset, column.dictionary_page_offset + column.total_compressed_size):
            path.write_bytes(whole[:where] + bytes([whole[where] ^ 1]) + whole[where + 1 :])
            try:
                cell = read_cell(path)
            except UserError as error:
                assert f"`rm {path}`" in str(error)
            else:
                assert predictions(cell) == PREDICTIONS
                assert all(answers.labels.tolist() == LABELS for answers in cell.answers.values())


def test_other_files_are_refused(tmp_path: Path) -> None:
    text, foreign = tmp_path / "text.parquet", tmp_path / "foreign.parquet"
    text.write_text("not parquet")
    pq.write_table(pa.table({"clip_id": ["a"]}), foreign)
    with pytest.raises(UserError, match="cannot be read as parquet"):
        read_cell(text)
    with pytest.raises(UserError, match="cannot be read as parquet"):
        read_cell(tmp_path / "absent.parquet")
    with pytest.raises(UserError, match="no attack, budget, cosine, dataset, epsilon_audio"):
        read_cell(foreign)


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    held = cells(tmp_path, "music/concat/0/fgsm", "music/minsim/1/fgsm", "music/sum/0/fgsm")
    other = read_cell(write_cell(tmp_path, "ave/concat/0/fgsm", [0], {CLEAN: [0]}))
    with pytest.raises(UserError, match=r"seeds \[1\], but .* has \[0\]"):
        held.outcomes([READING, READING._replace(surrogate="minsim", victim="minsim")])
    with pytest.raises(UserError, match="no cell of music/film/fgsm among those given"):
        held.outcomes([READING._replace(surrogate="film", victim="film")])
    with pytest.raises(UserError, match=r"holds audio at large, audio at small, clean"):
        held.outcomes([READING._replace(condition=Condition("visual", "small"))])
    with pytest.raises(UserError, match="other clips"):
        Cells([read_cell(tmp_path / "music/s0/concat.fgsm.parquet"), other]).outcomes(
            [READING, READING._replace(dataset="ave")]
        )
    with pytest.raises(UserError, match="music/concat/fgsm, seed 0 is given twice"):
        cells(tmp_path, "music/concat/0/fgsm", "music/concat/0/fgsm")


def test_cells_in_common_have_common_seeds(tmp_path: Path) -> None:
    """What has one seed is compared with the same seed of what has more."""
    answers = {("clean", ""): [0], ("both", "small"): [0]}
    paths = [
        write_cell(tmp_path, f"music/{net}/{seed}/fgsm", [0], answers)
        for net, seeds in (("a", (1, 2, 3)), ("b", (1,)), ("c", (2,)))
        for seed in seeds
    ]
    cells = cells_of(paths)
    a, b, c = (Reading("music", net, net, "fgsm", Condition("both", "small")) for net in "abc")
    assert cells.in_common([a, b]).outcomes([a, b]).seeds == (1,)
    assert cells.in_common([a]).outcomes([a]).seeds == (1, 2, 3)
    with pytest.raises(UserError, match="no seed is common"):
        cells.in_common([b, c])
    with pytest.raises(UserError, match="seeds"):
        cells.outcomes([a, b])


def test_cells_in_common_have_common_clips(tmp_path: Path) -> None:
    """What is made of some clips is compared on these; of clips that are no part of each other nothing is taken."""
    answers = {("clean", ""): [0, 0, 0, 0], ("both", "small"): [0, 1, 0, 1]}
    (every,) = read_cells(write_cell(tmp_path, "music/a/1/fgsm", [0] * 4, answers))
    (some,) = read_cells(write_cell(tmp_path, "music/b/1/fgsm", [0] * 4, answers))
    some = some.of(np.array(["clip1", "clip2"]))
    a, b = (Reading("music", net, net, "fgsm", Condition("both", "small")) for net in "ab")
    found = Cells([every, some]).in_common([a, b]).outcomes([a, b])
    assert found.clip_ids.tolist() == ["clip1", "clip2"]
    assert found.correct[:, 0].tolist() == [[False, True], [False, True]]
    assert Cells([every, some]).in_common([a]).outcomes([a]).clips == 4
    with pytest.raises(UserError, match="other clips"):
        Cells([every, some]).outcomes([a, b])
    others = replace(every.of(np.array(["clip0", "clip1", "clip3"])), surrogate="b", victim="b")
    none_of_both = Cells([every.of(np.array(["clip1", "clip2"])), others])
    with pytest.raises(UserError, match="other clips"):
        none_of_both.in_common([a, b]).outcomes([a, b])
