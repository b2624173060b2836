"""What hangs on a paper's choices: a few headline numbers, each read again under every alternative.

A headline number is a mean of measures of cells, or that less another mean. An alternative is names in the place of
others: of attacks, nets or measures, wherever a number reads them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from avrobust.program import UserError
from avrobust.spec.artefacts.claims import quantity_of
from avrobust.spec.conditions import CLEAN, Reading
from avrobust.spec.kind import CELLS, GEOMETRY, METRICS, Kind, Need
from avrobust.spec.measures import CORRELATIONS, MEASURES, PERCENTAGES, RANKED
from avrobust.spec.nets import Best
from avrobust.spec.record import record
from avrobust.spec.units import PERCENT, POINTS, SCORE


@dataclass(frozen=True)
class Term:
    """`weight` times a measure, as the mean of what it is at each of `readings`."""

    weight: float
    measure: str
    readings: tuple[Reading, ...]

    @property
    def needed(self) -> Iterator[tuple[str, Reading]]:
        """What it is computed from, each by its family."""
        if self.measure in RANKED:
            families = (METRICS, GEOMETRY) if self.measure in CORRELATIONS else (METRICS,)
            yield from ((family, one) for family in families for one in self.readings)
            return
        yield from ((CELLS, one) for one in MEASURES[self.measure].over(self.readings)[0])
        if MEASURES[self.measure].if_recognised:
            yield from ((CELLS, one._replace(condition=CLEAN)) for one in self.readings)

    def instead(self, names: Mapping[str, str]) -> "Term":
        """The same with other names for attacks, nets and measures."""
        readings = (
            one._replace(**{part: names.get(getattr(one, part), getattr(one, part)) for part in NAMED})
            for one in self.readings
        )
        return Term(self.weight, names.get(self.measure, self.measure), tuple(readings))


NAMED = ("surrogate", "victim", "attack")


@dataclass(frozen=True)
class Headline:
    """A number of a paper: the sum of its terms, in per cent, or in points where something is taken away.

    Of rankings what is no percentage is a score, as the measure is defined.
    """

    name: str
    says: str
    terms: tuple[Term, ...]

    @property
    def is_difference(self) -> bool:
        """Whether something is taken away."""
        return any(term.weight < 0 for term in self.terms)

    @property
    def unit(self) -> str:
        """What it is counted in."""
        if any(term.measure in RANKED and term.measure not in PERCENTAGES for term in self.terms):
            return SCORE
        return POINTS if self.is_difference else PERCENT

    @property
    def names(self) -> set[str]:
        """The attacks, nets and measures that it reads."""
        places = {getattr(one, part) for term in self.terms for one in term.readings for part in NAMED}
        return places | {term.measure for term in self.terms}

    def instead(self, names: Mapping[str, str]) -> "Headline":
        """The same number with other names; equal to this one if it reads none of them."""
        return replace(self, terms=tuple(term.instead(names) for term in self.terms))


@dataclass(frozen=True)
class Run:
    """An alternative of a choice: the names that take the place of others.

    `headlines`: those that are read under it, all where nothing is said.
    """

    choice: str
    alternative: str
    instead: Mapping[str, str]
    headlines: Sequence[str] = ()
    note: str = ""


@dataclass(frozen=True)
class Layout:
    """What is varied.

    `taken`: choice -> what this run has. `unchanged`: attacks, each with one in its place that is the same here.
    """

    paper: str
    dataset: str
    headlines: Sequence[Headline]
    runs: Sequence[Run]
    taken: Mapping[str, str]
    unchanged: Sequence[Sequence[str]] = ()
    citation: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, Mapping[str, Sequence]] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def is_taken(self, run: Run) -> bool:
        """Whether an alternative is what this run has anyway."""
        if self.taken[run.choice] == run.alternative:
            return True
        return all([old, new] in [list(pair) for pair in self.unchanged] for old, new in run.instead.items())

    def under(self, run: Run, headline: Headline) -> Headline | None:
        """The number under an alternative; None where it is not read, or not changed."""
        if self.is_taken(run) or (run.headlines and headline.name not in run.headlines):
            return None
        changed = headline.instead(run.instead)
        return None if changed == headline else changed


def layout(spec: object) -> Layout:
    """Return the layout that came as JSON; a `UserError` says what is wrong."""
    whole = record(Layout, spec, "alternatives")
    headlines = tuple(_headline(value, whole.dataset) for value in whole.headlines)
    runs = tuple(record(Run, value, f"run {number}") for number, value in enumerate(whole.runs, 1))
    known = [one.name for one in headlines]
    for run in runs:
        where = f"{run.choice}: {run.alternative}"
        if unknown := [name for name in run.headlines if name not in known]:
            raise UserError(f"{where}: headlines: {unknown[0]!r} is none of {', '.join(known)}")
        read = {name for headline in headlines for name in headline.names}
        if unknown := [name for name in run.instead if name not in read]:
            raise UserError(f"{where}: no headline number reads {unknown[0]}")
        measures = {term.measure for headline in headlines for term in headline.terms}
        for old, new in run.instead.items():
            known_of = RANKED if old in RANKED else tuple(MEASURES)
            if old in measures and new not in known_of:
                raise UserError(f"{where}: {new!r} is none of {', '.join(known_of)}")
    places = [(run.choice, run.alternative) for run in runs]
    if twice := next((place for place in places if places.count(place) > 1), None):
        raise UserError(f"{twice[0]}: {twice[1]} stands there twice")
    return replace(whole, headlines=headlines, runs=runs)


def _headline(value: Mapping, dataset: str) -> Headline:
    where = f"headline {value['name']}"
    terms = []
    for side, sign in (("of", 1.0), ("less", -1.0)):
        told = value.get(side, ())
        for one in told:
            if not isinstance(one, Mapping):
                raise UserError(f"{where}: {one} reads nothing")
            read = quantity_of({"dataset": dataset, **one}, {}, where)
            if read.of not in (*MEASURES, *RANKED) or isinstance(read.attack, Best):
                raise UserError(f"{where}: {one} is no measure of one attack: {', '.join((*MEASURES, *RANKED))}")
            terms.append(Term(sign / len(told), read.of, tuple(read.places)))
    if len({(term.measure in RANKED, term.measure in PERCENTAGES) for term in terms}) > 1:
        raise UserError(f"{where}: what is measured of rankings is no sum with other measures; make it two headlines")
    return Headline(value["name"], value["says"], tuple(terms))


def needs(given: Layout) -> Iterator[Need]:
    """The cells of every number, as this run has it and under each alternative that changes it."""
    for headline in given.headlines:
        changed = ((f"{run.choice}: {run.alternative}", given.under(run, headline)) for run in given.runs)
        for part, one in chain([(f"headline {headline.name}", headline)], changed):
            for term in one.terms if one else ():
                yield from (Need(family, reading, part=part) for family, reading in term.needed)


ALTERNATIVES = Kind(
    shown=(".csv",),
    others=(".md",),
    reads=("cells", "metrics", "geometry"),
    parse=layout,
    needs=needs,
    facts=("paper", "citation", "sources", "sizes", "labels", "taken", "unchanged"),
    stacked=True,
    of_all=False,
)
