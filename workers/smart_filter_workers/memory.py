"""How the C library keeps memory that was freed."""

import ctypes

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # Source: glibc's malloc.h
_PICTURE_BYTES = 4 * 1024 * 1024
_ARENAS = 2


def return_pictures() -> None:
    """Have the memory of pictures go back to the system as soon as they are freed.

    By default glibc learns from the first big block freed to keep blocks of up to 32 MB in
    its heaps, one for each thread; they stay as large as the worst moment made them. Ends of
    a run with 12 MP photos: 840 MB before, 700 MB after (docs/measurements.md). Must be
    called before threads start. Another C library is left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _PICTURE_BYTES)
        mallopt(_M_ARENA_MAX, _ARENAS)
