"""What every figure of measured numbers says, whatever it draws."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from avrobust.program import UserError

# What a figure says beside what its author wrote.
FACTS = ("citation", "sources", "names", "sizes", "calibrated", "labels")

# What is drawn -> the same before anything is attacked.
FLOORS: Mapping[str, str] = {"success": "clean_error", "accuracy": "clean"}


def few_enough(part: str, names: Collection[str], most: int) -> None:
    """Raise UserError if a figure would draw more of something than can be told apart."""
    if len(names) > most:
        raise UserError(
            f"{part}: {len(names)} are drawn ({', '.join(names)}), and no more than {most} can be told apart; "
            "leave some out"
        )


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What stands around the numbers.

    `calibrated`: dataset, surrogate, victim, attack, modality and budget of what a budget was set by. `sizes`: attack
    or net -> size -> [its number here, the paper's]. `sources`: dataset -> where its clips come from; `names`: dataset
    -> what it is called where it is the user's own. `ours_only`: no printed value stands beside it.
    """

    title: str
    caption: str = ""
    calibrated: Sequence[Sequence[str]] = ()
    sizes: Mapping[str, Mapping[str, Sequence]] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    citation: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    ours_only: bool = False


@dataclass(frozen=True, kw_only=True)
class OneMeasure(Figure):
    """A figure of one measure, one of `FLOORS`. Raises `UserError` if it is none of them."""

    measure: str

    def __post_init__(self) -> None:
        if self.measure not in FLOORS:
            raise UserError(f"measure: {self.measure!r} is none of {', '.join(FLOORS)}")

    @property
    def floor(self) -> str:
        """The measure of clips that nothing attacks."""
        return FLOORS[self.measure]
