"""Tell a process from all others, and see whether it has ended."""

import os
from pathlib import Path
from typing import Final

# In `/proc/PID/stat`, after the name: the time the process started, in clock ticks since the boot.
# Source: proc_pid_stat(5), field 22.
_START_TIME: Final = 19


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
