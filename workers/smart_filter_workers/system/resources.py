"""Resources of this process: memory, a GPU, threads of native libraries; its identity."""

import ctypes
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import AvifImagePlugin

from smart_filter_shared import container_memory
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.pipeline import StageName
from smart_filter_workers.opencv import cv2

# Share of the available memory; the rest is for the system and for unusually large pictures.
_SHARE = 0.8
# Bytes of a worker without models, and what each stage adds with its default models and photos
# of 1 MP: without reserves, since a worker that could work must start (docs/measurements.md).
_BASE_BYTES: Final = 170e6
_STAGE_BYTES: Final[Mapping[StageName, float]] = {
    StageName.PREPARE: 50e6,
    StageName.SEGMENTATION: 330e6,
    StageName.FACE: 20e6,
    StageName.SMILE: 40e6,
    StageName.COMPOSITE: 50e6,
}
# Bytes of a block that returns to the system as soon as it is freed. The small drawings of designs
# have 5 to 9 MB and are made one after the other: with 4 MB, clearing their pages each time took
# 5 % of a default job of 1 MP.
_PICTURE_BYTES = 10 * 1024 * 1024
# Free bytes that each arena keeps. With glibc's 128 KB the pages of a stage's small arrays returned
# to the system and were cleared again at the next allocation: a sixth of a cut-out's time.
_KEPT_BYTES = 32 * 1024 * 1024

# The device name on models' cards.
GPU: Final = "cuda"

# The names in the wheels of numpy and of OpenCV, and in a plain build.
_SETTERS = (
    "scipy_openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "openblas_set_num_threads",
)
_LIBRARY = re.compile(r"\S*/[^/\s]*openblas[^/\s]*$", re.MULTILINE)

# In `/proc/PID/stat`, after the name: the time the process started, in clock ticks since the boot.
# Source: proc_pid_stat(5), field 22.
_START_TIME: Final = 19


def configure_malloc() -> None:
    """Make the C library return the memory of pictures to the system as soon as it is freed.

    After a run with 12 MP photos the process held 840 MB without this setting and 700 MB with it.
    Call this before threads start.
    """
    container_memory.configure_malloc(mapped_bytes=_PICTURE_BYTES, kept_bytes=_KEPT_BYTES)


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """The memory limit of this process, in bytes of resident pages."""

    limit_bytes: float

    def is_exceeded(self) -> bool:
        """Return whether the process exceeds the limit."""
        return resident_bytes() > self.limit_bytes

    def give_back(self) -> None:
        """Make the C library return freed memory to the system."""
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def get_limit(limit_mb: float | None) -> MemoryLimit:
    """Return the configured limit, or else four fifths of the machine's or container's memory."""
    return MemoryLimit(
        _SHARE * container_memory.read_available() if limit_mb is None else limit_mb * 1e6
    )


def ensure_known(limit_mb: float | None) -> None:
    """Raise SetupFailed in a container whose limit is neither readable nor configured.

    Each worker would count the memory of the whole machine as its own.
    """
    if limit_mb is None and container_memory.is_hidden():
        raise SetupFailed(
            "the memory limit of this container cannot be read: /sys/fs/cgroup has neither cgroup"
            " v2 nor the memory controller of v1: enable one in the kernel (boot with"
            " cgroup_enable=memory), or set SMART_FILTER_MEMORY_MB"
        )


def ensure_enough(
    stages: Collection[StageName], models: Collection[str], *, available: float | None = None
) -> None:
    """Raise SetupFailed when the kernel would kill a worker at its first photo.

    stages: what it serves; one that was added here counts nothing, since its need is unknown.
    models: those that it is limited to; their sizes are unknown, so only a worker without models is
    counted then.  available: bytes; None for what the container has.
    """
    added = 0.0 if models else sum(_STAGE_BYTES.get(stage, 0.0) for stage in stages)
    served = ", ".join(stages)
    container_memory.ensure_enough(
        f"a worker of {served}", needed=_BASE_BYTES + added, available=available
    )


def resident_bytes() -> int:
    """Return the resident memory of the process in bytes.  Source: proc_pid_statm(5)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def find_gpu_fault() -> str | None:
    """Return why there is no NVIDIA GPU here, or None when there is one.

    It asks the driver itself, so that no framework has to be loaded.
    Source: CUDA Driver API, cuInit and cuDeviceGetCount; 0 is CUDA_SUCCESS.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "there is no NVIDIA driver here (libcuda.so.1): give the container a GPU"
    status = driver.cuInit(0)
    if status != 0:
        return f"the NVIDIA driver answers with error {status}: check whether nvidia-smi runs"
    gpus = ctypes.c_int(0)
    status = driver.cuDeviceGetCount(ctypes.byref(gpus))
    if status != 0 or gpus.value == 0:
        return "the NVIDIA driver shows no GPU: give the container one"
    return None


def limit_native_threads() -> int:
    """Limit OpenCV, OpenBLAS and Pillow's AVIF to the calling thread.

    Returns the number of OpenBLAS libraries that were limited. A worker's own threads already
    share the cores. OpenBLAS waits for its helper threads by spinning: on two busy cores a photo
    of one megapixel took 0.20 to 0.33 s of CPU time, and takes 0.15 s without
    (docs/measurements.md). Its environment variable would have to be set before numpy is
    imported, in every place that starts a worker.
    Source: the method of threadpoolctl, for libraries that are already loaded.
    """
    cv2.setNumThreads(1)
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # of its decoder; no call takes it as a parameter
    maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    limited = 0
    for path in sorted(set(_LIBRARY.findall(maps))):
        library = ctypes.CDLL(path)
        setter = next((name for name in _SETTERS if hasattr(library, name)), None)
        if setter is not None:
            getattr(library, setter)(1)
            limited += 1
    return limited


def identify_process() -> str:
    """Return this process's boot, process id namespace, process id and start time."""
    return f"{_machine()} {os.getpid()} {_read_start_time(os.getpid())}"


def has_ended(identity: str) -> bool:
    """Return whether a process has certainly ended.

    False for a process of another machine, boot or container, which cannot be seen from here.
    """
    machine, pid, start_time = identity.rsplit(maxsplit=2)
    if machine != _machine():
        return False
    try:
        os.kill(int(pid), 0)
        return _read_start_time(int(pid)) != start_time  # the id belongs to another process now
    except ProcessLookupError:
        return True
    except OSError:  # a process of another user, which may be hidden
        return False


def _machine() -> str:
    # Containers and machines can share a host name.
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - it points at no file


def _read_start_time(pid: int) -> str:
    stat = Path(f"/proc/{pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[_START_TIME]
