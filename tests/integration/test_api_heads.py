"""HEAD requests, the problem pages, and the pages and files of the studio."""

import gc
import re
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from smart_filter_tests.serving import Api
from smart_filter_tests.stages import COMPOSITE, PREPARE
from smart_filter_tests.stored_results import run_stages


@pytest.mark.parametrize(
    "path", ["/livez", "/openapi.json", "/v1/jobs", "/v1/models", "/problems/not_found", "/nowhere"]
)
def test_head_has_the_headers_of_get(api: Api, path: str) -> None:
    got = api.client.get(path)

    head = api.client.head(path)

    ours = {"date", "x-request-id", "ratelimit", "ratelimit-policy"}
    assert head.status_code == got.status_code
    assert {name: value for name, value in head.headers.items() if name not in ours} == {
        name: value for name, value in got.headers.items() if name not in ours
    }
    assert head.content == b""


def test_heads_of_outputs_and_streams_have_their_headers_and_leave_nothing_open(api: Api) -> None:
    job_id = api.submit(background="keep")
    run_stages(api, PREPARE)
    streams = [api.client.head(f"/v1/jobs/{job_id}/events") for _ in range(5)]
    run_stages(api, COMPOSITE, content=b"p" * 500_000)

    outputs = [api.client.head(f"/v1/jobs/{job_id}/outputs/image") for _ in range(5)]
    gc.collect()  # open connections fail the test

    assert {(head.status_code, head.content) for head in [*streams, *outputs]} == {(200, b"")}
    assert streams[0].headers["content-type"].startswith("text/event-stream")
    assert outputs[0].headers["content-length"] == "500000"
    assert outputs[0].headers["etag"]


def test_problem_leads_to_its_page(api: Api) -> None:
    problem = api.client.get("/v1/jobs/none")
    assert problem.links["help"]["url"] == urlsplit(problem.json()["type"]).path

    page = api.client.get(
        urljoin(str(problem.url), problem.links["help"]["url"]), headers={"Authorization": ""}
    )

    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<h1>Not found</h1>" in page.text


@pytest.fixture
def anonymous(api: Api) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=api.operators.base_url, timeout=60) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "script"),
    [("/", "main.js"), ("/admin", "admin/main.js"), ("/docs", "swagger-ui-bundle.js")],
)
def test_page_needs_no_key_and_names_only_existing_files(
    anonymous: httpx.Client, path: str, script: str
) -> None:
    page = anonymous.get(path)

    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    named = re.findall(r'(?:href|src)="(/[^"]*)"', page.text)
    named += re.findall(r'"(/studio/vendor/[^"]*)"', page.text)
    assert any(path.endswith(f"/{script}") for path in named)
    assert {anonymous.get(path).status_code for path in named} == {200}
    assert "http" not in re.sub(r"<!--.*?-->", "", page.text)


def test_browser_keeps_files_until_they_change(anonymous: httpx.Client) -> None:
    (script,) = re.findall(r'src="(/studio/[^"]*/main.js)"', anonymous.get("/").text)
    other = re.sub("/studio/[^/]*", "/studio/0123456789abcdef", script)

    assert "immutable" in anonymous.get(script).headers["Cache-Control"]
    assert anonymous.get(other).headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("path", ["/", "/admin"])
def test_page_can_load_and_call_only_this_service(anonymous: httpx.Client, path: str) -> None:
    first = anonymous.get(path)
    again = anonymous.get(path, headers={"If-None-Match": first.headers["ETag"]})

    # The page from the browser's cache keeps its policy.
    assert again.status_code == 304
    policy = again.headers["Content-Security-Policy"]
    assert policy == first.headers["Content-Security-Policy"]
    sources = sources_of(policy)
    assert re.fullmatch(r"'self' 'sha256-[A-Za-z0-9+/]{43}='", sources["script-src"])
    assert sources["style-src"] == sources["font-src"] == "'self'"


def test_reference_allows_no_inline_script_or_style(anonymous: httpx.Client) -> None:
    sources = sources_of(anonymous.get("/docs").headers["Content-Security-Policy"])

    assert sources["script-src"] == sources["style-src"] == sources["connect-src"] == "'self'"


def sources_of(policy: str) -> dict[str, str]:
    """Return a strict policy's sources by their directive."""
    sources = dict(part.split(" ", 1) for part in policy.split("; "))
    assert sources["default-src"] == "'none'"
    assert sources["frame-ancestors"] == sources["form-action"] == "'none'"
    assert "unsafe" not in policy
    return sources


@pytest.mark.parametrize("path", ["index.html", "%2e%2e/route.py", "vendor", "nothing.js", ""])
def test_no_other_file_is_served(anonymous: httpx.Client, path: str) -> None:
    answer = anonymous.get(f"/studio/{path}")

    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"
