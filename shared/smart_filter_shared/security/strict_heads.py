"""HTTP/1.1 whose heads end each line with CR LF, for the servers of every process.

h11 also takes a bare LF, as RFC 9112, section 2.2, allows. A proxy that reads such a head in
another way could take part of a request for the next one.
"""

import asyncio
from typing import Final

import h11
from h11._receivebuffer import ReceiveBuffer  # h11 has no option for it
from uvicorn.protocols.http.h11_impl import H11Protocol

_MAX_HEAD_BYTES: Final = 64 * 1024


class StrictConnection(h11.Connection):
    """The state of a connection that takes no bare LF in heads and trailers."""

    def __init__(self, max_head_bytes: int) -> None:
        super().__init__(h11.SERVER, max_head_bytes)
        self._receive_buffer = _ReceiveBuffer()


class StrictHeadsProtocol(H11Protocol):
    """Uvicorn's h11 protocol with the above."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Start a connection."""
        super().connection_made(transport)
        self.conn = StrictConnection(_MAX_HEAD_BYTES)


class _ReceiveBuffer(ReceiveBuffer):
    def maybe_extract_lines(self) -> list[bytearray] | None:
        """Return the lines of a head or of trailers.  Raises h11.RemoteProtocolError."""
        before = bytes(self)
        lines = super().maybe_extract_lines()
        if lines is not None:
            block = before[: len(before) - len(self)]
            if block.count(b"\n") != block.count(b"\r\n"):
                raise h11.RemoteProtocolError("a line of the head ends with a bare LF")
        return lines
