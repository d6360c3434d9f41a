"""Writes the two files that `smart-filter models admit` takes."""

from pathlib import Path

from smart_filter_training.detectors import exporting
from smart_filter_training.exporting import Exported
from smart_filter_training.models.detectron2_persons import FILE
from smart_filter_training.models.detectron2_persons.data import Data
from smart_filter_training.models.detectron2_persons.train import Network


def export(network: Network, data: Data, folder: Path) -> Exported:
    """Write configuration and weights; both together answer as the network that was trained.

    Raises SetupFailed when they do not.
    """
    (_, arrays), parity = exporting.export(network, data.validation, folder, stem=Path(FILE).stem)
    return Exported(arrays, parity)
