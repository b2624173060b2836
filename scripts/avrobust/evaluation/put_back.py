"""What an attack made, put back into the clip that a file holds."""

from collections.abc import Mapping

import numpy as np

from avrobust.data.store import Store
from avrobust.spec.budgets import MODALITIES
from avrobust.views.view import FileView, Written


def written(view: FileView, clips: Store, index: int, seen: Mapping[str, np.ndarray]) -> Written:
    """Return the clip of which a view shows `seen`, inputs in natural units, or else what it showed before."""
    missing = [name for name in MODALITIES if name not in seen]
    clean = view.evaluation(clips, index, missing)
    shown = {name: x.astype(np.float32) / np.float32(255 if x.dtype == np.uint8 else 1) for name, x in clean.items()}
    return view.written(clips, index, shown | dict(seen))
