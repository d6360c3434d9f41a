"""The description that the API gives of itself."""

import json
import re
from typing import Any

import pytest

from smart_filter_api import app
from smart_filter_deploy.embedded.addresses import Addresses
from smart_filter_tests.bench import settings_of

# Its errors are what its clients expect.
REMOVEBG = "/v1.0/"


@pytest.fixture
def document() -> dict[str, Any]:
    addresses = Addresses(
        database_url="postgresql+psycopg://nobody@localhost/none",
        broker_url="redis://localhost/0",
        storage_url="http://localhost",
        storage_access_key="none",
        storage_secret_key="none",
    )
    return app.create(settings_of(addresses)).openapi()


def test_every_endpoint_is_described(document: dict[str, Any]) -> None:
    endpoints = {
        f"{method.upper()} {path}"
        for path, operations in document["paths"].items()
        for method in operations
    }

    assert document["openapi"].startswith("3.1")
    assert endpoints == {
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
        "POST /v1/batches",
        "GET /v1/batches",
        "GET /v1/batches/{batch_id}",
        "DELETE /v1/batches/{batch_id}",
        "GET /v1/batches/{batch_id}/events",
        "POST /v1/batches/{batch_id}/cancel",
        "GET /v1/models",
        "GET /v1/backgrounds",
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
        "GET /v1/usage",
        "GET /v1/tenants/{tenant}",
        "PATCH /v1/tenants/{tenant}",
        "POST /v1/session",
        "GET /v1/session",
        "DELETE /v1/session",
        "POST /v1.0/removebg",
        "GET /v1.0/account",
        "GET /livez",
        "GET /readyz",
        "GET /metrics",
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

    assert open_to_all == {"GET /livez", "GET /readyz", "GET /metrics", "POST /v1/session"}


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
