"""Exports an eye network to ONNX, with the cuts that suit it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from smart_filter_training import exporting, fitting
from smart_filter_training.exporting import Exported
from smart_filter_training.models.eyes import evaluate
from smart_filter_training.models.eyes.augmentation import as_they_are
from smart_filter_training.models.eyes.data import Data
from smart_filter_workers.networks import eye_patches

Network = Any  # keras ships no types

# Enough crops to see a difference.
_COMPARED: Final = 256


def export(network: Network, data: Data, folder: Path) -> Exported:
    """Write `eyes.onnx` into a folder.  Raises SetupFailed."""
    exact = fitting.in_full_precision(network)
    said = evaluate.answers(exact, data.validation)
    cuts = evaluate.cuts(said, data.validation)
    return exporting.to_onnx(
        exact,
        folder / eye_patches.WEIGHTS.name,
        inputs=as_they_are(data.validation.crops[:_COMPARED]),
        metadata={eye_patches.CUTS: json.dumps(asdict(cuts))},
    )
