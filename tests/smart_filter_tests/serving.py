"""The API on a port of its own, in a thread of the tests' process, over real servers."""

import contextlib
import dataclasses
import http.client
import io
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unittest import mock

import httpx
import uvicorn
from PIL import Image
from sqlalchemy import text
from starlette.types import ASGIApp

from smart_filter_api import app, keys
from smart_filter_api import server as server_module
from smart_filter_api.keys import Scope
from smart_filter_shared import settings as settings_module
from smart_filter_shared.cards import ModelCard, Offer, TaskName
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs import models, tenants, transitions
from smart_filter_shared.jobs.leases import Done, Failure
from smart_filter_shared.jobs.limits import OwnLimits
from smart_filter_shared.jobs.retention import Kind, OwnKeeping
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.settings import Settings
from smart_filter_shared.telemetry import logs
from smart_filter_tests.bench import KEEPING, TENANT, Bench

_TIMEOUT_SECONDS = 60.0


class Clock:
    """Monotonic seconds that a test can move on."""

    def __init__(self) -> None:
        self._ahead_seconds = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._ahead_seconds

    def make_old(self) -> None:
        """Let an hour pass: nothing that the API remembers is fresh any more."""
        self._ahead_seconds += 3600


@dataclass(slots=True)
class Api:
    """The API as a client with every scope sees it, and the bench below it."""

    url: str
    bench: Bench
    client: httpx.Client

    def key(self, *scopes: Scope, tenant: Tenant = TENANT) -> str:
        return self.bench.do(keys.issue, tenant=tenant, scopes=scopes).key

    def headers(self, *scopes: Scope, tenant: Tenant = TENANT) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key(*scopes, tenant=tenant)}"}

    def limit(self, tenant: Tenant = TENANT, **own: float) -> None:
        with self.bench.transaction() as connection:
            said = tenants.hold(connection, tenant)
            limits = OwnLimits(**own)  # type: ignore[arg-type]  # its fields
            tenants.say(connection, tenant, dataclasses.replace(said, limits=limits))

    def keep(self, tenant: Tenant = TENANT, **own: float) -> None:
        with self.bench.transaction() as connection:
            said = tenants.hold(connection, tenant)
            keeping = OwnKeeping(**own)  # type: ignore[arg-type]  # its fields
            tenants.say(connection, tenant, dataclasses.replace(said, keeping=keeping))
        # What was known of the client's key may be a second old, of a new one nothing is.
        self.client.headers.update(self.headers(*Scope))

    def post(
        self, photo: bytes, fields: Mapping[str, str | Sequence[str]] | None = None
    ) -> httpx.Response:
        return self.client.post(
            "/v1/jobs", files={"photo": ("photo", photo)}, data=dict(fields or {})
        )

    def submit(self, **fields: str) -> str:
        """Submit a small photo and return the job's id; `__` in names stands for a dot."""
        answer = self.post(
            a_photo(), {name.replace("__", "."): value for name, value in fields.items()}
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self.client.get(f"/v1/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def finish(self, stage: StageName, result: Mapping[str, object]) -> None:
        """Let the stage at the head of its queue succeed with this result."""
        lease = self.bench.claim_one(stage)
        files = result.get("files")
        assert isinstance(files, dict)
        artifacts = {file["key"]: Kind.RESULT for file in files.values()}
        self.bench.do(transitions.complete, [Done(lease, result, 0.25, artifacts)], KEEPING)

    def fail(self, stage: StageName, failure: Failure) -> None:
        lease = self.bench.claim_one(stage)
        self.bench.do(transitions.fail, lease, failure)

    def leftovers(self) -> dict[str, object]:
        """Return what is stored anywhere: counts of rows, objects and messages above 0."""
        with self.bench.transaction() as connection:
            counts: dict[str, object] = {
                table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
                for table in ("jobs", "stages", "artifacts", "uploads")
            }
        counts["objects"] = len(list(self.bench.store.stored()))
        counts["messages"] = len(list(self.bench.broker.scan_iter("smart_filter.*")))
        return {name: count for name, count in counts.items() if count}


def fetched_and_gone(request: httpx.Request) -> bytes:
    """Send a request; return the answer's content, gone as soon as its last byte is there."""
    place = (request.url.host, request.url.port or 80)
    with socket.create_connection(place, timeout=_TIMEOUT_SECONDS) as connection:
        head = b"".join(
            b"%s: %s\r\n" % one for one in request.headers.raw if one[0] != b"Connection"
        )
        line = b"%s %s HTTP/1.1\r\n" % (request.method.encode(), request.url.raw_path)
        connection.sendall(line + head + b"Connection: close\r\n\r\n" + request.read())
        with http.client.HTTPResponse(connection) as answer:
            answer.begin()
            return answer.read(int(answer.headers["Content-Length"]))


@contextlib.contextmanager
def serving(settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> Iterator[str]:
    """Serve the API while the block lasts; yields its URL.

    clock: by which remembered values grow old.
    """
    with listening(app.create(settings, clock=clock)) as url:
        yield url


@contextlib.contextmanager
def listening(application: ASGIApp, *also: socket.socket) -> Iterator[str]:
    """Serve an application as the API is served while the block lasts; yields its URL.

    also: further listeners, which close with it.
    """
    # As the process does: unconfigured, structlog draws tracebacks with every local variable,
    # which takes seconds.
    logs.configure("api")
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(server_module.config(application))
    # A daemon: a test process that is ended in between must not wait for it.
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener, *also]}, daemon=True)
    thread.start()  # until it is up, connections wait in the listener's queue
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@contextlib.contextmanager
def served_as(bench: Bench, **environment: str) -> Iterator[str]:
    """Serve another API over the bench, with settings of its own; yields its URL."""
    with mock.patch.dict(os.environ, {**bench.environment, **environment}, clear=True):
        settings = settings_module.load()
    with serving(settings) as url:
        yield url


@contextlib.contextmanager
def an_api(url: str, bench: Bench) -> Iterator[Api]:
    """Yield the API with a key, and with a model for each task that only the bench serves."""
    with bench.transaction() as connection:
        models.publish(connection, [Offer(a_card(task)) for task in TaskName])
        key = keys.issue(connection, tenant=TENANT, scopes=keys.ALL_SCOPES).key
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT_SECONDS) as client:
        yield Api(url, bench, client)


def a_card(task: TaskName, name: str | None = None) -> ModelCard:
    return ModelCard(
        name=name or f"no-{task}",
        version="1",
        task=task,
        family=name or "bench",
        title="Nothing",
        source="the tests",
        licence="Apache-2.0",
        data_terms="",
        default=name is None,
    )


def a_photo(format_: str = "JPEG", size: tuple[int, int] = (48, 32), mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, format_)
    return buffer.getvalue()
