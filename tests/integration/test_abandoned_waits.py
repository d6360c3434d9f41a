"""Clients that leave while they wait: their places are free at once, over real connections."""

import json
import re
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import httpx
import pytest

from integration import batches
from integration.batches import KEEP, items
from smart_filter_api.auth.api_keys import Scope
from smart_filter_tests.outages import wait_until
from smart_filter_tests.serving import Api, Clock
from smart_filter_tests.stored_results import run_whole_job

# The streams and waits of a key in a process (limits.py).
MOST_OF_KEY = 250
JOB = "/v1/jobs/{job}"
JOB_ROUTE = "/v1/jobs/{job_id}"
PHOTO = {**items(1)[0], "recipe": KEEP}


@dataclass(frozen=True, slots=True)
class Wait:
    """A request that waits; its client sends `then` meanwhile."""

    method: str
    path: str
    body: object = None
    then: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def route(self) -> str:
        """The path template of its route."""
        return re.sub(r"\{(job|ended|batch)\}", _id_name, self.path.partition("?")[0])


def _id_name(match: re.Match[str]) -> str:
    return "{batch_id}" if match[1] == "batch" else "{job_id}"


WAITS = {
    "poll": Wait("GET", JOB),
    "poll with a query": Wait("GET", f"{JOB}?expires_in=600"),
    "head": Wait("HEAD", JOB),
    "poll whose body is unfinished": Wait("GET", JOB, headers={"Content-Length": "10"}),
    "poll with another request behind it": Wait(
        "GET", JOB, then=b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
    ),
    "poll of a batch": Wait("GET", "/v1/batches/{batch}"),
    "photo": Wait("POST", "/v1/jobs", PHOTO),
    "photo with a query": Wait("POST", "/v1/jobs?expires_in=600", PHOTO),
    "derivation": Wait("POST", "/v1/jobs/{ended}/derive", {"recipe": KEEP}),
    "batch": Wait("POST", "/v1/batches", {"items": items(1), "recipe": KEEP}),
    "remove.bg": Wait("POST", "/v1.0/removebg", {"image_file_b64": batches.PHOTO}),
}

# The others take a second each for the same helper.
BRIEF = {"poll", "photo", "remove.bg"}


@pytest.fixture
def headers(api: Api) -> dict[str, str]:
    """The headers of a key without a practical limit of requests."""
    api.limit(requests_per_minute=1_000_000)
    return api.headers(*Scope)


@pytest.fixture
def ids(api: Api) -> dict[str, str]:
    """A job that has ended, and a job and a batch that do not end."""
    ended = run_whole_job(api, background="auto")
    batch = batches.submit(api, {"items": items(1), "recipe": KEEP})["id"]
    return {"ended": ended, "batch": batch, "job": api.submit(background="keep")}


@pytest.fixture
def _full_key(api: Api, headers: dict[str, str], ids: dict[str, str]) -> Iterator[None]:
    """Streams that hold all places of the key but one."""
    with ExitStack() as at_end:
        streams = [at_end.enter_context(connect(api)) for _ in range(MOST_OF_KEY - 1)]
        for stream in streams:
            stream.sendall(render_request("GET", f"/v1/jobs/{ids['job']}/events", headers))
        assert {stream.recv(12) for stream in streams} == {b"HTTP/1.1 200"}
        yield


@pytest.mark.parametrize(
    "wait",
    [
        pytest.param(wait, id=name, marks=[] if name in BRIEF else [pytest.mark.slow])
        for name, wait in WAITS.items()
    ],
)
@pytest.mark.usefixtures("_full_key")
def test_place_of_a_client_that_left_is_free(
    api: Api, clock: Clock, headers: dict[str, str], ids: dict[str, str], wait: Wait
) -> None:
    path = wait.path.format(**ids)
    route = wait.route
    before = count_answers(api, clock, wait.method, route)
    probes: list[int] = []

    def probe(status: int) -> bool:
        answer = api.client.get(f"/v1/jobs/{ids['job']}", headers={**headers, "Prefer": "wait=0"})
        probes.append(answer.status_code)
        return answer.status_code == status

    sent = render_request(wait.method, path, headers | wait.headers, wait.body)
    refusals = 0
    with ExitStack() as at_end:
        client = at_end.enter_context(connect(api))
        client.sendall(sent)
        while not probe(429):  # it waits
            if select.select([client], [], [], 0)[0]:  # a probe had the place
                refusals += 1
                client = at_end.enter_context(connect(api))
                client.sendall(sent)
        client.sendall(wait.then)
        assert probe(429)
    wait_until(lambda: probe(200))

    # Its client left before the time of the wait was up, which would have been an answer.
    answers = count_answers(api, clock, wait.method, route) - before
    same = len(probes) if (wait.method, route) == ("GET", JOB_ROUTE) else 0
    assert answers == same + refusals


def connect(api: Api) -> socket.socket:
    address = httpx.URL(api.url)
    return socket.create_connection((address.host, address.port), timeout=60)


def render_request(
    method: str, path: str, headers: dict[str, str], document: object = None
) -> bytes:
    body = b"" if document is None else json.dumps(document).encode()
    lines = {"Host": "api", "Prefer": "wait=60", "Content-Type": "application/json", **headers}
    if body:
        lines["Content-Length"] = str(len(body))
    fields = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{fields}\r\n".encode() + body


def count_answers(api: Api, clock: Clock, method: str, route: str) -> int:
    """Return how many requests the API has answered, with any status."""
    clock.expire_caches()
    shown = api.operators.get("/metrics").text
    labels = re.escape(f'method="{method}",route="{route}",status=')
    counts = re.findall(rf"smart_filter_request_seconds_count\{{{labels}\"\d+\"\}} (\d+)", shown)
    return sum(map(int, counts))
