"""Exports an expression network to ONNX, with the cuts that suit it."""

import json
from pathlib import Path
from typing import Any, Final

from smart_filter_training import exporting, fitting
from smart_filter_training.exporting import Exported
from smart_filter_training.models.expression import evaluate
from smart_filter_training.models.expression.augmentation import as_they_are
from smart_filter_training.models.expression.data import Data
from smart_filter_workers.networks import expression

Network = Any  # keras ships no types

# Enough crops to see a difference.
_COMPARED: Final = 256


def export(network: Network, data: Data, folder: Path) -> Exported:
    """Write `expression.onnx` into a folder.  Raises SetupFailed."""
    exact = fitting.in_full_precision(network)
    cuts = evaluate.cuts(evaluate.answers_of(exact, data.validation), data.validation)
    return exporting.to_onnx(
        exact,
        folder / expression.WEIGHTS.name,
        inputs=as_they_are(data.validation.crops[:_COMPARED]),
        metadata={expression.CUTS: json.dumps(cuts)},
    )
