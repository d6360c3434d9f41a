"""Which pages of other origins may call the API."""

from collections.abc import Iterator

import httpx
import pytest

from smart_filter_tests.bench import Bench
from smart_filter_tests.serving import Api, served_as

APP = "https://app.example.com"


@pytest.fixture(scope="module")
def open_url(_bench: Bench) -> Iterator[str]:
    with served_as(_bench, SMART_FILTER_CORS_ORIGINS=f"{APP}, http://localhost:5173") as url:
        yield url


def preflight(url: str, origin: str, **more: str) -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,idempotency-key,prefer",
    }
    return httpx.options(f"{url}/v1/jobs", headers=headers | more, timeout=60)


def test_no_page_may_call_by_default(api: Api) -> None:
    answer = api.client.get("/v1/jobs", headers={"Origin": APP})

    assert answer.status_code == 200
    assert [name for name in answer.headers if name.startswith("access-control")] == []
    assert preflight(api.url, APP).status_code == 405


def test_named_origin_may_call_with_a_key(api: Api, open_url: str) -> None:
    asked = preflight(open_url, APP)
    headers = {"Origin": APP, "Authorization": api.client.headers["Authorization"]}
    answer = httpx.get(f"{open_url}/v1/jobs", headers=headers, timeout=60)

    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == APP
    assert "POST" in asked.headers["access-control-allow-methods"]
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == APP
    told = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert told >= {
        *("ETag", "Retry-After", "RateLimit", "RateLimit-Policy", "Location"),
        *("Preference-Applied", "Link"),
    }
    assert "access-control-allow-credentials" not in {**asked.headers, **answer.headers}


def test_page_may_read_why_it_was_refused(open_url: str) -> None:
    answer = httpx.get(f"{open_url}/v1/jobs", headers={"Origin": APP}, timeout=60)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["access-control-allow-origin"] == APP
    assert "X-Request-Id" in answer.headers


@pytest.mark.parametrize("origin", ["https://evil.example", "http://app.example.com", "null"])
def test_other_origins_may_not(open_url: str, origin: str) -> None:
    answer = httpx.get(f"{open_url}/v1/jobs", headers={"Origin": origin}, timeout=60)

    assert preflight(open_url, origin).status_code == 400
    assert "access-control-allow-origin" not in answer.headers


def test_session_is_not_for_named_origins_either(api: Api, open_url: str) -> None:
    key = api.client.headers["Authorization"].removeprefix("Bearer ")
    signed_in = httpx.post(f"{open_url}/v1/session", json={"key": key}, timeout=60)
    headers = {"Origin": APP, "Cookie": f"smart-filter={signed_in.cookies['smart-filter']}"}

    answer = httpx.get(f"{open_url}/v1/jobs", headers=headers, timeout=60)

    assert signed_in.status_code == 201
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")


def test_every_origin_may_call_where_that_is_said(api: Api) -> None:
    with served_as(api.bench, SMART_FILTER_CORS_ORIGINS="*") as url:
        answer = httpx.get(f"{url}/v1/jobs", headers={"Origin": "https://any.example"}, timeout=60)

    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
