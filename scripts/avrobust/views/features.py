"""What an extractor made of each clip beforehand, as it is: no crop, no gain, nothing random."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avrobust.data.feature_store import FEATURES, FeatureStore
from avrobust.program import UserError
from avrobust.views.view import Input


@dataclass(frozen=True)
class Features:
    """The arrays of feature shards (`avrobust.data.feature_store`) that `extractor` made, without bounds."""

    extractor: str
    bounded = False  # a plan reads it: nothing is attacked here as far as the bounds are wide

    def opened(self, shards: Iterable[str | Path]) -> FeatureStore:
        """Return the extracted features.

        Raises:
            UserError: another extractor made them.
        """
        store = FeatureStore(shards)
        if store.extractor != self.extractor:
            raise UserError(
                f"{store.paths[0]}: features of {store.extractor}, not of {self.extractor}; give the right ones"
            )
        return store

    def inputs(self, store: FeatureStore) -> dict[str, Input]:
        """Return the forms that the extractor gave them."""
        return {name: Input(shape, FEATURES.name, -math.inf, math.inf, 1) for name, shape in store.shapes.items()}

    def evaluation(self, store: FeatureStore, index: int, modalities: Sequence[str]) -> dict[str, np.ndarray]:
        """Return the features of a clip."""
        return {name: store.features(index, name) for name in modalities}

    def training(
        self, store: FeatureStore, index: int, modalities: Sequence[str], random: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Return the features of a clip."""
        return self.evaluation(store, index, modalities)
