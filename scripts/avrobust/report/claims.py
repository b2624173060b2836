"""Claims of a paper, tested.

What a verdict means. The effect of a test is higher - lower - by, in percentage points or in the score's own unit,
paired by clip and by seed, with the 95 % interval of `avrobust.metrics.interval`; for two accuracies of one seed that
is McNemar's exact test:

    holds      the whole interval is above 0: a true effect of 0 or less has a p-value of at most 2.5 %
    fails      the whole interval is below 0, the mirror image
    undecided  anything else: too few clips to tell, a tie, or a score that is not there

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
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from avrobust.files import write_text
from avrobust.metrics.interval import MANY_SEEDS, TAIL, Mean, mean
from avrobust.metrics.rows import Cells, cells_of
from avrobust.metrics.scores import Score, Scores, bounds
from avrobust.program import UserError, progress
from avrobust.report.given import Given
from avrobust.report.text import PUBLISHED_SOURCE, csv_of, grid, warning
from avrobust.spec.artefacts.claims import POINTS, SCORE, Claim, Claims, Comparison, Quantity, name_of
from avrobust.spec.conditions import Condition, Reading

HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"
# Of these trainings, on other clips.
HOLDS_HERE, FAILS_HERE = f"{HOLDS} here", f"{FAILS} here"
VERDICTS = (HOLDS, FAILS, HOLDS_HERE, FAILS_HERE, UNDECIDED)
CLIPS, TRAININGS = "clips", "clips and trainings"
_DECIMALS = {POINTS: 2, SCORE: 4}
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
    """What came out of one test or claim: numbers in its unit, None where nothing was measured.

    `speaks_of` is `CLIPS` or `TRAININGS`. The p-values are one-sided: of an effect that is not above 0 (`p_holds`), and
    of one that is not below 0 (`p_fails`, a claim's corrected for the number of its tests; `p_fails_holm`: a test's
    corrected for those of its claim). `clips` and `seeds` are those of the (weakest) test; `reason` says why nothing
    was measured, or what is missing.
    """

    verdict: str
    speaks_of: str = ""
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p_holds: float | None = None
    p_fails: float | None = None
    p_fails_holm: float | None = None
    clips: int = 0
    seeds: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Judgement:
    """A claim with the result of each of its tests; `weakest` is the number of the test with the least effect."""

    claim: Claim
    tests: Sequence[Result]
    overall: Result
    weakest: int | None

    @property
    def holding(self) -> int:
        """How many tests hold."""
        return sum(result.verdict in (HOLDS, HOLDS_HERE) for result in self.tests)

    @property
    def held(self) -> str:
        """`holding` of how many, as it is printed."""
        here = any(result.verdict == HOLDS_HERE for result in self.tests)
        return f"{self.holding} of {len(self.tests)}{' here' if here else ''}"


def write(given: Claims, files: Given, to: Mapping[str, str]) -> str:
    """Write claims, their tests, and a page for readers; return a line for the log."""
    cells = cells_of(progress(files.cells, label="reading", unit="files"))
    scores = Scores(progress(files.scores, label="reading", unit="score files"))
    judgements = judge(given, cells, scores)
    write_text(to[".csv"], csv_of(tidy_claims(given, judgements, files.scale)))
    write_text(to["_tests.csv"], csv_of(tidy_tests(given, judgements, files.scale)))
    write_text(to[".md"], markdown(given, judgements, files.scale))
    return f"{given.paper}: {counted(judgements)}"


def judge(given: Claims, cells: Cells, scores: Scores) -> list[Judgement]:
    """Test all claims, in their order; a score that is not there leaves its test undecided.

    Raises `UserError` if a cell or a condition is missing.
    """
    return [_judged(claim, cells, scores) for claim in given.claims]


def verdict(means: Sequence[Mean]) -> str:
    """`holds`, `fails` or `undecided`, of a claim with these tests (see above)."""
    if all(one.above() for one in means):
        return HOLDS
    return FAILS if any(one.negative.above(TAIL / len(means)) for one in means) else UNDECIDED


def spoken(means: Sequence[Mean]) -> tuple[str, str, Sequence[Mean]]:
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


def _judged(claim: Claim, cells: Cells, scores: Scores) -> Judgement:
    measured: dict[int, Mean] = {}
    reasons: dict[int, str] = {}
    for number, test in enumerate(claim.tests):
        if claim.unit == SCORE:
            try:
                measured[number] = _scored(test, scores)
            except UserError as error:
                reasons[number] = str(error)
        else:
            try:
                measured[number] = _counted(test, cells)
            except UserError as error:
                raise UserError(f"claim {claim.name}: {error}") from None
    results = {number: _result([one]) for number, one in measured.items()}
    for place, number in enumerate(sorted(results, key=lambda number: results[number].p_fails)):
        # Holm: never less than what came before it.
        corrected = min(results[number].p_fails * (len(results) - place), 1)
        before = max((one.p_fails_holm for one in results.values() if one.p_fails_holm is not None), default=0)
        results[number] = replace(results[number], p_fails_holm=max(corrected, before))
    missing = (
        f"{len(reasons)} of {len(claim.tests)} tests without a result: {min(reasons.items())[1]}" if reasons else ""
    )
    tests = [results.get(number) or Result(UNDECIDED, reason=reasons[number]) for number in range(len(claim.tests))]
    if not measured:
        return Judgement(claim, tests, Result(UNDECIDED, reason=missing), None)
    overall = _result(list(measured.values()))
    if reasons:
        held = overall.verdict in (HOLDS, HOLDS_HERE)
        overall = replace(overall, verdict=UNDECIDED if held else overall.verdict, p_holds=None, reason=missing)
    return Judgement(claim, tests, overall, min(measured, key=lambda number: results[number].effect))


def _result(means: Sequence[Mean]) -> Result:
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
    return Result(found, speaks_of, *(round(number, _PRECISION) for number in numbers), None, least.clips, least.seeds)


def _counted(test: Comparison, cells: Cells) -> Mean:
    """The effect in points, from right and wrong answers."""
    weights: dict[Reading, float] = {}
    offset = -test.by
    for side, sign in ((test.higher, 100.0), (test.lower, -100.0)):
        if not isinstance(side, Quantity):
            offset += sign / 100 * side
            continue
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
    ends = least - lower_greatest - test.by, greatest - lower_least - test.by
    clips = int((~np.isnan(effects)).any(axis=0).sum())
    if not np.isfinite(ends).all() and clips < FEWEST:
        raise UserError(f"too few clips to tell of a score without an end: {clips}, and {FEWEST} are needed")
    try:
        return mean(effects, *ends)
    except ValueError as error:
        raise UserError(f"{error}; make the scores again") from None


def tidy_claims(given: Claims, judgements: Iterable[Judgement], scale: str) -> pd.DataFrame:
    """One line per claim; `n` and `seeds` are those of the weakest test."""
    lines = (
        {
            "claim": one.claim.name,
            "section": one.claim.section,
            "sentence": one.claim.sentence,
            **_told(one.overall, one.claim.unit),
            "weakest": "" if one.weakest is None else one.claim.tests[one.weakest].label,
            "holding": one.held,
            "scale": scale,
            "source": _sources(given, one.claim),
            "note": _joined(one.claim.note, one.overall.reason),
        }
        for one in judgements
    )
    return pd.DataFrame(lines, columns=list(CLAIM_COLUMNS))


def tidy_tests(given: Claims, judgements: Iterable[Judgement], scale: str) -> pd.DataFrame:
    """One line per test, in the order of the claims."""
    lines = (
        {
            "claim": one.claim.name,
            "test": test.label,
            "dataset": test.dataset,
            **_told(result, test.unit),
            "scale": scale,
            "source": given.sources.get(test.dataset, ""),
            "note": result.reason,
        }
        for one in judgements
        for test, result in zip(one.claim.tests, one.tests, strict=True)
    )
    return pd.DataFrame(lines, columns=list(TEST_COLUMNS))


def _told(result: Result, unit: str) -> dict[str, object]:
    """What is written of a claim and of a test alike."""
    effect, low, high = _numbers(result, unit)
    values = {name: getattr(result, name) for name in ("p_holds", "p_fails", "p_fails_holm")}
    return {
        "verdict": result.verdict,
        "speaks_of": result.speaks_of,
        "effect": effect,
        "low": low,
        "high": high,
        "unit": unit,
        **{name: "" if value is None else f"{value:.3g}" for name, value in values.items()},
        "n": result.clips or "",
        "seeds": result.seeds or "",
    }


def markdown(given: Claims, judgements: Sequence[Judgement], scale: str) -> str:
    """The claims as a table for readers; warns if the clips are not the paper's."""
    lines = [
        f"# Claims of {given.citation or given.paper}",
        "",
        f"{counted(judgements)}. Scale `{scale}`.",
        "",
        "Effect of the weakest test [95 % interval, paired by clip and seed], in percentage points or in the score's",
        "unit. A claim holds if each of its tests does, with an interval above 0. It fails if one of them is below 0",
        "after Holm's correction for their number, with which the interval agrees. A tie, or an interval on both",
        "sides of 0, leaves it undecided. What is said `here`, of clips, is said of these trainings on other clips;",
        "what is said of other trainings too has three seeds or more behind it, and their spread in its interval.",
        "",
    ]
    lines += warning(
        given.sources.get(test.dataset, PUBLISHED_SOURCE) for one in judgements for test in one.claim.tests
    )
    rows = []
    for one in judgements:
        effect, low, high = _numbers(one.overall, one.claim.unit)
        weakest = "" if one.weakest is None else one.claim.tests[one.weakest].label
        shown = f"{effect} [{low}, {high}]" if effect else ""
        said = [one.claim.section, one.overall.verdict, one.overall.speaks_of, one.claim.sentence]
        rows.append([*said, shown, weakest, one.held])
    header = ["section", "verdict", "speaks of", "claim", "effect", "weakest test", "tests that hold"]
    lines += grid(header, rows, numbers=("effect", "tests that hold"))
    notes = [(one.claim.name, _joined(one.claim.note, one.overall.reason)) for one in judgements]
    if notes := [f"- {name}: {note}" for name, note in notes if note]:
        lines += ["", "Notes:", "", *notes]
    return "\n".join(lines) + "\n"


def counted(judgements: Sequence[Judgement]) -> str:
    """How many claims there are, and how many of each verdict that occurs."""
    verdicts = [one.overall.verdict for one in judgements]
    counts = [f"{verdicts.count(name)} {name}" for name in VERDICTS if name in verdicts]
    return f"{len(verdicts)} claims: {', '.join(counts)}" if counts else "no claims"


def _numbers(result: Result, unit: str) -> list[str]:
    values = (result.effect, result.low, result.high)
    decimals = _DECIMALS[unit]
    return ["" if value is None else f"{round(value, decimals) + 0.0:.{decimals}f}" for value in values]


def _sources(given: Claims, claim: Claim) -> str:
    found = (given.sources.get(test.dataset, "") for test in claim.tests)
    return ", ".join(sorted({source for source in found if source}))


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
