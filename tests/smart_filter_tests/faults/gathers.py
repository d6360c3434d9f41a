"""A model that does not misbehave, and takes several photos at once."""

from dataclasses import replace
from pathlib import Path

from smart_filter_tests import faults
from smart_filter_workers.stages.segmentation.models.base import Segmenter

CARD = replace(faults.card("gathers"), batch_size=4)


def load(weights: Path) -> Segmenter:
    del weights
    return faults.people_everywhere
