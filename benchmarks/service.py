"""Run the service as a user does: `smart-filter up` in a temporary folder."""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from smart_filter_client import Client
from smart_filter_deploy.cli.server import program
from smart_filter_deploy.cli.terminal.signals import exit_on_signals
from smart_filter_deploy.embedded.child_processes import Command, process_tree
from smart_filter_shared.config import paths
from smart_filter_workers.weights import packaged

_STOP_SECONDS = 60
# Part of the command line that identifies a process of each kind.
_MARKS = {
    "api": "smart-filter api",
    "worker": "smart-filter worker",
    "up": "smart-filter up",
    "database": "postgres",
    "all": "",
}
# Source: proc(5), stat: user and system time of the process and of its ended children, counted
# after the name, which can contain spaces.
_TICKS_WITH_CHILDREN = slice(11, 15)


def prepare(key: str) -> Command:
    """Return the command that creates the tables, and a key of the tenant `local`."""
    env = {"SMART_FILTER_LOCAL_KEY": key}
    return Command(name="prepare", argv=program.command("prepare"), env=env, once=True)


def answers(url: str) -> bool:
    """Return whether a GET of this address succeeds within a second."""
    try:
        return httpx.get(url, timeout=1, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


@dataclass(frozen=True, slots=True)
class Service:
    """The running service.

    started_at: start of its command, on the monotonic clock.
    """

    client: Client
    api_key: str
    pid: int
    started_at: float

    def processor_seconds(self, kind: str) -> float:
        """Return the processor seconds that processes of a kind have used."""
        return processor_seconds_of(kind, self.pid)

    def memory_mb(self, kind: str, field: str) -> float:
        """Return the memory in MB of all processes of a kind together.

        kind: api, worker, database, up, or all.  field: VmRSS (now), VmHWM (peak), or Pss (now;
        pages that processes share are divided among them).
        """
        return sum(
            _memory_kb(pid, field) / 1000
            for pid in process_tree(self.pid)
            if _MARKS[kind] in _command_line(pid)
        )


def processor_seconds(pid: int) -> float:
    """Return the processor seconds of a process, its descendants and their ended children."""
    return sum(processor_seconds_by_process(pid).values())


def processor_seconds_by_process(pid: int) -> dict[int, float]:
    """Return the same of a process and each of its descendants, by its id."""
    return {each: _ticks(each) / os.sysconf("SC_CLK_TCK") for each in process_tree(pid)}


def processor_seconds_of(kind: str, ancestor: int) -> float:
    """Return the processor seconds of the processes of a kind that descend from a process."""
    pids = (pid for pid in process_tree(ancestor) if _MARKS[kind] in _command_line(pid))
    return sum(_ticks(pid) for pid in pids) / os.sysconf("SC_CLK_TCK")


@contextmanager
def folder() -> Iterator[Path]:
    """Yield a new data folder with a link to the weights; remove it after the block.

    SIGTERM, as the time limit of `make bench` sends it, ends the block like an error, so that no
    service is left.
    """
    shared = paths.data_folder() / "weights"
    packaged.pull(shared)
    with exit_on_signals(), tempfile.TemporaryDirectory(prefix="smart-filter-bench-") as made:
        path = Path(made)
        path.chmod(0o711)  # as root PostgreSQL is another user, who must pass
        (path / "weights").symlink_to(shared)
        yield path


@contextmanager
def up(
    data: Path,
    *,
    workers: int = 1,
    remember: bool = False,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Service]:
    """Run `smart-filter up` on a folder while the block lasts; yield the service.

    workers: processes.  remember: whether a photo that is sent again reuses results; else it is
    processed again.  settings: more variables of the service's environment.
    """
    log_path = data / "up.log"
    started_at = time.monotonic()
    with log_path.open("w") as log:
        process = subprocess.Popen(
            program.command("up", "--json", "--workers", str(workers)),
            env={
                **_environment(),
                "SMART_FILTER_DATA": str(data),
                "SMART_FILTER_REMEMBER": str(remember).lower(),
                **(settings or {}),
            },
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            process_group=0,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"`smart-filter up` did not start: {log_path.read_text()}")
        first = json.loads(line)
        with Client(first["url"], first["api_key"]) as client:
            yield Service(client, first["api_key"], process.pid, started_at)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_STOP_SECONDS)


def _environment() -> dict[str, str]:
    """Return this process's environment without settings of the service."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith("SMART_FILTER_")
    }


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[_TICKS_WITH_CHILDREN]))


def _memory_kb(pid: int, field: str) -> int:
    # `VmRSS:     12345 kB`. Source: proc(5).
    file = "smaps_rollup" if field == "Pss" else "status"
    for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    return 0
