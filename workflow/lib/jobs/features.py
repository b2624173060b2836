"""What workflow/rules/features.smk asks: extractors, their weights, and which packed shards a job takes."""

from collections.abc import Iterable, Mapping

from lib import extractors
from lib.errors import SettingsError
from lib.grid import Grid
from lib.jobs.data import TOGETHER, Data
from lib.jobs.jobs import Jobs, Wildcards, canonical, one_of
from lib.settings import Settings
from lib.variants import NET


class Features(Jobs):
    """Every extractor that a dataset is seen through."""

    def __init__(self, settings: Settings, grid: Grid, data: Data):
        super().__init__(settings, grid)
        self.data = data

    @property
    def extractors(self) -> str:
        """A regular expression for the extractors of all datasets."""
        return one_of(name for facts in self.settings.datasets.values() for name in facts.get("extractors", ()))

    def packed(self, wildcards: Wildcards) -> list[str]:
        """The packed shards of which one of features is made."""
        first = int(wildcards.shard) * TOGETHER
        return self.data.packed_shards(wildcards.dataset)[first : first + TOGETHER]

    def parts(self, wildcards: Wildcards) -> list[str]:
        """The moments of every shard of features."""
        return self.data.feature_files(wildcards.dataset, wildcards.extractor, "moments.json")

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

    def entries(self, part: str, wildcards: Wildcards) -> Iterable[str]:
        """The registry entries that an extractor uses; SettingsError if an option of it is wrong."""
        return self._entries(wildcards.dataset, wildcards.extractor)

    def check(self) -> None:
        """Raise SettingsError if an extractor of a dataset cannot be made, or cannot see its clips."""
        for dataset, facts in self.settings.datasets.items():
            for name, extractor in facts.get("extractors", {}).items():
                self._entries(dataset, name)
                self._check_view(f"{place_of(dataset, name)}.view", facts, extractor)

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
                found.append(self.entry_with(*NET["visual"], inside["name"], {}, f"{where}.{modality}.net"))
        return found

    def _check_view(self, where: str, facts: Mapping, extractor: Mapping) -> None:
        """Raise SettingsError if clips as they are stored have too few frames or columns for an extractor."""
        seen, parts = extractor["view"].get("options", {}), extractors.parts_of(extractor)
        frames, seconds = seen.get("frames"), seen.get("seconds")
        of_window = parts.get("visual", {}).get("options", {}).get("frames_per_window")
        if frames and of_window and frames % of_window:
            raise SettingsError(f"{where}: {frames} frames make no whole windows of {of_window} (frames_per_window)")
        if frames and seconds and frames > seconds * facts["frame_rate"]:
            raise SettingsError(
                f"{where}: {frames} frames in {seconds:g} seconds are more than are stored, {facts['frame_rate']} a "
                "second (frame_rate); give fewer frames, or store more"
            )


def place_of(dataset: str, extractor: str) -> str:
    """Return an extractor as a message names it, with its file."""
    return f"workflow/datasets/{dataset}.yaml: extractors.{extractor}"
