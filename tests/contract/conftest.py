"""What the suites over every model share: the weights, found models, pictures."""

import os
from pathlib import Path

import pytest

from smart_filter_workers import images, weights
from smart_filter_workers.results import Srgb8

ASTRONAUT = Path(__file__).parent.parent / "data" / "astronaut.png"


@pytest.fixture(scope="session")
def weights_folder() -> Path:
    """The weights of the data folder that this machine uses, pulled when missing."""
    default = "/var/lib/smart-filter" if os.getuid() == 0 else "~/.local/share/smart-filter"
    folder = Path(os.environ.get("SMART_FILTER_DATA", default)).expanduser() / "weights"
    weights.pull(folder)
    return folder


@pytest.fixture(scope="session")
def astronaut() -> Srgb8:
    """A smiling woman in a space suit, both eyes open: (512, 512, 3) sRGB."""
    return images.decode(ASTRONAUT.read_bytes()).srgb
