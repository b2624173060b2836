"""t-SNE as scikit-learn has it: places in a plane that keep who is whose neighbour.

Who imports this imports `avrobust.openblas` before numpy.
"""

import numpy as np

# Van der Maaten & Hinton (2008) recommend 5 to 50; it must stay below a third of the points.
PERPLEXITY = 30
RANDOM_STATE = 0


def places_of(points: np.ndarray) -> np.ndarray:
    """Return float64 (N, 2) from points (N, D), two or more that are not all one.

    It begins at the first two principal components, on one thread and with a fixed seed: equal points give equal places
    on one machine, and with `avrobust.openblas` on every one with AVX2. No direction in it means anything.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        made = TSNE(
            perplexity=min(PERPLEXITY, (len(points) - 1) / 3),
            init="pca",
            learning_rate="auto",
            random_state=RANDOM_STATE,
            n_jobs=1,
        ).fit_transform(points)
    return made.astype(np.float64)


def turned(places: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Rotate (N, 2) about its centre to its principal axes, the longest along x, those of `left` (N,) to the left."""
    centred = places - places.mean(axis=0)
    x, y = np.linalg.eigh(centred.T @ centred)[1][:, 1]
    if centred[left].mean(axis=0) @ (x, y) > 0:
        x, y = -x, -y
    return centred @ np.array([[x, -y], [y, x]])
