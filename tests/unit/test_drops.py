"""Drops of classes and what they go with: planted ranks, scipy's coefficients, partial ones, classes left out."""

from pathlib import Path

import numpy as np
import pytest
from cell_files import CLEAN, rank, write_ranked_cell
from geometry_files import write_geometry
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from avrobust.metrics import correlation
from avrobust.metrics.drops import correlated, drops
from avrobust.metrics.geometry import CLASS_ROWS, OfNets
from avrobust.metrics.ranked import Ranked
from avrobust.program import UserError
from avrobust.spec.conditions import Condition, Reading

AUDIO = ("audio", "small")
READING = Reading("sounds", "csn", "csn", "released", Condition(*AUDIO))


@given(st.integers(3, 9).flatmap(lambda n: st.tuples(*[st.lists(st.integers(0, 5), min_size=n, max_size=n)] * 2)))
def test_coefficients_are_scipys_with_ties(pair: tuple[list[int], list[int]]) -> None:
    x, y = (np.array(of, np.float64)[:, None] for of in pair)
    for ours, theirs in ((correlation.pearson, pearsonr), (correlation.spearman, spearmanr)):
        (found,) = ours(x, y)
        if len({*pair[0]}) == 1 or len({*pair[1]}) == 1:
            assert np.isnan(found)
        else:
            assert found == pytest.approx(theirs(*pair).statistic, abs=1e-9)


def test_partial_correlation_is_that_of_the_inverse_covariance_and_of_what_regressions_leave() -> None:
    """Two formulas of textbooks, replicate by replicate; a given one that does not vary takes nothing away."""
    generator = np.random.default_rng(0)
    z, w = generator.normal(size=(2, 30, 4))
    x, y = z + generator.normal(size=z.shape), z - w + generator.normal(size=z.shape)
    found = correlation.pearson(x, y, [z, w])
    for replicate in range(4):
        columns = [of[:, replicate] for of in (x, y, z, w)]
        precision = np.linalg.inv(np.cov(columns))
        wanted = -precision[0, 1] / np.sqrt(precision[0, 0] * precision[1, 1])
        assert found[replicate] == pytest.approx(wanted)
        design = np.column_stack([np.ones(30), *columns[2:]])
        left = [one - design @ np.linalg.lstsq(design, one, rcond=None)[0] for one in columns[:2]]
        assert found[replicate] == pytest.approx(pearsonr(*left).statistic)
    np.testing.assert_allclose(correlation.pearson(x, y, [z, np.ones_like(z)]), correlation.pearson(x, y, [z]))
    # What another one is a multiple of leaves nothing of it, and three things tell nothing given one.
    assert (
        np.isnan(correlation.pearson(2 * z, y, [z])).all()
        and np.isnan(correlation.pearson(x[:3], y[:3], [z[:3]])).all()
    )


def test_spearman_given_others_takes_ranks_of_all() -> None:
    generator = np.random.default_rng(1)
    x, y, z = generator.normal(size=(3, 20, 1))
    assert correlation.spearman(x, y, [z]) == pytest.approx(correlation.spearman(np.exp(x), y**3, [np.exp(3 * z)]))


CLASSES = 12


def planted(folder: Path, seed: int = 1) -> Path:
    """A cell of twelve classes of four clips each, one of which an attack puts behind c others in class c.

    Clean every class is ranked without a fault, so that its drop rises with c, ranks and all.
    """
    labels = np.repeat(np.arange(CLASSES), 4)
    clean = np.eye(CLASSES)[labels] * 10
    attacked = clean.copy()
    for label in range(CLASSES):
        others = np.flatnonzero(labels != label)[:label]
        attacked[others, label] = 20.0
    logits = {CLEAN: clean, AUDIO: attacked}
    return write_ranked_cell(folder, f"sounds/csn/{seed}/released", [[int(of)] for of in labels], logits)


def names(count: int = CLASSES) -> list[str]:
    return [f"class {label}" for label in range(count)]


def test_a_planted_correlation_is_found(tmp_path: Path) -> None:
    """The drop rises strictly with the class, so that Spearman's is that of kappa with 0 to 11."""
    ranked = Ranked([rank(planted(tmp_path))])
    falling = [1 - label / 20 for label in range(CLASSES)]
    shuffled = [0.5, 0.1, 0.4, 0.9, 0.2, 0.8, 0.3, 0.7, 0.6, 0.0, 1.0, 0.05]
    sizes = [3 ** (label % 4 + 1) for label in range(CLASSES)]
    file = write_geometry(tmp_path, "sounds/csn/1", names(), kappa_01=falling, rho60=shuffled, n=sizes)
    geometry = OfNets(CLASS_ROWS, [file])
    of_classes = drops(ranked, geometry, READING)
    # Behind c others the four clips of a class, of one score, have a precision of 4 / (4 + c).
    wanted = [1 - 4 / (4 + label) for label in range(CLASSES)]
    assert of_classes.drop[0, :, 0] == pytest.approx(wanted)
    kappa = correlated(ranked, geometry, "spearman_kappa", [READING])
    assert kappa.value == pytest.approx(-1) and kappa.clips == 48
    rho = correlated(ranked, geometry, "spearman_rho60", [READING])
    assert rho.value == pytest.approx(spearmanr(range(CLASSES), shuffled).statistic)
    assert rho.replicates.shape == (20,) and np.abs(rho.replicates).max() <= 1
    found = correlated(ranked, geometry, "pearson_kappa", [READING]).value
    assert found == pytest.approx(pearsonr(falling, wanted).statistic)
    # The clean precision is 1 of all classes, so that only the size is taken out.
    given_size = correlated(ranked, geometry, "partial_pearson_kappa", [READING]).value
    columns = [np.array(of)[:, None] for of in (falling, wanted, np.log(sizes))]
    assert given_size == pytest.approx(correlation.pearson(*columns[:2], columns[2:])[0])


def test_trainings_have_their_own_spaces_and_the_mean_of_their_coefficients(tmp_path: Path) -> None:
    ranked = Ranked(rank(planted(tmp_path, seed)) for seed in (1, 2))
    rising = [float(label) for label in range(CLASSES)]
    files = [
        write_geometry(tmp_path, "sounds/csn/1", names(), kappa_01=rising),
        write_geometry(tmp_path, "sounds/csn/2", names(), kappa_01=rising[::-1]),
    ]
    found = correlated(ranked, OfNets(CLASS_ROWS, files), "spearman_kappa", [READING])
    assert found.by_seed == pytest.approx([1, -1]) and found.value == pytest.approx(0)
    with pytest.raises(UserError, match="no measured classes of sounds/csn, seed 2 among those given"):
        correlated(ranked, OfNets(CLASS_ROWS, files[:1]), "spearman_kappa", [READING])


def test_classes_that_tell_nothing_are_left_out_and_counted(tmp_path: Path) -> None:
    """No test clip; too little to lose; no training clip; no kappa, which leaves out that coefficient alone."""
    labels = [[0], [0], [1], [1], [2], [2], [4], [4], [5], [5]] + 400 * [[]]
    logits = np.random.default_rng(0).normal(size=(len(labels), 6))
    for number, of in enumerate(labels):
        logits[number, of] += 9
    logits[[4, 5], 2] = -9  # the last of all clips: a clean average precision of 2 / 410
    cell = write_ranked_cell(tmp_path, "sounds/csn/1/released", labels, {CLEAN: logits, AUDIO: logits[:, ::-1]})
    file = write_geometry(
        tmp_path, "sounds/csn/1", names(6), n=[9, 9, 9, 9, None, 9], kappa_01=[0.1, None, 0.3, 0.4, 0.5, 0.6]
    )
    of_classes = drops(Ranked([rank(cell)]), OfNets(CLASS_ROWS, [file]), READING)
    assert of_classes.names == ("class 0", "class 1", "class 5")
    assert of_classes.without == {
        "no test clip, or all": 1, "a clean average precision below 0.01": 1, "no training clip": 1,
    }  # fmt: skip
    assert of_classes.defined("kappa_01").tolist() == [True, False, True]
    other = write_geometry(tmp_path / "other", "sounds/csn/1", names(8))
    with pytest.raises(UserError, match="class 6 was measured, but only 6 are ranked; make both again"):
        drops(Ranked([rank(cell)]), OfNets(CLASS_ROWS, [other]), READING)


def test_a_coefficient_of_a_few_classes_that_differ_is_none(tmp_path: Path) -> None:
    """Of twelve classes five differ from the others; with one more it is defined."""
    ranked = Ranked([rank(planted(tmp_path))])
    for different, defined in ((5, False), (6, True)):
        kappas = [1.0] * (CLASSES - different) + [0.5 - 0.01 * label for label in range(different)]
        file = write_geometry(tmp_path / str(different), "sounds/csn/1", names(), kappa_01=kappas)
        found = correlated(ranked, OfNets(CLASS_ROWS, [file]), "spearman_kappa", [READING])
        assert np.isnan(found.value) != defined and np.isnan(found.replicates).all() != defined
