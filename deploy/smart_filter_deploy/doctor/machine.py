"""The machine: Python, packages, disk, memory, GPU, ports; the standard library is enough."""

import importlib.util
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from smart_filter_deploy.doctor.findings import Finding, fail, ok, warn
from smart_filter_deploy.embedded.ports import LOOPBACK, free_port

_OLDEST_PYTHON = (3, 11)
# What only the extras bring: for all servers, for the API, for workers.
_PACKAGES = (
    *("sqlalchemy", "psycopg", "redis", "minio", "celery"),
    *("fastapi", "uvicorn"),
    *("numpy", "cv2", "onnxruntime", "ai_edge_litert"),
)
_GIGA = 1e9
_LEAST_DISK_BYTES = 0.5 * _GIGA  # PostgreSQL stops when it cannot write any more
_ENOUGH_DISK_BYTES = 5 * _GIGA
# A worker takes up to 0.9 GB, API and servers 0.4 GB (docs/measurements.md).
_LEAST_MEMORY_BYTES = 1 * _GIGA
_ENOUGH_MEMORY_BYTES = 2 * _GIGA
_LEAST_FREE_BYTES = 0.3 * _GIGA
_LISTENS = "0A"  # Source: Linux, include/net/tcp_states.h


def python() -> Iterator[Finding]:
    """Look at the interpreter."""
    version = platform.python_version()
    if sys.version_info < _OLDEST_PYTHON:
        wanted = ".".join(map(str, _OLDEST_PYTHON))
        yield fail("python", f"{version} is too old", f"install Python {wanted} or newer")
    elif sys.prefix == sys.base_prefix:
        fix = "python3 -m venv .venv keeps this program's packages apart from the system's"
        yield warn("python", f"{version}, not in an environment of its own", fix)
    else:
        yield ok("python", f"{version} in {sys.prefix}")


def packages() -> Iterator[Finding]:
    """Look at which extras are installed."""
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        said = f"enough for a client; some processes need {', '.join(missing)} too"
        yield warn("packages", said, "pip install 'smart-filter[embedded]' brings all")
    else:
        yield ok("packages", "all that client, API and workers need")


def disk(folder: Path) -> Iterator[Finding]:
    """Look at how much room there is where a folder is or would be."""
    place = next(one for one in (folder, *folder.parents) if one.exists())
    free = shutil.disk_usage(place).free
    said = f"{free / _GIGA:.1f} GB free for {folder}"
    fix = "make room, or choose another folder with --data or SMART_FILTER_DATA"
    if free < _LEAST_DISK_BYTES:
        yield fail("disk", said, fix)
    elif free < _ENOUGH_DISK_BYTES:
        yield warn("disk", said, fix)
    else:
        yield ok("disk", said)


def memory() -> Iterator[Finding]:
    """Look at how much memory there is, and how much a container may take."""
    numbers = _meminfo(Path("/proc/meminfo").read_text())
    total = min(numbers["MemTotal"], _container_limit() or numbers["MemTotal"])
    available = min(numbers["MemAvailable"], total)
    said = f"{total / _GIGA:.1f} GB, {available / _GIGA:.1f} GB of it available"
    fix = "give the machine or container 2 GB, or run workers on another one"
    if total < _LEAST_MEMORY_BYTES:
        yield fail("memory", said, fix)
    elif total < _ENOUGH_MEMORY_BYTES:
        yield warn("memory", said, fix)
    elif available < _LEAST_FREE_BYTES:
        yield warn("memory", said, "end other programs, or give the machine more")
    else:
        yield ok("memory", said)


def gpu() -> Iterator[Finding]:
    """Look for a GPU; nothing needs one."""
    described = Path("/proc/driver/nvidia/gpus").glob("*/information")
    models = [
        line.partition(":")[2].strip()
        for information in described
        for line in information.read_text().splitlines()
        if line.startswith("Model:")
    ]
    if models:
        yield ok("gpu", f"{', '.join(models)}; nothing needs it")
    else:
        yield ok("gpu", "none; nothing needs one")


def port(number: int | None) -> Iterator[Finding]:
    """Look at whether a port of the loopback interface can be had: this one, or any."""
    if number is None:
        free_port()
        yield ok("port", f"{LOOPBACK} has free ports, and `up` takes one unless --port names it")
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, number))
        except OSError as error:
            fix = "end that process, or choose another port with --port"
            yield fail("port", f"{number}: {error.strerror}{_held_by(number)}", fix)
            return
    yield ok("port", f"{number} is free")


def _held_by(number: int) -> str:
    """Return who listens on a port, as far as we may see it."""
    inodes = {
        fields[9]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        if Path(table).exists()
        # Fields: number, local address:port in hexadecimal, …, state, …, inode. Source: proc(5).
        for fields in map(str.split, Path(table).read_text().splitlines()[1:])
        if int(fields[1].rpartition(":")[2], 16) == number and fields[3] == _LISTENS
    }
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = str(link.readlink())
        except OSError:
            continue
        if target.startswith("socket:[") and target[8:-1] in inodes:
            pid = link.parts[2]
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            return f", process {pid} ({name}) listens on it"
    return ", somebody listens on it" if inodes else ""


def _meminfo(text: str) -> dict[str, int]:
    """Return the bytes by name. Source: proc(5)."""
    lines = (line.split() for line in text.splitlines())
    return {fields[0].rstrip(":"): int(fields[1]) * 1024 for fields in lines if len(fields) > 1}


def _container_limit() -> int | None:
    """Return how many bytes this control group may take; None without a limit."""
    for place in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        if Path(place).exists():
            told = Path(place).read_text().strip()
            return int(told) if told.isdigit() else None
    return None
