"""Claims of a paper: every claim is data, and cells and scores decide whether it holds.

A claim is as in claims.yaml, its tests as `avrobust.spec.notation.comparisons` gives them: `higher`, `lower`, `by`. A
side is a number or what to read: {"dataset", "variant", "attack", "budget", "steps", "of": one of `MEASURES`} takes
percentages of cells, {"dataset", "variant", "attack", "budget", "modality", "score": name} the mean of a score;
`surrogate` and `victim` may stand for the `variant` of cells. `of` may also be the cosine of the features, a score,
what the training of a net takes of each clip, a count, how often a model that answers in words misses a clip, what is
measured of a ranking, or of a net's classes. A test is read with each of the claim's `datasets` and `attacks`, the same
on both sides, where a side does not say its own. A test stays on one dataset, and a claim has one of percentages,
scores and counts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product

from avrobust.program import UserError
from avrobust.spec.budgets import strength
from avrobust.spec.conditions import CLEAN, Reading, place, reading
from avrobust.spec.kind import ANSWERS, CELLS, GEOMETRY, METRICS, SCORES, TRAININGS, Kind, Need
from avrobust.spec.measures import (
    CORRELATIONS,
    COSINE,
    COUNTED,
    MEASURES,
    MISSED,
    OF_CLASSES,
    OF_ONE_CONDITION,
    PERCENTAGES,
    RANKED,
    SELECTED,
)
from avrobust.spec.nets import Best, Nets, attacks, nets, pairs
from avrobust.spec.record import record
from avrobust.spec.scored import SCORED
from avrobust.spec.units import COUNT, POINTS, SCORE

# What a measure of one condition is read under where nothing is said.
BOTH = "both"
CLEAN_MEASURES = (*(name for name, measure in MEASURES.items() if measure.is_clean), *OF_CLASSES)
# What is read, where it is not told by an attack: of the training, of the classes.
WITHOUT_ATTACK = {**dict.fromkeys(COUNTED, "training"), **dict.fromkeys(OF_CLASSES, "geometry")}
# Each kind of measure is compared with its own.
OF_CLIPS, OF_RANKINGS, OF_GEOMETRY = "clips", "rankings", "classes"


@dataclass(frozen=True)
class Quantity:
    """One side of a test, complete: a measure `of` cells, or the mean of a `score` under `modality`.

    `modality` of a measure: where it is of one condition, and nothing for both. `strength`: what is printed for the
    budget.
    """

    dataset: str
    surrogate: str | Nets
    victim: str | Nets
    attack: str | Best
    budget: str = ""
    steps: int | None = None
    of: str = ""
    modality: str = ""
    score: str = ""
    strength: str = ""

    @property
    def unit(self) -> str:
        """`points`, `score` or `count`."""
        if self.of in COUNTED:
            return COUNT
        if self.of in (*RANKED, *OF_CLASSES):
            return POINTS if self.of in PERCENTAGES else SCORE
        return SCORE if self.of == COSINE or self.score else POINTS

    @property
    def kind(self) -> str:
        """What it is measured of: each clip, all clips in their order, the classes of a net."""
        return OF_RANKINGS if self.of in RANKED else OF_GEOMETRY if self.of in OF_CLASSES else OF_CLIPS

    @property
    def families(self) -> Sequence[str]:
        """The families of `avrobust.spec.kind` that it is computed from."""
        if self.of in CORRELATIONS:
            return METRICS, GEOMETRY
        special = {OF_RANKINGS: METRICS, OF_GEOMETRY: GEOMETRY}
        if self.kind in special:
            return (special[self.kind],)
        return (TRAININGS if self.of in COUNTED else ANSWERS if self.of == MISSED else CELLS if self.of else SCORES,)

    @property
    def each(self) -> Sequence["Quantity"]:
        """The same with each of several attacks of which the best is read; itself where there is one."""
        return [replace(self, attack=one) for one in self.attack.attacks] if isinstance(self.attack, Best) else [self]

    @property
    def clean(self) -> bool:
        """Whether nothing is attacked, so that the budget does not matter."""
        return self.modality == CLEAN.modality or self.of in COUNTED or self.of in CLEAN_MEASURES

    @property
    def places(self) -> list[Reading]:
        """What it is the mean of: one reading for each surrogate and victim."""
        read = {name: getattr(self, name) for name in ("dataset", "attack", "budget", "steps")}
        read["modality"] = CLEAN.modality if self.clean else self.modality or BOTH
        return [reading({**read, "surrogate": one, "victim": net}) for one, net in pairs(self.surrogate, self.victim)]

    @cached_property
    def readings(self) -> Mapping[Reading, float]:
        """What is read, with its weight."""
        return MEASURES[self.of].over(self.places)[0] if self.of in MEASURES else dict.fromkeys(self.places, 1.0)


Side = Quantity | float


@dataclass(frozen=True)
class Comparison:
    """higher > lower + by; at least one side is read.

    `selection`: how a net of it chooses the classes that alone are read, options of `selected_mixup`; none for all.
    """

    higher: Side
    lower: Side
    by: float
    label: str
    selection: Mapping = field(default_factory=dict, hash=False)

    @property
    def read(self) -> list[Quantity]:
        """The sides that are no numbers."""
        return [side for side in (self.higher, self.lower) if isinstance(side, Quantity)]

    @property
    def victims(self) -> list[str]:
        """The nets whose answers are read."""
        return [net for side in self.read for _, net in pairs(side.surrogate, side.victim)]

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
    """A claim before it is tested; `skipped` says why it cannot be, at this scale."""

    name: str
    section: str
    sentence: str
    tests: Sequence[Comparison]
    note: str = ""
    skipped: str = ""

    @property
    def unit(self) -> str:
        """The unit of all tests."""
        return self.tests[0].unit


@dataclass(frozen=True)
class Claims:
    """All claims of a paper; `names`: what datasets are called that are the user's own.

    `several`: those whose clips have several labels. `selections`: dataset/net -> how its training chooses the classes
    that it mixes.
    """

    paper: str
    claims: Sequence[Claim]
    citation: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    strengths: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    several: Sequence[str] = ()
    selections: Mapping[str, Mapping] = field(default_factory=dict)


@dataclass(frozen=True)
class _Spec:
    name: str
    section: str
    sentence: str
    tests: Sequence[Mapping]
    note: str = ""
    datasets: Sequence[str] = ()
    attacks: Sequence[str] = ()
    skipped: str = ""


@dataclass(frozen=True)
class _TestSpec:
    higher: object
    lower: object
    by: float = 0.0


def claims(spec: object) -> Claims:
    """Check claims that came as JSON (see above) and expand their tests; a `UserError` names what is wrong."""
    given = record(Claims, spec, "claims")
    found: list[Claim] = []
    for number, value in enumerate(given.claims, 1):
        claim = record(_Spec, value, f"claim {number}")
        where = f"claim {claim.name}"
        if claim.name in [other.name for other in found]:
            raise UserError(f"{where}: occurs twice")
        tests = list(dict.fromkeys(test for one in claim.tests for test in _tests(claim, one, given, where)))
        labels = [test.label for test in tests]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise UserError(f"{where}: two tests are called {twice[0]!r}; leave one out")
        if len({test.unit for test in tests}) > 1:
            raise UserError(f"{where}: has percentages and scores, which have no common minimum; make it two claims")
        found.append(Claim(claim.name, str(claim.section), claim.sentence, tuple(tests), claim.note, claim.skipped))
    return replace(given, claims=tuple(found))


def _tests(claim: _Spec, value: object, given: Claims, where: str) -> Iterator[Comparison]:
    test = record(_TestSpec, value, where)
    for dataset, attack in product(claim.datasets or [None], claim.attacks or [None]):
        common = {name: one for name, one in (("dataset", dataset), ("attack", attack)) if one is not None}
        sides = (_side(side, common, given.strengths, where) for side in (test.higher, test.lower))
        made = _test(*sides, test, given.names, where)
        yield replace(made, selection=_selection(made, given, where))


def _side(side: object, common: Mapping, strengths: Mapping[str, str], where: str) -> Side:
    return quantity_of({**common, **side}, strengths, where) if isinstance(side, Mapping) else float(side)


def quantity_of(value: Mapping, strengths: Mapping[str, str], where: str) -> Quantity:
    """Return what a mapping says to read, complete; a `UserError` says what is wrong."""
    told = place(value)
    told |= {name: nets(told[name]) for name in ("surrogate", "victim") if name in told}
    if told.get("of") in WITHOUT_ATTACK:
        told = {**told, "attack": WITHOUT_ATTACK[told["of"]]}
    quantity = record(Quantity, told | ({"attack": attacks(told["attack"])} if "attack" in told else {}), where)
    known = (*MEASURES, COSINE, *COUNTED, MISSED, *RANKED, *OF_CLASSES)
    if quantity.of in SCORED:
        raise UserError(f"{where}: {quantity.of} is a score of a modality; write {quantity.of}[audio], or [clean]")
    if quantity.of and quantity.of not in known:
        raise UserError(
            f"{where}: {quantity.of!r} is none of {', '.join(known)}, and no score of a modality: {', '.join(SCORED)}"
        )
    if quantity.of and quantity.modality and quantity.of not in (*OF_ONE_CONDITION, COSINE, *RANKED):
        raise UserError(
            f"{where}: {quantity.of}[{quantity.modality}]: it is of modalities of its own; leave the other out"
        )
    if quantity.score and (quantity.surrogate != quantity.victim or isinstance(quantity.victim, Nets)):
        raise UserError(f"{where}: a score is of a net's own gradients, not of {quantity.surrogate}'s; got {value}")
    if quantity.kind != OF_CLIPS and isinstance(quantity.attack, Best):
        raise UserError(f"{where}: {quantity.of} is of one attack, not of the {quantity.attack}; name one")
    if quantity.clean:
        return replace(quantity, budget="", steps=None)
    if not quantity.budget:
        raise UserError(f"{where}: budget must be given, for {value}")
    return replace(quantity, strength=strength(quantity.budget, strengths))


def _test(higher: Side, lower: Side, spec: _TestSpec, names: Mapping[str, str], where: str) -> Comparison:
    test = Comparison(higher, lower, float(spec.by), "")
    if not test.read:
        raise UserError(f"{where}: a test of two numbers, {higher:g} and {lower:g}, reads nothing")
    if len({(side.dataset, side.unit, side.kind) for side in test.read}) > 1:
        both = " and ".join(f"{name_of(side, '')} on {side.dataset}" for side in test.read)
        raise UserError(
            f"{where}: {both} cannot be compared clip by clip; a test has one dataset and one kind of measure"
        )
    if len({(side.of == MISSED, side.of == MISSED and side.surrogate) for side in test.read}) > 1:
        raise UserError(f"{where}: answers in words are compared with such to clips of the same surrogate, or a number")
    # The attack only names the file that clean clips are read from.
    made_by = {str(side.attack) for side in test.read if not side.clean}
    attack = made_by.pop() if len(made_by) == 1 else ""
    margin = f" {'+' if test.by > 0 else '-'} {abs(test.by):g}" if test.by else ""
    said = f"{name_of(higher, attack)} > {name_of(lower, attack)}{margin}"
    place = ", ".join(filter(None, (names.get(test.dataset, test.dataset), attack)))
    return Comparison(higher, lower, test.by, f"{place}: {said}")


def _selection(test: Comparison, given: Claims, where: str) -> Mapping:
    """How the classes are chosen that alone are read; none where all are."""
    selecting = {side.of.endswith(SELECTED) for side in test.read if side.of in OF_CLASSES}
    if selecting <= {False}:
        return {}
    found = [given.selections[place] for net in test.victims if (place := f"{test.dataset}/{net}") in given.selections]
    if len(selecting) > 1 or not found or any(one != found[0] for one in found):
        raise UserError(
            f"{where}: {test.label}: {SELECTED.removeprefix('_')} classes are those of one net of the test that is "
            "trained by selected_mixup, on both sides"
        )
    return found[0]


def name_of(side: Side, attack: str) -> str:
    """What is read, for labels; the attack is left out where it is `attack`, which the reader knows already."""
    if not isinstance(side, Quantity):
        return f"{side:g}"
    words = [str(side.victim), side.of or side.score, side.modality]
    if not side.clean:
        made = [
            str(side.attack) * (str(side.attack) != attack),
            f"of {side.surrogate}" * (side.surrogate != side.victim),
        ]
        made = " ".join(filter(None, made))
        steps = f"in {side.steps} steps" if side.steps else ""
        words += [f"at {side.strength}", steps, f"({made})" if made else ""]
    return " ".join(filter(None, words))


def needs(given: Claims) -> Iterator[Need]:
    """The cells of percentages, scores of whichever artefact has them, trainings that are counted, answers in words.

    And what was measured of rankings and of classes.
    """
    for claim in given.claims:
        for side in (side for test in claim.tests for side in test.read if not claim.skipped):
            for family in side.families:
                readings = (one for of in side.each for one in of.readings)
                yield from (Need(family, one, part=f"claim {claim.name}") for one in readings)
        for test in (test for test in claim.tests if test.selection and not claim.skipped):
            net = test.selection["geometry"]
            yield Need(GEOMETRY, Reading(test.dataset, net, net, "geometry", CLEAN), part=f"claim {claim.name}")


CLAIMS = Kind(
    shown=(".csv",),
    others=("_tests.csv", ".md"),
    reads=("cells", "scores", "trainings", "answers", "synonyms", "metrics", "geometry"),
    parse=claims,
    needs=needs,
    facts=("paper", "citation", "sources", "strengths", "names", "several", "selections"),
    stacked=True,
)
