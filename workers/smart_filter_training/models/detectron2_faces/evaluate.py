"""How good the network is: on the pictures held back, and as the product runs its file."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from smart_filter_training import measuring
from smart_filter_training.detectors import admitting
from smart_filter_training.detectors import figures as detecting
from smart_filter_training.models.detectron2_faces import LABEL, TASK
from smart_filter_training.models.detectron2_faces.data import Data
from smart_filter_training.models.detectron2_faces.train import Network
from smart_filter_workers.evaluation import tasks
from smart_filter_workers.evaluation.intervals import Figure
from smart_filter_workers.networks.detectron2 import shelf
from smart_filter_workers.stages.face.models import detectron2_faces


def figures(network: Network, data: Data) -> Mapping[str, Figure]:
    """Return precision, recall and F1 at an IoU of one half."""
    return detecting.figures(network, data.validation, label=LABEL, masks=False)


def measured(file: Path, folder: Path) -> Mapping[str, Figure]:
    """Return what the exported file reaches on photos with known answers, by the product's model.

    file: the exported `.npz`, its `.yaml` beside it; folder: as `smart-filter eval` takes it.
    Raises FolderUnreadable, and SetupFailed when the product does not take the file.
    """
    with admitting.admitted(file, labels=(LABEL,), kind=shelf.FACES) as (weights, asked):
        model = partial(
            detectron2_faces.load(weights), parameters=detectron2_faces.CARD.completed(asked)
        )
        return measuring.measured(tasks.of(TASK), model, folder)
