"""Where none, mild, moderate and huge begin: cuts on a score, chosen on validation crops."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_workers.evaluation import metrics

Floats = NDArray[np.float32]
Counts = NDArray[np.int64]
Cuts = tuple[float, float, float]

LEVELS: Final = 4
# How fine the search is: the quantiles of the scores of faces that smile at all.
_STEPS: Final = 48


def chosen(scores: Floats, truth: Counts) -> Cuts:
    """Return the cuts with the highest sum of accuracy and macro F1.

    scores: (N,) 0..1; truth: (N,) levels 0..3.  Accuracy alone is highest when mild and
    moderate, 3 faces in 100 each, are never said; macro F1 alone says them too often.
    """
    candidates = np.unique(np.quantile(scores[truth > 0], np.linspace(0, 1, _STEPS)))
    # How many of each level have a score below each candidate.
    below = np.stack(
        [np.searchsorted(np.sort(scores[truth == level]), candidates) for level in range(LEVELS)],
        axis=1,
    ).astype(np.float64)
    none, every = np.zeros(LEVELS), np.bincount(truth, minlength=LEVELS).astype(np.float64)
    best, found = -1.0, (0.35, 0.65, 0.85)
    count = len(candidates)
    for mild in range(count):
        for moderate in range(mild, count):
            for huge in range(moderate, count):
                edges = np.stack([none, below[mild], below[moderate], below[huge], every])
                confusion = np.diff(edges, axis=0).T
                worth = metrics.accuracy(confusion) + metrics.macro_f1(confusion)
                if worth > best:
                    best, found = worth, (candidates[mild], candidates[moderate], candidates[huge])
    first, second, third = (float(cut) for cut in found)
    return first, second, third
