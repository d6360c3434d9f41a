"""Malformed requests: each is answered with its faults, and leaves nothing."""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from integration import batches
from integration.malformed import ROWS, ROWS_OF_REMOVEBG
from integration.malformed.rows import Row
from smart_filter_api.problems.catalog import PAGES
from smart_filter_api.problems.problem import TYPE_BASE
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import openapi_document, stored_results
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.serving import Api, Site, an_api, refusal_of

PROBLEM = "application/problem+json"
# Faults outside the body and the parameters: no field of the request is wrong.
NO_FIELD = {403, 404, 409, 410}
METHODS = {"get", "post", "put", "patch", "delete"}


@dataclass(slots=True)
class Place:
    """The API with one object of each kind, by its name in paths.

    before: everything that is stored at first.
    """

    api: Api
    names: dict[str, str]
    document: dict[str, Any]
    before: dict[str, int] = field(default_factory=dict)

    def send(self, row: Row, **headers: str) -> httpx.Response:
        method, path = row.operation.split()
        where = row.path or path
        for name, value in self.names.items():
            where = where.replace(f"{{{name}}}", value)
        wanted = {**row.headers, **headers}
        request = self.api.operators.build_request(
            row.method or method,
            where,
            params=list(row.params) or None,
            content=row.content,
            headers={name: value for name, value in wanted.items() if value != ""},
        )
        if wanted.get("Idempotency-Key") == "":
            request.headers["Idempotency-Key"] = ""
        return self.api.operators.send(request)

    def stored(self) -> dict[str, int]:
        """Count all that is kept, except the refusals: these are logged once a minute."""
        bench = self.api.bench
        with bench.transaction() as connection:
            tables = connection.execute(
                text("""
                    SELECT tablename FROM pg_tables
                    WHERE schemaname = 'public' AND tablename <> 'audit_events' ORDER BY 1
                """)
            ).scalars()
            counts = " UNION ALL ".join(
                f"SELECT '{table}' AS name, count(*) FROM {table}" for table in tables
            )
            found = {name: int(count) for name, count in connection.execute(text(counts))}
        found["objects"] = len(list(bench.store.stored()))
        found["messages"] = len(list(bench.broker.scan_iter("smart_filter.*")))
        return found


@pytest.fixture(scope="module")
def place(_bench: Bench, _site: Site) -> Iterator[Place]:
    _bench.empty()
    with an_api(_site, _bench) as api:
        deleted_id = api.submit(background="keep")
        api.client.delete(f"/v1/jobs/{deleted_id}")
        job_id = api.submit(background="keep")
        for stage in (StageName.PREPARE, StageName.COMPOSITE):
            api.finish(stage, {"files": {}, "background": None})
        webhook = api.create("/v1/webhooks", json={"url": "https://example.org/told"})
        delivery = api.create(f"/v1/webhooks/{webhook['id']}/test")
        key = api.create("/v1/keys", json={"scopes": ["read"]})
        wish = {"content_type": "image/jpeg", "bytes": 1000}
        upload = api.create("/v1/uploads", json=wish)
        rated_id = stored_results.run_whole_job(api, background="auto")
        gone, batch = (
            batches.submit(api, {"items": batches.items(1), "recipe": batches.KEEP})["id"]
            for _ in range(2)
        )
        api.client.delete(f"/v1/batches/{gone}")
        batches.finish(api, 1, StageName.PREPARE, StageName.COMPOSITE)
        names = {
            "job_id": job_id,
            "deleted_id": deleted_id,
            "rated_id": rated_id,
            "waiting_id": api.submit(background="keep"),
            "batch_id": batch,
            "gone_batch_id": gone,
            "choice_id": api.create("/v1/choices", json={"all": True})["id"],
            "webhook_id": webhook["id"],
            "delivery_id": delivery["id"],
            "key_id": key["key_id"],
            "upload_id": upload["upload_id"],
            "tenant": TENANT,
            "capability": "face.nonsense",
            "session_id": str(uuid.uuid4()),
            "worker_id": str(uuid.uuid4()),
            "name": "image",
            "recipe_name": "story",
            "picture_name": "wall",
            "code": "not_found",
        }
        place = Place(api, names, openapi_document.openapi())
        place.before = place.stored()
        yield place
    _bench.empty()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_malformed_request_is_answered_with_its_faults(place: Place, row: Row) -> None:
    answer = place.send(row)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (row.status, row.code), problem
    assert answer.headers["content-type"] == PROBLEM
    assert problem["type"] == TYPE_BASE + row.code
    errors = problem.get("errors", [])
    assert sorted(error["pointer"] for error in errors) == sorted(row.pointers), problem
    assert all(error["detail"] for error in errors)
    assert "user:secret" not in answer.text
    assert len(answer.content) < 10_000
    assert row.tells in problem["detail"]
    assert problem["remedy"] == PAGES[row.code].remedy
    assert place.stored() == place.before


@pytest.mark.parametrize("row", ROWS_OF_REMOVEBG, ids=lambda row: row.id)
def test_malformed_removebg_request_has_its_codes(place: Place, row: Row) -> None:
    answer = place.send(row)

    codes = [error["code"] for error in answer.json()["errors"]]
    assert (answer.status_code, codes) == (row.status, [row.code]), answer.text
    assert answer.headers["content-type"] == "application/json"
    assert ("X-RateLimit-Limit" in answer.headers) is (row.status == 400)
    assert all(error["title"] for error in answer.json()["errors"])
    method, path = row.operation.split()
    documented = place.document["paths"][path][method.lower()]["responses"][str(row.status)]
    assert f"`{row.code}`" in documented["description"]
    assert place.stored() == place.before


def test_answers_to_malformed_requests_are_documented(place: Place) -> None:
    undocumented = {
        row.id
        for row in ROWS
        if names_an_operation(row) and row.code not in codes_of(place.document, row)
    }

    assert undocumented == set()


def names_an_operation(row: Row) -> bool:
    """Return whether a row's request reaches its operation at all."""
    path = row.operation.split()[1]
    return not row.path or re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), row.path) is not None


def codes_of(document: dict[str, Any], row: Row) -> set[str]:
    """Return the codes that an operation's description has under a row's status."""
    method, path = row.operation.split()
    answers = document["paths"][path][method.lower()]["responses"]
    answer = answers.get(str(row.status), {"content": {PROBLEM: {"examples": {}}}})
    return set(answer["content"][PROBLEM]["examples"])


def test_every_operation_with_a_body_or_parameters_has_rows(place: Place) -> None:
    taking = {
        f"{method.upper()} {path}"
        for path, method, operation in operations(place)
        if "requestBody" in operation
        or any(one["in"] == "query" for one in operation.get("parameters", ()))
    }
    rows = [*ROWS, *ROWS_OF_REMOVEBG]

    assert taking - {row.operation for row in rows} == set()
    assert len({row.id for row in rows}) == len(rows)
    assert [row.id for row in ROWS if not row.pointers and row.status not in NO_FIELD] == []


def operations(place: Place) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, operation)
        for path, methods in place.document["paths"].items()
        for method, operation in methods.items()
    ]


@pytest.mark.parametrize(
    "shown",
    ["", "Basic dGVzdHM6dGVzdHM=", "Bearer", "Bearer sf_live_" + "x" * 43, "Bearer \xff\xfe"],
)
def test_every_operation_refuses_a_request_without_a_valid_key(place: Place, shown: str) -> None:
    headers = {"Authorization": shown.encode("latin-1")}

    answers = [
        place.api.operators.request(method, path.format(**place.names), headers=headers)
        for path, method, operation in operations(place)
        if "security" in operation and operation["tags"] != ["remove.bg"]
    ]

    faults = {
        (
            *(answer.status_code, answer.headers["www-authenticate"]),
            *(answer.json()["code"], answer.json()["errors"][0]["pointer"]),
        )
        for answer in answers
    }
    assert faults == {(401, "Bearer", "unauthorized", "/Authorization")}
    assert place.stored() == place.before


@pytest.mark.parametrize("unknown", [str(uuid.UUID(int=7)), "mine", "1", "%00"])
def test_every_operation_answers_an_unknown_id_with_not_found(place: Place, unknown: str) -> None:
    names = dict.fromkeys(place.names, unknown) | {"name": "image"}

    answers = {
        f"{method} {path}": place.api.operators.request(
            method, path.format(**names), json={} if method == "patch" else None
        )
        for path, method, operation in operations(place)
        # These two create unknown ones.
        if "{" in path and operation["operationId"] not in {"updateRecipe", "uploadTenantPicture"}
    }

    assert {answer.status_code for answer in answers.values()} == {404}
    assert {answer.headers["content-type"] for answer in answers.values()} == {PROBLEM}
    assert place.stored() == place.before


def test_every_path_refuses_other_methods_and_names_the_right_ones(place: Place) -> None:
    for path, methods in place.document["paths"].items():
        if path.startswith("/v1.0/"):  # answered in remove.bg's format
            continue
        for method in METHODS - set(methods):
            answer = place.api.operators.request(method, path.format(**place.names))

            assert refusal_of(answer) == (405, "method_not_allowed"), path
            allowed = {*methods, *(["head"] if "get" in methods else [])}
            assert set(answer.headers["allow"].lower().split(", ")) == allowed
    assert place.stored() == place.before


def test_long_lists_of_faults_are_cut(api: Api) -> None:
    many = [f"{number:03}" for number in range(1000)]

    queried = api.client.get("/v1/jobs", params=dict.fromkeys(many[:100], "1"))
    listed = api.client.post(
        "/v1/jobs", json={"photo_url": "https://e.org/a.jpg", "recipe": {"outputs": ",".join(many)}}
    )
    document = api.client.post("/v1/webhooks", json=dict.fromkeys(many, 1))

    assert (queried.status_code, len(queried.json()["errors"])) == (400, 20)
    assert listed.json()["errors"] == [
        {"pointer": "/outputs", "detail": "outputs has 1000 values; at most 64 are allowed"}
    ]
    assert (document.status_code, len(document.json()["errors"])) == (422, 50)
