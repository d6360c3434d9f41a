"""One installation of 40 days for all journeys; each goes on with jobs of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from smart_filter_tests.aged_stack import AgedStack, aged_stack
from smart_filter_tests.commands import Command, on_servers

# The first journey waits until the database is filled, a minute and a half on a busy machine.
_SECONDS = 400


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give journeys the time that the first of them takes."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(_SECONDS))


@pytest.fixture(scope="session")
def aged(data_folder: Path, weights_folder: Path) -> Iterator[AgedStack]:
    """The stack, on 200,000 jobs."""
    with aged_stack(data_folder / "aged", weights_folder) as stack:
        yield stack


@pytest.fixture
def command(
    aged: AgedStack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """The command line of whoever runs it."""
    return on_servers(aged.bench.settings, capsys, monkeypatch)
