"""Fixtures of the suites over every model: a picture, and the models."""

from pathlib import Path

import pytest

from smart_filter_workers import images
from smart_filter_workers.models import catalog
from smart_filter_workers.models.cache import ModelCache
from smart_filter_workers.results import Srgb8
from smart_filter_workers.system import resources

ASTRONAUT = Path(__file__).parent.parent / "data" / "astronaut.png"


@pytest.fixture(scope="session")
def astronaut() -> Srgb8:
    """A smiling woman in a space suit, both eyes open: (512, 512, 3) sRGB."""
    return images.decode(ASTRONAUT.read_bytes()).srgb


@pytest.fixture(scope="session")
def models(weights_folder: Path) -> ModelCache:
    """Every model whose weights are in the default folder."""
    return ModelCache(
        catalog.discover_models(), weights_folder, memory_limit=resources.get_limit(None)
    )
