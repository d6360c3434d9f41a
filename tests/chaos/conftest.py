"""One stack for all faults; every test restores it."""

import os
import random
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from smart_filter_tests.storm import Storm, storm

# Seeds that failed once; 1 stands for none.
KEPT_SEEDS = (1,)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give `chance` the kept seeds and a new one, or only that of CHAOS_SEED."""
    if "chance" in metafunc.fixturenames:
        given = os.environ.get("CHAOS_SEED")
        seeds = [*KEPT_SEEDS, secrets.randbelow(2**32)] if given is None else [int(given)]
        metafunc.parametrize("chance", seeds, indirect=True, ids=lambda seed: f"seed {seed}")


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """The random generator of a test; the test's name shows the seed."""
    return random.Random(request.param)


@pytest.fixture(scope="session")
def _storm(data_folder: Path, weights_folder: Path) -> Iterator[Storm]:
    with storm(data_folder / "storm", weights_folder) as stack:
        yield stack


@pytest.fixture
def storm_stack(_storm: Storm) -> Iterator[Storm]:
    """The stack; afterwards every server is reachable again."""
    yield _storm
    _storm.calm_down()
