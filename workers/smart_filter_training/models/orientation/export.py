"""Exports an orientation network to ONNX, with how sure it must be."""

import json
from pathlib import Path
from typing import Any, Final

from smart_filter_training import exporting, fitting
from smart_filter_training.exporting import Exported
from smart_filter_training.models.orientation import evaluate
from smart_filter_training.models.orientation.augmentation import as_they_are
from smart_filter_training.models.orientation.cut import sure_above
from smart_filter_training.models.orientation.data import Data
from smart_filter_workers.networks import scenes

Network = Any  # keras ships no types

# Enough scenes to see a difference.
_COMPARED: Final = 128


def export(network: Network, data: Data, folder: Path) -> Exported:
    """Write `orientation.onnx` into a folder.  Raises SetupFailed."""
    exact = fitting.in_full_precision(network)
    cut = sure_above(evaluate.answers(exact, data))
    return exporting.to_onnx(
        exact,
        folder / scenes.WEIGHTS.name,
        inputs=as_they_are(data.validation.scenes[:_COMPARED]),
        metadata={scenes.CUT: json.dumps(cut)},
    )
