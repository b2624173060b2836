"""Files of measured classes, as the tests of figures read them: points by hand, measures by the program's own code."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from avrobust.evaluation.geometry import clip_rows, members
from avrobust.metrics.density import density, distances
from avrobust.metrics.geometry import CLASS_ROWS
from avrobust.spec.geometry import KAPPAS, TAUS


def write_classes(
    folder: Path,
    net: str,
    points: np.ndarray,
    labels: Sequence[tuple[int, ...]],
    classes: Sequence[str],
    kappas: Mapping[str, float],
    seed: int = 1,
) -> dict[str, Path]:
    """Write the files of a net of music, and return them by what they hold: `geometry` and `points`.

    `kappas`: class -> all of its convexities.
    """
    ids, rows, points = [f"clip{number}" for number in range(len(labels))], [], points.astype(np.float32)
    of_classes = members(labels)
    for label, places in of_classes.items():
        far = distances(points[places])
        row = {"label": label, "class_name": classes[label], "n": len(places), "dimensions": points.shape[1]}
        row |= {
            f"radius_{name}": np.quantile(far, of) for name, of in (("60", 0.6), ("80", 0.8), ("99", 0.99), ("max", 1))
        }
        for tau in TAUS:
            row[f"rho{tau}"] = density(far, points.shape[1], tau / 100)
            row[f"rho{tau}_99"] = density(far, points.shape[1], tau / 100, outermost=0.99)
            row[f"rho{tau}_printed"] = density(far, points.shape[1], tau / 100, 2)
        row |= dict.fromkeys(KAPPAS, kappas[classes[label]])
        rows.append({name: None if value != value else value for name, value in row.items()})
    written = {
        "geometry": pa.Table.from_pylist(rows, schema=CLASS_ROWS),
        "points": clip_rows(points, ids, labels, of_classes, classes, classes),
    }
    files = {name: folder / f"{net}_s{seed}_{name}.parquet" for name in written}
    for name, table in written.items():
        said = {"dataset": "music", "variant": net, "seed": str(seed)}
        pq.write_table(table.replace_schema_metadata(said), files[name], write_page_checksum=True)
    return files
