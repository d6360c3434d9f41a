"""Byte ranges: a client continues a download, or reads a part of a file.

Source: RFC 9110, 13.1.5 (If-Range) and 14 (range requests).
"""

import re
from dataclasses import dataclass
from typing import Final

from smart_filter_shared.errors import RangeNotSatisfiable

# One range; a list of several is answered with the whole file, as 14.2 allows.
_RANGE: Final = re.compile(r"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.IGNORECASE)
# Of a position, leading zeros apart: more than any file has, and Python parses no thousands.
_MAX_DIGITS: Final = 18


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A part of a file that is not empty; in bytes."""

    start: int
    length: int
    total: int

    @property
    def content_range(self) -> str:
        """Return the header of an answer with the part."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{self.total}"


@dataclass(frozen=True, slots=True)
class RangeHeaders:
    """The headers Range and If-Range of a GET."""

    wanted: str | None
    if_range: str | None

    def choose(self, tag: str, total: int) -> ByteRange | None:
        """Return the wanted part of a file of `total` bytes; None: the client gets all of it.

        tag: the strong ETag of the file.  Headers that are malformed are ignored.
        Raises RangeNotSatisfiable when the file has no such bytes.
        """
        if self.wanted is None or (self.if_range is not None and self.if_range.strip() != tag):
            return None
        match = _RANGE.fullmatch(self.wanted.strip())
        first, last = (None, None) if match is None else map(_parse_position, match.groups())
        if first is not None:
            if last is not None and last < first:
                return None
            start, end = first, total if last is None else min(last + 1, total)
        elif last is not None:
            start, end = max(0, total - last), total
        else:
            return None
        if start >= end:
            raise RangeNotSatisfiable(f"the file has {total} bytes", length=total)
        return ByteRange(start, end - start, total)


def _parse_position(digits: str) -> int | None:
    digits = digits.lstrip("0") or digits[:1]
    return int(digits[:_MAX_DIGITS]) if digits else None
