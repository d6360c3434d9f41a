"""Uploads: what the API process takes while fifty photos of 30 MB arrive at once.

python -m benchmarks.uploads
"""

import io
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx

from benchmarks import figures, photos, service
from benchmarks.figures import Figure
from benchmarks.service import Service

AT_ONCE = 50
PHOTO_BYTES = 30_000_000
MOST_MB = 150.0
_SAMPLE_SECONDS = 0.05
# The API is what is measured: nothing is decoded.
_NEVER = "2999-01-01T00:00:00Z"

Way = Callable[[httpx.Client, bytes], None]


def measure() -> list[Figure]:
    """Return by how much the API grows, and how long it takes, each way of handing in."""
    photo = next(photos.selfies(256)).ljust(PHOTO_BYTES, b"\0")  # decoders stop at the end mark
    found = []
    for name, way in (("straight to storage", _straight), ("multipart", _multipart)):
        with service.folder() as data, service.up(data) as running:
            found += _load(running, name, way, photo)
    return found


def _load(running: Service, name: str, way: Way, photo: bytes) -> list[Figure]:
    headers = {"Authorization": f"Bearer {running.api_key}"}
    limits = httpx.Limits(max_connections=None)
    with (
        httpx.Client(
            base_url=running.client.url, headers=headers, limits=limits, timeout=300
        ) as client,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        way(client, photo)  # the first of its kind loads code
        before = running.memory_mb("api", "VmRSS")
        began = time.monotonic()
        sent = [pool.submit(way, client, photo) for _ in range(AT_ONCE)]
        height = before
        while not all(one.done() for one in sent):
            height = max(height, running.memory_mb("api", "VmRSS"))
            time.sleep(_SAMPLE_SECONDS)
        seconds = time.monotonic() - began
        for one in sent:
            one.result()
    return [
        Figure(name=f"api grows by, {name}", unit="MB", samples=[height - before], goal=MOST_MB),
        Figure(name=f"{AT_ONCE} photos of 30 MB, {name}", unit="s", samples=[seconds]),
    ]


def _straight(client: httpx.Client, photo: bytes) -> None:
    wish = {"content_type": "image/jpeg", "bytes": len(photo)}
    upload = _ok(client.post("/v1/uploads", json=wish))
    put = httpx.put(upload["put_url"], content=photo, headers=upload["headers"], timeout=300)
    put.raise_for_status()
    _ok(
        client.post(
            "/v1/jobs", json={"upload_id": upload["upload_id"], "recipe": {"run_at": _NEVER}}
        )
    )


def _multipart(client: httpx.Client, photo: bytes) -> None:
    _ok(client.post("/v1/jobs", files={"photo": io.BytesIO(photo)}, data={"run_at": _NEVER}))


def _ok(answer: httpx.Response) -> dict[str, str]:
    answer.raise_for_status()
    document: dict[str, str] = json.loads(answer.content)
    return document


if __name__ == "__main__":
    figures.tell(measure())
