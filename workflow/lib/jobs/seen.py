"""How nets get the clips that they are attacked on: as they learned, or through the extractor of their features."""

from dataclasses import dataclass
from types import SimpleNamespace as Names

from avrobust.spec.attacks import END_TO_END
from lib import extractors
from lib.errors import SettingsError
from lib.jobs.data import Data
from lib.jobs.features import Features
from lib.jobs.jobs import THROUGH, canonical

# A batch of a scale is one of clips of so many pictures.
PICTURES = 10


@dataclass(frozen=True)
class Seen:
    """`shards`: what is read. `view`: how an extractor sees a clip, as JSON; nothing where each net has its own.

    `weights`: files of the extractor's published weights; `words`: of a command that say what it is; `entries`: of the
    registries, what it is made of. `clips`: how many of a scale's batch go through it at a time.
    """

    shards: list[str]
    view: str = ""
    weights: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()
    clips: float = 1.0


def seen(data: Data, dataset: str, through: bool) -> Seen:
    """Return how nets get the clips of a dataset; `through`: through the extractor of the features that they take."""
    if not through:
        return Seen(data.shards(Names(dataset=dataset)))
    name = data.extractor_of(dataset)
    extractor = data.settings.datasets[dataset]["extractors"][name]
    named = extractors.weights_of(extractor)
    weights = tuple(data.weights_file(published) for published in named.values())
    told = canonical({"name": name, "encoders": extractors.parts_of(extractor)})
    of_weights = [f"{modality}={path}" for modality, path in zip(named, weights, strict=True)]
    entries = Features(data.settings, data.grid, data).entries("variant", Names(dataset=dataset, extractor=name))
    return Seen(
        data.packed_shards(dataset),
        canonical(extractor["view"]),
        weights,
        ("--extractor", told, *(["--extractor-weights", *of_weights] if of_weights else [])),
        (END_TO_END, *entries),
        min(1.0, PICTURES / extractor["view"].get("options", {}).get("frames", PICTURES)),
    )


def check_through(data: Data, dataset: str, attack: str, where: str) -> None:
    """Raise SettingsError if an attack cannot go through an extractor, because nets take clips themselves.

    `where`: the attack is described.
    """
    if data.is_through(attack) and not data.extractor_of(dataset):
        raise SettingsError(f"{where}.{THROUGH}: {dataset} is seen as clips, through no extractor; leave it out")
