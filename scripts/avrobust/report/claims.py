"""Claims of a paper, tested: every claim is data, and cells and scores decide whether it holds.

The claims are a JSON object:

    paper, citation  key and name of the paper
    sources          where the clips of each dataset come from, as in `avrobust.report.tables`
    claims           [{"name": "audio_visual_better_clean", "section": "4.3", "sentence": "...", "note": "...",
                       "datasets": ["music", "ave"], "attacks": ["fgsm"],
                       "tests": [{"higher": Q, "lower": Q, "by": 0.0, "label": "..."}, ...]}, ...]

Q is a number or what to read: {"dataset", "variant", "attack", "epsilon", "of": measure} takes percentages of cells,
{"dataset", "variant", "attack", "epsilon", "modality", "score": name} the mean of a score. The measures are those of
`MEASURES`. A test is read with each of the claim's `datasets` and `attacks`, the same on both sides, where Q does not
say its own. A test stays on one dataset, and a claim has either percentages or scores.

What a verdict means. The effect of a test is higher - lower - by, in percentage points or in the score's own unit,
paired by clip and by seed, with the 95 % interval of `avrobust.metrics.bootstrap`; for two accuracies of one seed that
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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np

from avrobust.csv_text import write_csv_text
from avrobust.metrics.bootstrap import MANY_SEEDS, TAIL, Mean, mean
from avrobust.metrics.rows import Cells, Condition
from avrobust.metrics.scores import Score, Scores, bounds
from avrobust.program import UserError
from avrobust.report.spec import record
from avrobust.report.text import PUBLISHED_SOURCE, SOURCES, WARNING

_THIRD = 1 / 3
# Percentages by name: weights of the accuracies under each modality.
MEASURES: Mapping[str, Mapping[str, float]] = {
    "clean": {"clean": 1},
    "X_A": {"audio": 1},
    "X_V": {"visual": 1},
    "X_AV": {"both": 1},
    "Avg": {"audio": _THIRD, "visual": _THIRD, "both": _THIRD},
    # Section 4.6 of Tian & Xu: their RI is the difference of two of these.
    "total": {"clean": 1, "audio": _THIRD, "visual": _THIRD, "both": _THIRD},
    # How much better a net does without its sound than without its frame.
    "visual_bias": {"audio": 1, "visual": -1},
}
HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"
# Of these trainings, on other clips.
HOLDS_HERE, FAILS_HERE = f"{HOLDS} here", f"{FAILS} here"
VERDICTS = (HOLDS, FAILS, HOLDS_HERE, FAILS_HERE, UNDECIDED)
CLIPS, TRAININGS = "clips", "clips and trainings"
POINTS, SCORE = "points", "score"
_DECIMALS = {POINTS: 2, SCORE: 4}

# Of a score without an end the extremes seen stand for it, so that an effect that all clips have is beyond doubt. By
# chance alone fewer clips than these lie on one side of 0 more often than `TAIL`: 0.5**5 is 3.1 %.
FEWEST = 6

# Sums of thirds are exact to here; what is nearer to 0 is 0.
_PRECISION = 9


@dataclass(frozen=True)
class Quantity:
    """One side of a test, complete: a measure `of` cells, or the mean of a `score` under `modality`."""

    dataset: str
    variant: str
    attack: str
    epsilon: float = 0.0
    of: str = ""
    modality: str = ""
    score: str = ""

    @property
    def unit(self) -> str:
        """`points` or `score`."""
        return POINTS if self.of else SCORE

    @property
    def clean(self) -> bool:
        """Whether nothing is attacked, so that the epsilon does not matter."""
        return "clean" in (self.of, self.modality)


Side = Quantity | float


@dataclass(frozen=True)
class Comparison:
    """higher > lower + by; at least one side is read."""

    higher: Side
    lower: Side
    by: float
    label: str

    @property
    def read(self) -> list[Quantity]:
        """The sides that are no numbers."""
        return [side for side in (self.higher, self.lower) if isinstance(side, Quantity)]

    @property
    def dataset(self) -> str:
        """The dataset of both sides."""
        return self.read[0].dataset

    @property
    def unit(self) -> str:
        """The unit of both sides."""
        return self.read[0].unit


@dataclass(frozen=True)
class Claim:
    """A claim before it is tested."""

    name: str
    section: str
    sentence: str
    tests: Sequence[Comparison]
    note: str = ""

    @property
    def unit(self) -> str:
        """The unit of all tests."""
        return self.tests[0].unit


@dataclass(frozen=True)
class Claims:
    """All claims of a paper."""

    paper: str
    claims: Sequence[Claim]
    citation: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)


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


@dataclass(frozen=True)
class _Spec:
    name: str
    section: str
    sentence: str
    tests: Sequence[Mapping]
    note: str = ""
    datasets: Sequence[str] = ()
    attacks: Sequence[str] = ()


@dataclass(frozen=True)
class _TestSpec:
    higher: object
    lower: object
    by: float = 0.0
    label: str = ""


def claims(spec: object) -> Claims:
    """Check claims that came as JSON (see above) and expand their tests; a `UserError` names what is wrong."""
    given = record(Claims, spec, "claims")
    found: list[Claim] = []
    for number, value in enumerate(given.claims, 1):
        claim = record(_Spec, value, f"claim {number}")
        where = f"claim {claim.name}"
        if claim.name in [other.name for other in found]:
            raise UserError(f"{where}: occurs twice")
        tests = list(dict.fromkeys(test for one in claim.tests for test in _tests(claim, one, where)))
        if not tests:
            raise UserError(f"{where}: has no tests")
        labels = [test.label for test in tests]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise UserError(f"{where}: two tests are called {twice[0]!r}; leave the label out, or name each its own")
        if len({test.unit for test in tests}) > 1:
            raise UserError(f"{where}: has percentages and scores, which have no common minimum; make it two claims")
        found.append(Claim(claim.name, str(claim.section), claim.sentence, tuple(tests), claim.note))
    return Claims(given.paper, tuple(found), given.citation, given.sources)


def _tests(claim: _Spec, value: object, where: str) -> Iterator[Comparison]:
    test = record(_TestSpec, value, where)
    for dataset, attack in product(claim.datasets or [None], claim.attacks or [None]):
        place = {name: one for name, one in (("dataset", dataset), ("attack", attack)) if one is not None}
        yield _test(_side(test.higher, place, where), _side(test.lower, place, where), test, where)


def _side(side: object, place: Mapping, where: str) -> Side:
    if isinstance(side, Mapping):
        return _quantity({**place, **side}, where)
    if isinstance(side, int | float) and not isinstance(side, bool):
        return float(side)
    raise UserError(f"{where}: a test compares numbers and JSON objects, got {side!r}")


def _quantity(value: Mapping, where: str) -> Quantity:
    quantity = record(Quantity, value, where)
    if bool(quantity.of) == bool(quantity.score):
        raise UserError(f"{where}: needs either `of` or `score`, got {value}")
    if quantity.of and quantity.of not in MEASURES:
        raise UserError(f"{where}: {quantity.of!r} is none of {', '.join(MEASURES)}")
    if bool(quantity.score) != bool(quantity.modality):
        raise UserError(f"{where}: a score, and nothing else, needs a modality; got {value}")
    if quantity.clean:
        return replace(quantity, epsilon=0.0)
    if "epsilon" not in value:
        raise UserError(f"{where}: epsilon must be given, for {value}")
    if isinstance(quantity.epsilon, bool) or not isinstance(quantity.epsilon, int | float):
        raise UserError(f"{where}: epsilon must be a number, got {quantity.epsilon!r}")
    return quantity


def _test(higher: Side, lower: Side, spec: _TestSpec, where: str) -> Comparison:
    test = Comparison(higher, lower, float(spec.by), "")
    if not test.read:
        raise UserError(f"{where}: a test of two numbers, {higher:g} and {lower:g}, reads nothing")
    if len({(side.dataset, side.unit) for side in test.read}) > 1:
        both = " and ".join(f"{_name(side, '')} on {side.dataset}" for side in test.read)
        raise UserError(
            f"{where}: {both} cannot be compared clip by clip; a test has one dataset and one kind of measure"
        )
    # The attack only names the file that clean clips are read from.
    attacks = {side.attack for side in test.read if not side.clean}
    attack = attacks.pop() if len(attacks) == 1 else ""
    margin = f" {'+' if test.by > 0 else '-'} {abs(test.by):g}" if test.by else ""
    said = spec.label or f"{_name(higher, attack)} > {_name(lower, attack)}{margin}"
    return Comparison(higher, lower, test.by, f"{', '.join(filter(None, (test.dataset, attack)))}: {said}")


def _name(side: Side, attack: str) -> str:
    """What is read, for labels; the attack is left out where it is `attack`, which the reader knows already."""
    if not isinstance(side, Quantity):
        return f"{side:g}"
    words = [side.variant, side.of or side.score, side.modality]
    if not side.clean:
        words += [f"at {side.epsilon:g}", "" if side.attack == attack else f"({side.attack})"]
    return " ".join(filter(None, words))


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
    weights: dict[Condition, float] = {}
    offset = -test.by
    for side, sign in ((test.higher, 100.0), (test.lower, -100.0)):
        if not isinstance(side, Quantity):
            offset += sign / 100 * side
            continue
        for modality, weight in MEASURES[side.of].items():
            epsilon = 0.0 if modality == "clean" else side.epsilon
            condition = Condition(side.dataset, side.variant, side.attack, modality, epsilon)
            weights[condition] = weights.get(condition, 0.0) + sign * weight
    return cells.outcomes(list(weights)).combined(list(weights.values()), offset)


def _scored(test: Comparison, scores: Scores) -> Mean:
    """The effect in the score's own unit, of the clips that have a value on both sides."""
    values = scores.values(
        [Score(one.dataset, one.variant, one.attack, one.modality, one.score, one.epsilon) for one in test.read]
    ).values
    by_side = dict(zip(test.read, values, strict=True))
    higher, lower = (by_side.get(side, side) for side in (test.higher, test.lower))
    effects = np.asarray(higher - lower - test.by, np.float64)
    if np.isnan(effects).all():
        raise UserError(f"no clip has a value of {' and '.join(_name(side, '') for side in test.read)}")
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


def csv_of_claims(given: Claims, judgements: Iterable[Judgement], scale: str) -> str:
    """One line per claim; `n` and `seeds` are those of the weakest test."""
    header = ["claim", "section", "sentence", "verdict", "speaks_of", "effect", "low", "high", "unit"]
    header += ["p_holds", "p_fails", "weakest", "holding", "n", "seeds", "scale", "source", "note"]
    lines = (
        [
            one.claim.name,
            one.claim.section,
            one.claim.sentence,
            one.overall.verdict,
            one.overall.speaks_of,
            *_numbers(one.overall, one.claim.unit),
            one.claim.unit,
            *map(_probability, (one.overall.p_holds, one.overall.p_fails)),
            "" if one.weakest is None else one.claim.tests[one.weakest].label,
            one.held,
            one.overall.clips or "",
            one.overall.seeds or "",
            scale,
            _sources(given, one.claim),
            _joined(one.claim.note, one.overall.reason),
        ]
        for one in judgements
    )
    return write_csv_text(header, lines)


def csv_of_tests(given: Claims, judgements: Iterable[Judgement], scale: str) -> str:
    """One line per test, in the order of the claims."""
    header = ["claim", "test", "dataset", "verdict", "speaks_of", "effect", "low", "high", "unit"]
    header += ["p_holds", "p_fails", "p_fails_holm", "n", "seeds", "scale", "source", "note"]
    lines = (
        [
            one.claim.name,
            test.label,
            test.dataset,
            result.verdict,
            result.speaks_of,
            *_numbers(result, test.unit),
            test.unit,
            *map(_probability, (result.p_holds, result.p_fails, result.p_fails_holm)),
            result.clips or "",
            result.seeds or "",
            scale,
            given.sources.get(test.dataset, ""),
            result.reason,
        ]
        for one in judgements
        for test, result in zip(one.claim.tests, one.tests, strict=True)
    )
    return write_csv_text(header, lines)


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
    used = {given.sources.get(test.dataset, PUBLISHED_SOURCE) for one in judgements for test in one.claim.tests}
    if others := sorted(used - {PUBLISHED_SOURCE}):
        lines += [WARNING.format(sources=" and ".join(SOURCES[source] for source in others)), ""]
    lines.append(_line(["section", "verdict", "speaks of", "claim", "effect", "weakest test", "tests that hold"]))
    lines.append(_line(["---", "---", "---", "---", "---:", "---", "---:"]))
    for one in judgements:
        effect, low, high = _numbers(one.overall, one.claim.unit)
        weakest = "" if one.weakest is None else one.claim.tests[one.weakest].label
        shown = f"{effect} [{low}, {high}]" if effect else ""
        said = [one.claim.section, one.overall.verdict, one.overall.speaks_of, one.claim.sentence]
        lines.append(_line([*said, shown, weakest, one.held]))
    notes = [(one.claim.name, _joined(one.claim.note, one.overall.reason)) for one in judgements]
    if notes := [f"- {name}: {note}" for name, note in notes if note]:
        lines += ["", "Notes:", "", *notes]
    return "\n".join(lines) + "\n"


def counted(judgements: Sequence[Judgement]) -> str:
    """How many claims there are, and how many of each verdict that occurs."""
    verdicts = [one.overall.verdict for one in judgements]
    counts = [f"{verdicts.count(name)} {name}" for name in VERDICTS if name in verdicts]
    return f"{len(verdicts)} claims: {', '.join(counts)}" if counts else "no claims"


def _probability(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _numbers(result: Result, unit: str) -> list[str]:
    values = (result.effect, result.low, result.high)
    decimals = _DECIMALS[unit]
    return ["" if value is None else f"{round(value, decimals) + 0.0:.{decimals}f}" for value in values]


def _sources(given: Claims, claim: Claim) -> str:
    found = (given.sources.get(test.dataset, "") for test in claim.tests)
    return ", ".join(sorted({source for source in found if source}))


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
