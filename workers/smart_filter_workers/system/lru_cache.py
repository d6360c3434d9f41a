"""A memory cache of recent values with a limit in bytes; safe for threads."""

import threading
import typing
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from cachetools import LRUCache

Value = TypeVar("Value")


class LruCache:
    """Values by key, the least recently used dropped when their bytes exceed a bound.

    Two threads that ask for the same missing key wait for one fetch.
    """

    def __init__(self, most_bytes: int) -> None:
        # Values and their sizes.
        self._values: LRUCache[str, tuple[object, int]] = LRUCache(
            most_bytes, getsizeof=lambda entry: entry[1]
        )
        self._fetching: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: str, fetch: Callable[[], tuple[Value, int]]) -> Value:
        """Return the value of a key; if missing, fetch it with its size in bytes, and keep it."""
        with self._lock:
            if key in self._values:
                return typing.cast("Value", self._values[key][0])
            turn = self._fetching.setdefault(key, threading.Lock())
        with turn:
            try:
                with self._lock:
                    if key in self._values:
                        return typing.cast("Value", self._values[key][0])
                value, size = fetch()
                self.put(key, value, size)
            finally:
                with self._lock:
                    self._fetching.pop(key, None)
            return value

    def put(self, key: str, value: object, size: int) -> None:
        """Keep a value of the given size in bytes; a value larger than the bound is not kept."""
        with self._lock, suppress(ValueError):
            self._values[key] = (value, size)

    def clear(self) -> None:
        """Drop all values."""
        with self._lock:
            self._values.clear()
