"""Submitting and polling, against a bare route that does the same INSERT, PUT and SELECT.

There is no worker, so that nothing but requests is timed. Rounds are paired and alternate in
order, so that what else the machine does meets both.

python -m benchmarks.requests
"""

import itertools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import numpy as np
import numpy.typing as npt

from benchmarks import figures, photos, raw_http, service
from benchmarks.figures import Figure
from benchmarks.raw_http import Load
from smart_filter_deploy.cli import program
from smart_filter_deploy.embedded.children import Command
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.ports import LOOPBACK, free_port
from smart_filter_deploy.embedded.stack import Stack

_KEY = "sf_local_bench"
_AT_ONCE = 32
_ROUNDS = 6
_SUBMITTED = 300
_POLLED = 1500
_LEAST_PERCENT = 60.0
_PHOTO_BYTES = 200_000
_BOUNDARY = "boundary-of-a-benchmark"


def measure() -> list[Figure]:
    """Put the same load on the API and on the bare routes, in turn."""
    rates: dict[str, dict[str, list[float]]] = {
        what: {"API": [], "bare route": []} for what in ("submit", "poll")
    }
    with _both() as (api, bare):
        ways: dict[str, dict[str, Callable[[], Load]]] = {
            "submit": {
                "API": lambda: _submit(api, "/v1/jobs"),
                "bare route": lambda: _submit(bare, "/jobs"),
            },
            "poll": {
                "API": lambda: _poll(api, "/v1/jobs", known["API"]),
                "bare route": lambda: _poll(bare, "/jobs", known["bare route"]),
            },
        }
        known = {name: _ids(way()) for name, way in ways["submit"].items()}  # and warms up
        for what, number in itertools.product(ways, range(_ROUNDS)):
            for name in sorted(ways[what], reverse=bool(number % 2)):
                rates[what][name].append(ways[what][name]().rate)
    return [figure for what, by_name in rates.items() for figure in _figures(what, by_name)]


def _figures(what: str, rates: dict[str, list[float]]) -> list[Figure]:
    ratios = [
        100 * ours / bare for ours, bare in zip(rates["API"], rates["bare route"], strict=True)
    ]
    return [
        *(
            Figure(name=f"{what}, {name}", unit="requests/s", samples=samples)
            for name, samples in rates.items()
        ),
        Figure(
            name=f"{what}, API of bare route",
            unit="%",
            samples=ratios,
            goal=_LEAST_PERCENT,
            kind="at least",
        ),
    ]


@contextmanager
def _both() -> Iterator[tuple[int, int]]:
    """Yield the ports of the API and of the bare routes, on the same servers."""
    ports = free_port(), free_port()
    with service.folder() as data, Stack(DataFolder.at(data)) as stack:
        prepare = Command(
            name="prepare",
            argv=program.command("prepare"),
            env={"SMART_FILTER_LOCAL_KEY": _KEY},
            once=True,
        )
        stack.start(prepare)
        stack.start(
            Command(
                name="api",
                argv=program.command("api", "--port", str(ports[0])),
                ready=lambda: _answers(f"http://{LOOPBACK}:{ports[0]}/readyz"),
            ),
            Command(
                name="bare",
                argv=[sys.executable, "-m", "benchmarks.bare", str(ports[1])],
                ready=lambda: _answers(f"http://{LOOPBACK}:{ports[1]}/openapi.json"),
            ),
        )
        yield ports


def _submit(port: int, path: str) -> Load:
    made = (_posted(path, photo) for photo in _photos())
    return raw_http.send(port, made, count=_SUBMITTED, at_once=_AT_ONCE, expect=202)


def _poll(port: int, path: str, ids: list[str]) -> Load:
    asked = (_head("GET", f"{path}/{one}") + b"\r\n" for one in itertools.cycle(ids))
    return raw_http.send(port, asked, count=_POLLED, at_once=_AT_ONCE, expect=200)


def _ids(load: Load) -> list[str]:
    return [json.loads(body)["id"] for body in load.bodies]


def _posted(path: str, photo: bytes) -> bytes:
    body = (
        f"--{_BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="photo"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    ).encode() + photo
    body += f"\r\n--{_BOUNDARY}--\r\n".encode()
    head = (
        _head("POST", path)
        + (
            f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
    )
    return head + body


def _head(method: str, path: str) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {_KEY}\r\n".encode()


def _photos() -> Iterator[bytes]:
    """Yield photos of 200 KB, each of other bytes; what follows a JPEG's end is not read."""
    photo = next(photos.selfies(photos.SIDE_OF_1_MP))
    noise = np.random.default_rng()
    for _ in itertools.count():
        rest: npt.NDArray[np.uint8] = noise.integers(
            0, 256, _PHOTO_BYTES - len(photo), dtype=np.uint8
        )
        yield photo + rest.tobytes()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    figures.tell(measure())
