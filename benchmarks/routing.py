"""Measure the cost of a cell router: polls of a job through it, and polls of the API itself.

Rounds are paired and alternate in order, so other load of the machine affects both. Router, API,
database and client share the machine's cores, so the rates do not show the router's capacity; its
own processor time for a request does.

python -m benchmarks.routing
"""

import http.client
import itertools
import json
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks import figures, raw_http, service
from benchmarks.figures import Figure
from smart_filter_deploy.cli.server import program
from smart_filter_deploy.embedded.child_processes import Command
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.ports import LOOPBACK, free_port
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_tests.serving import a_photo

_KEY = "sf_local_bench"
_DOMAIN = "photos.test"
_HOST = f"bench.{_DOMAIN}"
_AT_ONCE = 32
_ROUNDS = 8
_TOGETHER = 800
_ONE_BY_ONE = 300
_LEAST_PERCENT = 80.0


@dataclass(frozen=True, slots=True)
class _Routes:
    """The two routes to a job, as ports; router: process id of the router."""

    ports: dict[str, int]
    router: int
    path: str


def measure() -> list[Figure]:
    """Poll a job by both routes in turn; return rates, times and processor time."""
    rates: dict[str, list[float]] = {"direct": [], "router": []}
    medians: dict[str, list[float]] = {"direct": [], "router": []}
    taken: list[float] = []
    with _run_both() as routes:
        for name in routes.ports:
            _rate(routes, name)  # warms up
        for number in range(_ROUNDS):
            for name in sorted(routes.ports, reverse=bool(number % 2)):
                before = _processor_seconds(routes.router)
                rates[name].append(_rate(routes, name))
                if name == "router":
                    taken.append(1000 * (_processor_seconds(routes.router) - before) / _TOGETHER)
                medians[name].append(_median_ms(routes, name))
    pairs = zip(rates["router"], rates["direct"], strict=True)
    added = zip(medians["router"], medians["direct"], strict=True)
    return [
        *(
            Figure(name=f"polls, {name}", unit="requests/s", samples=samples)
            for name, samples in rates.items()
        ),
        Figure(
            name="polls, router of direct",
            unit="%",
            samples=[100 * router / direct for router, direct in pairs],
            goal=_LEAST_PERCENT,
            kind="at least",
        ),
        *(
            Figure(name=f"one poll, p50, {name}", unit="ms", samples=samples)
            for name, samples in medians.items()
        ),
        Figure(
            name="one poll, p50, added",
            unit="ms",
            samples=[router - direct for router, direct in added],
        ),
        Figure(name="router, of a core for a request", unit="ms", samples=taken),
    ]


@contextmanager
def _run_both() -> Iterator[_Routes]:
    """Run an API with one job, and a router; yield the routes to the job."""
    api, front = free_port(), free_port()
    with service.folder() as data, Stack(DataFolder.at(data)) as stack:
        stack.start(
            Command(
                name="prepare",
                argv=program.command("prepare"),
                env={"SMART_FILTER_LOCAL_KEY": _KEY},
                once=True,
            )
        )
        stack.start(
            Command(
                name="api",
                argv=program.command("api", "--port", str(api)),
                ready=lambda: _answers(api),
            )
        )
        cell = ("--cell", f"amber=http://{LOOPBACK}:{api}")
        command = program.command("router", "--domain", _DOMAIN, *cell, "--port", str(front))
        with subprocess.Popen(command) as router:
            try:
                while not _answers(front):
                    time.sleep(0.05)
                yield _Routes({"direct": api, "router": front}, router.pid, _submit_job(api))
            finally:
                router.terminate()


def _submit_job(port: int) -> str:
    answer = httpx.post(
        f"http://{LOOPBACK}:{port}/v1/jobs",
        files={"photo": a_photo()},
        headers={"Authorization": f"Bearer {_KEY}"},
        trust_env=False,
    )
    return str(answer.raise_for_status().headers["location"])


def _rate(routes: _Routes, name: str) -> float:
    request = (
        f"GET {routes.path} HTTP/1.1\r\nHost: {_HOST}\r\nAuthorization: Bearer {_KEY}\r\n\r\n"
    ).encode()
    polls = itertools.repeat(request)
    port = routes.ports[name]
    return raw_http.send(port, polls, count=_TOGETHER, at_once=_AT_ONCE, expect=200).rate


def _median_ms(routes: _Routes, name: str) -> float:
    connection = http.client.HTTPConnection(LOOPBACK, routes.ports[name], timeout=10)
    headers = {"Host": _HOST, "Authorization": f"Bearer {_KEY}"}
    taken = []
    for _ in range(_ONE_BY_ONE):
        started_at = time.perf_counter()
        connection.request("GET", routes.path, headers=headers)
        json.loads(connection.getresponse().read())
        taken.append(1000 * (time.perf_counter() - started_at))
    connection.close()
    return statistics.median(taken)


def _processor_seconds(pid: int) -> float:
    # Source: Documentation/scheduler/sched-stats.rst of Linux: nanoseconds on a processor. The file
    # counts the first thread alone, which handles all requests.
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def _answers(port: int) -> bool:
    try:
        answer = httpx.get(f"http://{LOOPBACK}:{port}/livez", timeout=1, trust_env=False)
    except httpx.TransportError:
        return False
    return answer.status_code == httpx.codes.OK


if __name__ == "__main__":
    figures.print_figures(measure())
