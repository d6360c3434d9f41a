"""Give this thread, and what it starts, a network that other processes do not see.

An engine creates bridges. In the machine's own network, browsers would notice each of them and end
their requests with ERR_NETWORK_CHANGED.
"""

import ctypes
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from smart_filter_shared.child_processes import programs

# Source: slirp4netns(1). It forwards to the machine's name server.
NAME_SERVER: Final = "10.0.2.3"
_CLONE_NEWNET = 0x40000000  # Source: linux/sched.h
_STOP_SECONDS = 20.0


@contextmanager
def private_network(environment: Mapping[str, str]) -> Iterator[None]:
    """Move this thread into a new network namespace, and back afterwards.

    Later threads and processes of this thread inherit the namespace. A process of slirp4netns
    forwards their connections: there is no interface for it in the machine's own namespace.
    environment: in which slirp4netns is found.  Raises OSError where the kernel refuses,
    AssertionError when slirp4netns does not start.
    """
    machine = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _call("unshare", _CLONE_NEWNET)
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            with _forwarded(machine, environment):
                yield
        finally:
            _call("setns", machine, _CLONE_NEWNET)
    finally:
        os.close(machine)


def tied_to_this_process(*command: str) -> list[str]:
    """Return a command that the kernel ends with SIGTERM when this process is killed."""
    return programs.tie(command, death_signal=signal.SIGTERM)


@contextmanager
def _forwarded(machine: int, environment: Mapping[str, str]) -> Iterator[None]:
    """Run slirp4netns in the machine's network for that of this thread."""
    told, tells = os.pipe()
    try:
        process = subprocess.Popen(
            tied_to_this_process(
                *("nsenter", f"--net=/proc/self/fd/{machine}"),
                *("slirp4netns", "--configure", "--disable-host-loopback", "--netns-type=path"),
                *(f"--ready-fd={tells}", f"/proc/{os.getpid()}/ns/net", "tap0"),
            ),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(machine, tells),
        )
    finally:
        os.close(tells)
    try:
        with os.fdopen(told, "rb") as ready:
            assert ready.read(1) == b"1", "slirp4netns does not start: its output is above"
        yield
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        finally:
            process.kill()


def _call(function: str, *arguments: int) -> None:
    """Call a function of the C library that Python 3.11 does not have.  Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc[function](*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")
