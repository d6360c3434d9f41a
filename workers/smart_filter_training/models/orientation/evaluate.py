"""How good an orientation network is, with intervals, and from where on it is sure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_training.models.orientation import data as reading
from smart_filter_training.models.orientation.augmentation import as_they_are
from smart_filter_training.models.orientation.cut import sure_above
from smart_filter_training.models.orientation.data import Data
from smart_filter_workers.evaluation import folders, intervals, metrics
from smart_filter_workers.evaluation.intervals import Figure
from smart_filter_workers.networks.scenes import Scenes, scene_of

Network = Any  # keras ships no types
Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]

_BATCH: Final = 64


def figures(network: Network, data: Data) -> dict[str, Figure]:
    """Return the figures on the validation split, at the cut that was chosen on it."""
    shares = answers(network, data)
    return _figures(shares, sure_above(shares))


def measured(file: Path, folder: Path) -> dict[str, Figure]:
    """Return the figures of an exported file on upright photos, by its own cut.

    Faces are not looked for.  Raises FolderUnreadable, SetupFailed.
    """
    network = Scenes(file.read_bytes())
    photos = [folders.photo(path).srgb for path in reading.paths(folder)]
    return _figures(network(np.stack([scene_of(srgb) for srgb in photos])), network.sure_above)


def answers(network: Network, data: Data) -> Floats:
    """Return how likely a network in training finds each turn of validation scenes, (N, 4)."""
    said = network.predict(as_they_are(data.validation.scenes), batch_size=_BATCH, verbose=0)
    return np.asarray(said, dtype=np.float32)


def _figures(shares: Floats, cut: float) -> dict[str, Figure]:
    best, surest = shares.argmax(axis=1), shares.max(axis=1)
    # Every turn is judged alike: what is said of an upright scene holds for all four of it.
    numbers = np.stack([best == 0, surest >= cut], axis=1).astype(np.float64)
    return intervals.figures(numbers, _computed)


def _computed(numbers: Numbers, weights: Numbers) -> Mapping[str, float]:
    right, sure = numbers.T
    return {
        "accuracy": metrics.mean(right, weights),
        "told": metrics.mean(sure, weights),
        "accuracy_told": metrics.mean(right, weights * sure),
        "harmed": metrics.mean((1 - right) * sure, weights),
    }
