import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from smart_filter_tests import documents


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return documents.openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def contents(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for one in (operation.get("requestBody", {}), *operation["responses"].values()):
        for media_type, content in one.get("content", {}).items():
            # A picture is shown nowhere in JSON.
            if not media_type.startswith(("image/", "application/zip")):
                yield content


def test_schema_in_the_repository_is_the_services(document: dict[str, Any]) -> None:
    assert documents.OPENAPI.read_text() == documents.written(document), "make openapi"


def test_only_these_endpoints_need_no_key(document: dict[str, Any]) -> None:
    assert {name for name, one in operations(document) if "security" not in one} == {
        "GET /livez",
        "GET /readyz",
        "GET /metrics",
        "POST /v1/session",
        "GET /problems/{code}",
    }


def test_every_body_has_examples_that_match_its_schema(document: dict[str, Any]) -> None:
    webhooks = [one for methods in document["webhooks"].values() for one in methods.values()]
    for operation in (*(one for _, one in operations(document)), *webhooks):
        for content in contents(operation):
            schema = {**content.get("schema", {}), "components": document["components"]}
            validator = jsonschema_rs.Draft202012Validator(schema)
            assert content.get("examples"), f"make examples: {operation['summary']}"
            for example in content["examples"].values():
                code = example.get("$ref", "").rpartition("/")[2]
                shown = document["components"]["examples"][code] if code else example
                validator.validate(shown["value"])


def test_no_example_shows_a_real_secret(document: dict[str, Any]) -> None:
    written = json.dumps(document)

    assert "sf_live_" + "x" * 43 in written
    assert written.count("sf_live_") - written.count("sf_live_…") <= written.count("xxxx")
    assert "sf_local" not in written
