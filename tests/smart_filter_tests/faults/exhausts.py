"""A model that asks for more memory than any machine has while it is armed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from smart_filter_tests import faults
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter

CARD = faults.card("exhausts")
_TOO_MANY_BYTES = 2**62


def load(weights: Path) -> Segmenter:
    del weights
    return _exhaust


def _exhaust(batch: Sequence[PreparedPhoto]) -> list[People]:
    if faults.flag("exhausts").exists():
        np.empty(_TOO_MANY_BYTES, np.uint8)
    return faults.people_everywhere(batch)
