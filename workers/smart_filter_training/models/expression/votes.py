"""What ten raters saw in a face, and which level of smile that is."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_shared.emotions import EMOTIONS

Floats = NDArray[np.float32]
Counts = NDArray[np.int64]

# Ten people voted on each picture; the columns of `fer2013new.csv` beyond the emotions.
# Source: Barsoum et al. 2016, "Training deep networks for facial expression recognition with
# crowd-sourced label distribution".
RATERS: Final = 10
OTHERS: Final = ("unknown", "NF")
COLUMNS: Final = (*EMOTIONS, *OTHERS)
# Which votes make a smile, by label rule.
RULES: Final[Mapping[str, tuple[str, ...]]] = {
    "happiness": ("happiness",),
    "happiness+surprise": ("happiness", "surprise"),
}
# The least number of votes of mild, moderate and huge: bins [-1, 3, 6, 8, 10].
LEAST_VOTES: Final = (4, 7, 9)


def emotions(votes: Counts) -> Floats:
    """Return the share of raters for each emotion, (N, 8) float32 that sum to 1.

    votes: (N, 10) of COLUMNS.  Who saw no emotion does not count; where nobody saw one all
    are as likely.
    """
    seen = votes[:, : len(EMOTIONS)].astype(np.float32)
    total = seen.sum(axis=1, keepdims=True)
    return np.where(total > 0, seen / np.maximum(total, 1), 1 / len(EMOTIONS)).astype(np.float32)


def smiling(votes: Counts, rule: str) -> Counts:
    """Return how many of ten raters saw a smile, (N,) 0..10, by one of RULES."""
    seen = votes[:, [COLUMNS.index(name) for name in RULES[rule]]].sum(axis=1)
    return np.asarray(np.minimum(seen, RATERS), dtype=np.int64)


def levels(smiles: Counts) -> Counts:
    """Return the level, 0 none to 3 huge, that so many votes of ten make."""
    return np.asarray(np.digitize(smiles, LEAST_VOTES), dtype=np.int64)
