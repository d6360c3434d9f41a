"""The description that the API gives of itself."""

import json
import re
from typing import Any

import pytest

from smart_filter_api.problems import KINDS
from smart_filter_tests import documents

# Its errors are what its clients expect.
REMOVEBG = "/v1.0/"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return documents.openapi()


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return every operation by its operationId."""
    return {
        operation["operationId"]: operation
        for path in document["paths"].values()
        for operation in path.values()
    }


def test_schema_in_the_repository_is_what_the_service_says(document: dict[str, Any]) -> None:
    assert documents.OPENAPI.read_text() == documents.written(document), "make openapi"


def test_every_endpoint_is_described(document: dict[str, Any]) -> None:
    endpoints = {
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method in operations
    }

    assert document["openapi"].startswith("3.1")
    assert endpoints == {
        "PUT /v1/uploads/{upload_id}",
        "POST /v1/jobs",
        "GET /v1/jobs",
        "GET /v1/jobs/{job_id}",
        "DELETE /v1/jobs/{job_id}",
        "GET /v1/jobs/{job_id}/events",
        "POST /v1/jobs/{job_id}/cancel",
        "POST /v1/jobs/{job_id}/redrive",
        "POST /v1/jobs/{job_id}/derive",
        "POST /v1/jobs/{job_id}/corrections",
        "GET /v1/jobs/{job_id}/corrections",
        "GET /v1/jobs/{job_id}/outputs/{name}",
        "GET /v1/jobs/{job_id}/photo",
        "POST /v1/batches",
        "GET /v1/batches",
        "GET /v1/batches/{batch_id}",
        "DELETE /v1/batches/{batch_id}",
        "GET /v1/batches/{batch_id}/events",
        "POST /v1/batches/{batch_id}/cancel",
        "GET /v1/models",
        "GET /v1/backgrounds",
        "GET /v1/backgrounds/keywords",
        "GET /v1/backgrounds/{name}/thumbnail",
        "GET /v1/filters",
        "POST /v1/webhooks",
        "GET /v1/webhooks",
        "GET /v1/webhooks/{webhook_id}",
        "PATCH /v1/webhooks/{webhook_id}",
        "DELETE /v1/webhooks/{webhook_id}",
        "POST /v1/webhooks/{webhook_id}/rotate",
        "POST /v1/webhooks/{webhook_id}/test",
        "GET /v1/webhooks/{webhook_id}/deliveries",
        "POST /v1/webhooks/{webhook_id}/deliveries/replay",
        "POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/replay",
        "POST /v1/keys",
        "GET /v1/keys",
        "DELETE /v1/keys/{key_id}",
        "POST /v1/tokens",
        "POST /v1/uploads",
        "POST /v1/live",
        "GET /v1/usage",
        "GET /v1/tenants/{tenant}",
        "PATCH /v1/tenants/{tenant}",
        "POST /v1/session",
        "GET /v1/session",
        "DELETE /v1/session",
        "GET /v1/operator/standing",
        "GET /v1/operator/history",
        "GET /v1/operator/tenants",
        "GET /v1/operator/tenants/{tenant}",
        "POST /v1/operator/tenants/{tenant}/cancel",
        "POST /v1/operator/tenants/{tenant}/redrive",
        "PUT /v1/operator/queues/{capability}/pause",
        "DELETE /v1/operator/queues/{capability}/pause",
        "PUT /v1/operator/workers/{worker_id}/drain",
        "DELETE /v1/operator/workers/{worker_id}/drain",
        "POST /v1.0/removebg",
        "GET /v1.0/account",
        "GET /livez",
        "GET /readyz",
        "GET /metrics",
        "GET /problems/{code}",
    }


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(document)))

    assert references <= set(document["components"]["schemas"])
    assert "Problem" in references


def test_every_error_is_a_problem_document(document: dict[str, Any]) -> None:
    kinds = {
        kind
        for path, operations in document["paths"].items()
        for operation in operations.values()
        for status, answer in operation["responses"].items()
        if int(status) >= 400 and not path.startswith(REMOVEBG)
        for kind in answer["content"]
    }

    assert kinds == {"application/problem+json"}


def test_whatever_needs_a_key_says_so(document: dict[str, Any]) -> None:
    open_to_all = {
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "security" not in operation
    }

    assert open_to_all == {
        "GET /livez",
        "GET /readyz",
        "GET /metrics",
        "POST /v1/session",
        "GET /problems/{code}",
    }


def test_session_does_for_a_key(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]

    assert schemes["Session"]["in"] == "cookie"
    assert document["paths"]["/v1/jobs"]["get"]["security"] == [{"HTTPBearer": []}, {"Session": []}]


def test_form_of_a_submission_is_described(document: dict[str, Any]) -> None:
    body = document["paths"]["/v1/jobs"]["post"]["requestBody"]
    fields = body["content"]["multipart/form-data"]["schema"]["properties"]

    assert {"photo", "background", "outputs", "quality", "face.model", "seed"} <= set(fields)


def test_webhooks_are_described(document: dict[str, Any]) -> None:
    assert set(document["webhooks"]) == {
        *("job.succeeded", "job.failed", "job.canceled", "batch.finished")
    }
    body = document["webhooks"]["job.failed"]["post"]["requestBody"]["content"]
    assert body["application/json"]["schema"]["$ref"].endswith("/EventAnswer")
    assert "EventAnswer" in document["components"]["schemas"]


def test_every_operation_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    count = sum(len(path) for path in document["paths"].values())

    assert len(operations(document)) == count
    assert all(re.fullmatch("[a-z]+(_[a-z]+)+", name) for name in operations(document))


def test_every_operation_is_described_under_a_tag(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"]}

    assert [name for name, one in operations(document).items() if len(one["tags"]) != 1] == []
    assert {tag for one in operations(document).values() for tag in one["tags"]} == tags
    undescribed = [name for name, one in operations(document).items() if not one.get("description")]
    assert undescribed == []


def test_every_id_in_a_path_is_described(document: dict[str, Any]) -> None:
    undescribed = {
        parameter["name"]
        for one in operations(document).values()
        for parameter in one.get("parameters", [])
        if parameter["in"] == "path" and not {"description", "example"} <= set(parameter)
    }

    assert undescribed == set()


def test_every_link_gives_an_operation_what_its_path_needs(document: dict[str, Any]) -> None:
    named = operations(document)
    links = [
        link
        for one in named.values()
        for answer in one["responses"].values()
        for link in answer.get("links", {}).values()
    ]

    assert len(links) >= 20
    for link in links:
        parameters = named[link["operationId"]].get("parameters", [])
        known = {parameter["name"] for parameter in parameters}
        needed = {parameter["name"] for parameter in parameters if parameter["in"] == "path"}
        assert needed <= set(link["parameters"]) <= known


def test_every_kind_of_problem_has_an_example(document: dict[str, Any]) -> None:
    references = set(re.findall(r'"\$ref": "#/components/examples/(\w+)"', json.dumps(document)))

    assert references <= set(document["components"]["examples"]) == set(KINDS)


def test_every_answer_tells_its_headers(document: dict[str, Any]) -> None:
    for operation in operations(document).values():
        for status, answer in operation["responses"].items():
            assert "X-Request-Id" in answer["headers"]
            assert ("Retry-After" in answer["headers"]) == (status in {"429", "503"})
            assert answer["description"] != "Successful Response"
        assert "500" in operation["responses"]
