"""Ties a child process to its parent: where the parent ends, the kernel kills the child."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # Source: linux/prctl.h


def tie(parent: int) -> None:
    """End this process when its parent does, however that ends; on Linux.

    parent: the process that started this one.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before that
        sys.exit("the process that started this one has ended")
