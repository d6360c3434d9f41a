"""Measure submitting and polling, against bare routes with the same INSERT, PUT and SELECT.

Also measured is the API's processor time for a submission, with the key of the tenant `local`,
whose jobs have no limits, and with that of another tenant. No worker runs, so only requests are
timed. Rounds are paired and alternate in order, so other load of the machine affects both.

python -m benchmarks.requests
"""

import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt

from benchmarks import figures, photos, raw_http, service
from benchmarks.figures import Figure
from benchmarks.raw_http import Load
from smart_filter_deploy.cli.server import program
from smart_filter_deploy.embedded.addresses import LOOPBACK, free_port
from smart_filter_deploy.embedded.child_processes import Command
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.stack import Stack

_KEY = "sf_local_bench"
_AT_ONCE = 32
_ROUNDS = 6
_SUBMITTED = 300
_POLLED = 1500
_LEAST_PERCENT = 60.0
_MOST_SUBMIT_MS = 7.5
_PHOTO_BYTES = 200_000
_BOUNDARY = "boundary-of-a-benchmark"


def measure() -> list[Figure]:
    """Put the same load on the API and the bare routes in turn; return rates and ratios."""
    rates: dict[str, dict[str, list[float]]] = {
        what: {"API": [], "bare route": []} for what in ("submit", "poll")
    }
    with _run_both() as (api, bare):
        loads: dict[str, dict[str, Callable[[], Load]]] = {
            "submit": {
                "API": lambda: _submit(api, "/v1/jobs"),
                "bare route": lambda: _submit(bare, "/jobs"),
            },
            "poll": {
                "API": lambda: _poll(api, "/v1/jobs", job_ids["API"]),
                "bare route": lambda: _poll(bare, "/jobs", job_ids["bare route"]),
            },
        }
        job_ids = {
            name: _ids(send_load()) for name, send_load in loads["submit"].items()
        }  # these first requests also warm up
        for what, number in itertools.product(loads, range(_ROUNDS)):
            for name in sorted(loads[what], reverse=bool(number % 2)):
                rates[what][name].append(loads[what][name]().rate)
        costs = [_measure_cost(api, key, name) for name, key in _keys(api).items()]
    return [
        *(figure for what, by_name in rates.items() for figure in _figures(what, by_name)),
        *costs,
    ]


def _keys(port: int) -> dict[str, str]:
    """Return keys that may submit, by their kind."""
    made = httpx.post(
        f"http://{LOOPBACK}:{port}/v1/keys",
        headers={"Authorization": f"Bearer {_KEY}"},
        json={"scopes": ["submit"], "tenant": "bench"},
    )
    made.raise_for_status()
    return {"operator's key": _KEY, "tenant's key": made.json()["key"]}


def _measure_cost(port: int, key: str, name: str) -> Figure:
    """Return the processor milliseconds that the API uses for each submission."""
    samples = []
    for _ in range(_ROUNDS):
        before = _api_seconds()
        _submit(port, "/v1/jobs", key)
        samples.append(1000 * (_api_seconds() - before) / _SUBMITTED)
    return Figure(name=f"submit, {name}: API", unit="ms", samples=samples, goal=_MOST_SUBMIT_MS)


def _api_seconds() -> float:
    return service.processor_seconds_of("api", os.getpid())


def _figures(what: str, rates: dict[str, list[float]]) -> list[Figure]:
    ratios = [100 * api / bare for api, bare in zip(rates["API"], rates["bare route"], strict=True)]
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
def _run_both() -> Iterator[tuple[int, int]]:
    """Run the API and the bare routes on the same servers; yield their ports."""
    ports = free_port(), free_port()
    with service.folder() as data, Stack(DataFolder.at(data)) as stack:
        stack.start(service.prepare(_KEY))
        stack.start(
            Command(
                name="api",
                argv=program.command("api", "--port", str(ports[0])),
                ready=lambda: service.answers(f"http://{LOOPBACK}:{ports[0]}/livez"),
            ),
            Command(
                name="bare",
                argv=[sys.executable, "-m", "benchmarks.bare", str(ports[1])],
                cwd=Path(__file__).parents[1],
                ready=lambda: service.answers(f"http://{LOOPBACK}:{ports[1]}/openapi.json"),
            ),
        )
        yield ports


def _submit(port: int, path: str, key: str = _KEY) -> Load:
    posts = (_post_request(path, photo, key) for photo in _photos())
    return raw_http.send(port, posts, count=_SUBMITTED, at_once=_AT_ONCE, expect=202)


def _poll(port: int, path: str, ids: list[str]) -> Load:
    gets = (_request_head("GET", f"{path}/{job_id}") + b"\r\n" for job_id in itertools.cycle(ids))
    return raw_http.send(port, gets, count=_POLLED, at_once=_AT_ONCE, expect=200)


def _ids(load: Load) -> list[str]:
    return [json.loads(body)["id"] for body in load.bodies]


def _post_request(path: str, photo: bytes, key: str) -> bytes:
    body = (
        f"--{_BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="photo"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    ).encode() + photo
    body += f"\r\n--{_BOUNDARY}--\r\n".encode()
    head = (
        _request_head("POST", path, key)
        + (
            f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
    )
    return head + body


def _request_head(method: str, path: str, key: str = _KEY) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n".encode()


def _photos() -> Iterator[bytes]:
    """Yield photos of 200 KB with different bytes: noise after the end mark, which is not read."""
    photo = next(photos.selfies(photos.SIDE_OF_1_MP))
    noise = np.random.default_rng()
    for _ in itertools.count():
        padding: npt.NDArray[np.uint8] = noise.integers(
            0, 256, _PHOTO_BYTES - len(photo), dtype=np.uint8
        )
        yield photo + padding.tobytes()


if __name__ == "__main__":
    figures.print_figures(measure())
