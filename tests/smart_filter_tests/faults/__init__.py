"""Models that misbehave, loaded by the tests' own worker and never by the product.

A file named after the model arms it, in the folder that SMART_FILTER_TEST_FAULTS names, so a test
decides when the model misbehaves and when it stops.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from smart_filter_shared.catalog.model_card import Commercial, ModelCard
from smart_filter_shared.pipeline import TaskName
from smart_filter_workers.results import PreparedPhoto
from smart_filter_workers.stages.segmentation.models.base import People

FOLDER = "SMART_FILTER_TEST_FAULTS"


def card(name: str) -> ModelCard:
    """Return the card of a fault model; each one is its own capability."""
    return ModelCard(
        name=name,
        version="1",
        task=TaskName.SEGMENTATION,
        family=name,
        title=f"A model that {name}",
        source="the tests",
        license="Apache-2.0",
        data_terms="",
        commercial=Commercial.YES,
    )


def flag(name: str) -> Path:
    """Return the file that arms a fault."""
    return Path(os.environ[FOLDER]) / name


def people_everywhere(batch: Sequence[PreparedPhoto]) -> list[People]:
    """Return mattes that show people everywhere: the answer of a fault model that is not armed."""
    return [People(np.full(photo.proxy_srgb.shape[:2], 255, np.uint8), None) for photo in batch]
