"""A service with remove.bg's interface that answers what a test says, and keeps what it gets."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from smart_filter_tests import http_server
from smart_filter_tests.http_server import ReceivedRequest, Reply
from smart_filter_tests.pictures import encode

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
    return encode(Image.fromarray(rgba), "PNG")


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

    def answer(request: ReceivedRequest) -> Reply | None:
        kind = {"Content-Type": "application/json"}
        if request.method == "GET":
            document = {"status": "ok"} if request.path == "/livez" else ACCOUNT
            return Reply(200, json.dumps(document).encode(), {**service.headers, **kind})
        service.photos.append(request.body)
        status = service.failures.pop(0) if service.failures else 200
        if status == 200:
            kind = {"Content-Type": "image/png"}
        return Reply(status, service.content, {**service.headers, **kind}) if status else None

    with http_server.serve(answer) as service.url:
        yield service
