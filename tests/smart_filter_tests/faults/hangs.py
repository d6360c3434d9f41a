"""A model that does not return while it is armed; `hangs.reached` appears when it is in."""

import time
from collections.abc import Sequence
from pathlib import Path

from smart_filter_tests import faults
from smart_filter_workers.results import Prepared
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter

CARD = faults.card("hangs")


def load(weights: Path) -> Segmenter:
    del weights
    return _hang


def _hang(batch: Sequence[Prepared]) -> list[People]:
    while faults.flag("hangs").exists():
        faults.flag("hangs.reached").touch()
        time.sleep(0.02)  # this process may wait: the test that armed it looks, never sleeps
    return faults.everybody(batch)
