"""Signs that an attack is too weak, among finished cells: after Athalye et al. (ICML 2018) and AutoAttack (ICML 2020).

    zero_gradients        clips without any gradient in some modality: a net that masks it, or a saturated loss
    term_shares           terms of an objective that make less than 1 % or more than 99 % of the first gradient in some
                          modality: the attack is another one than its name says
    single_step_stronger  a single step leaves fewer clips recognised than several steps of the same objective along the
                          net's own gradients; what several steps fit to one net may well pass on less to another
    black_box_stronger    gradients from elsewhere, another net's or of the net without its defences, leave fewer than
                          the net's own
    rising_accuracy       more clips are recognised at a larger epsilon of a grid of strengths
    unbounded_not_zero    clips are recognised although every input may become anything valid
    precision             accuracy outside the 95 % interval of the same attack with gradients in float32
    noise_stronger        noise of the same budget, along no gradient, leaves fewer than the net's own gradients; or
                          than another net's that it stands beside, which passed on nothing then
    unused_budget         clips that moved by less than half of what the attack can reach
    clean_differs         labels that are not those of the dataset's other cells, or a net's answers to clean clips that
                          are not those of its other cells: another net, another mode, other clips

One that leaves its ball or range may be found weaker than another, never stronger; but noise that went no further than
what it is noise for. Where clips have several labels, no answer is right: what is then compared is the mean average
precision, and clean answers by that of each class. One perturbation for all clips is compared with noise alone; clips
that were attacked through an extractor with others that were.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, pairwise

import numpy as np
import pandas as pd

from avrobust.metrics.estimate import Estimate
from avrobust.metrics.interval import Mean, mean
from avrobust.metrics.ranked import Ranked
from avrobust.metrics.ranked_rows import PRECISION
from avrobust.metrics.rows import Answers, Cell
from avrobust.spec.budgets import SLACK
from avrobust.spec.conditions import ATTACKED, CLEAN, UNBOUNDED, Condition, Reading
from avrobust.spec.units import CLIPS, PERCENT

# An attack that finds its way uses more of its budget than this share.
USED = 0.5
# Between these shares of the gradient a term is there, and the others too.
LEAST_SHARE, MOST_SHARE = 0.01, 0.99

COLUMNS = (
    *("check", "dataset", "surrogate", "victim", "attack", "beside", "comparisons", "signs"),
    *("worst", "unit", "accuracy", "reference", "n", "seeds", "scale"),
)


@dataclass(frozen=True)
class Made:
    """A cell of one victim and what its provenance says: `facts` has all that scripts/attack.py writes of a cell.

    `ranked`: how well the victim ranks the clips, where these have several labels.
    """

    cell: Cell
    facts: Mapping
    ranked: Ranked | None = None

    @property
    def place(self) -> tuple[str, str, str, str]:
        """What its row is of, but for the seed."""
        return self.cell.dataset, self.cell.surrogate, self.cell.victim, self.cell.attack

    @property
    def is_white_box(self) -> bool:
        """Whether the gradients are the victim's own, defences and all."""
        return self.cell.surrogate == self.cell.victim and not self.facts["spec"].get("without_defences", False)

    @property
    def takes_gradients(self) -> bool:
        """Whether its attack is more than noise."""
        return self.facts["steps"] > 0

    def reach(self, condition: Condition) -> float:
        """How far its attack can go under a condition, as a share of epsilon."""
        size = self.facts["step_size"]
        # None stands for 1 / steps, however many: together they are epsilon, as noise is.
        return 1.0 if size is None else min(1.0, (condition.steps or self.facts["steps"]) * size)

    @cached_property
    def accuracies(self) -> dict[Condition, float]:
        """Accuracy in per cent, or mean average precision, under each condition that attacks."""
        return {one: self.accuracy(one) for one in self.cell.answers if one.budget}

    def accuracy(self, condition: Condition) -> float:
        """Accuracy in per cent, or mean average precision, under one condition."""
        if self.ranked:
            return self._precision(condition).value
        return 100 * float(_hits(self.cell, condition).mean())

    def interval(self, condition: Condition) -> Mean | Estimate:
        """The same with its interval."""
        return self._precision(condition) if self.ranked else mean(100.0 * _hits(self.cell, condition)[None], 0, 100)

    @property
    def clean_answers(self) -> list[float]:
        """What tells whether another net answered to clean clips: every answer, or each class's average precision."""
        if not self.ranked:
            return self.cell.answers[CLEAN].predictions.tolist()
        # None in the place of a value that is not there, which is unequal to itself.
        found = (one.value for one in self.ranked.by_class(PRECISION, self._reading(CLEAN)))
        return [None if value != value else value for value in found]

    def _precision(self, condition: Condition) -> Estimate:
        return self.ranked.measured("map", [self._reading(condition)]) * 100.0

    def _reading(self, condition: Condition) -> Reading:
        return Reading(*self.place, condition)

    @property
    def is_universal(self) -> bool:
        """Whether it adds to each clip what was fitted to all, by which some clips gain and others do not."""
        return bool(self.facts.get("fitted"))

    @property
    def seen_through(self) -> str:
        """The extractor that the clips were attacked through; nothing where the net takes them, or features, itself."""
        return self.facts.get("through_extractor", "")

    @property
    def keeps(self) -> bool:
        """Whether its attack leaves neither its ball nor the valid range."""
        return all(self.facts["keeps"].values())

    @property
    def maximised(self) -> tuple:
        """What its attack goes up, by whatever way and with whatever options."""
        spec = self.facts["spec"]
        bare = spec.get("without_defences", False)
        return self.cell.surrogate, spec.get("objective"), self.facts["objective"], bare, self.facts["precision"]

    def clips(self, condition: Condition) -> int:
        """How many clips were asked under a condition."""
        return len(self.cell.answers[condition].clips)

    def spec(self, without: str = "") -> dict:
        """What its attack is, but for a part."""
        told = {**self.facts["spec"], "precision": self.facts["precision"]}
        return {name: value for name, value in told.items() if name != without}

    def on_clips_of(self, other: "Made") -> "Made":
        """The same on the clips of `other`, where that attacks some of these."""
        fewer = len(other.cell.clips) < len(self.cell.clips)
        return replace(self, cell=self.cell.of(other.cell.clips)) if fewer else self

    def went_as_far(self, other: "Made", condition: Condition) -> bool:
        """Whether no clip of `other` went further than the farthest of this one, in any modality."""
        own, others = (made.cell.answers[condition].norms for made in (self, other))
        return all(others[name].max() <= own[name].max() + SLACK * max(1, own[name].max()) for name in own)


def findings(made: Sequence[Made]) -> pd.DataFrame:
    """Return what each check of two cells, or of one, found: the worst comparison of a cell with what is beside it.

    `COLUMNS` but for the scale; accuracies in per cent. `n`: the clips of the worst, of one seed.
    """
    compared = [
        (name, *one.place, beside, excess, str(condition), accuracy, reference, one.clips(condition), one.cell.seed)
        for check in (_single_step, _black_box, _noise, _rising, _unused, _unbounded, _precision)
        for name, one, beside, (excess, condition, accuracy, reference) in sorted(check(made), key=_worse)
    ]
    numbers = ["excess", "worst", "accuracy", "reference", "n", "seed"]
    frame = pd.DataFrame(compared, columns=[*COLUMNS[:6], *numbers])
    return (
        frame.assign(signs=frame["excess"] > 0)
        .groupby([*COLUMNS[:6]])
        .agg(
            comparisons=("signs", "size"),
            signs=("signs", "sum"),
            **{name: (name, "last") for name in ("worst", "accuracy", "reference", "n")},
            seeds=("seed", "nunique"),
        )
        .reset_index()
        .assign(unit=PERCENT)
    )


def without_gradient(provenances: Iterable[Mapping]) -> pd.DataFrame:
    """Return a line per surrogate and attack: how many clips have no gradient in some modality, of all seeds.

    None for an attack that takes no gradient of each clip.
    """
    taken = ((said, cell) for said in provenances for cell in said["cells"] if cell["steps"] and "fitted" not in cell)
    columns = ["dataset", "surrogate", "attack", "clips", "clips_without_gradient"]
    cells = pd.DataFrame([{**said, **cell} for said, cell in taken], columns=columns)
    counted = cells.groupby(["dataset", "surrogate", "attack"]).agg(
        comparisons=("clips", "sum"),
        signs=("clips_without_gradient", "sum"),
        n=("clips", "last"),
        seeds=("clips", "size"),
    )
    return counted.reset_index().assign(check="zero_gradients", unit=CLIPS)


def shares_of_terms(provenances: Iterable[Mapping]) -> pd.DataFrame:
    """Return a line per surrogate and attack whose objective has terms, of all seeds: how many shares are too extreme.

    The worst is the one nearest to nothing or to all of the gradient. Nothing where no attack has terms.
    """
    lines: dict[tuple, dict] = {}
    for said in provenances:
        for cell in said["cells"]:
            place = said["dataset"], cell["surrogate"], cell["attack"]
            for modality, of in cell.get("term_shares", {}).items():
                line = lines.setdefault(place, {"shares": [], "seeds": set()})
                line["seeds"].add(said["seed"])
                line["shares"] += [(share, name, modality) for name, share in of.items()]
    return pd.DataFrame([_shares_line(*place, **line) for place, line in sorted(lines.items())])


def _shares_line(dataset: str, surrogate: str, attack: str, shares: list, seeds: set) -> dict:
    share, name, modality = min(shares, key=lambda one: (min(one[0], 1 - one[0]), *one))
    return {
        "check": "term_shares",
        "dataset": dataset,
        "surrogate": surrogate,
        "attack": attack,
        "comparisons": len(shares),
        "signs": sum(not LEAST_SHARE < one < MOST_SHARE for one, *_ in shares),
        "worst": f"{100 * share:.2g} % by {name} in {modality}",
        "unit": PERCENT,
        "seeds": len(seeds),
    }


def clean_answers(made: Iterable[Made]) -> pd.DataFrame:
    """Return a line per victim: in how many of its cells the clean clips are other ones, or are answered otherwise.

    Clips and labels are compared with the first cell of the dataset and seed, answers with the first of the victim; as
    far as a cell is of some of the clips.
    """
    clips: dict[tuple, Answers] = {}
    firsts: dict[tuple, Made] = {}
    lines: dict[tuple, dict] = {}
    for one in sorted(made, key=lambda one: (-len(one.cell.clips), *one.place, one.cell.seed)):
        cell, clean = one.cell, one.cell.answers[CLEAN]
        known = clips.setdefault((cell.dataset, cell.seed), clean)
        # Of a clip seen through an extractor the answer is that to its features before they are rounded to be stored.
        first = firsts.setdefault((cell.dataset, cell.victim, cell.seed, one.seen_through), one)
        if one.clips(CLEAN) == one.facts["clips"]:
            known, first = known.of(clean.clips), first.on_clips_of(one)
        differs = [clean.clips.tolist(), clean.labels.tolist()] != [known.clips.tolist(), known.labels.tolist()]
        differs = differs or one.clean_answers != first.clean_answers
        nothing = {"check": "clean_differs", "surrogate": "", "attack": "", "beside": "", "comparisons": 0, "signs": 0}
        nothing |= {"dataset": cell.dataset, "n": one.clips(CLEAN), "seeds": set()}
        line = lines.setdefault((cell.dataset, cell.victim), nothing)
        line |= {"victim": cell.victim, "comparisons": line["comparisons"] + 1, "signs": line["signs"] + differs}
        line["seeds"].add(cell.seed)
        if differs and not line["beside"]:
            accuracies = (some.accuracy(CLEAN) for some in (one, first))
            line |= {"beside": f"{cell.surrogate}/{cell.attack}", "worst": str(CLEAN)}
            line |= zip(("accuracy", "reference"), accuracies, strict=True)
    counted = [{**lines[place], "seeds": len(lines[place]["seeds"]), "unit": PERCENT} for place in sorted(lines)]
    return pd.DataFrame(counted)


# A check, a cell, what is beside it, and: by how much it is a sign (above 0), condition, accuracy, reference.
Comparison = tuple[str, Made, str, tuple[float, Condition, float, float]]


def _worse(comparison: Comparison) -> tuple:
    *_, (excess, (modality, budget, steps), accuracy, reference) = comparison
    return excess, modality, budget, steps or 0, accuracy, reference


def _lower(name: str, one: Made, other: Made, beside: str) -> Iterator[Comparison]:
    """Compare under each condition that both have: it is a sign where `other` leaves less."""
    left, right = one.accuracies, other.accuracies
    for condition in left:
        if condition in right and condition.budget != UNBOUNDED:
            accuracy, reference = right[condition], left[condition]
            yield name, one, beside, (reference - accuracy, condition, accuracy, reference)


def _single_step(made: Sequence[Made]) -> Iterator[Comparison]:
    for one, other in _pairs(made):
        own = one.cell.surrogate == one.cell.victim and other.keeps and not (one.is_universal or other.is_universal)
        if own and one.maximised == other.maximised and one.facts["steps"] > other.facts["steps"] == 1:
            yield from _lower("single_step_stronger", one, other, other.cell.attack)


def _black_box(made: Sequence[Made]) -> Iterator[Comparison]:
    for one, other in _pairs(made):
        alike = one.takes_gradients and one.spec() == other.spec("without_defences")
        if alike and other.keeps and one.is_white_box and not other.is_white_box:
            beside = f"{other.cell.surrogate}/{other.cell.attack}"
            yield from _lower("black_box_stronger", one, other, beside)


def _noise(made: Sequence[Made]) -> Iterator[Comparison]:
    for one, other in _pairs(made):
        beside = one.cell.surrogate == other.cell.surrogate and not other.facts["spec"].get("without_defences", False)
        if beside and one.takes_gradients and not other.takes_gradients:
            compared = _lower("noise_stronger", one, other, other.cell.attack)
            yield from (found for found in compared if other.keeps or one.went_as_far(other, found[3][1]))


def _unused(made: Sequence[Made]) -> Iterator[Comparison]:
    for one in (one for one in made if not one.is_universal):
        for condition, accuracy in one.accuracies.items():
            attacked = [name for name in ATTACKED[condition.modality] if name in one.facts["modalities"]]
            if attacked and condition.budget != UNBOUNDED:
                told, least = one.cell.answers[condition], USED * one.reach(condition)
                unused = [told.norms[name] < least * told.epsilons[name] for name in attacked]
                share = 100 * float(np.any(unused, axis=0).mean())
                yield "unused_budget", one, "", (share, condition, accuracy, one.accuracy(CLEAN))


def _rising(made: Sequence[Made]) -> Iterator[Comparison]:
    for one in (one for one in made if one.takes_gradients):
        accuracies = one.accuracies
        points = [condition for condition in accuracies if "/" in condition.budget]
        for _, grid in groupby(sorted(points, key=_grid), key=_grid):
            for lower, higher in pairwise(sorted(grid, key=lambda point: _strength(one.cell, point))):
                before, after = accuracies[lower], accuracies[higher]
                yield "rising_accuracy", one, "", (after - before, higher, after, before)


def _grid(condition: Condition) -> tuple:
    return condition.modality, condition.budget.rpartition("/")[0], condition.steps or 0


def _strength(cell: Cell, condition: Condition) -> float:
    return sum(float(epsilons.max()) for epsilons in cell.answers[condition].epsilons.values())


def _unbounded(made: Sequence[Made]) -> Iterator[Comparison]:
    for one in made:
        for condition, accuracy in one.accuracies.items():
            if condition.budget == UNBOUNDED:
                yield "unbounded_not_zero", one, "", (accuracy, condition, accuracy, 0.0)


def _precision(made: Sequence[Made]) -> Iterator[Comparison]:
    for one, other in _pairs(made):
        lower, exact = one.facts["precision"], other.facts["precision"]
        same = one.cell.surrogate == other.cell.surrogate and one.spec("precision") == other.spec("precision")
        if same and other.keeps and exact == "float32" != lower:
            for condition in one.cell.answers:
                if condition in other.cell.answers and condition.budget != UNBOUNDED:
                    accuracy, exactly = one.accuracy(condition), other.interval(condition)
                    excess = max(exactly.low() - accuracy, accuracy - exactly.high())
                    yield "precision", one, other.cell.attack, (excess, condition, accuracy, exactly.value)


def _pairs(made: Sequence[Made]) -> Iterator[tuple[Made, Made]]:
    """Yield every two that may be compared, both ways."""

    def victim(one: Made) -> tuple:
        return one.cell.dataset, one.cell.seed, one.cell.victim, one.seen_through

    for _, some in groupby(sorted(made, key=victim), key=victim):
        some = list(some)
        pairs = ((one, other) for one in some for other in some if one is not other)
        yield from ((one.on_clips_of(other), other.on_clips_of(one)) for one, other in pairs)


def _hits(cell: Cell, condition: Condition) -> np.ndarray:
    answers = cell.answers[condition]
    return answers.predictions == answers.labels
