"""Panels of grouped bars: a factor for the panels, one along the axis, one for the bars of a group."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from pathlib import Path

from avrobust.program import UserError
from avrobust.spec.any_of import AnyOf
from avrobust.spec.conditions import Reading
from avrobust.spec.factors import FIXED, Factor, Mean, complete_or_worst, each_of, factor, filled, mean, unattacked
from avrobust.spec.figure import FACTS, OneMeasure, few_enough
from avrobust.spec.kind import CELLS, Kind, Need
from avrobust.spec.published import read_published
from avrobust.spec.record import record

# What is drawn, and another way to count that stands beside it in the data.
COUNTED_TOO: Mapping[str, tuple[str, ...]] = {"success": ("success_if_recognised",), "accuracy": ()}
# As many bars of a group, and marks on a bar, as the drawing has looks for that can be told apart in grey.
MOST_BARS, MOST_MARKS = 11, 6


@dataclass(frozen=True)
class Place:
    """Where a bar stands: a value of each factor, or the name of a mean in the place of that of `ticks`."""

    panel: str
    bar: str
    tick: str


@dataclass(frozen=True)
class Layout(OneMeasure):
    """A figure of bars before it is measured.

    `read`: what all bars read, with places for the factors' values: {"variant": "<net>+<defence>"}. `controls`: the
    bars that are no result. `groups`: what stands below several ticks, in their order. `also`: means over ticks, drawn
    behind the last. `marks` (drawn on the bars) and `beside` (in the data only): what is read otherwise there; an
    attack that is a list is the worst of several, clip by clip. `alike`: a net of the ticks -> another one that is
    trained in the same way at this scale, so that they are one bar. `shares`: a net of the ticks -> how many steps it
    attacks, where its share of a clip's steps is no whole number. `printed`: columns of the published file that stand
    in the data as they are, such as differences of bars.
    """

    read: Mapping[str, object]
    ticks: Factor
    bars: Factor
    panels: Factor = FIXED
    controls: Sequence[str] = ()
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    also: Mapping[str, Mean] = field(default_factory=dict)
    marks: Mapping[str, Mapping] = field(default_factory=dict)
    beside: Mapping[str, Mapping] = field(default_factory=dict)
    printed: Sequence[str] = ()
    alike: Mapping[str, str] = field(default_factory=dict)
    shares: Mapping[str, str] = field(default_factory=dict)
    named: Mapping[str, str] = field(default_factory=dict)

    @property
    def keys(self) -> list[str]:
        """The names of the factors, which head the columns of the data."""
        return [one.name for one in (self.panels, self.ticks, self.bars) if one.name]

    @property
    def places(self) -> Iterator[Place]:
        """Every bar: panel by panel, each with its ticks and then its means."""
        for panel, tick, bar in product(self.panels.values, (*self.ticks.values, *self.also), self.bars.values):
            yield Place(panel, bar, tick)

    @property
    def overlays(self) -> Mapping[str, Mapping]:
        """What is read otherwise, by the column of the data."""
        return {**self.marks, **self.beside}

    def columns(self) -> list[str]:
        """What stands in the data for every bar."""
        return [self.measure, *COUNTED_TOO[self.measure], self.floor, *self.overlays]

    def printed_keys(self, place: Place, apart: Collection[str] = ("panels", "ticks", "bars")) -> tuple[str, ...]:
        """What the data call the place; nothing for a factor that is not `apart`."""
        at = {"panels": place.panel, "ticks": place.tick, "bars": place.bar}
        factors = {name: getattr(self, name) for name in at}
        return tuple(
            of.values.get(at[name], at[name]) if name in apart else "" for name, of in factors.items() if of.name
        )

    @cached_property
    def apart(self) -> Collection[str]:
        """The factors that clean clips differ by: those with whose values other nets answer."""
        found = {"ticks"}
        for name, of in (("panels", "panel"), ("bars", "bar")):
            by_value: dict[str, list] = {}
            for place in self.places:
                nets = [(one.dataset, one.victim) for each in self.readings(place) for one in each_of(each)]
                by_value.setdefault(getattr(place, of), []).append(nets)
            first, *others = by_value.values()
            if not others or any(one != first for one in others):
                found.add(name)
        return found

    def readings(self, place: Place, overlay: Mapping | None = None) -> list[Reading | AnyOf]:
        """What a bar is read of: one reading, or of a mean those of its ticks.

        Raises `UserError` if something is missing or unknown, or a mean has nothing.
        """
        found = []
        for tick in self.ticks.values if place.tick in self.also else [place.tick]:
            chosen = {self.panels.name: place.panel, self.bars.name: place.bar, self.ticks.name: tick}
            where = " ".join(filter(None, chosen.values()))
            own = filled(self.read, chosen, where)
            if place.tick not in self.also or self.also[place.tick].keeps(tick, own):
                read = own if overlay is None else filled({**self.read, **overlay}, chosen, where)
                found.append(complete_or_worst(read, where))
        if not found:
            raise UserError(
                f"{place.tick}: no {self.ticks.name} belongs to it where {place.panel or place.bar} is read"
            )
        return found

    def is_white_box(self, panel: str, tick: str) -> bool:
        """Whether the net that answers made the clips, in a figure where that is not so everywhere."""
        if tick in self.also:
            return False
        own = {(one, net): self._of_one_net(one, net) for one in self.panels.values for net in self.ticks.values}
        return own[panel, tick] and not all(own.values())

    def _of_one_net(self, panel: str, tick: str) -> bool:
        read = self.readings(Place(panel, next(iter(self.bars.values)), tick))
        return all(one.surrogate == one.victim for each in read for one in each_of(each))


def layout(spec: object) -> Layout:
    """Return the layout that came as JSON; a `UserError` names what is wrong."""
    whole = record(Layout, spec, "figure")
    factors = {name: factor(getattr(whole, name), name) for name in ("panels", "ticks", "bars") if name in spec}
    names = [one.name for one in factors.values()]
    if len({*names}) < len(names):
        raise UserError(f"panels, ticks and bars are one factor each, got {', '.join(names)}")
    also = {name: mean(text, f"also: {name}") for name, text in whole.also.items()}
    for name, one in also.items():
        if one.over != factors["ticks"].name:
            raise UserError(f"also: {name}: a mean is over {factors['ticks'].name}, not over {one.over}")
        if unknown := [value for value in one.what if one.how == "in" and value not in factors["ticks"].values]:
            raise UserError(f"also: {name}: {unknown[0]!r} is none of {', '.join(factors['ticks'].values)}")
        if name in factors["ticks"].values:
            raise UserError(f"also: {name} is the name of a {one.over}, too")
    # Of nets that come to the same one is drawn; the others are only named in a note.
    apart = [value for value in factors["ticks"].values if value not in whole.alike]
    groups = {name: [one for one in group if one not in whole.alike] for name, group in whole.groups.items()}
    factors["ticks"] = factors["ticks"].only(apart)
    made = replace(whole, **factors, also=also, groups={name: group for name, group in groups.items() if group})
    made = replace(made, named={**whole.ticks["values"], **made.bars.values})
    if unknown := [name for name in made.controls if name not in made.bars.values]:
        raise UserError(f"controls: {unknown[0]!r} is none of {', '.join(made.bars.values)}")
    few_enough("bars", made.bars.values, MOST_BARS)
    few_enough("marks", made.marks, MOST_MARKS)
    grouped = [one for group in made.groups.values() for one in group]
    if grouped and grouped != list(made.ticks.values):
        raise UserError(
            f"groups: {', '.join(grouped)} are not the ticks {', '.join(made.ticks.values)}, in their order"
        )
    own = [made.measure, *COUNTED_TOO[made.measure], made.floor]
    if twice := [name for name in made.overlays if name in own] or [*made.marks.keys() & made.beside.keys()]:
        raise UserError(f"marks, beside: {twice[0]} is a column of its own; call it something else")
    return made


def needs(figure: Layout) -> Iterator[Need]:
    """The cells of every bar, clean and attacked, and of what stands beside it."""
    for place in figure.places:
        if place.tick in figure.also:
            continue
        for overlay in (None, *figure.overlays.values()):
            for one in figure.readings(place, overlay):
                yield from (Need(CELLS, each) for each in each_of(one))
                yield Need(CELLS, unattacked(each_of(one)[0]))


def check_published(figure: Layout, path: Path) -> list[str]:
    """Return where the file has a value that no bar reads; a paper that prints no number has no file."""
    if not path.exists():
        return []
    places = {(*figure.printed_keys(place), column) for place in figure.places for column in figure.columns()}
    published = read_published(path, figure.keys)
    return [" ".join(filter(None, at)) for at in published if at not in places and at[-1] not in figure.printed]


BARS = Kind(
    shown=(".svg",),
    others=(".csv", ".png"),
    reads=("cells", "published"),
    parse=layout,
    needs=needs,
    check_published=check_published,
    facts=(*FACTS, "alike", "shares"),
)
