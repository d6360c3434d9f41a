import json
import re
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


# British spellings of words that such a document is likely to use.
BRITISH = re.compile(
    r"\b\w*(?:colour|grey|centre|favour|behaviour|neighbour|licence|harmonis|cancell|organis)\w*",
    re.IGNORECASE,
)
FUZZ_SETTINGS = Path(__file__).parents[3] / "fuzz" / "schemathesis.toml"


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def contents(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for body in (operation.get("requestBody", {}), *operation["responses"].values()):
        for media_type, content in body.get("content", {}).items():
            # JSON bodies have no example of a picture.
            if not media_type.startswith(("image/", "application/zip", "application/octet-stream")):
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


def test_schemas_have_plain_names(document: dict[str, Any]) -> None:
    names = set(document["components"]["schemas"])

    assert not {name for name in names if not re.fullmatch(r"([A-Z][a-z]+)+", name)}
    assert not {name for name in names if name.endswith(("Answer", "Wish"))}
    assert {"Job", "Recipe", "Face", "Background", "Batch", "Webhook", "Delivery"} <= names


def test_schemas_describe_no_internals(document: dict[str, Any]) -> None:
    written = json.dumps(document["components"]["schemas"])

    assert not re.findall(r"\w+\.py\b|smart_filter_\w+", written)


def test_operation_ids_start_with_a_verb(document: dict[str, Any]) -> None:
    verbs = (
        *("cancel", "count", "create", "delete", "derive", "drain", "explain", "get", "list"),
        *("pause", "redrive", "remove", "replay", "resume", "revoke", "rotate", "send", "sign"),
        *("start", "stream", "submit", "undrain", "update", "upload"),
    )

    for _, operation in operations(document):
        assert re.fullmatch(rf"({'|'.join(verbs)})([A-Z][a-z]+)+", operation["operationId"])


def test_document_has_american_spelling(document: dict[str, Any]) -> None:
    assert BRITISH.findall(json.dumps(document)) == []


def test_schemas_hold_nothing_that_generators_refuse(document: dict[str, Any]) -> None:
    written = json.dumps([document["paths"], document["components"]["schemas"]])

    assert not re.findall(r'"const"|"oneOf"|"image/\*"', written)


def test_every_field_of_a_recipe_is_described(document: dict[str, Any]) -> None:
    fields = document["components"]["schemas"]["Recipe"]["properties"]

    assert [name for name, field in fields.items() if not field.get("description")] == []
    assert [name for name, field in fields.items() if "default" in field] == []


def test_form_has_the_fields_of_a_recipe(document: dict[str, Any]) -> None:
    fields = set(document["components"]["schemas"]["Recipe"]["properties"])
    form = document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["multipart/form-data"]

    nested = {"segmentation", "face", "smile", "eyes", "metadata"}
    assert fields - nested <= set(form["schema"]["properties"])
    assert {f"{task}.model" for task in nested - {"metadata"}} <= set(form["schema"]["properties"])


def test_ids_in_paths_have_the_format_of_ids_in_bodies(document: dict[str, Any]) -> None:
    parameters = document["paths"]["/v1/jobs/{job_id}"]["get"]["parameters"]
    (job_id,) = (parameter["schema"] for parameter in parameters if parameter["name"] == "job_id")

    assert (
        job_id["format"] == document["components"]["schemas"]["Job"]["properties"]["id"]["format"]
    )


def test_every_body_has_examples_that_match_its_schema(document: dict[str, Any]) -> None:
    webhooks = [method for methods in document["webhooks"].values() for method in methods.values()]
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
        operation.get("include-operation-id", [])
        for operation in tomllib.loads(FUZZ_SETTINGS.read_text())["operations"]
    ]
    named = {name for ids in listed for name in ([ids] if isinstance(ids, str) else ids)}

    assert named
    assert named <= {operation["operationId"] for _, operation in operations(document)}
