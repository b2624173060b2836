"""The shape of each class in the space of a net's fused features: Li et al. (ICASSP 2022), section 4."""

from collections.abc import Iterable, Sequence
from math import isnan

import numpy as np
import pyarrow as pa
import torch

from avrobust.data.batches import Batch, inputs_of
from avrobust.keyed import generator
from avrobust.metrics.convexity import POINTS, convexity
from avrobust.metrics.density import density, distances
from avrobust.models.late_fusion import LateFusion

TAUS = (60, 80)
PRINTED_EXPONENT = 2
# Of R: the farthest clip's, and the one beyond which 1 % lie.
OUTERMOST = {"": 1.0, "_99": 0.99}

SCHEMA = pa.schema(
    [
        pa.field("label", pa.int32()),
        pa.field("class_name", pa.string()),
        pa.field("n", pa.int32()),
        pa.field("dimensions", pa.int32()),
        *(pa.field(f"radius_{name}", pa.float64()) for name in (*TAUS, 99, "max")),
        *(pa.field(f"rho{tau}{form}", pa.float64()) for tau in TAUS for form in ("", "_99", "_printed")),
        pa.field("kappa_argmax", pa.float64()),
    ]
)  # fmt: skip


def fused_features(model: LateFusion, batches: Iterable[Batch], device: torch.device) -> tuple[np.ndarray, np.ndarray]:
    """Return what the classifier gets of each clip, (N, d) or (N, T, d) for a head that pools, and labels (N,)."""
    parts, labels = [], []
    with torch.inference_mode():
        for batch in batches:
            inputs = inputs_of(batch, device)
            parts.append(model.fusion({name: model.encode(name, inputs[name]) for name in model.modalities}).cpu())
            labels.append(batch["label"])
    return torch.cat(parts).numpy(), torch.cat(labels).numpy()


def class_rows(
    model: LateFusion,
    features: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    device: torch.device,
    pairs: int = POINTS,
) -> pa.Table:
    """Return a row for each class that has a clip: n, radii, densities and convexity; null where one is not defined.

    Distances are those of the mean over the steps. `_printed` is by the exponent 2 of the paper's volume, `_99` by the
    radius beyond which 1 % of the clips lie. A point is of a class whose logit is the largest.
    """
    points = features.mean(axis=1) if features.ndim == 3 else features

    def answers(given: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model.classifier(torch.from_numpy(given).to(device)).argmax(dim=1).cpu().numpy()

    rows = []
    for label in np.unique(labels).tolist():
        own = labels == label
        of_class = distances(points[own])
        radii = np.quantile(of_class, [tau / 100 for tau in (*TAUS, 99, 100)])
        row = {"label": label, "class_name": classes[label], "n": int(own.sum()), "dimensions": points.shape[1]}
        row |= dict(zip([f"radius_{name}" for name in (*TAUS, 99, "max")], radii.tolist(), strict=True))
        for tau in TAUS:
            for form, outermost in OUTERMOST.items():
                row[f"rho{tau}{form}"] = density(of_class, points.shape[1], tau / 100, outermost=outermost)
            row[f"rho{tau}_printed"] = density(of_class, points.shape[1], tau / 100, PRINTED_EXPONENT)
        draw = generator("convexity", classes[label])
        row["kappa_argmax"] = convexity(features[own], lambda given, label=label: answers(given) == label, draw, pairs)
        rows.append({name: None if isinstance(value, float) and isnan(value) else value for name, value in row.items()})
    return pa.Table.from_pylist(rows, schema=SCHEMA)
