"""What workflow/rules/features.smk asks: extractors, their weights, and which packed shards a job takes."""

from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise

from lib import extractors
from lib.errors import SettingsError
from lib.grid import Grid
from lib.jobs.data import Data
from lib.jobs.jobs import Jobs, Wildcards, canonical, one_of
from lib.settings import Settings
from lib.variants import NET

# A window of 16 frames takes an R(2+1)D-18 about 0.1 GB; a clip has ten.
CLIPS = "8"


class Features(Jobs):
    """Every extractor that a dataset is seen through."""

    def __init__(self, settings: Settings, grid: Grid, data: Data):
        super().__init__(settings, grid)
        self.data = data

    @property
    def extractors(self) -> str:
        """A regular expression for the extractors of all datasets."""
        return one_of(name for facts in self.settings.datasets.values() for name in facts.get("extractors", ()))

    @property
    def batch_size(self) -> str:
        """Clips of which features are made at a time; a text and a resource, as it shapes nothing beyond rounding."""
        return CLIPS

    def packed(self, wildcards: Wildcards) -> list[str]:
        """The packed shards of which one of features is made."""
        first = int(wildcards.shard) * self.data.together
        return self.data.packed_shards(wildcards.dataset)[first : first + self.data.together]

    def parts(self, wildcards: Wildcards) -> list[str]:
        """The moments of every shard of features."""
        return self.data.feature_files(wildcards.dataset, wildcards.extractor, "_moments.json")

    def weights(self, wildcards: Wildcards) -> list[str]:
        """The published weights of the encoders, in the order of what `told` names."""
        return [self.weights_file(name) for name in extractors.weights_of(self._extractor(wildcards)).values()]

    def told(self, wildcards: Wildcards) -> dict:
        """What an extraction is told: its view and encoders as JSON, and the weights of these."""
        extractor = self._extractor(wildcards)
        named = zip(extractors.weights_of(extractor), self.weights(wildcards), strict=True)
        return {
            "view": canonical(extractor["view"]),
            "encoders": canonical(extractors.parts_of(extractor)),
            "weights": [f"{modality}={path}" for modality, path in named],
        }

    def clips_of_jobs(self, dataset: str) -> dict[str, int]:
        """How many clips each job takes that extracts what a net sees a dataset through, by what its log is called."""
        if not (name := self.data.extractor_of(dataset)):
            return {}
        clips, shards = self.data.clips(dataset), len(self.data.packed_shards(dataset))
        firsts = [first * clips // shards for first in (*range(0, shards, self.data.together), shards)]
        return {f"features_{name}_{number:04d}": last - first for number, (first, last) in enumerate(pairwise(firsts))}

    def entries(self, part: str, wildcards: Wildcards) -> Iterable[str]:
        """The registry entries that an extractor uses; SettingsError if an option of it is wrong."""
        return self._entries(wildcards.dataset, wildcards.extractor)

    def check(self) -> None:
        """Raise SettingsError if an extractor of a dataset cannot be made, or cannot see its clips."""
        for dataset, facts in self.settings.datasets.items():
            for name, extractor in facts.get("extractors", {}).items():
                self._entries(dataset, name)
                _check_clips(place_of(dataset, name), facts, extractor)

    def check_net(self, parts: Collection[str], dataset: str, where: str) -> None:
        """Raise SettingsError if a net of these parts learns from a modality of which nothing is extracted."""
        if name := self.data.extractor_of(dataset):
            made = extractors.parts_of(self.settings.datasets[dataset]["extractors"][name])
            if missing := [part for part in extractors.MODALITIES if part in parts and part not in made]:
                raise SettingsError(f"{where}: {place_of(dataset, name)} has no {missing[0]} for a net that takes it")

    def _extractor(self, wildcards: Wildcards) -> Mapping:
        return self.settings.datasets[wildcards.dataset]["extractors"][wildcards.extractor]

    def _entries(self, dataset: str, name: str) -> list[str]:
        extractor, where = self.settings.datasets[dataset]["extractors"][name], place_of(dataset, name)
        view = extractor["view"]
        if view["name"] == extractors.VIEW:
            raise SettingsError(f"{where}.view: {view['name']!r} is of what an extractor made; give one of clips")
        found = [self.entry_with("views", "VIEWS", view["name"], view.get("options", {}), f"{where}.view")]
        for modality, part in extractors.parts_of(extractor).items():
            found.append(self.entry_with(*NET[modality], part["name"], part["options"], f"{where}.{modality}"))
            if inside := part["options"].get("net"):
                found.append(
                    self.entry_with(*NET["visual"], inside["name"], inside["options"], f"{where}.{modality}.net")
                )
        return found


def place_of(dataset: str, extractor: str) -> str:
    """Return an extractor as a message names it, with its file."""
    return f"workflow/datasets/{dataset}.yaml: extractors.{extractor}"


def _check_clips(where: str, facts: Mapping, extractor: Mapping) -> None:
    """Raise SettingsError if clips as they are stored have too few frames or columns for an extractor."""
    seen, parts = extractor["view"].get("options", {}), extractors.parts_of(extractor)
    of_sound, of_pictures = (parts.get(modality, {}).get("options", {}) for modality in extractors.MODALITIES)
    front, frames, seconds = of_sound.get("front", {}), seen.get("frames"), seen.get("seconds")
    window, rates = of_pictures.get("frames_per_window"), (facts["frame_rate"], facts["audio_rate"])
    if frames and window and frames % window:
        raise SettingsError(f"{where}: {frames} frames (view) make no whole windows of {window} (frames_per_window)")
    if frames and seconds and frames > seconds * rates[0]:
        raise SettingsError(
            f"{where}: {frames} frames in {seconds:g} seconds (view) are more than the {rates[0]} a second that are "
            "stored (frame_rate); give fewer, or store more"
        )
    if front.get("sample_rate", rates[1]) != rates[1]:
        raise SettingsError(
            f"{where}: sample_rate {front['sample_rate']} of the sound is not the rate at which it is stored, "
            f"{rates[1]} (audio_rate); give both the same"
        )
    steps, hop = of_sound.get("steps"), front.get("hop")
    if steps and hop and seconds and (columns := 1 + round(seconds * rates[1]) // hop) < steps:
        raise SettingsError(
            f"{where}: {steps} steps of sound are more than the {columns} that {seconds:g} seconds (view) make every "
            f"{hop} samples (hop); give fewer steps, or a shorter hop"
        )
