"""Calls from pages of other origins (CORS): by a list, and never with a session."""

from collections.abc import Iterator

import httpx
import pytest

from smart_filter_tests.bench import Bench
from smart_filter_tests.serving import Api, serve_with

APP = "https://app.example.com"


@pytest.fixture(scope="module")
def open_url(_bench: Bench) -> Iterator[str]:
    with serve_with(_bench, SMART_FILTER_CORS_ORIGINS=f"{APP}, http://localhost:5173") as site:
        yield site.url


def preflight(url: str, origin: str, **more: str) -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,idempotency-key,prefer",
    }
    return httpx.options(f"{url}/v1/jobs", headers=headers | more, timeout=60)


def test_page_may_put_an_upload(open_url: str) -> None:
    answer = preflight(
        open_url,
        APP,
        **{
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "content-type",
        },
    )

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == APP


def test_no_page_may_call_by_default(api: Api) -> None:
    answer = api.client.get("/v1/jobs", headers={"Origin": APP})

    assert answer.status_code == 200
    assert [name for name in answer.headers if name.startswith("access-control")] == []
    assert preflight(api.url, APP).status_code == 405


def test_allowed_origin_can_call_with_a_key_and_read_a_refusal(api: Api, open_url: str) -> None:
    asked = preflight(open_url, APP)
    headers = {"Origin": APP, "Authorization": api.client.headers["Authorization"]}
    answer = httpx.get(f"{open_url}/v1/jobs", headers=headers, timeout=60)
    refused = httpx.get(f"{open_url}/v1/jobs", headers={"Origin": APP}, timeout=60)

    answers = (asked, answer, refused)
    assert [answer.status_code for answer in answers] == [200, 200, 401]
    assert {answer.headers["access-control-allow-origin"] for answer in answers} == {APP}
    assert "POST" in asked.headers["access-control-allow-methods"]
    shown = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert shown >= {
        *("ETag", "Retry-After", "RateLimit", "RateLimit-Policy", "Location"),
        *("Preference-Applied", "Link"),
    }
    assert "access-control-allow-credentials" not in {**asked.headers, **answer.headers}


@pytest.mark.parametrize("origin", ["https://evil.example", "http://app.example.com", "null"])
def test_other_origins_are_refused(open_url: str, origin: str) -> None:
    answer = httpx.get(f"{open_url}/v1/jobs", headers={"Origin": origin}, timeout=60)

    assert preflight(open_url, origin).status_code == 400
    assert "access-control-allow-origin" not in answer.headers


def test_allowed_origins_cannot_use_sessions(api: Api, open_url: str) -> None:
    key = api.client.headers["Authorization"].removeprefix("Bearer ")
    signed_in = httpx.post(f"{open_url}/v1/session", json={"key": key}, timeout=60)
    headers = {"Origin": APP, "Cookie": f"smart-filter={signed_in.cookies['smart-filter']}"}

    answer = httpx.get(f"{open_url}/v1/jobs", headers=headers, timeout=60)

    assert signed_in.status_code == 201
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")
