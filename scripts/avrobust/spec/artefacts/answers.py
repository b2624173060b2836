"""How often a model that answers in words no longer names what sounds, once a clip was attacked through other nets."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from avrobust.spec.conditions import Reading, reading
from avrobust.spec.kind import ANSWERS, CELLS, Kind, Need
from avrobust.spec.record import record

# Who answers.
MODEL = "VideoLLaMA2"


@dataclass(frozen=True)
class Layout:
    """Test clips, asked about by `prompt`, clean and under each of `attacks` on a surrogate.

    `read`: dataset, surrogate, modality, budget. `victims`: the nets whose own answers stand beside the model's.
    `synonyms`: the file of what classes are called. `ours_only`: no printed value stands beside it.
    """

    title: str
    read: Mapping[str, str]
    attacks: Sequence[str]
    victims: Sequence[str]
    prompt: str
    synonyms: str
    caption: str = ""
    citation: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, Mapping[str, Sequence]] = field(default_factory=dict)
    calibrated: Sequence[Sequence[str]] = ()
    ours_only: bool = False

    def name(self, attack: str) -> str:
        """What an attack is called."""
        return self.labels.get("attack", {}).get(attack, attack)

    def readings(self, attack: str) -> list[Reading]:
        """What the victims answer under an attack."""
        return [reading({**self.read, "attack": attack, "victim": victim}) for victim in self.victims]

    def asked(self, attack: str) -> Reading:
        """What the model answers under an attack."""
        return reading({**self.read, "attack": attack, "victim": MODEL})


def needs(figure: Layout) -> Iterator[Need]:
    """The cells of every attack, and the answers to their clips."""
    for attack in figure.attacks:
        yield from (Need(CELLS, one) for one in figure.readings(attack))
        yield Need(ANSWERS, figure.asked(attack))


ANSWERS_FIGURE = Kind(
    shown=(".svg",),
    others=(".csv", ".png", "_answers.csv"),
    reads=("cells", "answers", "synonyms", "published"),
    parse=partial(record, Layout, where="figure"),
    needs=needs,
    facts=("citation", "sources", "labels", "names", "sizes"),
)
