"""Tie a child process to its parent: when the parent ends, the kernel kills the child.

To the kernel, the parent is the thread that started the child: it must live as long as the parent.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # Source: linux/prctl.h


def exit_with_parent(parent: int) -> None:
    """End this process when its parent ends, for any reason; on Linux.

    parent: the id of the process that started this one.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before the call above
        sys.exit("the process that started this one has ended")
