"""What one caller can use up of an API process: bytes of bodies under way, streams and waits."""

import contextlib
import json
import socket
import uuid
from collections.abc import Iterator

import httpx
import pytest

from smart_filter_api.auth.api_keys import Caller, Scope
from smart_filter_api.limits import WaitLimit
from smart_filter_shared.errors import RateLimited, ServiceFull
from smart_filter_shared.ids import Tenant
from smart_filter_shared.tenants.quotas import Limits
from smart_filter_tests.bench import Bench
from smart_filter_tests.outages import wait_until
from smart_filter_tests.serving import Api, a_photo, an_api_with, refusal_of
from smart_filter_tests.stages import COMPOSITE, PREPARE
from smart_filter_tests.stored_results import run_stages

_MEGABYTES = 170
_OTHER = Tenant("other")


@pytest.fixture
def api(bench: Bench) -> Iterator[Api]:
    """An API process of its own, with the smallest budget of bodies."""
    with an_api_with(bench, SMART_FILTER_LIMIT_BODY_MEGABYTES=str(_MEGABYTES)) as api:
        yield api


@contextlib.contextmanager
def a_body_under_way(api: Api, key: str, megabytes: float) -> Iterator[None]:
    """Announce a body; the block begins when the server has taken its bytes, and waits for them."""
    url = httpx.URL(api.url)
    head = (
        f"POST /v1/jobs HTTP/1.1\r\nHost: {url.host}\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: multipart/form-data; boundary=cut\r\n"
        f"Content-Length: {round(megabytes * 1e6)}\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue")
        yield


def submit(api: Api, key: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return api.post(headers=headers)


def test_tenant_has_half_of_the_bytes_under_way(api: Api) -> None:
    first, second = api.key(Scope.SUBMIT), api.key(Scope.SUBMIT)

    with a_body_under_way(api, first, 80), a_body_under_way(api, second, 4.95):
        refused = submit(api, second)
        other = submit(api, api.key(Scope.SUBMIT, tenant=_OTHER))

    assert refusal_of(refused) == (429, "rate_limited")
    assert "at most 85000000 bytes of this tenant" in refused.json()["detail"]
    assert refused.headers["Retry-After"] == "2"
    assert other.status_code == 202


def test_tenants_leave_room_for_the_photo_of_another(api: Api) -> None:
    keys = [api.key(Scope.SUBMIT, tenant=Tenant(name)) for name in ("one", "two", "three")]

    with contextlib.ExitStack() as bodies:
        for key, megabytes in zip(keys, (80, 44, 22), strict=True):
            bodies.enter_context(a_body_under_way(api, key, megabytes))
        accepted = submit(api, api.key(Scope.SUBMIT, tenant=_OTHER))
        refused = api.post(bytes(13_000_000))

    assert accepted.status_code == 202
    assert refusal_of(refused) == (503, "unavailable")
    assert "170000000 bytes of bodies" in refused.json()["detail"]
    assert refused.headers["Retry-After"] == "2"


def test_device_has_one_large_body_under_way(api: Api) -> None:
    asked = {"scopes": ["submit"], "ttl_seconds": 60, "max_jobs": 9}
    device = api.create("/v1/tokens", json=asked)["key"]

    with a_body_under_way(api, device, 80.95):
        refused = submit(api, device)

    assert refusal_of(refused) == (429, "rate_limited")
    assert "of this device" in refused.json()["detail"]


@pytest.mark.slow
def test_stored_body_gives_its_bytes_back(api: Api) -> None:
    photo = a_photo() + bytes(30_000_000)

    answers = [api.post(photo) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [202] * 4


def test_small_documents_count_too(api: Api) -> None:
    key = api.key(Scope.SUBMIT)
    document = json.dumps({"content_type": "image/jpeg", "bytes": 9})
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    with a_body_under_way(api, key, 80), a_body_under_way(api, key, 4.95):
        refused = api.client.post("/v1/uploads", content=document, headers=headers)

    assert refused.status_code == 429


def test_device_has_twenty_streams_and_waits(api: Api) -> None:
    asked = {"scopes": ["submit"], "ttl_seconds": 600, "max_jobs": 9}
    mine = {"Authorization": f"Bearer {api.create('/v1/tokens', json=asked)['key']}"}
    other = api.headers(*Scope)
    photo = {"photo": a_photo()}
    links = api.create("/v1/jobs", files=photo, headers=mine)["links"]

    with contextlib.ExitStack() as streams:
        for _ in range(20):
            stream = api.client.stream("GET", links["events"], headers=mine)
            assert streams.enter_context(stream).status_code == 200
        wait = {**mine, "Prefer": "wait=60"}
        refused = [
            api.client.get(links["events"], headers=mine),
            api.client.get(links["self"], headers=wait),
        ]
        at_once = api.client.post("/v1/jobs", files=photo, headers=wait)
        with api.client.stream("GET", links["events"], headers=other) as stream:
            others = stream.status_code

    assert [refusal_of(answer) for answer in refused] == [(429, "rate_limited")] * 2
    assert {answer.headers["Retry-After"] for answer in refused} == {"5"}
    assert "20 streams and waits of this key" in refused[0].json()["detail"]
    assert (at_once.status_code, at_once.headers.get("Preference-Applied")) == (202, None)
    assert others == 200


@pytest.mark.slow
def test_downloads_that_are_not_read_are_bounded(api: Api) -> None:
    asked = {"scopes": ["submit"], "ttl_seconds": 600, "max_jobs": 9}
    mine = {"Authorization": f"Bearer {api.create('/v1/tokens', json=asked)['key']}"}
    sent = api.post(fields={"background": "keep"}, headers=mine)
    job_id = sent.json()["id"]
    run_stages(api, PREPARE)
    run_stages(api, COMPOSITE, content=bytes(16_000_000))  # more than the kernel takes for a client
    path = f"/v1/jobs/{job_id}/outputs/image"

    with contextlib.ExitStack() as downloads:
        for _ in range(20):
            download = api.client.stream("GET", path, headers=mine)
            assert downloads.enter_context(download).status_code == 200
        refused = api.client.get(path, headers=mine)
        other = api.client.head(path)
        again = api.post(
            fields={"background": "keep"},
            headers={**mine, "Idempotency-Key": "k", "Accept": "image/*", "Prefer": "wait=5"},
        )
        stored = api.read(again.headers["Location"])
    # The server notices the ends of the downloads a moment later.
    wait_until(lambda: api.client.head(path, headers=mine).status_code == 200)

    assert refusal_of(refused) == (429, "rate_limited")
    assert "20 downloads of this key" in refused.json()["detail"]
    assert refused.headers["Retry-After"] == "5"
    assert other.status_code == 200
    # The job has ended, and the picture cannot be sent now.
    assert (again.status_code, again.json()["state"]) == (202, "succeeded")
    assert again.json()["finished_at"] == stored["finished_at"] > stored["created_at"]


def test_downloads_have_bounds_of_key_tenant_and_process() -> None:
    waits = WaitLimit()
    tenants = [Tenant(name) for name in ("one", "two", "three")]
    keys = [Caller(uuid.uuid4(), tenants[0], frozenset()) for _ in range(3)]

    def is_refused(caller: Caller | None, tenant: Tenant, error: type[Exception]) -> bool:
        with contextlib.suppress(error), waits.hold_download(tenant, caller):
            return False
        return True

    with contextlib.ExitStack() as held:
        for number in range(200):
            held.enter_context(waits.hold_download(tenants[0], keys[number // 100]))
            if number == 99:
                assert is_refused(keys[0], tenants[0], RateLimited)
                assert not is_refused(keys[1], tenants[0], RateLimited)
        assert is_refused(keys[2], tenants[0], RateLimited)
        for _ in range(100):
            held.enter_context(waits.hold_download(tenants[1], None))
        assert is_refused(None, tenants[1], RateLimited)
        for _ in range(100):
            held.enter_context(waits.hold_download(tenants[2], None))
        other = Caller(uuid.uuid4(), tenants[1], frozenset())
        assert is_refused(other, tenants[1], ServiceFull)
    assert not is_refused(keys[0], tenants[0], RateLimited)


def test_key_and_tenant_have_bounds_of_their_own() -> None:
    waits = WaitLimit()
    limits = Limits(requests_per_minute=600)
    keys = [Caller(uuid.uuid4(), _OTHER, frozenset(), limits=limits) for _ in range(5)]
    unlimited = Caller(uuid.uuid4(), _OTHER, frozenset())

    with contextlib.ExitStack() as held:
        for number in range(1000):
            held.enter_context(waits.hold(keys[number // 250]))
            if number == 249:
                assert not waits.has_room(keys[0])
                assert waits.has_room(keys[1])
        assert not waits.has_room(keys[4])
        assert waits.has_room(unlimited)
    assert waits.has_room(keys[0])
