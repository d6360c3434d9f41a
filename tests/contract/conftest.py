"""What the suites over every model share: pictures."""

from pathlib import Path

import pytest

from smart_filter_workers import images
from smart_filter_workers.results import Srgb8

ASTRONAUT = Path(__file__).parent.parent / "data" / "astronaut.png"


@pytest.fixture(scope="session")
def astronaut() -> Srgb8:
    """A smiling woman in a space suit, both eyes open: (512, 512, 3) sRGB."""
    return images.decode(ASTRONAUT.read_bytes()).srgb
