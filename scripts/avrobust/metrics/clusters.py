"""How tight and how far apart the classes lie in an embedding, clip by clip, and how far an attack moves a clip.

Everything is computed of a matrix of distances (N, N): row i is where clip i is now, clean or attacked; column j is
the clean place of clip j. A clip's own clean place, on the diagonal, never counts among its class. With n_c clips in
class c, the class of clip i,

    a_i = sum of d_ij over the other clips j of c / (n_c - 1)
    b_i = the smallest, over the other classes k, of the mean of d_ij over the clips j of k
"""

import numpy as np


def distances(points: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the Euclidean distances d_ij = |points_i - reference_j|: two (N, D) arrays -> float64 (N, N)."""
    reference = reference.astype(np.float64)
    return np.stack([np.linalg.norm(reference - point, axis=1) for point in points.astype(np.float64)])


def silhouettes(distances: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return each clip's silhouette (b - a) / max(a, b), from -1 to 1: Rousseeuw (1987).

    `distances`: (N, N) as above; `labels`: integers (N,). 0 for the only clip of a class, and where a = b = 0. Of
    clean clips it is what scikit-learn calls `silhouette_samples`. Of attacked clips it says how well they would sit
    among the clean ones of their class.

    Raises:
        ValueError: there is only one class, so that b has no meaning.
    """
    of_class, sums, counts = _sums_by_class(distances, labels)
    if len(counts) < 2:
        raise ValueError("a silhouette needs at least two classes")
    rows = np.arange(len(labels))
    means = sums / counts
    means[rows, of_class] = np.inf
    between = means.min(axis=1)
    within = intra_class_distances(distances, labels)
    larger = np.maximum(within, between)
    defined = larger > 0  # also False where `within` is NaN: the only clip of a class
    return np.divide(between - within, larger, out=np.zeros(len(labels)), where=defined)


def intra_inter_ratios(distances: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return a / (mean of d_ij over the clips j of all other classes) for each clip: below 1 where classes are tight.

    `distances`: (N, N) as above; `labels`: integers (N,). NaN for the only clip of a class, where there is only one
    class, and where the other classes lie exactly on the clip.
    """
    of_class, sums, counts = _sums_by_class(distances, labels)
    rows = np.arange(len(labels))
    others = len(labels) - counts[of_class]
    sums[rows, of_class] = 0
    inter = sums.sum(axis=1)
    ratio = np.full(len(labels), np.nan)
    return np.divide(intra_class_distances(distances, labels) * others, inter, out=ratio, where=inter > 0)


def shifts(distances: np.ndarray, clean_distances: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return d_ii / (a_i of the clean clip): how far the attack moved each clip, in spreads of its class.

    `distances`: (N, N), from the attacked to the clean clips; `clean_distances`: (N, N), among the clean clips;
    `labels`: integers (N,). NaN for the only clip of a class, and where a class has no spread.
    """
    spread = intra_class_distances(clean_distances, labels)
    return np.divide(np.diagonal(distances), spread, out=np.full(len(labels), np.nan), where=spread > 0)


def intra_class_distances(distances: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return a of each clip: (N, N), integers (N,) -> float64 (N,); NaN for the only clip of a class."""
    of_class, sums, counts = _sums_by_class(distances, labels)
    others = counts[of_class] - 1
    own = sums[np.arange(len(labels)), of_class]
    return np.divide(own, others, out=np.full(len(labels), np.nan), where=others > 0)


def _sums_by_class(distances: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Class of each clip (N,), sums of its distances to each class but itself (N, classes), clips per class."""
    _, of_class, counts = np.unique(labels, return_inverse=True, return_counts=True)
    others = distances.copy()
    np.fill_diagonal(others, 0)
    return of_class, others @ np.eye(len(counts))[of_class], counts
