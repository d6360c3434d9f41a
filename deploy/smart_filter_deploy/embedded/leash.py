"""Tie a process to the one that starts it, drop privileges, and become the real program.

Run as a script, `python -I -S leash.py PARENT DEATH_SIGNAL UID GID -- PROGRAM [ARGUMENT...]`,
between fork and exec of every child, because Python code must not run in a forked child of
a process that may have threads. PARENT is the process id of the starter; UID and GID are
numbers, or `-` to stay who we are. It imports nothing of ours and little of the standard
library: it costs each start about 10 ms.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # Source: linux/prctl.h
_NOT_STARTED = 127  # what a shell answers when a program cannot be run


def main() -> None:
    """Become the program that the command line names; never returns."""
    parent, death_signal, uid, gid, dashes, *argv = sys.argv[1:]
    if dashes != "--" or not argv:
        sys.exit("leash: expected PARENT DEATH_SIGNAL UID GID -- PROGRAM [ARGUMENT...]")
    if uid != "-":
        _become(int(uid), int(gid))
    _die_with_parent(int(parent), int(death_signal))
    _forget_signals()
    try:
        os.execvpe(argv[0], argv, os.environ)  # noqa: S606  the whole point: no shell between
    except OSError as error:
        sys.stderr.write(f"cannot run {argv[0]}: {error.strerror}\n")
        sys.exit(_NOT_STARTED)


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _die_with_parent(parent: int, death_signal: int) -> None:
    # After the change of user, which clears it; kept over exec of an ordinary program.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        sys.exit(f"prctl(PR_SET_PDEATHSIG): {os.strerror(ctypes.get_errno())}")
    # The parent may have died before prctl: then nobody will ever send the signal.
    if os.getppid() != parent:
        sys.exit("the process that started this one has ended already")


def _forget_signals() -> None:
    # A shell starts background jobs with SIGINT ignored, which exec would pass on.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


if __name__ == "__main__":
    main()
