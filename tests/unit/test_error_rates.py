"""How often an interval misses the truth and a verdict is false, over experiments that are simulated."""

from collections.abc import Callable, Sequence
from functools import cache
from math import exp, lgamma, log
from statistics import NormalDist

import numpy as np
import pytest

from avrobust.metrics.interval import Mean, mean
from avrobust.report.claims import CLIPS, TRAININGS, spoken

RATES = (0.01, 0.02, 0.035, 0.05, 0.1, 0.5, 0.9, 0.98)
# Those that are simulated, which takes a second each.
SIMULATED = (0.01, 0.035, 0.1, 0.5, 0.98)
# Clips of a population from which experiments draw theirs, so that the truth is known.
POPULATION = 20_000
EXPERIMENTS = 300

Clips = Callable[[np.random.Generator], np.ndarray]


def tolerated(rate: float, experiments: int) -> float:
    """`rate` and three standard errors of the simulation."""
    return rate + 3 * (rate * (1 - rate) / experiments) ** 0.5


def right(generator: np.random.Generator, rates: Sequence[float], seeds: int, shared: float) -> np.ndarray:
    """Whether clips are recognised, (rates, seeds, POPULATION); the part `shared` of what decides is the clip's."""
    points = np.array([NormalDist().inv_cdf(rate) for rate in rates])[:, None, None]
    own = generator.standard_normal((len(rates), seeds, POPULATION))
    return shared**0.5 * generator.standard_normal(POPULATION) + (1 - shared) ** 0.5 * own < points


def missed(population: np.ndarray, least: float, greatest: float, clips: int, generator: np.random.Generator) -> float:
    """How often the interval of `clips` drawn from values (seeds, clips) does not hold the population's mean."""
    truth = population.mean()
    shifted = population - truth
    count = 0
    for _ in range(EXPERIMENTS):
        drawn = shifted[:, generator.integers(population.shape[1], size=clips)]
        one = mean(drawn, least - truth, greatest - truth)
        count += one.above() or one.negative.above()
    return count / EXPERIMENTS


@cache
def ends(successes: int, clips: int) -> tuple[float, float]:
    one = mean((np.arange(clips) < successes)[None].astype(float), 0, 1)
    return one.low(), one.high()


@pytest.mark.parametrize("clips", [88, 104, 3104])
@pytest.mark.parametrize("rate", RATES)
def test_a_rate_is_covered(rate: float, clips: int) -> None:
    """Over all that can come out, without a simulation."""
    far = 6 * (clips * rate * (1 - rate)) ** 0.5 + 6
    covered = 0.0
    for successes in range(max(0, int(clips * rate - far)), min(clips, int(clips * rate + far)) + 1):
        low, high = ends(successes, clips)
        if low <= rate <= high:
            ways = lgamma(clips + 1) - lgamma(successes + 1) - lgamma(clips - successes + 1)
            covered += exp(ways + successes * log(rate) + (clips - successes) * log(1 - rate))
    assert covered >= 0.95


@pytest.mark.parametrize("clips", [88, 104, 3104])
@pytest.mark.parametrize(("seeds", "shared"), [(1, 0.2), (1, 0.95), (3, 0.5)])
@pytest.mark.parametrize("rate", SIMULATED)
def test_an_average_is_covered(rate: float, seeds: int, shared: float, clips: int) -> None:
    """Avg of three rates on the same clips, which depend on each other little or much."""
    generator = np.random.default_rng([1, seeds, clips])
    average = right(generator, [rate] * 3, seeds, shared).mean(axis=0)
    assert missed(average, 0, 1, clips, generator) <= tolerated(0.07, EXPERIMENTS)


@pytest.mark.parametrize("clips", [88, 104, 3104])
@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("rate", SIMULATED)
def test_an_improvement_is_covered(rate: float, seeds: int, clips: int) -> None:
    """RI of a net with the clean rate `rate` and less under attack over one that has half of it."""
    generator = np.random.default_rng([2, seeds, clips])
    found = right(generator, [rate, rate / 2, rate / 2, rate / 4, rate / 2, rate / 2, rate / 4, rate / 8], seeds, 0.7)
    weights = np.array([1, 1 / 3, 1 / 3, 1 / 3, -1, -1 / 3, -1 / 3, -1 / 3])
    assert missed(np.tensordot(weights, found, axes=1), -2, 2, clips, generator) <= tolerated(0.07, EXPERIMENTS)


def same(share: float, seeds: int) -> np.ndarray:
    """The two nets differ on `share` of the clips, as often one way as the other, all seeds alike."""
    half = round(share * POPULATION / 2)
    return np.tile(np.repeat([1.0, -1.0, 0.0], [half, half, POPULATION - 2 * half]), (seeds, 1))


def apart(share: float, seeds: int) -> np.ndarray:
    """As `same`, on other clips with each seed."""
    generator = np.random.default_rng(0)
    return np.stack([generator.permutation(row) for row in same(share, seeds)])


def lopsided(share: float, seeds: int) -> np.ndarray:
    """One net wins a few clips with every seed, the other wins thrice as many with one seed of three."""
    half = round(share * POPULATION / 2)
    values = np.zeros((seeds, POPULATION))
    values[:, :half] = 1
    for seed in range(seeds):
        values[seed, half + seed * half : half + (seed + 1) * half] = -1
    return values


DESIGNS = [(1, same), (3, same), (3, apart), (3, lopsided)]


def verdicts(
    population: np.ndarray,
    clips: int,
    generator: np.random.Generator,
    *,
    tests: int = 1,
    experiments: int = EXPERIMENTS,
) -> dict[str, float]:
    """How often each verdict comes, of claims with so many tests, each on clips of its own between -1 and 1."""
    found: dict[str, float] = {}
    for _ in range(experiments):
        means = []
        for _ in range(tests):
            drawn = population[:, generator.integers(population.shape[1], size=clips)]
            means.append(mean(drawn, min(-1, drawn.min()), max(1, drawn.max())))
        word = spoken(means)[0].removesuffix(" here")
        found[word] = found.get(word, 0) + 1 / experiments
    return found


@pytest.mark.parametrize("clips", [88, 3104])
@pytest.mark.parametrize(("seeds", "design"), DESIGNS)
@pytest.mark.parametrize("share", [0.005, 0.01, 0.02, 0.05, 0.2])
def test_of_no_effect_a_test_seldom_says_anything(
    share: float, seeds: int, design: Callable[[float, int], np.ndarray], clips: int
) -> None:
    found = verdicts(design(share, seeds), clips, np.random.default_rng([3, seeds, clips]))
    for word in ("holds", "fails"):
        assert found.get(word, 0) <= tolerated(0.05, EXPERIMENTS)


@pytest.mark.parametrize(
    ("clips", "shares", "experiments"), [(88, (0.005, 0.01, 0.02, 0.05, 0.2), 150), (3104, (0.005, 0.2), 60)]
)
@pytest.mark.parametrize(("seeds", "design"), DESIGNS)
def test_of_no_effect_a_claim_of_many_tests_seldom_says_anything(
    seeds: int, design: Callable[[float, int], np.ndarray], clips: int, shares: tuple[float, ...], experiments: int
) -> None:
    generator = np.random.default_rng([4, seeds, clips])
    for share in shares:
        found = verdicts(design(share, seeds), clips, generator, tests=18, experiments=experiments)
        for word in ("holds", "fails"):
            assert found.get(word, 0) <= tolerated(0.05, experiments)


def of_steps(*steps: tuple[float, float]) -> np.ndarray:
    """Values and their shares of a population, (1, clips)."""
    return np.repeat([value for value, _ in steps], [round(share * POPULATION) for _, share in steps])[None]


@pytest.mark.parametrize("clips", [88, 3104])
@pytest.mark.parametrize(
    ("what", "population"),
    [
        # X_A > clean - 5 points, where an attack takes 5 % of the clips.
        ("a margin", of_steps((0.05, 0.95), (-0.95, 0.05))),
        ("a margin, the other way", of_steps((-0.05, 0.95), (0.95, 0.05))),
        ("a rate against a number", of_steps((-0.02, 0.98), (0.98, 0.02))),
        ("averages of three", of_steps((1, 0.01), (-1 / 3, 0.03), (0, 0.96))),
        ("clean and average", of_steps((4 / 3, 0.01), (-1 / 3, 0.04), (0, 0.95))),
        ("scores", of_steps((0.02, 0.9), (-0.18, 0.1))),
    ],
)
def test_effects_of_other_kinds_too(what: str, population: np.ndarray, clips: int) -> None:
    assert abs(population.mean()) < 1e-12, what
    found = verdicts(population, clips, np.random.default_rng([5, clips]))
    for word in ("holds", "fails"):
        assert found.get(word, 0) <= tolerated(0.05, EXPERIMENTS)


def trained(generator: np.random.Generator, seeds: int, clips: int, spread: float, rate: float) -> Mean:
    """Of two nets that are equally good on average: every training's rate is off by `spread` probits.

    A fifth of what decides a clip is the net's own and the same with all seeds.
    """
    point = NormalDist().inv_cdf(rate) * (1 + spread**2) ** 0.5
    clip = 0.6**0.5 * generator.standard_normal(clips)
    answers = []
    for _ in range(2):
        own = 0.2**0.5 * generator.standard_normal(clips) + 0.2**0.5 * generator.standard_normal((seeds, clips))
        answers.append(clip + own < point + spread * generator.standard_normal((seeds, 1)))
    return mean(answers[0] * 1.0 - answers[1], -1, 1)


@pytest.mark.parametrize("clips", [88, 3104])
@pytest.mark.parametrize("spread", [0.15, 0.3])
@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_what_speaks_of_trainings_bears_their_spread(rate: float, spread: float, clips: int) -> None:
    generator = np.random.default_rng([6, clips])
    found = [spoken([trained(generator, 3, clips, spread, rate)])[:2] for _ in range(EXPERIMENTS)]
    for word in ("holds", "fails"):
        assert found.count((word, TRAININGS)) / EXPERIMENTS <= tolerated(0.05, EXPERIMENTS)
        assert (word, CLIPS) not in found
    assert {speaks_of for word, speaks_of in found if word.endswith("here")} <= {CLIPS}


def test_with_few_seeds_nothing_speaks_of_trainings() -> None:
    """With a spread between trainings every fourth verdict is false of them: it says that it is of clips, here."""
    generator = np.random.default_rng(8)
    for seeds in (1, 2):
        found = [spoken([trained(generator, seeds, 3104, 0.3, 0.5)])[:2] for _ in range(100)]
        assert {speaks_of for _, speaks_of in found} == {CLIPS}
        assert {word for word, _ in found} <= {"holds here", "fails here", "undecided"}
        assert sum(word != "undecided" for word, _ in found) > 25
