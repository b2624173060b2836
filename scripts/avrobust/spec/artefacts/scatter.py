"""A figure of classes: what an attack takes of each, over the shape of the class, and how the two go together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from avrobust.program import UserError
from avrobust.spec.conditions import CLEAN, Reading, reading
from avrobust.spec.geometry import KAPPAS
from avrobust.spec.kind import GEOMETRY, METRICS, Kind, Need
from avrobust.spec.measures import GEOMETRIES
from avrobust.spec.record import record

# How many classes have their names beside them where none are named.
FEW = 8


@dataclass(frozen=True)
class Layout:
    """A scatter before it is measured: each class's drop of average precision under the condition `read`, over `over`.

    `over`: one of `avrobust.spec.measures.GEOMETRIES`, of the training clips in the space of the net that answers; or
    one of `avrobust.spec.geometry.KAPPAS` in the place of the convexity that the task of the net asks for.
    `named`: classes with their names and densities beside them, some all along where nothing is said; `highlighted`
    stands out.
    """

    title: str
    read: Mapping[str, object]
    over: str = "kappa"
    named: Sequence[str] = ()
    highlighted: str = ""
    caption: str = ""
    citation: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, Mapping[str, Sequence]] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def reading(self) -> Reading:
        """What it is read of."""
        return reading(self.read)


def layout(spec: object) -> Layout:
    """Return the layout that came as JSON; a `UserError` names what is wrong."""
    whole = record(Layout, spec, "figure")
    if whole.over not in (known := (*GEOMETRIES, *KAPPAS)):
        raise UserError(f"over: {whole.over!r} is none of {', '.join(known)}")
    try:
        one = reading(whole.read)
    except ValueError as error:
        raise UserError(f"read: {error}") from None
    if one.condition == CLEAN:
        raise UserError("read: modality clean takes nothing of any class; give one that is attacked")
    return replace(whole, named=tuple(whole.named))


def needs(figure: Layout) -> Iterator[Need]:
    """The ranking of every class, and its shape; the classes that are named must be there."""
    yield Need(METRICS, figure.reading)
    for name in dict.fromkeys(filter(None, (*figure.named, figure.highlighted))):
        yield Need(METRICS, figure.reading, example=name)
    yield Need(GEOMETRY, figure.reading)


SCATTER = Kind(
    shown=(".svg",),
    others=(".csv", "_coefficients.csv", ".png"),
    reads=("metrics", "geometry"),
    parse=layout,
    needs=needs,
    facts=("citation", "sources", "sizes", "labels", "names"),
)
