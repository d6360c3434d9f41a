"""HTTP/1.1 as proxies read it too, for the servers of every process.

h11 also takes heads whose lines end with a bare LF, or whose headers continue on a second line
(obs-fold), as RFC 9112, sections 2.2 and 5.2, allows, requests of other versions, and chunks of any
size. A proxy that reads such a request in another way could take
part of it for the next one.
"""

import asyncio
import contextlib
import re
from typing import Final

import h11
from h11._receivebuffer import ReceiveBuffer  # h11 has no option for it
from uvicorn.protocols.http.h11_impl import H11Protocol

_MAX_HEAD_BYTES: Final = 64 * 1024
# The size that one chunk of a body can announce: the API's largest body, a form of two pictures.
_MAX_CHUNK_BYTES: Final = 81_000_000
# Source: RFC 9110, section 2.5: minor versions of one major version understand each other.
_MAJOR_VERSION: Final = b"1."
_ABSOLUTE_URL: Final = re.compile(rb"https?://([^/?@]+)([/?].*|)", re.IGNORECASE)


class RequestFault(h11.RemoteProtocolError):
    """A request that h11 takes and these servers refuse; its text is for the client."""


class StrictConnection(h11.Connection):
    """The state of a connection that refuses the above with RequestFault."""

    def __init__(self, max_head_bytes: int) -> None:
        super().__init__(h11.SERVER, max_head_bytes)
        self._receive_buffer = _ReceiveBuffer()

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Return the next event.  Raises h11.RemoteProtocolError."""
        event = super().next_event()
        if isinstance(event, h11.Request) and not event.http_version.startswith(_MAJOR_VERSION):
            raise RequestFault("the version of HTTP is not supported; use HTTP/1.1")
        return _take_origin(event) if isinstance(event, h11.Request) else event


def _take_origin(request: h11.Request) -> h11.Request:
    """Return a request for an absolute URL, as clients send proxies, as one for its path and host.

    Source: RFC 9112, 3.2.2: a server takes it, and its host precedes the header.
    """
    absolute = _ABSOLUTE_URL.fullmatch(request.target)
    if absolute is None:
        return request
    host, path = absolute.groups()
    headers = [(name, value) for name, value in request.headers if name != b"host"]
    return h11.Request(
        method=request.method,
        target=path if path.startswith(b"/") else b"/" + path,
        headers=[(b"host", host), *headers],
        http_version=request.http_version,
    )


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
                raise RequestFault("a line of the head ends with a bare LF; end it with CR LF")
            if any(line[:1] in {b" ", b"\t"} for line in map(bytes, lines)):
                raise RequestFault("a header continues on a second line; write it in one")
        return lines

    def maybe_extract_next_line(self) -> bytearray | None:
        """Return the line before a chunk.  Raises h11.RemoteProtocolError."""
        line = super().maybe_extract_next_line()
        # h11 reads a size of up to 20 digits, and refuses what is no number.
        size = b"" if line is None else line.partition(b";")[0].strip()
        with contextlib.suppress(ValueError):
            if int(size, 16) > _MAX_CHUNK_BYTES:
                raise RequestFault(f"a chunk of the body is larger than {_MAX_CHUNK_BYTES} bytes")
        return line
