"""The direct routes answer every kind of request as FastAPI's routes for the same operations do."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import httpx
import pytest

from integration.batches import KEEP, items
from smart_filter_api import app
from smart_filter_api.auth.api_keys import Scope
from smart_filter_api.routes.direct import ROUTES, DirectRoute
from smart_filter_shared.db.process_roles import ProcessRole
from smart_filter_shared.ids import Tenant
from smart_filter_tests.bench import Bench, as_role
from smart_filter_tests.serving import Api, Clock, a_photo, as_bearer, serve_application
from smart_filter_tests.stored_results import run_whole_job

UNKNOWN = "019a9d3c-5d64-7c1e-8a2b-6f0e3d2c1b0a"
OUTPUT = "/v1/jobs/{ended}/outputs/image"
JSON = ("Content-Type", "application/json")
PHOTO = json.dumps({**items(1)[0], "recipe": KEEP}).encode()
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n%b\r\n'
    b'--b\r\nContent-Disposition: form-data; name="background"\r\n\r\nkeep\r\n--b--\r\n' % a_photo()
)
MULTIPART = ("Content-Type", "multipart/form-data; boundary=b")

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request; `key`: None for one without the key of the test."""

    method: str
    path: str
    headers: Headers = ()
    body: bytes = b""
    key: str | None = "{key}"


_get = partial(Asked, "GET")
_post = partial(Asked, "POST", "/v1/jobs")

# What else than their parameters may differ between two requests of one kind.
METHODS = [
    Asked(method, path.format(**dict.fromkeys(("ended", "open"), UNKNOWN)))
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
    for path in ("/v1/jobs/{open}", OUTPUT)
]
PATHS = [
    *(_get(f"/v1/jobs/{job}") for job in ("{ended}", "{failed}", "{deleted}", "{foreign}")),
    *(_get(f"/v1/jobs/{job}/outputs/image") for job in ("{failed}", "{deleted}", "{foreign}")),
    *(_get(f"/v1/jobs/{UNKNOWN.upper()}{rest}") for rest in ("", "/outputs/image")),
    *(_get(f"/v1/jobs/{UNKNOWN.replace('-', '')}{rest}") for rest in ("", "/outputs/image")),
    *(_get(path) for path in ("/v1/jobs/x", "/v1/jobs/x/outputs/image", "/v1/jobs/%00")),
    *(_get(path) for path in ("/v1/jobs/{ended}/", "/v1//jobs/{ended}", f"{OUTPUT}/")),
    *(_get(path) for path in ("/v1/jobs/{ended}%0a", "/v1/jobs%2F{ended}", "/V1/jobs/{ended}")),
    *(_get(f"/v1/jobs/{{ended}}/outputs/{name}") for name in ("faces", "rating", "matte", "Image")),
    *(_get(f"/v1/jobs/{{ended}}/outputs/{name}") for name in ("x1", "%69mage", "image%20", "é")),
    *(_get(f"/v1/jobs/{{ended}}{query}") for query in ("?", "?expires_in=600", "?nothing=1")),
    *(_get(f"{OUTPUT}{query}") for query in ("?download=1", "?redirect=2", "?signature=x")),
    Asked("HEAD", "/v1/jobs/{ended}"),
    Asked("HEAD", OUTPUT),
]
KEYS = [
    Asked(method, path, headers, body, key=None)
    for method, path, body in (("GET", "/v1/jobs/{ended}", b""), ("GET", OUTPUT, b""))
    for headers in (
        (),
        (("Authorization", "Bearer {reader}"),),
        (("Authorization", "bearer {key}"),),
        (("Authorization", "Bearer"),),
        (("Authorization", "Basic YTpi"),),
        (("Authorization", "Bearer {submitter}"),),
        (("Authorization", "Bearer {device}"),),
        (("Authorization", "Bearer sf_live_unknown"),),
        (("Authorization", "Bearer {key}"), ("Authorization", "Bearer {key}")),
        (("Authorization", "Bearer {key}"), ("X-Api-Key", "{key}")),
        (("X-Api-Key", "{key}"),),
        (("Cookie", "smart-filter=unknown"),),
        (("Cookie", "smart-filter=unknown"), ("Authorization", "Bearer {key}")),
    )
]
HEADERS = [
    _get(path, headers)
    for path in ("/v1/jobs/{ended}", OUTPUT)
    for headers in (
        (("Prefer", "wait=0"),),
        (("Prefer", "respond-async"), ("Prefer", "wait=5")),
        (("Prefer", "wait=x"),),
        (("If-None-Match", "*"),),
        (("If-None-Match", '"other", W/"more"'),),
        (("If-None-Match", '"other"'), ("If-None-Match", "*")),
        (("If-Match", '"other"'),),
        (("If-Match", '"other"'), ("If-Match", "*")),
        (("Range", "bytes=1-2"),),
        (("Range", "bytes=1-2"), ("Range", "bytes=0-0")),
        (("Range", "bytes=1-2"), ("If-Range", '"other"')),
        (("Range", "bytes=99-"),),
        (("Accept", "text/html"), ("Sec-Fetch-Dest", "document")),
        (("Host", "evil.example"), ("X-Forwarded-Proto", "https")),
        (("Host", "localhost:1"),),
        (("Origin", "https://evil.example"),),
        (("Content-Type", "a" * 1001),),
        (("Idempotency-Key", "a"), ("Idempotency-Key", "b")),
        (("Accept-Encoding", "gzip"), ("Content-Length", "0")),
        (("Connection", "upgrade"), ("Upgrade", "websocket")),
    )
]
SUBMISSIONS = [
    *(_post([JSON], body) for body in (b"", b"{", b"[]", b"{}", b'{"photo_base64": "x"}', PHOTO)),
    *(_post([MULTIPART], body) for body in (b"", FORM, FORM[:-9], FORM.replace(b"keep", b"x"))),
    *(_post([MULTIPART], FORM.replace(old, b"c")) for old in (b"photo", b"background")),
    _post([], PHOTO),
    _post([("Content-Type", "text/plain")], PHOTO),
    _post([JSON, ("Content-Encoding", "gzip")], PHOTO),
    _post([JSON, ("Prefer", "wait=0")], PHOTO),
    _post([JSON, ("Prefer", "wait=0"), ("Accept", "image/*")], PHOTO),
    _post([JSON, ("Idempotency-Key", "{once}")], PHOTO),
    _post([JSON, ("Idempotency-Key", "{once}")], PHOTO),  # again
    _post([JSON, ("Idempotency-Key", "é" * 3)], PHOTO),
    _post([JSON, ("Idempotency-Key", "x" * 256)], PHOTO),
    _post([JSON], PHOTO, key=None),
    _post([JSON, ("Authorization", "Bearer {reader}")], PHOTO, key=None),
    _post([JSON, ("Authorization", "Bearer {device}")], PHOTO, key=None),
    Asked("POST", "/v1/jobs/", [JSON], PHOTO),
    Asked("POST", "/v1/jobs?expires_in=600", [JSON], PHOTO),
    Asked("PUT", "/v1/jobs", [JSON], PHOTO),
]
REQUESTS = [*METHODS, *PATHS, *KEYS, *HEADERS, *SUBMISSIONS]


@pytest.fixture
def plain_url(bench: Bench, clock: Clock) -> Iterator[str]:
    """The URL of an API without the direct routes."""
    application = app.create(as_role(bench.settings, ProcessRole.API), clock=clock)
    routes = application.router.routes
    routes[:] = [route for route in routes if not isinstance(route, DirectRoute)]
    with serve_application(application, end_waits=partial(app.end_waits, application)) as url:
        yield url


def test_direct_routes_answer_as_those_of_fastapi(api: Api, plain_url: str) -> None:
    values = create_values(api)
    different = {}
    for number, asked in enumerate(REQUESTS):
        direct, plain = (
            answer(url, asked, {**values, "once": f"once {url}"}) for url in (api.url, plain_url)
        )
        if direct != plain:
            different[number] = asked, direct, plain

    assert len(REQUESTS) > 100
    assert different == {}


def test_direct_routes_take_the_requests_of_their_operations() -> None:
    paths = (f"/v1/jobs/{UNKNOWN}", f"/v1/jobs/{UNKNOWN}/outputs/image", "/v1/jobs")
    taken = {
        route.path
        for route in ROUTES
        for path in paths
        if route.matches(
            {"type": "http", "method": route.method, "path": path, "query_string": b""}
        )[0].value
    }

    assert taken == {"/v1/jobs", "/v1/jobs/{job_id}", "/v1/jobs/{job_id}/outputs/{name}"}


def create_values(api: Api) -> dict[str, str]:
    """Return the ids and keys that requests name."""
    api.limit(requests_per_minute=1_000_000)
    deleted, failed = api.submit(background="keep"), api.submit(background="keep")
    assert api.client.delete(f"/v1/jobs/{deleted}").status_code == 204
    assert api.client.post(f"/v1/jobs/{failed}/cancel").status_code == 200
    other = api.key(*Scope, tenant=Tenant("other"))
    return {
        "ended": run_whole_job(api, background="auto"),
        "deleted": deleted,
        "failed": failed,
        "foreign": str(api.submit_with(other).json()["id"]),
        "key": api.key(*Scope),
        "reader": api.key(Scope.READ),
        "submitter": api.key(Scope.SUBMIT),
        "device": str(api.issue(path="/v1/tokens", scopes=["submit"], max_jobs=9)["key"]),
    }


def answer(url: str, asked: Asked, values: dict[str, str]) -> tuple[object, ...]:
    """Return status, headers and body, without what each request has of its own."""
    key = [] if asked.key is None else list(as_bearer(asked.key).items())
    given = [*key, *asked.headers]
    if "Host" not in dict(given):
        given.append(("Host", "api.example"))  # links and ETags depend on it
    headers = [(name.encode(), value.format(**values).encode()) for name, value in given]
    got = httpx.request(
        asked.method,
        url + asked.path.format(**values),
        headers=headers,
        content=asked.body,
        timeout=60,
    )
    shown = sorted((name, mask(value)) for name, value in got.headers.multi_items())
    # The length of a new job is that of its random seed too.
    own = {"date", "content-length"} if got.status_code == httpx.codes.ACCEPTED else {"date"}
    return got.status_code, [header for header in shown if header[0] not in own], mask(got.text)


def mask(text: str) -> str:
    """Return a text without ids and times, and without what differs between two new jobs."""
    for pattern in (
        r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        r"\d{4}-\d\d-\d\dT[\d:.]+Z",
        r'"seed":\d+|"queue":{[^}]*}',
        r"(?<=;r=)\d+",
        r"(?<=;t=)\d+",
        r"(expires|max-age|signature)=[\w-]+",
    ):
        text = re.sub(pattern, "…", text)
    return text
