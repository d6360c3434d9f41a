"""One stack for all faults; every test restores it."""

import os
import random
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from smart_filter_tests.storm import Storm, storm


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give `chance` the seed of CHAOS_SEED, otherwise a new one."""
    if "chance" in metafunc.fixturenames:
        given = os.environ.get("CHAOS_SEED")
        seed = secrets.randbelow(2**32) if given is None else int(given)
        metafunc.parametrize("chance", [seed], indirect=True, ids=[f"seed {seed}"])


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


@pytest.fixture(scope="module")
def long_lease_storm(data_folder: Path, weights_folder: Path) -> Iterator[Storm]:
    """A stack whose leases only end when a worker returns them, however busy the machine is."""
    with storm(data_folder / "long-leases", weights_folder, lease_seconds=60) as stack:
        yield stack
