"""One stack, live worker and Prometheus for all faults; every test mends what it has broken."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from smart_filter_deploy.cli.server import program
from smart_filter_deploy.embedded.child_processes import Command
from smart_filter_deploy.process_secrets import Process
from smart_filter_tests.http_server import LOOPBACK
from smart_filter_tests.live_worker import LiveWorker, live_worker
from smart_filter_tests.prometheus import Prometheus, find_programs, run_prometheus
from smart_filter_tests.storm import Storm, storm

VIEWERS = 16
SENDER = "sender"


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder with prometheus and promtool; without them the tests are skipped."""
    return find_programs()


@pytest.fixture(scope="session")
def _stack(programs: Path, data_folder: Path, weights_folder: Path) -> Iterator[Storm]:
    del programs  # first, because a skipped test starts no stack
    environment = {"SMART_FILTER_OUTBOUND_ALLOW": LOOPBACK}
    with storm(data_folder / "alerts", weights_folder, **environment) as stack:
        stack.running.stack.start(
            Command(
                name=SENDER,
                argv=program.command("sender"),
                env=environment,
                process=Process.SENDER,
            )
        )
        yield stack


@pytest.fixture(scope="session")
def live(programs: Path, weights_folder: Path) -> Iterator[LiveWorker]:
    """A live worker that accepts all viewers of one tenant."""
    del programs
    limits = {
        "SMART_FILTER_LIVE_CONNECTIONS": str(VIEWERS),
        "SMART_FILTER_LIVE_CONNECTIONS_EACH": str(VIEWERS),
    }
    with live_worker(weights_folder, **limits) as worker:
        yield worker


@pytest.fixture(scope="session")
def _prometheus(
    programs: Path, data_folder: Path, _stack: Storm, live: LiveWorker
) -> Iterator[Prometheus]:
    api = _stack.running.operators.base_url
    targets = {"api": [f"{api.host}:{api.port}"], "live": [live.operators_host]}
    with run_prometheus(programs, data_folder / "prometheus", targets) as running:
        running.wait_until_scraped(*targets)
        yield running


@pytest.fixture
def prometheus(_prometheus: Prometheus, _stack: Storm) -> Iterator[Prometheus]:
    """Prometheus without a firing alert; when the test has ended, again."""
    _prometheus.wait_until_silent()
    yield _prometheus
    _stack.calm_down()
    _prometheus.wait_until_silent()


@pytest.fixture
def stack(_stack: Storm, prometheus: Prometheus) -> Storm:
    """API, two workers and a sender, which Prometheus watches; a proxy before every server."""
    del prometheus
    return _stack
