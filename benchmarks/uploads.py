"""Measure the memory of the API process while fifty photos of 30 MB arrive at once.

python -m benchmarks.uploads
"""

import datetime as dt
import io
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from benchmarks import figures, photos, service
from benchmarks.figures import Figure
from benchmarks.service import Service

AT_ONCE = 50
PHOTO_BYTES = 30_000_000
MOST_MB = 150.0
_SAMPLE_SECONDS = 0.05
# The jobs never run: only the API is measured.
_NEVER = (dt.datetime.now(dt.UTC) + dt.timedelta(days=7)).isoformat()

UploadMethod = Callable[[httpx.Client, bytes], None]


def measure() -> list[Figure]:
    """Return the growth of the API's memory and the time, for each upload method."""
    photo = next(photos.selfies(256)).ljust(
        PHOTO_BYTES, b"\0"
    )  # decoders ignore bytes after the end mark
    results = []
    for name, send_photo in (("straight to storage", _upload_directly), ("multipart", _multipart)):
        with service.folder() as data, service.up(data) as running:
            results += _load(running, name, send_photo, photo)
    return results


def _load(running: Service, name: str, send_photo: UploadMethod, photo: bytes) -> list[Figure]:
    headers = {"Authorization": f"Bearer {running.api_key}"}
    limits = httpx.Limits(max_connections=None)
    with (
        httpx.Client(
            base_url=running.client.url, headers=headers, limits=limits, timeout=300
        ) as client,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        send_photo(client, photo)  # the first upload of a method loads code
        before = running.memory_mb("api", "VmRSS")
        started = time.monotonic()
        sent = [pool.submit(send_photo, client, photo) for _ in range(AT_ONCE)]
        peak = before
        while not all(upload.done() for upload in sent):
            peak = max(peak, running.memory_mb("api", "VmRSS"))
            time.sleep(_SAMPLE_SECONDS)
        seconds = time.monotonic() - started
        for upload in sent:
            upload.result()
    return [
        Figure(name=f"api grows by, {name}", unit="MB", samples=[peak - before], goal=MOST_MB),
        Figure(name=f"{AT_ONCE} photos of 30 MB, {name}", unit="s", samples=[seconds]),
    ]


def _upload_directly(client: httpx.Client, photo: bytes) -> None:
    wish = {"content_type": "image/jpeg", "bytes": len(photo)}
    upload = _ok(client.post("/v1/uploads", json=wish))
    headers: dict[str, str] = upload["headers"]
    put = httpx.put(str(upload["put_url"]), content=photo, headers=headers, timeout=300)
    put.raise_for_status()
    _ok(
        client.post(
            "/v1/jobs", json={"upload_id": upload["upload_id"], "recipe": {"run_at": _NEVER}}
        )
    )


def _multipart(client: httpx.Client, photo: bytes) -> None:
    _ok(client.post("/v1/jobs", files={"photo": io.BytesIO(photo)}, data={"run_at": _NEVER}))


def _ok(answer: httpx.Response) -> dict[str, Any]:  # JSON of any shape
    answer.raise_for_status()
    document: dict[str, Any] = json.loads(answer.content)
    return document


if __name__ == "__main__":
    figures.print_figures(measure())
