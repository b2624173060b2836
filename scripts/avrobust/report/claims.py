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

What a verdict means. The effect of a test is higher - lower - by, in percentage points or in the score's own unit, with
a 95 % interval by the two-level bootstrap of `avrobust.metrics.bootstrap`, paired by clip and by seed:

    holds      the whole interval is above 0
    fails      the effect is below 0, and nothing of the interval is above 0
    undecided  anything else: too few clips to tell, a tie, or a score that is not there

A tie is no evidence against a claim: where both sides recognise nothing, the next clip could speak for either. So an
effect of exactly 0 never fails, and a rate of exactly 0 or 100 % moves the ends of its test's interval outwards by the
rule of three, as if it could still be 3 / n. Scores that depend on other clips, as silhouettes do, are resampled as
they stand: their intervals leave out that the others would be other clips too.

A claim with several tests claims all of them, so its effect is the smallest of theirs. Its interval goes from the
lower end of the minimum over its tests, all resampled together (tests of one dataset see the same draws, datasets
independent ones), to the smallest of their upper ends. It holds if that is above 0 (every test holds then), fails if
one of its tests fails, and is undecided otherwise. The minimum of many noisy numbers is low, which makes `holds` the
harder the more tests there are; nothing protects `fails` likewise: of forty true effects of 0, about one fails by
chance.

With one seed all this speaks about other clips, not about other trainings; with a few seeds, hardly about them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np

from avrobust.csv_text import write_csv_text
from avrobust.metrics.bootstrap import interval, resampled_means
from avrobust.metrics.rows import Cells, Condition
from avrobust.metrics.scores import Score, Scores
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
POINTS, SCORE = "points", "score"
_DECIMALS = {POINTS: 2, SCORE: 4}

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

    `clips` and `seeds` are those of the (weakest) test; `reason` says why nothing was measured, or what is missing.
    """

    verdict: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
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
        return sum(result.verdict == HOLDS for result in self.tests)


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


@dataclass(frozen=True)
class _Measured:
    """A test's effect by clip, (seeds, clips), NaN where there is none.

    The rule of three lets the effect be `below` (<= 0) or `above` (>= 0) away from what was measured.
    """

    effects: np.ndarray
    below: float = 0.0
    above: float = 0.0


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


def verdict(effect: float, low: float, high: float) -> str:
    """`holds`, `fails` or `undecided`, of one test (see above)."""
    if low > 0:
        return HOLDS
    return FAILS if effect < 0 and high <= 0 else UNDECIDED


def _judged(claim: Claim, cells: Cells, scores: Scores) -> Judgement:
    measured: dict[int, _Measured] = {}
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
    replicates = _replicates(claim, measured)
    for number in [number for number, column in replicates.items() if not np.isfinite(column).all()]:
        held = int(np.isfinite(measured[number].effects).any(axis=0).sum())
        reasons[number] = f"only {held} of {measured[number].effects.shape[1]} clips have a value"
        del replicates[number]
    results = [
        _result(measured[number], replicates[number])
        if number in replicates
        else Result(UNDECIDED, reason=reasons[number])
        for number in range(len(claim.tests))
    ]
    return _together(claim, results, replicates)


def _counted(test: Comparison, cells: Cells) -> _Measured:
    """The effect on each clip in points, from right and wrong answers."""
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
    outcomes = cells.outcomes(list(weights))
    effects = np.tensordot(list(weights.values()), outcomes.correct.astype(np.float64), axes=1) + offset
    below = above = 0.0
    # Rule of three: a rate of 0 may be 3 / n, one of 1 may be 1 - 3 / n; each moves the effect its own way.
    for weight, rate in zip(weights.values(), outcomes.correct.mean(axis=(1, 2)), strict=True):
        if rate in (0, 1):
            move = (weight if rate == 0 else -weight) * min(3 / outcomes.clips, 1)
            below, above = below + min(move, 0), above + max(move, 0)
    return _Measured(effects, below, above)


def _scored(test: Comparison, scores: Scores) -> _Measured:
    """The effect on each clip that has a value on both sides, in the score's own unit."""
    values = scores.values(
        [Score(one.dataset, one.variant, one.attack, one.modality, one.score, one.epsilon) for one in test.read]
    ).values
    by_side = dict(zip(test.read, values, strict=True))
    higher, lower = (by_side.get(side, side) for side in (test.higher, test.lower))
    effects = np.asarray(higher - lower - test.by, np.float64)
    if np.isnan(effects).all():
        raise UserError(f"no clip has a value of {' and '.join(_name(side, '') for side in test.read)}")
    below = above = 0.0
    for side, sign in ((higher, 1), (lower, -1)):
        if isinstance(side, np.ndarray):
            down, up = _rule_of_three(side, sign)
            below, above = below + down, above + up
    return _Measured(effects, below, above)


def _rule_of_three(values: np.ndarray, sign: int) -> tuple[float, float]:
    """How far a mean of noes and yeses that are all alike could still move the effect, down and up."""
    held = values[~np.isnan(values)]
    if not held.size or not np.isin(held, (0, 1)).all() or held.min() != held.max():
        return 0.0, 0.0
    clips = int((~np.isnan(values)).any(axis=0).sum())
    move = sign * (1 if held[0] == 0 else -1) * min(3 / clips, 1)
    return min(move, 0), max(move, 0)


def _replicates(claim: Claim, measured: Mapping[int, _Measured]) -> dict[int, np.ndarray]:
    """The effect of each measured test in resampled worlds, (resamples,), paired within a dataset."""
    # The first dataset gets the draws that tables use, so that an RI has one interval everywhere.
    seeds = {dataset: seed for seed, dataset in enumerate(dict.fromkeys(test.dataset for test in claim.tests))}
    replicates = {}
    groups: dict[tuple, list[int]] = {}
    for number, one in measured.items():
        groups.setdefault((claim.tests[number].dataset, one.effects.shape), []).append(number)
    for (dataset, _), numbers in groups.items():
        effects = np.stack([measured[number].effects for number in numbers])
        held = ~np.isnan(effects)
        means = resampled_means(np.where(held, effects, 0), seed=seeds[dataset])
        if not held.all():
            with np.errstate(invalid="ignore"):  # a world without any such clip
                means = means / resampled_means(held, seed=seeds[dataset])
        replicates |= dict(zip(numbers, means.T, strict=True))
    return dict(sorted(replicates.items()))


def _result(measured: _Measured, replicates: np.ndarray) -> Result:
    effect = round(float(np.nanmean(measured.effects)), _PRECISION)
    low, high = (round(float(end), _PRECISION) for end in interval(replicates))
    low, high = (round(end, _PRECISION) for end in (low + measured.below, high + measured.above))
    seeds, _ = measured.effects.shape
    clips = int(np.isfinite(measured.effects).any(axis=0).sum())
    return Result(verdict(effect, low, high), effect, low, high, clips, seeds)


def _together(claim: Claim, results: Sequence[Result], replicates: Mapping[int, np.ndarray]) -> Judgement:
    missing = [result.reason for result in results if result.effect is None]
    reason = f"{len(missing)} of {len(results)} tests without a result: {missing[0]}" if missing else ""
    if not replicates:
        return Judgement(claim, tuple(results), Result(UNDECIDED, reason=reason), None)
    weakest = min(replicates, key=lambda number: results[number].effect)
    least = results[weakest]
    low, _ = interval(np.min(list(replicates.values()), axis=0))
    # Not the minimum's own upper end, which many noisy tests press below their smallest effect.
    low = min(round(float(low), _PRECISION), *(results[number].low for number in replicates))
    high = min(results[number].high for number in replicates)
    if any(result.verdict == FAILS for result in results):
        together = FAILS
    else:
        together = HOLDS if low > 0 and not missing else UNDECIDED
    overall = Result(together, least.effect, low, high, least.clips, least.seeds, reason)
    return Judgement(claim, tuple(results), overall, weakest)


def csv_of_claims(given: Claims, judgements: Iterable[Judgement], scale: str) -> str:
    """One line per claim; `n` and `seeds` are those of the weakest test."""
    header = ["claim", "section", "sentence", "verdict", "effect", "low", "high", "unit", "weakest", "holding"]
    header += ["n", "seeds", "scale", "source", "note"]
    lines = (
        [
            one.claim.name,
            one.claim.section,
            one.claim.sentence,
            one.overall.verdict,
            *_numbers(one.overall, one.claim.unit),
            one.claim.unit,
            "" if one.weakest is None else one.claim.tests[one.weakest].label,
            f"{one.holding} of {len(one.tests)}",
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
    header = ["claim", "test", "dataset", "verdict", "effect", "low", "high", "unit"]
    header += ["n", "seeds", "scale", "source", "note"]
    lines = (
        [
            one.claim.name,
            test.label,
            test.dataset,
            result.verdict,
            *_numbers(result, test.unit),
            test.unit,
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
    counts = ", ".join(
        f"{sum(one.overall.verdict == name for one in judgements)} {name}" for name in (HOLDS, FAILS, UNDECIDED)
    )
    lines = [
        f"# Claims of {given.citation or given.paper}",
        "",
        f"{len(judgements)} claims: {counts}. Scale `{scale}`.",
        "",
        "Effect of the weakest test [95 % interval by a paired bootstrap over clips and seeds], in percentage points",
        "or in the unit of the score. A claim holds if that interval is above 0, and fails if one of its tests fails,",
        "which is one whose interval is below 0. A tie, or an interval on both sides of 0, leaves it undecided. With",
        "one seed an interval speaks about other clips, not about other trainings.",
        "",
    ]
    used = {given.sources.get(test.dataset, PUBLISHED_SOURCE) for one in judgements for test in one.claim.tests}
    if others := sorted(used - {PUBLISHED_SOURCE}):
        lines += [WARNING.format(sources=" and ".join(SOURCES[source] for source in others)), ""]
    lines.append(_line(["section", "verdict", "claim", "effect", "weakest test", "tests that hold"]))
    lines.append(_line(["---", "---", "---", "---:", "---", "---:"]))
    for one in judgements:
        effect, low, high = _numbers(one.overall, one.claim.unit)
        weakest = "" if one.weakest is None else one.claim.tests[one.weakest].label
        shown = f"{effect} [{low}, {high}]" if effect else ""
        holding = f"{one.holding} of {len(one.tests)}"
        lines.append(_line([one.claim.section, one.overall.verdict, one.claim.sentence, shown, weakest, holding]))
    notes = [(one.claim.name, _joined(one.claim.note, one.overall.reason)) for one in judgements]
    if notes := [f"- {name}: {note}" for name, note in notes if note]:
        lines += ["", "Notes:", "", *notes]
    return "\n".join(lines) + "\n"


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
