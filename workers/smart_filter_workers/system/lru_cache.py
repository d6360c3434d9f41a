"""A memory cache of recent values with a limit in bytes; safe for threads."""

import threading
import typing
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


class LruCache:
    """Values by key, the least recently used dropped when their bytes exceed a bound.

    Two threads that ask for the same missing key wait for one fetch.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._values: OrderedDict[str, tuple[object, int]] = OrderedDict()
        self._fetching: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: str, fetch: Callable[[], tuple[Value, int]]) -> Value:
        """Return the value of a key; if missing, fetch it with its size in bytes, and keep it."""
        with self._lock:
            if key in self._values:
                return typing.cast("Value", self._found(key))
            turn = self._fetching.setdefault(key, threading.Lock())
        with turn:
            try:
                with self._lock:
                    if key in self._values:
                        return typing.cast("Value", self._found(key))
                value, size = fetch()
                self.put(key, value, size)
            finally:
                with self._lock:
                    self._fetching.pop(key, None)
            return value

    def put(self, key: str, value: object, size: int) -> None:
        """Keep a value of the given size in bytes."""
        with self._lock:
            self._bytes += size - self._values.pop(key, (None, 0))[1]
            self._values[key] = (value, size)
            while self._bytes > self._most_bytes:
                _, (_, dropped) = self._values.popitem(last=False)
                self._bytes -= dropped

    def _found(self, key: str) -> object:
        self._values.move_to_end(key)
        return self._values[key][0]
