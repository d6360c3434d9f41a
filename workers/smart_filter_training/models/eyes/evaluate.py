"""How good an eye network is, with intervals, and from where on it says shut and open."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from smart_filter_training.models.eyes import data as reading
from smart_filter_training.models.eyes.augmentation import as_they_are
from smart_filter_training.models.eyes.cuts import chosen
from smart_filter_training.models.eyes.data import Crops, Data
from smart_filter_workers.evaluation import intervals, metrics
from smart_filter_workers.evaluation.intervals import Figure
from smart_filter_workers.networks import eye_patches
from smart_filter_workers.networks.eye_patches import Cuts, EyePatches
from smart_filter_workers.weights import own_file

Network = Any  # keras ships no types
Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]

_BATCH: Final = 256
# Cuts chosen by fewer eyes fit their noise.
FEWEST_TO_CHOOSE_BY: Final = 200


def figures(network: Network, data: Data) -> dict[str, Figure]:
    """Return the figures on the validation split, at cuts that were chosen on it."""
    said = answers(network, data.validation)
    return _figures(said, data.validation, cuts(said, data.validation))


def measured(file: Path, folder: Path) -> dict[str, Figure]:
    """Return the figures of an exported file on a folder of crops, by its own cuts.

    Raises FolderUnreadable, SetupFailed.
    """
    network = EyePatches(file.read_bytes())
    crops = reading.read_all(folder)
    return _figures(network(as_they_are(crops.crops)[..., 0]), crops, network.cuts)


def cuts(said: Floats, crops: Crops) -> Cuts:
    """Return the cuts that suit crops best; too few keep those of the weights in the repository."""
    if len(crops.names) < FEWEST_TO_CHOOSE_BY:
        return EyePatches(own_file(eye_patches.WEIGHTS.name).read_bytes()).cuts
    return chosen(said, crops.is_open)


def answers(network: Network, crops: Crops) -> Floats:
    """Return how open a network in training says that eyes are, (N,), as the product asks it."""
    patches = as_they_are(crops.crops)
    looks = (patches, patches[:, :, ::-1])
    said = [network.predict(look, batch_size=_BATCH, verbose=0)[:, 0] for look in looks]
    return np.asarray(np.mean(said, axis=0), dtype=np.float32)


def _figures(said: Floats, crops: Crops, cut: Cuts) -> dict[str, Figure]:
    return intervals.figures(_numbers(said, crops, cut), _computed)


def _numbers(said: Floats, crops: Crops, cut: Cuts) -> Numbers:
    called = np.where(said > cut.open_above, 1.0, np.where(said < cut.shut_below, 0.0, 0.5))
    return np.stack([crops.is_open, said, called], axis=1).astype(np.float64)


def _computed(numbers: Numbers, weights: Numbers) -> Mapping[str, float]:
    is_open, said, called = numbers.T
    told = (called != 0.5).astype(np.float64)  # noqa: PLR2004 - neither 0 nor 1
    return {
        # Unknown counts as not open, as it does in a rating.
        "accuracy": metrics.mean(((called == 1) == is_open).astype(np.float64), weights),
        "accuracy_told": metrics.mean((called == is_open).astype(np.float64), weights * told),
        "told": metrics.mean(told, weights),
        "auc": metrics.auc(said, is_open > 0, weights),
    }
