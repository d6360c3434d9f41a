"""Models that misbehave: they enter through the tests' own worker, never through the product.

Each is armed by a file of its name in the folder that SMART_FILTER_TEST_FAULTS names, so
that a test decides when it misbehaves and when it stops to.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from smart_filter_shared.cards import ModelCard, TaskName
from smart_filter_workers.results import Prepared
from smart_filter_workers.stages.segmentation.models.base import People

FOLDER = "SMART_FILTER_TEST_FAULTS"


def card(name: str) -> ModelCard:
    """Return the card of a fault model; each is a capability of its own."""
    return ModelCard(
        name=name,
        version="1",
        task=TaskName.SEGMENTATION,
        family=name,
        title=f"A model that {name}",
        source="the tests",
        licence="Apache-2.0",
        data_terms="",
    )


def flag(name: str) -> Path:
    """Return the file that arms a fault."""
    return Path(os.environ[FOLDER]) / name


def everybody(batch: Sequence[Prepared]) -> list[People]:
    """Say that people are everywhere: what a fault model answers when it behaves."""
    return [People(np.full(one.proxy_srgb.shape[:2], 255, np.uint8), None) for one in batch]
