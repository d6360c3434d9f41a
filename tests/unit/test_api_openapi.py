import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from smart_filter_tests import openapi_document


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi_document.openapi()


FUZZ_SETTINGS = Path(__file__).parents[1] / "fuzz" / "schemathesis.toml"


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def contents(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for one in (operation.get("requestBody", {}), *operation["responses"].values()):
        for media_type, content in one.get("content", {}).items():
            # JSON bodies have no example of a picture.
            if not media_type.startswith(("image/", "application/zip")):
                yield content


def test_repository_holds_the_current_openapi_document(document: dict[str, Any]) -> None:
    assert openapi_document.OPENAPI.read_text() == openapi_document.render_json(document), (
        "make openapi"
    )


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


def test_exceptions_of_the_fuzz_tests_name_operations_of_the_api(document: dict[str, Any]) -> None:
    listed = [
        one.get("include-operation-id", [])
        for one in tomllib.loads(FUZZ_SETTINGS.read_text())["operations"]
    ]
    named = {name for ids in listed for name in ([ids] if isinstance(ids, str) else ids)}

    assert named
    assert named <= {operation["operationId"] for _, operation in operations(document)}
