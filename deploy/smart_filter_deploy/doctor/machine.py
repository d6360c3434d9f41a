"""Check the machine: Python, packages, disk, memory, GPU, ports.

Needs only the standard library.
"""

import importlib.util
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from smart_filter_deploy.doctor.findings import Finding, fail, ok, warn
from smart_filter_deploy.embedded.addresses import LOOPBACK, find_fault, free_port
from smart_filter_shared import container_memory
from smart_filter_shared.extras import install_hint

_MIN_PYTHON = (3, 11)
# Packages that images of one process lack: for all servers, for the API, for workers.
_PACKAGES = (
    *("sqlalchemy", "psycopg", "redis", "celery"),
    *("fastapi", "uvicorn"),
    *("numpy", "cv2", "onnxruntime", "ai_edge_litert"),
)
_GIGA = 1e9
_MIN_DISK_BYTES = 0.5 * _GIGA  # PostgreSQL stops when the disk is full
_WARN_DISK_BYTES = 5 * _GIGA
# A worker takes up to 0.9 GB, API and servers 0.4 GB (docs/measurements.md).
_MIN_MEMORY_BYTES = 1 * _GIGA
_WARN_MEMORY_BYTES = 2 * _GIGA
_MIN_FREE_BYTES = 0.3 * _GIGA
_TCP_LISTEN = "0A"  # Source: Linux, include/net/tcp_states.h


def check_python() -> Iterator[Finding]:
    """Check the Python version and environment."""
    version = platform.python_version()
    if sys.version_info < _MIN_PYTHON:
        wanted = ".".join(map(str, _MIN_PYTHON))
        yield fail("python", f"{version} is too old", f"install Python {wanted} or newer")
    elif sys.prefix == sys.base_prefix:
        fix = "python3 -m venv .venv keeps this program's packages apart from the system's"
        yield warn("python", f"{version}, not in a virtual environment", fix)
    else:
        yield ok("python", f"{version} in {sys.prefix}")


def check_packages() -> Iterator[Finding]:
    """Check whether all packages are installed."""
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        said = f"enough for a client; some processes also need {', '.join(missing)}"
        yield warn("packages", said, install_hint())
    else:
        yield ok("packages", "all packages of client, API and workers are installed")


def has_models() -> bool:
    """Return whether the packages of the models are installed."""
    return importlib.util.find_spec("onnxruntime") is not None


def check_disk(folder: Path) -> Iterator[Finding]:
    """Check the free disk space at a folder that exists or will be created."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(place).free
    said = f"{free / _GIGA:.1f} GB free for {folder}"
    fix = "free disk space, or choose another folder with --data or SMART_FILTER_DATA"
    if free < _MIN_DISK_BYTES:
        yield fail("disk", said, fix)
    elif free < _WARN_DISK_BYTES:
        yield warn("disk", said, fix)
    else:
        yield ok("disk", said)


def check_memory() -> Iterator[Finding]:
    """Check the memory of the machine, and the memory limit of the container."""
    numbers = _read_meminfo(Path("/proc/meminfo").read_text())
    total = min(numbers["MemTotal"], container_memory.read_limit() or numbers["MemTotal"])
    available = min(numbers["MemAvailable"], total)
    said = f"{total / _GIGA:.1f} GB, {available / _GIGA:.1f} GB of it available"
    fix = "give the machine or container 2 GB, or run workers on another one"
    if total < _MIN_MEMORY_BYTES:
        yield fail("memory", said, fix)
    elif total < _WARN_MEMORY_BYTES:
        yield warn("memory", said, fix)
    elif available < _MIN_FREE_BYTES:
        yield warn("memory", said, "stop other programs, or give the machine more memory")
    else:
        yield ok("memory", said)


def check_gpu() -> Iterator[Finding]:
    """Report the GPUs; no model requires one."""
    described = Path("/proc/driver/nvidia/gpus").glob("*/information")
    models = [
        line.partition(":")[2].strip()
        for information in described
        for line in information.read_text().splitlines()
        if line.startswith("Model:")
    ]
    if models:
        yield ok("gpu", f"{', '.join(models)}; not required")
    else:
        yield ok("gpu", "none; not required")


def check_port(number: int | None) -> Iterator[Finding]:
    """Check whether a port of the loopback interface is free: this one, or any (None)."""
    if number is None:
        free_port()
        yield ok("port", f"{LOOPBACK} has free ports; `up` uses one of them, or --port")
        return
    fault = find_fault(number)
    if fault is not None:
        fix = "stop that process, or choose another port with --port"
        yield fail("port", f"{number}: {fault}{_find_listener(number)}", fix)
    else:
        yield ok("port", f"{number} is free")


def _find_listener(number: int) -> str:
    """Return a clause that names the process listening on a port, if it is visible."""
    inodes = {
        fields[9]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        if Path(table).exists()
        # Fields: number, local address:port in hexadecimal, …, state, …, inode. Source: proc(5).
        for fields in map(str.split, Path(table).read_text().splitlines()[1:])
        if int(fields[1].rpartition(":")[2], 16) == number and fields[3] == _TCP_LISTEN
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
    return ", a process of another user listens on it" if inodes else ""


def _read_meminfo(text: str) -> dict[str, int]:
    """Parse /proc/meminfo; return the bytes by name. Source: proc(5)."""
    lines = (line.split() for line in text.splitlines())
    return {fields[0].rstrip(":"): int(fields[1]) * 1024 for fields in lines if len(fields) > 1}
