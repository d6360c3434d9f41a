"""A model that kills its process: once each time it is armed, or always."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from smart_filter_tests import faults
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter

CARD = faults.card("kills")


def load(weights: Path) -> Segmenter:
    del weights
    return _kill


def _kill(batch: Sequence[PreparedPhoto]) -> list[People]:
    once = faults.flag("kills").exists()
    faults.flag("kills").unlink(missing_ok=True)
    if once or faults.flag("kills-always").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return faults.people_everywhere(batch)
