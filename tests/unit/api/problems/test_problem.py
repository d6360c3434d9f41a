import re
from pathlib import Path

import anyio
import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from smart_filter_api.auth.security_log import RefusalLog
from smart_filter_api.http.middleware import (
    LastErrorMiddleware,
    LatencyHistogram,
    RequestMiddleware,
)
from smart_filter_api.problems import catalog, problem
from smart_filter_api.problems import problem as problems_problem
from smart_filter_api.problems.catalog import PAGES
from smart_filter_shared import errors
from smart_filter_shared.errors import (
    DatabaseUnavailable,
    Error,
    LeaseLost,
    NotFound,
    StorageUnavailable,
)

PAGES_FOLDER = Path(__file__).parents[4] / "docs" / "problems"
SECRET = "host 10.0.0.7 user smart"


def ask(
    error: Exception | None = None,
    method: str = "GET",
    path: str = "/",
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    app = FastAPI(openapi_url=None)
    problems_problem.install(app)
    app.add_middleware(LastErrorMiddleware)
    app.add_middleware(RequestMiddleware, latencies=LatencyHistogram(), refusals=RefusalLog())

    @app.get("/")
    async def raises(number: int = 0) -> int:
        if error is not None:
            raise error
        return number

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.request(method, path, headers=headers)

    return anyio.run(send)


def test_browser_that_opens_an_address_gets_a_page() -> None:
    answer = ask(NotFound("`<job>`"), headers={"Sec-Fetch-Dest": "document"})

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>Not found</h1>\n<p><code>&lt;job&gt;</code></p>" in answer.text
    assert '<a href="/">' in answer.text
    studio = Path(problems_problem.__file__).parents[1] / "studio" / "page"
    sheets = re.findall(r'href="/studio/(styles/[^"]*)"', answer.text)
    assert sheets
    assert all((studio / sheet).is_file() for sheet in sheets)
    assert answer.headers["content-security-policy"].startswith(
        "default-src 'none'; style-src 'self'"
    )
    assert answer.headers["content-security-policy"].count("default-src") == 1


def test_problem_document_has_every_member() -> None:
    answer = ask(NotFound("job 7"))

    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "https://smart-filter.dev/problems/not_found",
        "title": "Not found",
        "status": 404,
        "detail": "job 7",
        "instance": f"urn:uuid:{answer.headers['x-request-id']}",
        "code": "not_found",
        "remedy": PAGES["not_found"].remedy,
    }
    assert answer.headers["link"] == '</problems/not_found>; rel="help"'


@pytest.mark.parametrize("error", [RuntimeError(SECRET), LeaseLost(SECRET)])
def test_defect_is_a_500_without_details_and_is_logged_once(error: Exception) -> None:
    with capture_logs() as logged:
        answer = ask(error)

    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert SECRET not in answer.text
    assert [entry["event"] for entry in logged].count("request_failed") == 1


def test_every_response_has_security_headers() -> None:
    answer = ask()

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


# Errors that end a job, a lease, a set-up or a command; no request raises them.
NEVER_ANSWERED = {
    "image_unreadable",
    "image_too_large",
    "no_person",
    "no_mask",
    "photo_too_small",
    "document_refused",
    "photo_unreachable",
    "model_failed",
    "poison",
    "lease_lost",
    "object_missing",
    "setup_failed",
    "picture_refused",
    "version_refused",
}


def test_every_error_is_in_the_table_of_statuses() -> None:
    def below(kind: type[Error]) -> set[str]:
        return {kind.code}.union(*(below(child) for child in kind.__subclasses__()))

    framework = {"method_not_allowed"}
    assert below(errors.Error) - NEVER_ANSWERED == set(problems_problem.KINDS) - framework


def test_every_failure_code_of_a_job_has_a_remedy() -> None:
    page = (PAGES_FOLDER.parent / "api" / "jobs.md").read_text()
    codes = re.findall(r"^\| `(\w+)` \|", page.partition("### Failure codes")[2], re.MULTILINE)

    remedies = {code: catalog.find_remedy(code, of_job=True) for code in codes}

    assert len(codes) > 5
    assert all(remedies.values()), remedies
    assert "instance" not in remedies["internal"]  # jobs have none


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert (
        set(PAGES)
        == set(problems_problem.KINDS)
        == {path.stem for path in PAGES_FOLDER.glob("[a-z]*")}
    )


@pytest.mark.parametrize("code", problems_problem.KINDS)
def test_page_in_the_repository_equals_the_served_page(code: str) -> None:
    assert (PAGES_FOLDER / f"{code}.md").read_text() == problem.render_markdown(code), (
        "make openapi"
    )


@pytest.mark.parametrize("error", [DatabaseUnavailable(SECRET), StorageUnavailable(SECRET)])
def test_unavailable_backend_is_a_503_with_retry_after(error: Error) -> None:
    answer = ask(error)

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "2"
    assert SECRET not in answer.text
