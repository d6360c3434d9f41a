"""Errors as problem documents."""

import json

import anyio
import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from smart_filter_api import problems
from smart_filter_api.envelope import Envelope
from smart_filter_api.latencies import Latencies
from smart_filter_api.problem_pages import PAGES
from smart_filter_shared import errors
from smart_filter_shared.errors import (
    DatabaseUnavailable,
    Error,
    FieldError,
    InvalidRecipe,
    LeaseLost,
    NotFound,
    StorageUnavailable,
    Unauthorized,
)

SECRET = "host 10.0.0.7 user smart"


def ask(error: Exception | None = None, method: str = "GET", path: str = "/") -> httpx.Response:
    """Ask an application whose one route raises this."""
    app = FastAPI(openapi_url=None)
    problems.install(app)
    app.add_middleware(Envelope, latencies=Latencies())

    @app.get("/")
    async def raises(number: int = 0) -> int:
        if error is not None:
            raise error
        return number

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            return await client.request(method, path)

    return anyio.run(send)


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


def test_every_wrong_field_is_named() -> None:
    answer = ask(InvalidRecipe([FieldError("/a", "is odd"), FieldError("/b", "is even")]))

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"detail": "is odd", "pointer": "/a"},
        {"detail": "is even", "pointer": "/b"},
    ]


def test_missing_key_is_told_how_to_identify() -> None:
    answer = ask(Unauthorized("no key"))

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("error", [DatabaseUnavailable(SECRET), StorageUnavailable(SECRET)])
def test_infrastructure_that_is_away_is_a_503_that_tells_when_to_come_back(error: Error) -> None:
    answer = ask(error)

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "2"
    assert SECRET not in answer.text


@pytest.mark.parametrize("error", [RuntimeError(SECRET), LeaseLost(SECRET)])
def test_defect_is_a_500_that_tells_nothing_and_is_logged_once(
    error: Exception,
) -> None:
    with capture_logs() as said:
        answer = ask(error)

    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert SECRET not in answer.text
    assert [entry["event"] for entry in said].count("request_failed") == 1


def test_unknown_address_is_a_problem() -> None:
    answer = ask(path="/nowhere")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.headers["content-type"] == problems.MEDIA_TYPE


def test_wrong_method_is_a_problem_that_names_the_right_ones() -> None:
    answer = ask(method="PUT")

    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD"


def test_wrong_parameter_is_a_malformed_request_with_its_pointer() -> None:
    answer = ask(path="/?number=x")

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/number"]


def test_answer_carries_safe_headers() -> None:
    answer = ask()

    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"


# What ends a job, a lease, a set-up or a command; no request raises it.
NEVER_ANSWERED = {
    "image_unreadable",
    "image_too_large",
    "no_person",
    "photo_unreachable",
    "model_failed",
    "poison",
    "lease_lost",
    "object_missing",
    "setup_failed",
    "picture_refused",
    "version_refused",
}


def test_every_error_has_its_place_in_the_table() -> None:
    def below(kind: type[Error]) -> set[str]:
        return {kind.code}.union(*(below(child) for child in kind.__subclasses__()))

    framework = {"method_not_allowed"}
    assert below(errors.Error) - NEVER_ANSWERED == set(problems.KINDS) - framework


def test_documentation_groups_codes_by_status() -> None:
    told = problems.documented("invalid_recipe", "contradiction", "not_found")

    assert sorted(told) == [404, 422]
    assert "contradiction" in json.dumps(told[422])
