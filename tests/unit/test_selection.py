"""Classes that are dense and not convex: thresholds by hand, the median, and defaults that are those of a training."""

import inspect

import pytest

from avrobust.metrics.selection import select
from avrobust.training.prepare.selected_mixup import SelectedMixup

ROWS = [
    {"class_name": f"class {number}", "rho60": float(number), "rho80": 9.0 - number, "kappa_01": 0.1 * number}
    for number in range(10)
]


def test_of_the_densest_those_that_are_not_convex() -> None:
    """Above the quantile 0.5 of 0 to 9, which is 4.5, and a kappa below 0.75."""
    found = select(ROWS, "kappa_01", convexity=0.75, densest=0.5)
    assert (found.names, found.density, found.is_median) == ({"class 5", "class 6", "class 7"}, 4.5, False)
    other = select(ROWS, "kappa_01", tau=80, densest=0.3)
    assert other.names == {"class 0", "class 1", "class 2"} and other.density == pytest.approx(6.3)


def test_where_fewer_than_two_are_the_median_is_taken() -> None:
    found = select(ROWS, "kappa_01", density=7.5, convexity=0.8)
    assert (found.names, found.density, found.is_median) == ({"class 5", "class 6", "class 7"}, 4.5, True)
    assert select([], "kappa_01").names == set()


def test_a_class_without_a_value_is_none_and_does_not_count() -> None:
    rows = [*ROWS, {"class_name": "empty", "rho60": 99.0, "rho80": None, "kappa_01": None}]
    assert select(rows, "kappa_01", densest=0.5, convexity=0.75) == select(
        ROWS, "kappa_01", densest=0.5, convexity=0.75
    )


def test_where_nothing_is_said_it_is_what_a_training_does() -> None:
    """A claim of selected classes reads the paper's options alone."""
    ours, theirs = (inspect.signature(of).parameters for of in (select, SelectedMixup.__init__))
    for name in ("tau", "convexity", "density", "densest"):
        assert ours[name].default == theirs[name].default
