"""What the suites over every model share: a picture, and the models."""

from pathlib import Path

import pytest

from smart_filter_workers import catalogue, images, memory
from smart_filter_workers.loaded import LoadedModels
from smart_filter_workers.results import Srgb8

ASTRONAUT = Path(__file__).parent.parent / "data" / "astronaut.png"


@pytest.fixture(scope="session")
def astronaut() -> Srgb8:
    """A smiling woman in a space suit, both eyes open: (512, 512, 3) sRGB."""
    return images.decode(ASTRONAUT.read_bytes()).srgb


@pytest.fixture(scope="session")
def models(weights_folder: Path) -> LoadedModels:
    """Every model whose weights lie in the default folder."""
    return LoadedModels(catalogue.find(), weights_folder, room=memory.room(None))
