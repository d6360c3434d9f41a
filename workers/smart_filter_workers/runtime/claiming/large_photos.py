"""Bound the memory of large photos that the threads of a process work on at once.

Two photos of 49 megapixels take half a gigabyte more than one. Photos that do not fit into the
process's memory limit wait in order for those before them; one that would never fit runs alone.
The photos of most phones never wait: how many of these run at once is the number of threads.
A photo that waits keeps its thread and its place in the queue: small photos behind it get the other
threads. A thread that gave it back would claim it again at once, because its rank is the lowest.
"""

import threading
from typing import Final

from smart_filter_workers.decoder.turns import ORDINARY_MEGAPIXELS
from smart_filter_workers.system.resources import MemoryLimit

# Bytes of a process with ordinary photos, and of each megapixel of a large one in the worker and
# its decoder, with room for PNG (docs/measurements.md).
_BASE_BYTES: Final = 900e6
_BYTES_PER_MEGAPIXEL: Final = 12e6


class LargePhotos:
    """Which threads of a process work on large photos, and which wait to; safe for threads."""

    def __init__(self, memory_limit: MemoryLimit) -> None:
        self._memory_limit = memory_limit
        self._most = (memory_limit.limit_bytes - _BASE_BYTES) / _BYTES_PER_MEGAPIXEL
        self._held: dict[int, float] = {}  # megapixels by thread
        self._waiting: list[int] = []  # threads, the first to come first
        self._changed = threading.Condition()

    def begin(self, megapixels: float, *, seconds: float) -> bool:
        """Return whether this thread may work on a photo now; wait for so long if needed.

        The thread keeps its place in the queue until this returns true or it calls `end`.
        """
        if megapixels <= ORDINARY_MEGAPIXELS:
            return True
        me = threading.get_ident()
        with self._changed:
            if me not in self._waiting:
                self._waiting.append(me)
            if not self._changed.wait_for(lambda: self._has_room(me, megapixels), seconds):
                return False
            self._waiting.remove(me)
            self._held[me] = megapixels
            self._changed.notify_all()  # the next may fit too
            return True

    def end(self) -> None:
        """Note that this thread neither works on a large photo nor waits to."""
        me = threading.get_ident()
        with self._changed:
            was_large = self._held.pop(me, None) is not None
            if me in self._waiting:
                self._waiting.remove(me)
            self._changed.notify_all()
        if was_large:
            self._memory_limit.give_back()

    def _has_room(self, thread: int, megapixels: float) -> bool:
        held = sum(self._held.values())
        return self._waiting[0] == thread and (not held or held + megapixels <= self._most)
