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


def test_schema_in_the_repository_is_the_services(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert documents.OPENAPI.read_text() == documents.written(document), "make openapi"


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


def test_only_these_endpoints_need_no_key(document: dict[str, Any]) -> None:
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


def test_every_operation_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    count = sum(len(path) for path in document["paths"].values())

    assert len(operations(document)) == count
    assert all(re.fullmatch("[a-z]+(_[a-z]+)+", name) for name in operations(document))


def test_every_operation_is_described_under_a_tag(document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    named = operations(document)

    assert [name for name, one in named.items() if len(one["tags"]) != 1] == []
    assert {tag for one in named.values() for tag in one["tags"]} == tags
    assert [name for name, one in named.items() if not one.get("description")] == []


def test_every_id_in_a_path_is_described(document: dict[str, Any]) -> None:
    undescribed = {
        parameter["name"]
        for one in operations(document).values()
        for parameter in one.get("parameters", [])
        if parameter["in"] == "path" and not {"description", "example"} <= set(parameter)
    }

    assert undescribed == set()


def test_every_link_gives_an_operation_the_parameters_of_its_path(document: dict[str, Any]) -> None:
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


def test_every_answer_describes_its_headers(document: dict[str, Any]) -> None:
    for operation in operations(document).values():
        for status, answer in operation["responses"].items():
            assert "X-Request-Id" in answer["headers"]
            assert ("Retry-After" in answer["headers"]) == (status in {"429", "503"})
            assert answer["description"] != "Successful Response"
        assert "500" in operation["responses"]
