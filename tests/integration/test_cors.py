"""Calls from pages of other origins (CORS): by a list, and never with a session."""

from collections.abc import Iterator

import httpx
import pytest
from structlog.testing import capture_logs

from smart_filter_shared.http_servers import SAFE_HEADERS
from smart_filter_tests.bench import Bench
from smart_filter_tests.outages import without_table
from smart_filter_tests.serving import Api, Clock, refusal_of, serve_with

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


def test_preflight_is_answered_counted_and_logged_as_other_requests(
    bench: Bench, clock: Clock
) -> None:
    with (
        serve_with(bench, clock=clock, SMART_FILTER_CORS_ORIGINS=APP) as site,
        capture_logs() as logged,
    ):
        answers = [preflight(site.url, origin) for origin in (APP, "https://evil.example")]
        metrics = httpx.get(f"{site.operators_url}/metrics", timeout=60).text

    assert [answer.status_code for answer in answers] == [200, 400]
    assert [line["status"] for line in logged if line.get("method") == "OPTIONS"] == [200, 400]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 2
    for answer in answers:
        assert answer.headers.items() >= dict(SAFE_HEADERS).items()
    for status in (200, 400):
        labels = f'method="OPTIONS",route="none",status="{status}"'
        assert f"smart_filter_request_seconds_count{{{labels}}} 1\n" in metrics


@pytest.mark.parametrize(
    ("method", "header"),
    [
        ("PUT", "Content-Type"),
        *(("POST", name) for name in ("X-Api-Key", "Range", "If-Range", "X-Request-Id")),
        ("POST", "traceparent"),
    ],
)
def test_page_may_put_an_upload_and_send_a_header(open_url: str, method: str, header: str) -> None:
    wish = {
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": header.lower(),
    }

    answer = preflight(open_url, APP, **wish)

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == APP


def test_page_can_read_every_described_header(open_url: str) -> None:
    """Headers that the Fetch standard always exposes need no permission."""
    answer = httpx.get(f"{open_url}/openapi.json", headers={"Origin": APP}, timeout=60)
    exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
    described = {
        name
        for operations in answer.json()["paths"].values()
        for operation in operations.values()
        for response in operation["responses"].values()
        for name in response.get("headers", {})
    }

    assert len(described) > 10
    assert described - exposed <= {"Cache-Control", "Content-Length", "Content-Type"}


def test_page_can_read_the_problem_of_a_defect(bench: Bench) -> None:
    with (
        serve_with(bench, SMART_FILTER_CORS_ORIGINS=APP) as site,
        without_table(bench, "keys"),
    ):
        headers = {"Origin": APP, "Authorization": "Bearer sf_live_x"}
        answer = httpx.get(f"{site.url}/v1/jobs", headers=headers, timeout=60)

    assert refusal_of(answer) == (500, "internal")
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
    assert refusal_of(answer) == (403, "csrf")
