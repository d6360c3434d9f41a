"""A service with remove.bg's interface that answers what a test says, and keeps what it gets."""

import contextlib
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

ACCOUNT = {"data": {"attributes": {"credits": {"total": 40}, "api": {"free_calls": 50}}}}
# Of a cutout of 64×48 pixels whose left quarter is transparent.
HEADERS = {
    "X-Credits-Charged": "0.25",
    "X-Type": "person",
    "X-Width": "64",
    "X-Height": "48",
    "X-Max-Width": "64",
    "X-Max-Height": "48",
    "X-Foreground-Left": "16",
    "X-Foreground-Top": "0",
    "X-Foreground-Width": "48",
    "X-Foreground-Height": "48",
    "X-RateLimit-Limit": "500",
    "X-RateLimit-Remaining": "499",
    "X-RateLimit-Reset": "1",
}


def a_cutout(left: int, width: int = 64) -> bytes:
    """Return a PNG that keeps the columns from `left` on."""
    rgba = np.full((48, width, 4), (200, 40, 40, 255), np.uint8)
    rgba[:, :left, 3] = 0
    packed = io.BytesIO()
    Image.fromarray(rgba).save(packed, "PNG")
    return packed.getvalue()


@dataclass(slots=True)
class Service:
    """A service with the interface of remove.bg: what it answers, and the photos that it got.

    failures: statuses of the first answers; 0 closes the connection instead.
    """

    url: str = ""
    content: bytes = field(default_factory=lambda: a_cutout(16))
    headers: dict[str, str] = field(default_factory=lambda: dict(HEADERS))
    failures: list[int] = field(default_factory=list)
    photos: list[bytes] = field(default_factory=list)


@contextlib.contextmanager
def a_service() -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = {"status": "ok"} if self.path == "/livez" else ACCOUNT
            self.answer(200, json.dumps(document).encode(), "application/json")

        def do_POST(self) -> None:
            service.photos.append(self.rfile.read(int(self.headers["Content-Length"])))
            status = service.failures.pop(0) if service.failures else 200
            if status == 0:
                self.close_connection = True
                return
            kind = "image/png" if status == 200 else "application/json"
            self.answer(status, service.content, kind)

        def answer(self, status: int, content: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            for name, value in service.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
