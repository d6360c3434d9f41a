"""A dictionary of limited size that drops what was not used for longest."""

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class LruDict(Generic[Key, Value]):
    """At most `most` values by key; not safe for threads, so its owner holds a lock."""

    def __init__(self, most: int) -> None:
        self._most = most
        # Least recently used first.
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """Return the value of a key, which is now the most recently used; None if missing."""
        if key in self._values:
            self._values.move_to_end(key)
        return self._values.get(key)

    def put(self, key: Key, value: Value) -> None:
        """Keep a value, in place of the least recently used ones."""
        self._values.pop(key, None)
        self.free_slot()
        self._values[key] = value

    def free_slot(self) -> None:
        """Drop values until another one fits, for a value whose making needs their memory."""
        while self._values and len(self._values) >= self._most:
            self._values.popitem(last=False)

    def drop(self, key: Key) -> None:
        """Drop the value of a key, if there is one."""
        self._values.pop(key, None)

    def clear(self) -> None:
        """Drop all values."""
        self._values.clear()
