"""Malformed requests, hundreds of them: each is told what is wrong, and leaves nothing."""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from smart_filter_api.problem_pages import PAGES
from smart_filter_api.problems import TYPE_BASE
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import batching, deriving, documents
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.malformed import ROWS, ROWS_OF_REMOVEBG
from smart_filter_tests.malformed.rows import Row
from smart_filter_tests.serving import Api, an_api

PROBLEM = "application/problem+json"
LEAST_ROWS = 150
# Not of a body or a parameter: nothing in what was sent is to be mended.
NO_FIELD = {403, 404, 405, 409, 410}


@dataclass(slots=True)
class Place:
    """The API with something of everything, by its name in paths.

    before: what is stored of it all.
    """

    api: Api
    names: dict[str, str]
    document: dict[str, Any]
    before: dict[str, int] = field(default_factory=dict)

    def send(self, row: Row, **headers: str) -> httpx.Response:
        """Send a row's request."""
        method, path = row.operation.split()
        where = row.path or path
        for name, value in self.names.items():
            where = where.replace(f"{{{name}}}", value)
        wanted = {**row.headers, **headers}
        request = self.api.client.build_request(
            row.method or method,
            where,
            params=list(row.params) or None,
            content=row.content,
            headers={name: value for name, value in wanted.items() if value != ""},
        )
        if wanted.get("Idempotency-Key") == "":
            request.headers["Idempotency-Key"] = ""
        return self.api.client.send(request)

    def stored(self) -> dict[str, int]:
        """Count all rows, objects and messages."""
        bench = self.api.bench
        with bench.transaction() as connection:
            tables = connection.execute(
                text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
            ).scalars()
            counts = " UNION ALL ".join(
                f"SELECT '{table}' AS name, count(*) FROM {table}" for table in tables
            )
            found = {name: int(count) for name, count in connection.execute(text(counts))}
        found["objects"] = len(list(bench.store.stored()))
        found["messages"] = len(list(bench.broker.scan_iter("smart_filter.*")))
        return found


@pytest.fixture(scope="module")
def place(_bench: Bench, _api_url: str) -> Iterator[Place]:
    _bench.empty()
    with an_api(_api_url, _bench) as api:
        deleted_id = api.submit(background="keep")
        api.client.delete(f"/v1/jobs/{deleted_id}")
        job_id = api.submit(background="keep")
        for stage in (StageName.PREPARE, StageName.COMPOSITE):
            api.finish(stage, {"files": {}, "background": None})
        webhook = api.client.post("/v1/webhooks", json={"url": "https://example.org/told"}).json()
        told = api.client.post(f"/v1/webhooks/{webhook['id']}/test").json()
        key = api.client.post("/v1/keys", json={"scopes": ["read"]}).json()
        wish = {"content_type": "image/jpeg", "bytes": 1000}
        upload = api.client.post("/v1/uploads", json=wish).json()
        rated_id = deriving.whole(api, background="auto")
        gone, batch = (
            batching.submit(api, {"items": batching.items(1), "recipe": batching.KEEP})["id"]
            for _ in range(2)
        )
        api.client.delete(f"/v1/batches/{gone}")
        batching.finish(api, 1, StageName.PREPARE, StageName.COMPOSITE)
        names = {
            "job_id": job_id,
            "deleted_id": deleted_id,
            "rated_id": rated_id,
            "waiting_id": api.submit(background="keep"),
            "batch_id": batch,
            "gone_batch_id": gone,
            "webhook_id": webhook["id"],
            "delivery_id": told["id"],
            "key_id": key["key_id"],
            "upload_id": upload["upload_id"],
            "tenant": TENANT,
            "capability": "face.nonsense",
            "worker_id": str(uuid.uuid4()),
            "name": "image",
            "code": "not_found",
        }
        place = Place(api, names, documents.openapi())
        place.before = place.stored()
        yield place
    _bench.empty()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_malformed_request_is_told_what_is_wrong_and_leaves_nothing(place: Place, row: Row) -> None:
    answer = place.send(row)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (row.status, row.code), problem
    assert answer.headers["content-type"] == PROBLEM
    assert problem["type"] == TYPE_BASE + row.code
    errors = problem.get("errors", [])
    assert sorted(error["pointer"] for error in errors) == sorted(row.pointers), problem
    assert all(error["detail"] for error in errors)
    assert row.tells in problem["detail"]
    assert problem["remedy"] == PAGES[row.code].remedy
    assert place.stored() == place.before


def test_what_a_malformed_request_is_told_is_documented(place: Place) -> None:
    undocumented = {
        row.id
        for row in ROWS
        if row.code != "method_not_allowed" and names_an_operation(row)
        if row.code not in codes_of(place.document, row)
    }

    assert undocumented == set()


@pytest.mark.parametrize("row", ROWS_OF_REMOVEBG, ids=lambda row: row.id)
def test_malformed_request_of_a_client_of_removebg_is_told_in_its_words(
    place: Place, row: Row
) -> None:
    answer = place.send(row)

    codes = [error["code"] for error in answer.json()["errors"]]
    assert (answer.status_code, codes) == (row.status, [row.code]), answer.text
    assert answer.headers["content-type"] == "application/json"
    assert all(error["title"] for error in answer.json()["errors"])
    method, path = row.operation.split()
    documented = place.document["paths"][path][method.lower()]["responses"][str(row.status)]
    assert f"`{row.code}`" in documented["description"]
    assert place.stored() == place.before


def names_an_operation(row: Row) -> bool:
    """Whether a row's request reaches its operation at all."""
    path = row.operation.split()[1]
    return not row.path or re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), row.path) is not None


def codes_of(document: dict[str, Any], row: Row) -> set[str]:
    """Return the codes that an operation's description has under a row's status."""
    method, path = row.operation.split()
    answers = document["paths"][path][method.lower()]["responses"]
    answer = answers.get(str(row.status), {"content": {PROBLEM: {"examples": {}}}})
    return set(answer["content"][PROBLEM]["examples"])


def test_there_are_rows_for_every_operation(place: Place) -> None:
    operations = {
        f"{method.upper()} {path}"
        for path, methods in place.document["paths"].items()
        for method in methods
    }
    rows = [*ROWS, *ROWS_OF_REMOVEBG]

    assert {row.operation for row in rows} == operations
    assert len(ROWS) >= LEAST_ROWS
    assert len({row.id for row in rows}) == len(rows)
    assert [row.id for row in ROWS if not row.pointers and row.status not in NO_FIELD] == []


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param("", id="nothing"),
        pytest.param("Basic dGVzdHM6dGVzdHM=", id="basic"),
        pytest.param("Bearer", id="no-key"),
        pytest.param("Bearer sf_live_" + "x" * 43, id="unknown"),
        pytest.param("Bearer " + "x" * 10_000, id="long"),
        pytest.param("Bearer sf_live_\xff\xfe", id="beyond-ascii"),
    ],
)
def test_every_operation_that_needs_a_key_refuses_what_is_none(place: Place, shown: str) -> None:
    answers = {
        f"{method.upper()} {path}": place.api.client.request(
            method,
            path.format(**place.names),
            headers={"Authorization": shown.encode("latin-1")},
        )
        for path, methods in place.document["paths"].items()
        for method, operation in methods.items()
        if "security" in operation and operation["tags"] != ["remove.bg"]
    }

    told = {
        (answer.status_code, answer.json()["code"], answer.json()["errors"][0]["pointer"])
        for answer in answers.values()
    }
    assert told == {(401, "unauthorized", "/Authorization")}
    assert place.stored() == place.before


def test_no_operation_finds_what_is_not_there(place: Place) -> None:
    unknown = {name: str(uuid.uuid4()) for name in place.names} | {"name": "image"}

    answers = {
        f"{method.upper()} {path}": place.api.client.request(
            method, path.format(**unknown), json={} if method == "patch" else None
        ).status_code
        for path, methods in place.document["paths"].items()
        for method in methods
        if "{" in path
    }

    assert set(answers.values()) == {404}
    assert place.stored() == place.before
