"""Run separate servers, and worker processes whose model sleeps."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_shared.db import migrate
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.bench import Bench, capability, open_bench, settings_of
from smart_filter_tests.s3_server import S3Stack

_READY_SECONDS = 180.0
_STOP_SECONDS = 60.0
_LOOK_SECONDS = 0.2
# Source: proc(5), stat: user and system time, and those of ended children. The fields are counted
# after the name, which can contain spaces and parentheses.
_TICKS = slice(11, 15)


@dataclass(frozen=True, slots=True)
class Servers:
    """PostgreSQL, Valkey and an S3 server, in a stack without processes of the service."""

    bench: Bench
    stack: S3Stack

    def processor_seconds(self, name: str) -> float:
        """Return the processor seconds that a server has used: postgres, valkey or s3."""
        return sum(_processor_seconds(pid) for pid in self.stack.pids(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Worker processes of one stage.

    seconds: how long a batch of one photo sleeps.  growth: what each further photo of a batch
    adds, as a share of that.
    """

    stage: StageName
    seconds: float
    processes: int
    threads: int = 1
    batch_size: int = 1
    growth: float = 0.0


@contextmanager
def run_servers() -> Iterator[Servers]:
    """Run servers in a temporary folder while the block lasts; yield them."""
    with tempfile.TemporaryDirectory(prefix="smart-filter-bench-") as made, ExitStack() as stack:
        Path(made).chmod(0o711)  # as root PostgreSQL is another user, who must pass
        running = stack.enter_context(S3Stack(DataFolder.at(Path(made) / "data")))
        settings = settings_of(running.addresses)
        bench = stack.enter_context(open_bench(settings, connections=4))
        migrate.upgrade(bench.engine)
        bench.store.ensure_bucket()
        yield Servers(bench, running)


@contextmanager
def run_workers(servers: Servers, pools: Sequence[Pool], **variables: str) -> Iterator[None]:
    """Run worker processes while the block lasts; the block starts when all are ready.

    variables: environment variables of the workers.
    """
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for pool in pools:
            processes += [_start(servers, pool, variables) for _ in range(pool.processes)]
        _wait_until(lambda: _ready(servers) == len(processes), processes)
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(_STOP_SECONDS)


def ring(servers: Servers, pools: Sequence[Pool]) -> None:
    """Send one ring for every thread of every process."""
    for pool in pools:
        servers.bench.doorbell.ring([capability(pool.stage)] * (pool.processes * pool.threads))


def _start(servers: Servers, pool: Pool, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "benchmarks.sleeping"),
            *(pool.stage, str(pool.seconds), str(pool.growth)),
            *(str(pool.batch_size), str(pool.threads)),
        ],
        env={
            **os.environ,
            **servers.stack.environment,
            **variables,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        },
        cwd=Path(__file__).parents[1],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _ready(servers: Servers) -> int:
    with servers.bench.transaction() as connection:
        return int(connection.execute(text("SELECT count(*) FROM workers")).scalar_one())


def _wait_until(
    is_reached: Callable[[], bool], processes: Sequence[subprocess.Popen[bytes]]
) -> None:
    gives_up_at = time.monotonic() + _READY_SECONDS
    while not is_reached():
        if time.monotonic() > gives_up_at or any(
            process.poll() is not None for process in processes
        ):
            raise RuntimeError("the worker processes did not become ready")
        time.sleep(_LOOK_SECONDS)


def _processor_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[_TICKS])) / os.sysconf("SC_CLK_TCK")
