"""Examples in the OpenAPI document: recorded from a real service, and true to its schemas."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from smart_filter_tests import documents


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return documents.openapi()


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()
    for webhook in document["webhooks"].values():
        yield from webhook.values()


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every body that an operation takes or answers, and where it is said."""
    name = operation.get("operationId", operation["summary"])
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        # A picture is shown nowhere in JSON.
        if not media_type.startswith("image/"):
            yield f"{name} {media_type}", content
    for status, answer in operation["responses"].items():
        for media_type, content in answer.get("content", {}).items():
            if not media_type.startswith(("image/", "application/zip")):
                yield f"{name} {status} {media_type}", content


def test_every_body_has_an_example(document: dict[str, Any]) -> None:
    without = {
        place
        for operation in operations(document)
        for place, content in contents(operation)
        if not content.get("examples")
    }

    assert without == set(), "make examples"


def test_every_example_matches_its_schema(document: dict[str, Any]) -> None:
    wrong = {}
    for operation in operations(document):
        for place, content in contents(operation):
            schema = {**content.get("schema", {}), "components": document["components"]}
            validator = jsonschema_rs.Draft202012Validator(schema)
            for name, example in content.get("examples", {}).items():
                shown = example
                if "$ref" in example:
                    code = example["$ref"].rpartition("/")[2]
                    shown = document["components"]["examples"][code]
                errors = [error.message for error in validator.iter_errors(shown["value"])]
                if errors:
                    wrong[f"{place} {name}"] = errors[:3]

    assert wrong == {}


def test_no_example_shows_a_real_secret(document: dict[str, Any]) -> None:
    written = json.dumps(document)

    assert "sf_live_" + "x" * 43 in written
    assert written.count("sf_live_") - written.count("sf_live_…") <= written.count("xxxx")
    assert "sf_local" not in written
