"""A model that raises while it is armed: always, or as often as the file that arms it says."""

from collections.abc import Sequence
from pathlib import Path

from smart_filter_tests import faults
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.segmentation.models.base import People, Segmenter

CARD = faults.card("raises")


def load(weights: Path) -> Segmenter:
    del weights
    return _raise


def _raise(batch: Sequence[PreparedPhoto]) -> list[People]:
    flag = faults.flag("raises")
    if flag.exists():
        left = flag.read_text()
        if left == "1":
            flag.unlink()
        elif left:
            flag.write_text(str(int(left) - 1))
        raise RuntimeError("raised as asked")
    return faults.people_everywhere(batch)
