"""An S3 server that breaks its word: objects longer than it says, and answers without an end."""

import contextlib
import gzip
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from urllib.parse import parse_qs, urlsplit

from smart_filter_deploy.embedded.addresses import LOOPBACK
from smart_filter_shared.config.settings import StorageSettings

BUCKET = "photos"
ETAG = "5d41402abc4b2a76b9719d911017c592"
# Enough to tell a bounded read from a whole one, above what the buffers of a socket hold.
SENT_BYTES = 1_536 * 65_536
_PIECE = bytes(65_536)
_XML = {"Content-Type": "application/xml"}
_DATE = "Thu, 26 Nov 2026 12:00:00 GMT"
_ENTRY = (
    "<Contents><Key>in/{}</Key><LastModified>2026-11-26T12:00:00.000Z</LastModified>"
    f"<ETag>&quot;{ETAG}&quot;</ETag><Size>1</Size></Contents>"
)


@dataclass
class LyingServer:
    """The server's address, and what it says and does.

    said_bytes: the length that HEAD names.  length: of GET's answer; None: chunked.
    etag: of GET's answer.  entries: of each page of a list.  pages: of a list.
    token: with which each page says that it continues; empty: one of its own.
    sent_bytes: of answers to GET so far.  asked: the If-Match headers that arrived.
    """

    url: str = ""
    said_bytes: int = 60_000
    length: int | None = SENT_BYTES
    etag: str = ETAG
    status: int = HTTPStatus.OK
    encoding: str = ""
    entries: int = 1000
    pages: int = 1
    token: str = ""
    document: bytes | None = None
    sent_bytes: int = 0
    asked: list[str | None] = field(default_factory=list)
    pages_asked: int = 0

    def settings(self) -> StorageSettings:
        """Return the settings of its bucket."""
        return StorageSettings(
            url=self.url, access_key="a", secret_key="b", bucket=BUCKET, region="us-east-1"
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, lies: LyingServer) -> None:
        self.lies = lies
        super().__init__((LOOPBACK, 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        lies = self.server.lies
        self._begin(HTTPStatus.OK, {"Content-Length": str(lies.said_bytes)}, ETAG)

    def do_GET(self) -> None:
        lies = self.server.lies
        if "list-type" in parse_qs(urlsplit(self.path).query):
            self._list()
            return
        lies.asked.append(self.headers["If-Match"])
        pieces: Iterable[bytes] = repeat(_PIECE, SENT_BYTES // len(_PIECE))
        headers = {"Content-Type": "application/xml"}
        if lies.encoding:
            headers["Content-Encoding"] = lies.encoding
            pieces = [gzip.compress(bytes(SENT_BYTES))]
            headers["Content-Length"] = str(len(next(iter(pieces))))
        elif lies.length is None:
            headers["Transfer-Encoding"] = "chunked"
        else:
            headers["Content-Length"] = str(lies.length)
        self._begin(lies.status, headers, lies.etag)
        self._send(pieces, is_chunked=lies.length is None and not lies.encoding)

    def _list(self) -> None:
        lies = self.server.lies
        lies.pages_asked += 1
        start = lies.pages_asked * lies.entries
        is_truncated = str(lies.pages_asked < lies.pages).lower()
        entries = "".join(_ENTRY.format(start + number) for number in range(lies.entries))
        page = (
            lies.document
            or (
                f"<ListBucketResult><Name>{BUCKET}</Name><IsTruncated>{is_truncated}</IsTruncated>"
                f"<NextContinuationToken>{lies.token or lies.pages_asked}</NextContinuationToken>"
                f"{entries}</ListBucketResult>"
            ).encode()
        )
        self._begin(HTTPStatus.OK, {**_XML, "Content-Length": str(len(page))}, ETAG)
        self._send([page], is_chunked=False)

    def _begin(self, status: int, headers: dict[str, str], etag: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("ETag", f'"{etag}"')
        self.send_header("Last-Modified", _DATE)
        self.end_headers()

    def _send(self, pieces: Iterable[bytes], *, is_chunked: bool) -> None:
        lies = self.server.lies
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                lies.sent_bytes += len(piece)  # before the client can have it
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
            if is_chunked:
                self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_arguments: object) -> None:
        pass


@contextlib.contextmanager
def run_lying_s3() -> Iterator[LyingServer]:
    """Yield a running server on the loopback address."""
    lies = LyingServer()
    server = _Server(lies)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    lies.url = f"http://{LOOPBACK}:{server.server_port}"
    try:
        yield lies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
