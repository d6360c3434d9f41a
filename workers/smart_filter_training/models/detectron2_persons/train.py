"""Trains the network with detectron2's own trainer."""

from typing import Final

from smart_filter_training.detectors import training
from smart_filter_training.detectors.configuration import MASK_RCNN, Configuration
from smart_filter_training.detectors.training import Detector as Network
from smart_filter_training.models.detectron2_persons import LABEL
from smart_filter_training.models.detectron2_persons.data import Data
from smart_filter_training.record import Record

__all__ = ["Configuration", "Network", "train"]

# What learns it.
ARCHITECTURES: Final = (MASK_RCNN,)


def train(data: Data, configuration: Configuration, record: Record) -> Network:
    """Train on a folder's pictures, or go on where a killed run was.  Raises SetupFailed."""
    return training.train(data, configuration, record, architectures=ARCHITECTURES, name=LABEL)
