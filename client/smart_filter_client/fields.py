"""Read the fields of a JSON object by type; unknown fields are ignored."""

import datetime as dt
from collections.abc import Mapping
from typing import TypeVar

from smart_filter_client.errors import UnexpectedAnswer

JsonObject = Mapping[str, object]
Value = TypeVar("Value")


class Fields:
    """The fields of one JSON object.

    Methods without `_or_none` raise UnexpectedAnswer when the field is missing. Missing lists and
    mappings are empty, and entries of another type are dropped.
    """

    def __init__(self, document: object, what: str) -> None:
        if not isinstance(document, dict):
            raise UnexpectedAnswer(f"{what} was expected, not {str(document)[:80]!r}")
        self.document: JsonObject = document
        self._what = what

    def text(self, name: str) -> str:
        """Return a text."""
        return self._required(name, self.text_or_none(name))

    def text_or_none(self, name: str) -> str | None:
        """Return a text, or None."""
        value = self.document.get(name)
        return value if isinstance(value, str) else None

    def number(self, name: str) -> float:
        """Return a number."""
        return self._required(name, self.number_or_none(name))

    def number_or_none(self, name: str) -> float | None:
        """Return a number, or None."""
        return _number(self.document.get(name))

    def integer(self, name: str) -> int:
        """Return an integer."""
        return self._required(name, self.integer_or_none(name))

    def integer_or_none(self, name: str) -> int | None:
        """Return an integer, or None."""
        value = self.document.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def boolean_or_none(self, name: str) -> bool | None:
        """Return true, false or None."""
        value = self.document.get(name)
        return value if isinstance(value, bool) else None

    def time_or_none(self, name: str) -> dt.datetime | None:
        """Return an RFC 3339 time, or None."""
        try:
            return dt.datetime.fromisoformat(self.text_or_none(name) or "")
        except ValueError:
            return None

    def day(self, name: str) -> dt.date:
        """Return a day."""
        try:
            return dt.date.fromisoformat(self.text(name))
        except ValueError as error:
            raise UnexpectedAnswer(f"{self._what}'s {name!r} is not a date") from error

    def object_or_none(self, name: str) -> "Fields | None":
        """Return an object, or None."""
        value = self.document.get(name)
        return Fields(value, f"{self._what}'s {name}") if isinstance(value, dict) else None

    def objects_or_none(self, name: str) -> "list[Fields] | None":
        """Return a list of objects, or None without a list."""
        value = self.document.get(name)
        if not isinstance(value, list):
            return None
        return [Fields(entry, f"an entry of {self._what}'s {name}") for entry in value]

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return a list of numbers."""
        return _numbers(self.document.get(name))

    def points(self, name: str) -> tuple[tuple[float, ...], ...]:
        """Return a list of lists of numbers."""
        value = self.document.get(name)
        return tuple(_numbers(point) for point in value) if isinstance(value, list) else ()

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        value = self.document.get(name)
        entries = value if isinstance(value, list) else []
        return tuple(entry for entry in entries if isinstance(entry, str))

    def texts_by_name(self, name: str) -> dict[str, str]:
        """Return an object whose values are texts."""
        entries = self.mapping(name)
        return {key: entry for key, entry in entries.items() if isinstance(entry, str)}

    def numbers_by_name(self, name: str) -> dict[str, float]:
        """Return an object whose values are numbers."""
        entries = self.mapping(name)
        numbers = {key: _number(entry) for key, entry in entries.items()}
        return {key: number for key, number in numbers.items() if number is not None}

    def mapping(self, name: str) -> JsonObject:
        """Return an object unparsed."""
        value = self.document.get(name)
        return value if isinstance(value, dict) else {}

    def _required(self, name: str, value: Value | None) -> Value:
        if value is None:
            raise UnexpectedAnswer(f"{self._what} without {name!r}: is this a Smart Filter server?")
        return value


def _number(value: object) -> float | None:
    # In Python a JSON true is an int.
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _numbers(value: object) -> tuple[float, ...]:
    entries = value if isinstance(value, list) else []
    return tuple(number for entry in entries if (number := _number(entry)) is not None)
