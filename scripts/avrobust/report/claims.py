"""Claims of a paper, tested.

What a verdict means. The effect of a test is higher - lower - by, in percentage points or in the score's own unit,
paired by clip and by seed, with the 95 % interval of `avrobust.metrics.interval`; for two accuracies of one seed that
is McNemar's exact test:

    holds      the whole interval is above 0: a true effect of 0 or less has a p-value of at most 2.5 %
    fails      the whole interval is below 0, the mirror image
    undecided  anything else: too few clips to tell, a tie, or a score that is not there
    skipped    not tested: the scale lacks a dataset, a net or a budget that the claim names, or a model is not there

A claim with several tests claims all of them, so its effect is the smallest of theirs. It holds if each of its tests
holds, which needs no correction (an intersection-union test: Berger, Technometrics 24, 1982). It fails if one of its
tests fails after Holm's correction for their number (Scandinavian Journal of Statistics 6, 1979): if the smallest
p-value times their number is at most 2.5 %. Its interval agrees with both: it goes from the smallest lower end of its
tests to the smallest of their upper ends, each with its share of the 2.5 % beyond it.

A verdict says what it speaks of. From three seeds on the interval includes the spread between trainings, and a verdict
that stands then speaks of `clips and trainings`. With fewer, or where only these trainings on other clips tell, it
speaks of `clips` and reads `holds here`, `fails here`. Scores that depend on other clips, as silhouettes do, are taken
as they stand: their intervals leave out that the others would be other clips too. Of scores that may have any value
fewer than `FEWEST` clips tell nothing, and the test is undecided.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import nan
from types import MappingProxyType

import numpy as np
import pandas as pd

from avrobust.asked.answers import read_answers
from avrobust.asked.synonyms import read_synonyms
from avrobust.files import write_text
from avrobust.metrics.answers import Judged
from avrobust.metrics.answers import judge as judged
from avrobust.metrics.estimate import Estimate, combined
from avrobust.metrics.geometry import CLASS_ROWS, OfNets
from avrobust.metrics.interval import MANY_SEEDS, TAIL, Mean, mean
from avrobust.metrics.measured import estimated
from avrobust.metrics.ranked import Ranked
from avrobust.metrics.rows import Cells, cells_of
from avrobust.metrics.scores import Score, Scores, bounds
from avrobust.program import UserError, progress
from avrobust.report.given import Given
from avrobust.report.sides import Exact, by_answers, by_clip, by_training, is_by_answers, is_by_clip
from avrobust.report.sides_of_classes import Undefined, by_class, by_ranking
from avrobust.report.text import about, csv_of, fixed, grid, warning
from avrobust.report.trainings import Spent, spent
from avrobust.spec.artefacts.claims import (
    OF_GEOMETRY,
    OF_RANKINGS,
    Claim,
    Claims,
    Comparison,
    Quantity,
    name_of,
)
from avrobust.spec.conditions import Condition, Reading
from avrobust.spec.measures import MEASURES, MISSED, OF_CLASSES
from avrobust.spec.units import COUNT, POINTS, SCORE

# Dataset and surrogate -> what a model said in words of their clips.
InWords = Mapping[tuple[str, str], Judged]

HOLDS, FAILS, UNDECIDED, SKIPPED = "holds", "fails", "undecided", "skipped"
# Of these trainings, on other clips.
HOLDS_HERE, FAILS_HERE = f"{HOLDS} here", f"{FAILS} here"
VERDICTS = (HOLDS, FAILS, HOLDS_HERE, FAILS_HERE, UNDECIDED, SKIPPED)
NOT_MADE = "clips that were not made"
CLIPS, TRAININGS = "clips", "clips and trainings"
_DECIMALS = {POINTS: 2, SCORE: 4, COUNT: 2}
_MEASURED = ("verdict", "speaks_of", "effect", "low", "high", "unit", "p_holds", "p_fails")
CLAIM_COLUMNS = (
    "claim", "section", "sentence", *_MEASURED, "weakest", "holding", "n", "seeds", "scale", "source", "note",
)  # fmt: skip
TEST_COLUMNS = ("claim", "test", "dataset", *_MEASURED, "p_fails_holm", "n", "seeds", "scale", "source", "note")

# Of a score without an end the extremes seen stand for it, so that an effect that all clips have is beyond doubt. By
# chance alone fewer clips than these lie on one side of 0 more often than `TAIL`: 0.5**5 is 3.1 %.
FEWEST = 6

# Sums of thirds are exact to here; what is nearer to 0 is 0.
_PRECISION = 9


@dataclass(frozen=True)
class Result:
    """What came out of one test or claim: numbers in its unit, NaN where nothing was measured.

    `speaks_of` is `CLIPS` or `TRAININGS`. The p-values are one-sided: of an effect that is not above 0 (`p_holds`), and
    of one that is not below 0 (`p_fails`, a claim's corrected for the number of its tests; `p_fails_holm`: a test's
    corrected for those of its claim). `n` clips and `seeds` are those of the (weakest) test; `note` says why nothing
    was measured, or what is missing.
    """

    verdict: str
    speaks_of: str = ""
    effect: float = nan
    low: float = nan
    high: float = nan
    p_holds: float = nan
    p_fails: float = nan
    p_fails_holm: float = nan
    n: int = 0
    seeds: int = 0
    note: str = ""


@dataclass(frozen=True)
class Judgement:
    """A claim with the result of each of its tests; `weakest` is the number of the test with the least effect."""

    claim: Claim
    tests: Sequence[Result]
    overall: Result
    weakest: int | None = None

    @property
    def held(self) -> str:
        """How many tests hold, of how many."""
        holding = [result.verdict for result in self.tests if result.verdict in (HOLDS, HOLDS_HERE)]
        return f"{len(holding)} of {len(self.tests)}{' here' if HOLDS_HERE in holding else ''}"


def write(given: Claims, files: Given, to: Mapping[str, str]) -> str:
    """Write claims, their tests, and a page for readers; return a line for the log."""
    cells = cells_of(progress(files.cells, label="reading", unit="files"))
    scores = Scores(progress(files.scores, label="reading", unit="score files"))
    synonyms = read_synonyms(files.synonyms[0]) if files.synonyms else {}
    answers = judged(read_answers(files.answers), synonyms)
    ranked = Ranked(progress(files.metrics, label="reading", unit="rankings"))
    classes = OfNets(CLASS_ROWS, files.geometry)
    judgements = judge(given, cells, scores, spent(files.trainings), answers, ranked, classes)
    claims, tests = (tidy(given, judgements, files.scale) for tidy in (tidy_claims, tidy_tests))
    write_text(to[".csv"], csv_of(claims))
    write_text(to["_tests.csv"], csv_of(tests))
    write_text(to[".md"], markdown(given, claims, files.scale))
    return f"{given.paper}: {counted(claims)}"


def judge(
    given: Claims,
    cells: Cells,
    scores: Scores,
    trainings: Spent = MappingProxyType({}),
    answers: InWords = MappingProxyType({}),
    ranked: Ranked | None = None,
    classes: OfNets | None = None,
) -> list[Judgement]:
    """Test all claims, in their order; a score that is not there leaves its test undecided.

    Raises `UserError` if a cell or a condition is missing.
    """
    shapes = classes or OfNets(CLASS_ROWS, ())
    files = _Files(cells, scores, trainings, answers, ranked or Ranked(()), shapes, given.several)
    return [_judged(claim, files) for claim in given.claims]


@dataclass(frozen=True)
class _Files:
    """All that claims are read of."""

    cells: Cells
    scores: Scores
    trainings: Spent
    answers: InWords
    ranked: Ranked
    classes: OfNets
    several: Sequence[str]


def verdict(means: Sequence[Mean | Estimate | Exact]) -> str:
    """`holds`, `fails` or `undecided`, of a claim with these tests (see above)."""
    if all(one.above() for one in means):
        return HOLDS
    return FAILS if any(one.negative.above(TAIL / len(means)) for one in means) else UNDECIDED


def spoken(means: Sequence[Mean | Estimate | Exact]) -> tuple[str, str, Sequence[Mean | Estimate | Exact]]:
    """The verdict of a claim with these tests, what it speaks of, and the means with the intervals that it is from."""
    here = [one.of_these_trainings for one in means]
    if many := all(one.seeds >= MANY_SEEDS for one in means):
        found = verdict(means)
        if found != UNDECIDED:
            return found, TRAININGS, means
    found = verdict(here)
    if found != UNDECIDED:
        return f"{found} here", CLIPS, here
    return (UNDECIDED, TRAININGS, means) if many else (UNDECIDED, CLIPS, here)


def _judged(claim: Claim, files: _Files) -> Judgement:
    if claim.skipped:
        nothing = Result(SKIPPED, note=claim.skipped)
        return Judgement(claim, [nothing] * len(claim.tests), nothing)
    measured: dict[int, Mean | Estimate | Exact] = {}
    reasons: dict[int, str] = {}
    for number, test in enumerate(claim.tests):
        try:
            measured[number] = _measured(test, files)
        except UserError as error:
            missing = any(side.score or side.of in (MISSED, *OF_CLASSES) for side in test.read)
            if not (missing or isinstance(error, Undefined)):
                raise UserError(f"claim {claim.name}: {error}") from None
            reasons[number] = str(error)
    results = {number: _result([one]) for number, one in measured.items()}
    corrected = 0.0
    for place, number in enumerate(sorted(results, key=lambda number: results[number].p_fails)):
        # Holm: never less than what came before it.
        corrected = max(corrected, min(results[number].p_fails * (len(results) - place), 1))
        results[number] = replace(results[number], p_fails_holm=corrected)
    tests = [results.get(number) or Result(UNDECIDED, note=reasons[number]) for number in range(len(claim.tests))]
    overall = _result([*measured.values()]) if measured else Result(UNDECIDED)
    if reasons:
        found = overall.verdict if overall.verdict in (FAILS, FAILS_HERE) else UNDECIDED
        missing = f"{len(reasons)} of {len(tests)} tests without a result: {min(reasons.items())[1]}"
        overall = replace(overall, verdict=found, p_holds=nan, note=missing)
    return Judgement(claim, tests, overall, min(results, key=lambda number: results[number].effect, default=None))


def _result(means: Sequence[Mean | Estimate | Exact]) -> Result:
    """The result of a claim with these tests; of a test, if there is one."""
    found, speaks_of, means = spoken(means)
    least = min(means, key=lambda one: one.value)
    numbers = (
        least.value,
        min(one.low() for one in means),
        min(one.high(TAIL / len(means)) for one in means),
        max(one.p_above() for one in means),
        min(1, len(means) * min(one.negative.p_above() for one in means)),
    )
    rounded = (round(number, _PRECISION) for number in numbers)
    return Result(found, speaks_of, *rounded, n=least.clips, seeds=least.seeds)


def _measured(test: Comparison, files: _Files) -> Mean | Estimate | Exact:
    """The effect in the unit of the test."""
    if test.unit == COUNT:
        return by_training(test, files.trainings)
    if is_by_answers(test):
        return by_answers(test, files.answers)
    if test.read[0].kind == OF_RANKINGS:
        return by_ranking(test, files.ranked, files.classes)
    if test.read[0].kind == OF_GEOMETRY:
        return _of_unbounded(*by_class(test, files.classes, files.several), "classes")
    if any(side.score for side in test.read):
        return _scored(test, files.scores)
    cells = files.cells.in_common(one for side in test.read for of in side.each for one in of.readings)
    return by_clip(test, cells) if is_by_clip(test) else _answered(test, cells)


def _answered(test: Comparison, cells: Cells) -> Mean | Estimate:
    """The effect in points, from right and wrong answers."""
    if any(MEASURES[side.of].if_recognised for side in test.read):
        higher, lower = (
            estimated(cells, side.of, side.places) if isinstance(side, Quantity) else side
            for side in (test.higher, test.lower)
        )
        return combined(np.subtract, higher, lower) - test.by
    weights: dict[Reading, float] = {}
    offset = -test.by
    for side, sign in ((test.higher, 100.0), (test.lower, -100.0)):
        if not isinstance(side, Quantity):
            offset += sign / 100 * side
            continue
        offset += sign * MEASURES[side.of].constant
        for reading, weight in side.readings.items():
            weights[reading] = weights.get(reading, 0.0) + sign * weight
    return cells.outcomes(list(weights)).combined(list(weights.values()), offset)


def _scored(test: Comparison, scores: Scores) -> Mean:
    """The effect in the score's own unit, of the clips that have a value on both sides."""
    values = scores.values(
        [
            Score(one.dataset, one.victim, one.attack, Condition(one.modality, one.budget), one.score)
            for one in test.read
        ]
    ).values
    by_side = dict(zip(test.read, values, strict=True))
    higher, lower = (by_side.get(side, side) for side in (test.higher, test.lower))
    effects = np.asarray(higher - lower - test.by, np.float64)
    if np.isnan(effects).all():
        raise UserError(f"no clip has a value of {' and '.join(name_of(side, '') for side in test.read)}")
    (least, greatest), (lower_least, lower_greatest) = (
        bounds(side.score) if isinstance(side, Quantity) else (side, side) for side in (test.higher, test.lower)
    )
    return _of_unbounded(effects, least - lower_greatest - test.by, greatest - lower_least - test.by, "clips")


def _of_unbounded(effects: np.ndarray, least: float, greatest: float, what: str) -> Mean:
    """The mean of effects (seeds, clips or classes) between ends that may be infinite."""
    count = int((~np.isnan(effects)).any(axis=0).sum())
    if not np.isfinite([least, greatest]).all() and count < FEWEST:
        raise UserError(f"too few {what} to tell of a score without an end: {count}, and {FEWEST} are needed")
    try:
        return mean(effects, least, greatest)
    except ValueError as error:
        raise UserError(f"{error}; make the scores again") from None


def tidy_claims(given: Claims, judgements: Iterable[Judgement], scale: str) -> pd.DataFrame:
    """One line per claim (`CLAIM_COLUMNS`), as it is printed; `n` and `seeds` are those of the weakest test."""
    lines = []
    for one in judgements:
        claim, sources = one.claim, {given.sources.get(test.dataset, "") for test in one.claim.tests}
        line = {"claim": claim.name, "section": claim.section, "sentence": claim.sentence, **asdict(one.overall)}
        line |= {"unit": claim.unit, "holding": one.held, "source": ", ".join(sorted(filter(None, sources)))}
        line["weakest"] = "" if one.weakest is None else claim.tests[one.weakest].label
        lines.append(line | {"note": "; ".join(filter(None, (claim.note, one.overall.note)))})
    return _printed(lines, CLAIM_COLUMNS, scale)


def tidy_tests(given: Claims, judgements: Iterable[Judgement], scale: str) -> pd.DataFrame:
    """One line per test (`TEST_COLUMNS`), in the order of the claims."""
    lines = (
        {
            "claim": one.claim.name,
            "test": test.label,
            "dataset": given.names.get(test.dataset, test.dataset),
            **asdict(result),
            "unit": test.unit,
        }
        | {"source": given.sources.get(test.dataset, "")}
        for one in judgements
        for test, result in zip(one.claim.tests, one.tests, strict=True)
    )
    return _printed(lines, TEST_COLUMNS, scale)


def _printed(lines: Iterable[Mapping], columns: Sequence[str], scale: str) -> pd.DataFrame:
    """Lines with numbers as text: with the decimals of their unit, p-values with three digits, nothing for nothing."""
    frame = pd.DataFrame(lines).reindex(columns=columns).assign(scale=scale)
    for name in ("effect", "low", "high"):
        frame[name] = [fixed(value, _DECIMALS[unit]) for value, unit in zip(frame[name], frame["unit"], strict=True)]
    for name in frame.columns.intersection(["p_holds", "p_fails", "p_fails_holm"]):
        frame[name] = frame[name].map("{:.3g}".format).replace("nan", "")
    frame[["n", "seeds"]] = frame[["n", "seeds"]].astype(str).replace("0", "")
    return frame


def markdown(given: Claims, claims: pd.DataFrame, scale: str) -> str:
    """The claims (`tidy_claims`) as a table for readers; warns if the clips are not the paper's."""
    lines = [
        f"# Claims of {given.citation or given.paper}",
        "",
        f"{counted(claims)}. Scale `{scale}`.",
        "",
        "Effect of the weakest test [95 % interval, paired by clip and seed], in percentage points or in the score's",
        "unit. A claim holds if each of its tests does, with an interval above 0. It fails if one of them is below 0",
        "after Holm's correction for their number, with which the interval agrees. A tie, or an interval on both",
        "sides of 0, leaves it undecided. What is said `here`, of clips, is said of these trainings on other clips;",
        "what is said of other trainings too has three seeds or more behind it, and their spread in its interval.",
        "",
    ]
    sources = {source for joined in claims["source"] for source in _several(joined)}
    lines += warning(sources, scale, f"verdicts about {about(sources, scale)} are no verdicts on the paper")
    # Of a paper without claims pandas takes these for numbers.
    effect, low, high = (claims[name].astype(str) for name in ("effect", "low", "high"))
    effects = (effect + " [" + low + ", " + high + "]").where(effect != "", "")
    shown = claims[["section", "verdict", "speaks_of", "sentence"]].assign(effect=effects)
    rows = shown.join(claims[["weakest", "holding"]]).to_numpy()
    header = ["section", "verdict", "speaks of", "claim", "effect", "weakest test", "tests that hold"]
    lines += grid(header, rows, numbers=("effect", "tests that hold"))
    noted = claims[claims["note"] != ""]
    if len(noted):
        lines += ["", "Notes:", "", *("- " + noted["claim"] + ": " + noted["note"])]
    return "\n".join(lines) + "\n"


def counted(claims: pd.DataFrame) -> str:
    """How many claims there are, and how many of each verdict that occurs.

    Verdicts about the papers' clips at their sizes come first; those about other clips are counted apart, and so
    are claims whose clips this scale does not have.
    """
    spoken_about = [
        about(_several(sources), scale) if sources else NOT_MADE
        for sources, scale in zip(claims["source"], claims["scale"], strict=True)
    ]
    found = []
    for clips in sorted({*spoken_about}, key=lambda clips: (clips == NOT_MADE, clips)) or [""]:
        verdicts = claims["verdict"][[one == clips for one in spoken_about]]
        counts = ", ".join(f"{(verdicts == name).sum()} {name}" for name in VERDICTS if name in [*verdicts])
        number = "1 claim" if len(verdicts) == 1 else f"{len(verdicts)} claims"
        found.append(f"{number}{f' about {clips}' if clips else ''}: {counts}")
    return "; ".join(found)


def _several(sources: str) -> list[str]:
    """What a field holds that joins the sources of several datasets."""
    return [source for source in sources.split(", ") if source]
