"""A dictionary of limited size that drops what was not used for longest."""

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class LruDict(Generic[Key, Value]):
    """Values by key, of a weight of at most `most` in all or else a single one.

    Not safe for threads, so its owner holds a lock.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        # Values and their weights, least recently used first.
        self._values: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._weight = 0

    def get(self, key: Key) -> Value | None:
        """Return the value of a key, which is now the most recently used; None if missing."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key][0]

    def put(self, key: Key, value: Value, *, weight: int = 1) -> None:
        """Keep a value, in place of the least recently used ones."""
        self.drop(key)
        self.make_room(weight)
        self._values[key] = value, weight
        self._weight += weight

    def make_room(self, weight: int = 1) -> None:
        """Drop values until another one fits, for a value whose making needs their memory."""
        while self._values and self._weight + weight > self._most:
            self.drop(next(iter(self._values)))

    def drop(self, key: Key) -> None:
        """Drop the value of a key, if there is one."""
        _, weight = self._values.pop(key, (None, 0))
        self._weight -= weight

    def clear(self) -> None:
        """Drop all values."""
        self._values.clear()
        self._weight = 0
