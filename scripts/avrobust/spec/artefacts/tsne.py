"""Embeddings as pictures and as numbers: a joint t-SNE per panel, and how well the classes cluster.

A picture shows what t-SNE keeps, neighbours; sizes of clusters and distances between them mean little (Wattenberg et
al., Distill 2016), and a t-SNE has no axes and no unit. What the paper reads off it, tight classes that lie apart, is
therefore also measured, in the embedding itself: `avrobust.metrics.clusters`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from avrobust.program import UserError
from avrobust.spec.conditions import reading
from avrobust.spec.kind import EMBEDDINGS, Kind, Need
from avrobust.spec.record import record

MODALITIES = ("audio", "visual")


@dataclass(frozen=True)
class Panel:
    """One column of the picture."""

    title: str
    read: Mapping[str, str]


@dataclass(frozen=True)
class Layout:
    """A t-SNE figure before anything is projected: a row for each budget with which `modality` is attacked.

    `attack` is that of the files that are read, also for clean points. `seed`: of the training that is drawn; measures
    are over all. `strengths`: what is printed for a budget; `labels`: for a dataset.
    """

    title: str
    attack: str
    modality: str
    budgets: Sequence[str]
    panels: Sequence[Panel]
    seed: int = 0
    caption: str = ""
    citation: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    strengths: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def rows(self) -> Sequence[str]:
        """The budget of each row of the picture: none where nothing is attacked."""
        return self.budgets or ("",)


def layout(spec: object) -> Layout:
    """Return the layout that came as JSON; a `UserError` names what is wrong."""
    whole = record(Layout, spec, "figure")
    if bool(whole.budgets) == (whole.modality == "clean"):
        raise UserError(f"figure: modality {whole.modality} with budgets {list(whole.budgets)}; only clean has none")
    panels = [record(Panel, value, f"panel {number}") for number, value in enumerate(whole.panels, 1)]
    for number, panel in enumerate(panels, 1):
        if panel.title in [other.title for other in panels[: number - 1]]:
            raise UserError(f"panel {number}: the title {panel.title!r} occurs twice; the data files name panels by it")
    return replace(whole, budgets=tuple(whole.budgets), panels=tuple(panels))


def needs(figure: Layout) -> Iterator[Need]:
    """The embeddings of every panel, clean and at each of the budgets."""
    for panel in figure.panels:
        place = {**panel.read, "attack": figure.attack}
        yield Need(EMBEDDINGS, reading({**place, "modality": "clean"}))
        for budget in figure.budgets:
            yield Need(EMBEDDINGS, reading({**place, "modality": figure.modality, "budget": budget}))


TSNE = Kind(
    shown=("_measures.csv", ".svg"),
    others=(".csv", ".png"),
    reads=("embeddings", "scores"),
    parse=layout,
    needs=needs,
    facts=("citation", "sources", "seed", "strengths", "labels"),
)
