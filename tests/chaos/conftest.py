"""One stack for all faults; every test restores it."""

import os
import random
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from smart_filter_tests.storm import Storm, storm

CHECKED = "checked"


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
def storm_stack(_storm: Storm, request: pytest.FixtureRequest) -> Iterator[Storm]:
    """The stack; afterwards every server is reachable again."""
    yield _storm
    _storm.calm_down()
    note(request, _storm)


@pytest.fixture(scope="session")
def _long_lease_storm(data_folder: Path, weights_folder: Path) -> Iterator[Storm]:
    with storm(data_folder / "long-leases", weights_folder, lease_seconds=60) as stack:
        yield stack


@pytest.fixture
def long_lease_storm(_long_lease_storm: Storm, request: pytest.FixtureRequest) -> Iterator[Storm]:
    """A stack whose leases only end when a worker returns them, however busy the machine is."""
    yield _long_lease_storm
    note(request, _long_lease_storm)


def note(request: pytest.FixtureRequest, stack: Storm) -> None:
    """Keep what a test has checked, for the table at the end."""
    request.node.user_properties += [(CHECKED, one) for one in stack.checked]
    stack.checked.clear()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a table: how many photos each test sent, and what was lost, doubled or left behind."""
    reports = terminalreporter.getreports("")
    rows = [
        (report.nodeid.rpartition("::")[2], *checked)
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "teardown"
        for name, checked in report.user_properties
        if name == CHECKED and isinstance(checked, tuple)
    ]
    if rows:
        terminalreporter.section("photos, and what the audit found")
        for test, photos, faults in rows:
            terminalreporter.write_line(f"{photos:5} {faults:3}  {test}")
