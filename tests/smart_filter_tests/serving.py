"""The API on its own port, in a thread of the tests' process, over real servers."""

import contextlib
import dataclasses
import http.client
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

import httpx
from PIL import Image
from sqlalchemy import text
from starlette.types import ASGIApp

from smart_filter_api import app
from smart_filter_api.auth import api_keys
from smart_filter_api.auth.api_keys import Scope
from smart_filter_api.http import server as server_module
from smart_filter_deploy.embedded.addresses import LOOPBACK
from smart_filter_shared.artifacts.retention import ArtifactKind, RetentionOverrides
from smart_filter_shared.catalog.model_card import ModelCard, Offer
from smart_filter_shared.config import settings as settings_module
from smart_filter_shared.config.settings import Settings
from smart_filter_shared.db.process_roles import ProcessRole
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs.photo_queue import WORKER
from smart_filter_shared.model_registry import published_models
from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_shared.queue.leases import Failure, StageOutcome
from smart_filter_shared.telemetry import logs
from smart_filter_shared.tenants import settings as tenants_settings
from smart_filter_shared.tenants.quotas import LimitOverrides
from smart_filter_tests.bench import TENANT, Bench, as_role
from smart_filter_tests.outages import wait_until
from smart_filter_tests.patience import PATIENCE_SECONDS
from smart_filter_tests.pictures import encode


class Clock:
    """Monotonic seconds that a test can advance."""

    def __init__(self) -> None:
        self._ahead_seconds = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._ahead_seconds

    def expire_caches(self) -> None:
        """Advance an hour: every cached value of the API expires."""
        self._ahead_seconds += 3600


@dataclass(slots=True)
class Api:
    """The API for a client with every scope, and the bench on its servers.

    client: of the public port.  operators: of the operators' port, with the same key.
    """

    url: str
    bench: Bench
    client: httpx.Client
    operators: httpx.Client

    def key(self, *scopes: Scope, tenant: Tenant = TENANT) -> str:
        return self.bench.do(api_keys.issue, tenant=tenant, scopes=scopes).key

    def headers(self, *scopes: Scope, tenant: Tenant = TENANT) -> dict[str, str]:
        return as_bearer(self.key(*scopes, tenant=tenant))

    def issue(
        self, issuer: str | None = None, /, *, path: str = "/v1/keys", **wish: object
    ) -> dict[str, Any]:
        """Issue a key, by default with the client's own, and return the answer's document."""
        headers = {} if issuer is None else as_bearer(issuer)
        return self.create(path, json=wish, headers=headers)

    def submit_with(self, key: str, **headers: str) -> httpx.Response:
        """Submit a small photo with another key and return the answer."""
        files = {"photo": ("photo", a_photo())}
        return self.client.post("/v1/jobs", files=files, headers={**as_bearer(key), **headers})

    def limit(self, tenant: Tenant = TENANT, **numbers: float) -> None:
        self._override(tenant, limits=LimitOverrides(**numbers))  # type: ignore[arg-type]

    def keep(self, tenant: Tenant = TENANT, **seconds: float) -> None:
        self._override(tenant, retention=RetentionOverrides(**seconds))  # type: ignore[arg-type]
        # The API caches a known key for a second; a new one is not cached.
        self.client.headers.update(self.headers(*Scope))
        self.operators.headers.update(self.client.headers)

    def _override(self, tenant: Tenant, **part: object) -> None:
        with self.bench.transaction() as connection:
            said = tenants_settings.lock_overrides(connection, tenant)
            tenants_settings.write_overrides(connection, tenant, dataclasses.replace(said, **part))  # type: ignore[arg-type]

    def read(self, path: str, **options: Any) -> Any:  # noqa: ANN401 - of httpx, and JSON
        """Return the document of a GET that succeeds."""
        answer = self.client.get(path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def create(self, path: str, **options: Any) -> Any:  # noqa: ANN401 - of httpx, and JSON
        """Return the document of a POST that succeeds."""
        answer = self.client.post(path, **options)
        assert answer.is_success, answer.text
        return answer.json()

    def post(
        self,
        photo: bytes | None = None,
        fields: Mapping[str, str | Sequence[str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Submit a photo, by default a small one, and return the answer."""
        files = {"photo": ("photo", photo or a_photo())}
        return self.client.post("/v1/jobs", files=files, data=dict(fields or {}), headers=headers)

    def submit(self, **fields: str) -> str:
        """Submit a small photo and return the job's id; `__` in names stands for a dot."""
        answer = self.post(
            a_photo(), {name.replace("__", "."): value for name, value in fields.items()}
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def recipe_of(self, **fields: str) -> dict[str, Any]:
        """Return the recipe of a job that is submitted with these fields."""
        return self.job(self.submit(**fields))["recipe"]

    def job(self, job_id: str) -> dict[str, Any]:
        return self.read(f"/v1/jobs/{job_id}")

    def finish(self, stage: StageName, result: Mapping[str, object]) -> None:
        """Complete the head of a stage's queue with this result."""
        lease = self.bench.claim_one(stage)
        files = result.get("files")
        assert isinstance(files, dict)
        artifacts = {file["key"]: ArtifactKind.RESULT for file in files.values()}
        self.bench.complete_as_worker(StageOutcome(lease, result, 0.25, artifacts))

    def fail(self, stage: StageName, failure: Failure) -> None:
        """Fail the head of a queue; announced too, or waiting requests would wait for a poll."""
        lease = self.bench.claim_one(stage)
        self.bench.work(WORKER.fail, lease, failure)
        self.bench.doorbell.announce_ends([lease.job_id])

    def leftovers(self) -> dict[str, object]:
        """Return everything that is stored: counts of rows, objects and messages above 0."""
        with self.bench.transaction() as connection:
            counts: dict[str, object] = {
                table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
                for table in ("jobs", "stages", "artifacts", "uploads")
            }
        counts["objects"] = len(list(self.bench.store.stored()))
        counts["messages"] = len(list(self.bench.broker.scan_iter("smart_filter.*")))
        return {name: count for name, count in counts.items() if count}


def as_bearer(key: str) -> dict[str, str]:
    """Return the header of requests with a key."""
    return {"Authorization": f"Bearer {key}"}


def refusal_of(answer: httpx.Response) -> tuple[int, str]:
    """Return the status of a refused request, and the code of its problem."""
    return answer.status_code, answer.json()["code"]


def fetch_and_disconnect(request: httpx.Request) -> bytes:
    """Send a request and close the connection after the last byte; return the answer's content."""
    place = (request.url.host, request.url.port or 80)
    with socket.create_connection(place, timeout=PATIENCE_SECONDS) as connection:
        head = b"".join(
            b"%s: %s\r\n" % header for header in request.headers.raw if header[0] != b"Connection"
        )
        line = b"%s %s HTTP/1.1\r\n" % (request.method.encode(), request.url.raw_path)
        connection.sendall(line + head + b"Connection: close\r\n\r\n" + request.read())
        with http.client.HTTPResponse(connection) as answer:
            answer.begin()
            return answer.read(int(answer.headers["Content-Length"]))


@dataclass(frozen=True, slots=True)
class Site:
    """The URLs of a served API: of its public port, and of its operators' port.

    is_ringing: whether an API of this process is sending rings, which it does after its answers.
    """

    url: str
    operators_url: str
    is_ringing: Callable[[], bool] = lambda: False


@contextlib.contextmanager
def serve_api(settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> Iterator[Site]:
    """Serve the API under its own database role while the block lasts; yields its URLs.

    settings: with the database of an embedded server, as its owner.
    clock: by which cached values grow old.
    """
    settings = as_role(settings, ProcessRole.API)
    with socket.create_server((LOOPBACK, 0)) as operators:
        port = operators.getsockname()[1]
        application = app.create(settings, operators_port=port, clock=clock)
        proxies = settings.browser.trusted_proxies
        with serve_application(
            application,
            operators,
            trusted_proxies=proxies,
            end_waits=partial(app.end_waits, application),
        ) as url:
            state = application.state
            yield Site(url, f"http://{LOOPBACK}:{port}", lambda: state.services.doorbell.is_busy)


@contextlib.contextmanager
def serve_application(
    application: ASGIApp,
    *more: socket.socket,
    trusted_proxies: Sequence[str] = (),
    end_waits: Callable[[], None] = lambda: None,
) -> Iterator[str]:
    """Serve an application as the API is served while the block lasts; yields its URL.

    more: listening sockets that it serves too.
    """
    # As the process does: structlog's default draws tracebacks with every local variable, which
    # takes seconds.
    logs.configure("api")
    listener = socket.create_server((LOOPBACK, 0))
    config = server_module.build_config(application, trusted_proxies=trusted_proxies)
    server = server_module.Server(config, end_waits=end_waits)
    # A daemon thread: a test process that ends early must not wait for it.
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener, *more]}, daemon=True)
    thread.start()  # until it is up, connections wait in the listener's queue
    try:
        yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@contextlib.contextmanager
def serve_with(
    bench: Bench, *, clock: Callable[[], float] = time.monotonic, **environment: str
) -> Iterator[Site]:
    """Serve another API over the bench, with other settings; yields its URLs."""
    with mock.patch.dict(os.environ, {**bench.environment, **environment}, clear=True):
        settings = settings_module.load()
    with serve_api(settings, clock=clock) as site:
        yield site


@contextlib.contextmanager
def an_api(site: Site, bench: Bench) -> Iterator[Api]:
    """Yield the API with a new key, and with a model for each task that only the bench serves."""
    with bench.transaction() as connection:
        published_models.publish(connection, [Offer(a_card(task)) for task in TaskName])
        key = api_keys.issue(connection, tenant=TENANT, scopes=api_keys.ALL_SCOPES).key
    with open_api(site, bench, key) as api:
        yield api


@contextlib.contextmanager
def an_api_with(
    bench: Bench,
    settings: Settings | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    **environment: str,
) -> Iterator[Api]:
    """Yield another API over the bench, which has other settings or variables, with a new key."""
    if settings is None:
        served = serve_with(bench, clock=clock, **environment)
    else:
        served = serve_api(settings, clock=clock)
    with served as site, an_api(site, bench) as api:
        yield api


@contextlib.contextmanager
def open_api(site: Site, bench: Bench, key: str) -> Iterator[Api]:
    """Yield the API with this key."""
    # Without TLS: a client that could verify certificates takes 20 ms to load those of the web.
    about = {"headers": as_bearer(key), "timeout": PATIENCE_SECONDS, "verify": False}
    with (
        httpx.Client(base_url=site.url, **about) as client,
        httpx.Client(base_url=site.operators_url, **about) as operators,
    ):
        yield Api(site.url, bench, client, operators)
        # Else a late ring would count as one of the next test.
        wait_until(lambda: not site.is_ringing())


def a_card(task: TaskName, name: str | None = None) -> ModelCard:
    return ModelCard(
        name=name or f"no-{task}",
        version="1",
        task=task,
        family=name or "bench",
        title="Nothing",
        source="the tests",
        license="Apache-2.0",
        data_terms="",
        default=name is None,
    )


def a_photo(format_: str = "JPEG", size: tuple[int, int] = (48, 32), mode: str = "RGB") -> bytes:
    return encode(Image.new(mode, size), format_)
