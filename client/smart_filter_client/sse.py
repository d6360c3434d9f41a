"""Parse server-sent events from pieces of a stream.

Source: WHATWG HTML, 9.2.5 and 9.2.6.
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One event: its type, its data, and the last id of the stream so far."""

    type: str
    data: str
    id: str


class Parser:
    """Parses one stream; retry_seconds: when to reconnect, if the stream set it."""

    def __init__(self, last_id: str = "") -> None:
        self.retry_seconds: float | None = None
        self._last_id = last_id
        self._decode = codecs.getincrementaldecoder("utf-8-sig")(errors="replace").decode
        # Pieces of an unfinished line; joined once, so that a long line costs linear time.
        self._rest: list[str] = []
        self._has_return = False
        self._type = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[Message]:
        """Yield the events that a piece completes."""
        decoded = self._decode(piece)
        is_line_open = not self._has_return and "\n" not in decoded and "\r" not in decoded
        self._rest.append(decoded)
        if is_line_open:
            return
        text = "".join(self._rest)
        # A carriage return at the end can be the first half of a line break.
        held = "\r" if text.endswith("\r") else ""
        text = text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n")
        *lines, rest = text.split("\n")
        self._rest = [rest + held]
        self._has_return = bool(held)
        for line in lines:
            if line:
                self._field(line)
            elif self._data:
                yield Message(self._type or "message", "\n".join(self._data), self._last_id)
                self._type, self._data = "", []
            else:
                self._type = ""

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._type = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._last_id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry_seconds = int(value) / 1000
            case _:  # a comment, or a field of a later version
                pass
