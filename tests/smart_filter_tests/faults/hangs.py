"""A model that does not return while it is armed; it creates `hangs.reached` when called."""

import time
from collections.abc import Sequence
from pathlib import Path

from smart_filter_tests import faults
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter

CARD = faults.card("hangs")


def load(weights: Path) -> Segmenter:
    del weights
    return _hang


def _hang(batch: Sequence[PreparedPhoto]) -> list[People]:
    while faults.flag("hangs").exists():
        faults.flag("hangs.reached").touch()
        time.sleep(0.02)  # this process may wait: the test that armed it polls, never sleeps
    return faults.people_everywhere(batch)
