"""scripts/rank.py and who reads it: against scikit-learn and torchmetrics, ties, empty classes, pairing, mistakes."""

import json
import subprocess
from pathlib import Path

import numpy as np
import preloaded
import pyarrow.parquet as pq
import pytest
import torch
from cell_files import CLEAN, rank, write_cell, write_ranked_cell
from scipy.special import softmax
from sklearn.metrics import average_precision_score, roc_auc_score
from torchmetrics.functional.classification import multilabel_auroc, multilabel_average_precision

from avrobust.metrics.estimate import Estimate, accuracy, estimate, weights
from avrobust.metrics.ranked import Ranked
from avrobust.metrics.ranked_rows import AREA, PRECISION
from avrobust.metrics.ranking import mean_of_classes, precisions_and_areas
from avrobust.metrics.schema import in_order
from avrobust.program import UserError
from avrobust.spec.conditions import Condition, Reading

PROGRAM = Path(__file__).parents[2] / "scripts/rank.py"
CLIPS, CLASSES = 40, 6
SMALL = ("audio", "small")
READING = Reading("sounds", "csn", "csn", "released", Condition("audio", "small"))
CLEANLY = READING._replace(condition=Condition("clean"))


def several(generator: np.random.Generator) -> tuple[list[list[int]], np.ndarray]:
    """Labels of clips, none of the last class, and logits with ties that know something of them."""
    targets = generator.random((CLIPS, CLASSES)) < 0.3
    targets[:, -1] = False
    logits = np.round(generator.normal(size=(CLIPS, CLASSES)) + 1.5 * targets, 1).astype(np.float32)
    return [np.flatnonzero(of).tolist() for of in targets], logits


@pytest.fixture
def world(tmp_path: Path) -> tuple[list[list[int]], dict[tuple, np.ndarray], Path]:
    generator = np.random.default_rng(3)
    labels, logits = several(generator)
    answers = {CLEAN: logits, SMALL: (logits - generator.normal(size=logits.shape)).astype(np.float32)}
    norms = {SMALL: {"norm_audio": 2.0, "step_norm_audio": 8.0, "clip_norm_audio": 40.0}}
    return labels, answers, write_ranked_cell(tmp_path, "sounds/csn/1/released", labels, answers, norms=norms)


def one_hot(labels: list[list[int]]) -> np.ndarray:
    return np.array([[label in of for label in range(CLASSES)] for of in labels])


def test_classes_are_ranked_as_scikit_learn_and_torchmetrics_do(world) -> None:
    """With and without weights; the logits have ties."""
    labels, answers, cell = world
    ranked, targets = Ranked([rank(cell)]), one_hot(labels)
    of_clips = weights(sorted(f"clip{number}" for number in range(CLIPS)), 20)
    order = np.argsort([f"clip{number}" for number in range(CLIPS)])
    for reading, logits in ((CLEANLY, answers[CLEAN]), (READING, answers[SMALL])):
        for measure, oracle in ((PRECISION, average_precision_score), (AREA, roc_auc_score)):
            found = ranked.by_class(measure, reading)
            assert len(found) == CLASSES and np.isnan(found[-1].value)
            for label, one in enumerate(found[:-1]):
                wanted = [oracle(targets[order, label], logits[order, label], sample_weight=of) for of in of_clips]
                assert one.value == pytest.approx(wanted[0])
                np.testing.assert_allclose(one.replicates, wanted[1:], rtol=1e-6)
        of_all = torch.from_numpy(logits[:, :-1]), torch.from_numpy(targets[:, :-1].astype(int))
        mean = multilabel_average_precision(of_all[0].sigmoid(), of_all[1], CLASSES - 1).item()
        assert ranked.measured("map", [reading]).value == pytest.approx(mean, abs=1e-6)
        area = multilabel_auroc(of_all[0].sigmoid(), of_all[1], CLASSES - 1).item()
        assert ranked.measured("auc", [reading]).value == pytest.approx(area, abs=1e-6)


def test_what_is_computed_of_them(world) -> None:
    """d' is that of the mean area; the drop a share of the clean mAP; of all clips whose answers changed."""
    _, answers, cell = world
    ranked = Ranked([rank(cell)])
    assert ranked.positives(READING)[-1] == 0
    clean, attacked = (ranked.measured("map", [reading]) for reading in (CLEANLY, READING))
    drop = ranked.measured("map_drop", [READING])
    assert drop.value == pytest.approx(1 - attacked.value / clean.value) and drop.low() < drop.value < drop.high()
    raw = {
        name: np.nanmean([of.replicates for of in ranked.by_class(PRECISION, one)], axis=0)
        for name, one in (("clean", CLEANLY), ("attacked", READING))
    }
    np.testing.assert_allclose(drop.replicates, 2 * drop.value - (1 - raw["attacked"] / raw["clean"]))
    area, d = (ranked.measured(name, [READING]) for name in ("auc", "d_prime"))
    assert torch.distributions.Normal(0, 1).cdf(torch.tensor(d.value / 2**0.5)).item() == pytest.approx(area.value)
    changed = (answers[CLEAN].argmax(axis=1) != answers[SMALL].argmax(axis=1)).mean()
    assert ranked.measured("flipped", [READING]).value == pytest.approx(100 * changed)
    assert ranked.measured("flipped", [CLEANLY]).value == 0
    wanted = {"norm_audio": 2.0, "step_norm_audio": 8.0, "clip_norm_audio": 40.0, "step_norm_visual": 0.0}
    assert {name: ranked.measured(name, [READING]).value for name in wanted} == pytest.approx(wanted)
    assert ranked.largest("norm_audio", READING) == 2.0
    with pytest.raises(UserError, match="top1 of sounds/csn/released, audio at small: its clips have several labels"):
        ranked.measured("top1", [READING])


def test_clips_of_one_label_are_ranked_by_their_softmax(tmp_path: Path) -> None:
    """Which a constant added to a clip's logits does not change, though it would change its rank among the clips."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, CLASSES, CLIPS).tolist()
    logits = (generator.normal(size=(CLIPS, CLASSES)) + 2 * np.eye(CLASSES)[labels]).astype(np.float32)
    moved = (logits + 10 * generator.normal(size=(CLIPS, 1))).astype(np.float32)
    ranked = Ranked([rank(write_ranked_cell(tmp_path, "sounds/csn/1/released", labels, {CLEAN: moved, SMALL: logits}))])
    probabilities = softmax(moved.astype(np.float64), axis=1)
    wanted = [average_precision_score(np.array(labels) == label, probabilities[:, label]) for label in range(CLASSES)]
    assert [one.value for one in ranked.by_class(PRECISION, CLEANLY)] == pytest.approx(wanted)
    right = 100 * (moved.argmax(axis=1) == labels).mean()
    assert ranked.measured("top1", [CLEANLY]).value == pytest.approx(right)


def test_seeds_are_averaged_and_paired_with_what_has_the_same(world, tmp_path: Path) -> None:
    labels, answers, cell = world
    second = {condition: logits[::-1].copy() for condition, logits in answers.items()}
    files = [cell, write_ranked_cell(tmp_path, "sounds/csn/2/released", labels, second)]
    ranked = Ranked(map(rank, files))
    alone = [Ranked([rank(file)]).measured("map", [READING]) for file in files]
    both = ranked.measured("map", [READING])
    assert both.by_seed.tolist() == [one.value for one in alone] and both.value == pytest.approx(both.by_seed.mean())
    other = write_ranked_cell(tmp_path, "sounds/csn/2/projected", labels, second)
    common = Ranked([*map(rank, files), rank(other)]).in_common([READING, READING._replace(attack="projected")])
    assert common.measured("map", [READING]).by_seed.tolist() == [alone[1].value]


def test_what_cannot_be_ranked_or_compared_is_named_in_one_line(world, tmp_path: Path) -> None:
    labels, answers, cell = world
    ranked = Ranked([rank(cell)])
    with pytest.raises(
        UserError, match=r"no ranking of sounds/csn/other among those given \(sounds/csn/released\); add"
    ):
        ranked.measured("map", [READING._replace(attack="other")])
    with pytest.raises(UserError, match="visual at small was not ranked with seed 1; the file holds audio at small"):
        ranked.measured("map", [READING._replace(condition=Condition("visual", "small"))])
    with pytest.raises(UserError, match="audio at small is given twice; leave one out"):
        Ranked([rank(cell), rank(cell)])
    fewer = {condition: logits[1:] for condition, logits in answers.items()}
    other = write_ranked_cell(tmp_path, "sounds/csn/1/projected", labels[1:], fewer)
    with pytest.raises(UserError, match="sounds/csn/csn/projected with seed 1 was measured on other clips than"):
        Ranked([rank(cell), rank(other)]).in_common([READING, READING._replace(attack="projected")])
    # Of each seed, also of one net alone.
    second = write_ranked_cell(tmp_path, "sounds/csn/2/released", labels[1:], fewer)
    said = "sounds/csn/csn/released with seed 2 was measured on other clips than sounds/csn/csn/released with seed 1"
    with pytest.raises(UserError, match=said):
        Ranked([rank(cell), rank(second)]).measured("map", [READING])
    wider = {condition: np.pad(logits, ((0, 0), (0, 1))) for condition, logits in answers.items()}
    second = write_ranked_cell(tmp_path, "sounds/csn/2/released", labels, wider)
    with pytest.raises(UserError, match="released with seed 2 was measured with other classes than"):
        Ranked([rank(cell), rank(second)]).measured("map", [READING])
    broken = {condition: np.where(np.eye(*logits.shape, 3), np.nan, logits) for condition, logits in answers.items()}
    broken = write_ranked_cell(tmp_path, "sounds/csn/3/released", labels, broken)
    made = program(broken, tmp_path / "rows")
    assert made.returncode == 1 and "Traceback" not in made.stderr
    assert "csn/csn/released, audio at small: the logits of clip clip0 are no numbers" in made.stderr.splitlines()[-1]
    plain = write_cell(tmp_path, "music/concat/1/fgsm", [0, 1], {CLEAN: [0, 1]})
    made = program(plain, tmp_path / "rows")
    assert made.returncode == 1 and "Traceback" not in made.stderr
    said = made.stderr.splitlines()[-1]
    columns = "clip_norm_audio, clip_norm_visual, logits, step_norm_audio, step_norm_visual"
    assert f"no {columns} in it; give a file from results/*/cells" in said
    assert not (tmp_path / "rows").exists()


def program(cells: Path, rows: Path) -> subprocess.CompletedProcess:
    words = ["--cells", str(cells), "--replicates", "20", "--rows", str(rows), "--provenance", f"{rows}.json"]
    return preloaded.program([PROGRAM, *words])


def test_what_was_run_is_written_down_and_values_that_are_not_there_are_counted(world, tmp_path: Path) -> None:
    *_, cell = world
    made = program(cell, tmp_path / "rows")
    assert made.returncode == 0, made.stderr
    told = json.loads((tmp_path / "rows.json").read_text())
    # One class has no positive: neither a precision nor an area, under two conditions.
    assert (told["task"], told["conditions"], told["replicates"], told["undefined_values"]) == (
        "multiple",
        2,
        20,
        2 * 2,
    )
    metadata = pq.read_schema(tmp_path / "rows").metadata
    assert [metadata[name] for name in (b"dataset", b"seed", b"task")] == [b"sounds", b"1", b"multiple"]
    assert (tmp_path / "rows").read_bytes() == rank(cell).read_bytes()


def test_shares_have_one_more_clip_in_their_interval_as_estimates_of_rows_have(tmp_path: Path) -> None:
    labels = [number % CLASSES for number in range(CLIPS)]
    right = np.eye(CLASSES)[labels]
    wrong = np.where(np.arange(CLIPS)[:, None] < 12, -right, right)
    ranked = Ranked([rank(write_ranked_cell(tmp_path, "sounds/csn/1/released", labels, {CLEAN: right, SMALL: wrong}))])
    names = sorted(f"clip{number}" for number in range(CLIPS))
    correct = np.array([int(name.removeprefix("clip")) >= 12 for name in names])
    more = [accuracy(np.append(correct, [end])) for end in (False, True)]
    wanted = estimate([accuracy(correct)], weights(names, 20), [more[0]], [more[1]]) * 100.0
    found = ranked.measured("top1", [READING])
    np.testing.assert_allclose([found.lower, found.upper], [wanted.lower, wanted.upper], rtol=1e-5)
    everything = ranked.measured("top1", [CLEANLY])
    assert everything.value == everything.high() == 100 and everything.low() < 99


def test_intervals_of_a_mean_average_precision_hold_that_of_all_clips_as_often_as_measured() -> None:
    """An average precision of few clips is too high. Mirrored replicates know of it, quantiles of them do not.

    Measured with 300 clips of which each of four classes has 30 to 90: 200 experiments, three deviations are 5 points.
    """
    generator = np.random.default_rng(0)
    prevalence, strength = np.array([0.1, 0.15, 0.2, 0.3]), np.array([1.0, 1.5, 0.5, 1.0])

    def drawn(clips: int, of_clips: np.ndarray) -> np.ndarray:
        targets = generator.random((clips, 4)) < prevalence
        scores = generator.normal(size=targets.shape) + strength * targets
        return mean_of_classes(precisions_and_areas(scores, targets, of_clips)[0])

    (truth,) = drawn(100_000, np.ones((1, 100_000)))
    of_clips, held = weights([str(number) for number in range(300)], 200), np.zeros(2)
    for _ in range(200):
        value, *replicates = drawn(300, of_clips)
        one = Estimate(value, np.array(replicates), np.array([value]))
        held += [found.low() <= truth <= found.high() for found in (one.mirrored(0, 1), one)]
    assert held[0] / 2 >= 88 and held[1] < held[0]


def test_clips_as_files_hold_them_and_attacks_without_bounds_are_not_ranked(world, tmp_path: Path) -> None:
    """Of the former there are other tables, of the latter a few clips only."""
    labels, answers, cell = world
    few = {condition: logits[:8] for condition, logits in answers.items()}
    more = [
        write_ranked_cell(tmp_path / "forms", "sounds/csn/1/released", labels, answers, form="rounded"),
        write_ranked_cell(tmp_path / "few", "sounds/csn/1/released", labels, {("both", "unbounded"): few[SMALL]}),
    ]
    whole = tmp_path / "whole.parquet"
    metadata = pq.read_schema(cell).metadata
    pq.write_table(in_order([pq.read_table(path) for path in (cell, *more)]).replace_schema_metadata(metadata), whole)
    assert rank(whole).read_bytes() == rank(cell).read_bytes()


def test_a_file_whose_rows_are_not_in_order_or_not_whole_is_refused(world, tmp_path: Path) -> None:
    *_, cell = world
    pq.write_table(pq.read_table(cell)[::-1], tmp_path / "turned.parquet")
    with pytest.raises(UserError, match="rows are not in order, or a clip occurs twice; `rm"):
        rank(tmp_path / "turned.parquet")
    pq.write_table(pq.read_table(cell, filters=[("modality", "!=", "clean")]), tmp_path / "attacked.parquet")
    with pytest.raises(UserError, match="has no clean clips of csn/csn/released"):
        rank(tmp_path / "attacked.parquet")
