"""Try actions, each in a process with locks: `python -m … LOCKS ACTION…`.

LOCKS: `all`, `seccomp`, `landlock`, `entry` (the first lock of a decoder child) or `none`.
It prints a line for each action: `done`, or the name of the error's number.
"""

import errno
import mmap
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from smart_filter_workers.decoder import child, entry
from smart_filter_workers.system import sandbox

_PARENT = os.getppid()


def _read_parents_environment() -> None:
    os.close(os.open(f"/proc/{_PARENT}/environ", os.O_RDONLY))


def _start_program() -> None:
    os.execv("/bin/true", ["true"])


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)
    os.wait()


def _connect() -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.connect_ex("/nonexistent")


def _map_code() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


ACTIONS: Mapping[str, Callable[[], object]] = {
    "read a file": lambda: os.close(os.open("/etc/passwd", os.O_RDONLY)),
    "write a file": lambda: os.close(os.open("/tmp", os.O_TMPFILE | os.O_WRONLY)),
    "look for a file": Path("/etc/passwd").stat,
    "list a folder": lambda: list(Path("/").iterdir()),
    "read the parent's environment": _read_parents_environment,
    "make a socket": lambda: socket.socket().close(),
    "connect to a socket": _connect,
    "start a program": _start_program,
    "fork": _fork,
    "signal the parent": lambda: os.kill(_PARENT, 0),
    "look at the parent's priority": lambda: os.getpriority(os.PRIO_PROCESS, _PARENT),
    "make memory executable": _map_code,
    "make a file in memory": lambda: os.close(os.memfd_create("more")),
    "make a pipe": os.pipe,
    "change the mode of an open file": lambda: os.fchmod(1, 0o600),
    "allocate two gigabytes": lambda: mmap.mmap(-1, 2 << 30, flags=mmap.MAP_PRIVATE).close(),
    "stop its timer": lambda: signal.setitimer(signal.ITIMER_REAL, 0),
}


def main() -> None:
    locks, *actions = sys.argv[1:]
    for action in actions:
        reading, writing = os.pipe()
        # A fork has the decoder's libraries, which take longer to load than all actions.
        if os.fork() == 0:
            os.close(reading)
            os.write(writing, _try_action(locks, action).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as outcome:
            sys.stdout.write(f"{outcome.read()}\n")
        os.wait()


def _try_action(locks: str, action: str) -> str:
    missing = {
        "all": child.lock,
        "seccomp": lambda: [sandbox.restrict_calls()],
        "landlock": lambda: [sandbox.restrict_files()],
        "entry": lambda: [entry.lock_files()],
        "none": list,
    }[locks]()
    if any(missing):
        return str(missing)
    try:
        ACTIONS[action]()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


if __name__ == "__main__":
    main()
