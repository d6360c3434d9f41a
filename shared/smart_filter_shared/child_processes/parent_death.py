"""Tie a process to its parent: when the parent ends, even by SIGKILL, the kernel ends the process.

To the kernel, the parent is the thread that started the process: it must live as long as the
parent.

Foreign programs are started by this file, run as a script between fork and exec, because Python
code must not run in a forked child of a process that may have threads:

    python -I -S parent_death.py PARENT DEATH_SIGNAL UID GID -- PROGRAM [ARGUMENT...]

PARENT is the parent's process id; UID and GID are numbers, or `-` to keep the user. The script
imports only a little of the standard library: it adds about 10 ms to each start.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # Source: linux/prctl.h
_NOT_STARTED_STATUS = 127  # exit status of a shell when a program cannot be run


def exit_with_parent(parent: int, death_signal: int = signal.SIGKILL) -> None:
    """Let a signal end this process when its parent ends, for any reason; on Linux.

    parent: the id of the process that started this one.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl") and libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        sys.exit(f"prctl(PR_SET_PDEATHSIG): {os.strerror(ctypes.get_errno())}")
    # A parent that died before prctl causes no signal.
    if os.getppid() != parent:
        sys.exit("the process that started this one has ended")


def main() -> None:
    """Exec the program of the command line; never returns."""
    parent, death_signal, uid, gid, dashes, *argv = sys.argv[1:]
    if dashes != "--" or not argv:
        sys.exit("parent_death: expected PARENT DEATH_SIGNAL UID GID -- PROGRAM [ARGUMENT...]")
    if uid != "-":
        _switch_user(int(uid), int(gid))
    # After the change of user, which clears the setting; exec of an ordinary program keeps it.
    exit_with_parent(int(parent), int(death_signal))
    _reset_signals()
    try:
        os.execvpe(argv[0], argv, os.environ)  # noqa: S606  no shell, on purpose
    except OSError as error:
        sys.stderr.write(f"cannot run {argv[0]}: {error.strerror}\n")
        sys.exit(_NOT_STARTED_STATUS)


def _switch_user(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _reset_signals() -> None:
    # A shell starts background jobs with SIGINT ignored, which exec would inherit.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


if __name__ == "__main__":
    main()
