"""Add examples to the OpenAPI document: exchanges with a real service, recorded once.

`make examples` records them (docs/smart_filter_docs/tour.py) into examples.json: the requests and
responses of each operationId, by name. Fields added to the schema after the recording are filled
with their defaults.
"""

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from smart_filter_api.problems import problem
from smart_filter_api.problems.problem import KINDS
from smart_filter_shared.typed_json import adapter
from smart_filter_wire.problems import Problem

Json = Any  # a JSON value of any shape

_FILE = "examples.json"
# Description and example of each path parameter.
PARAMETERS: Mapping[str, tuple[str, str]] = {
    "job_id": ("`id` of a job", "019a9d3c-5d64-7c1e-8a2b-6f0e3d2c1b0a"),
    "batch_id": ("`id` of a batch", "019a9d3c-6b02-7d4f-9a31-2c5e8f7b6a09"),
    "choice_id": ("`id` of a choice", "019a9d3c-7a11-7f0e-8b52-3d6f9a8c7b10"),
    "webhook_id": (
        "`id` of a webhook, or `default` where that is allowed",
        "5b1f9a52-3d0e-4a57-9d2c-1f6f0a7b8c9d",
    ),
    "delivery_id": ("`id` of a delivery", "c2a8e1f4-7b63-4d19-8e5a-0f9b1c2d3e4f"),
    "upload_id": (
        "`upload_id` from `POST /v1/uploads`",
        "0199a3c1-5b7e-7d20-9f4a-6c1e8b2d3f50",
    ),
    "key_id": ("`key_id` of a key", "8d7c6b5a-4f3e-4d2c-9b1a-0e9f8d7c6b5a"),
    "session_id": ("`session_id` of a session", "6d1f0c7e-93a4-4b58-8e2b-5a7c9d0e1f23"),
    "tenant": ("Name of a tenant", "local"),
    "capability": ("A stage and its model family", "face.centerface"),
    "worker_id": ("`worker_id` of a worker", "3f0c2b1a-9e8d-4c7b-a6f5-e4d3c2b1a098"),
    "name": ("Name of an output that the job's recipe requests", "image"),
    "recipe_name": ("Name of a saved recipe", "spring-shop"),
    "code": ("`code` of a problem", "not_found"),
}
# Routes parse these themselves, because a malformed id is not found, as an unknown one.
_UUIDS = {
    "job_id",
    "batch_id",
    "choice_id",
    "delivery_id",
    "upload_id",
    "key_id",
    "session_id",
    "worker_id",
}


def load_exchanges() -> dict[str, Any]:
    """Return the recorded exchanges by operationId: `asked` and `answered`."""
    exchanges: dict[str, Any] = json.loads(
        resources.files("smart_filter_api.openapi").joinpath(_FILE).read_text()
    )
    return exchanges


def add_examples(document: dict[str, Any], operations: Mapping[str, dict[str, Any]]) -> None:
    """Add the examples to a document's operations, parameters, problems and webhooks."""
    exchanges = load_exchanges()
    schemas = document["components"]["schemas"]
    for operation_id, operation in operations.items():
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path" and parameter["name"] in PARAMETERS:
                parameter["description"], parameter["example"] = PARAMETERS[parameter["name"]]
                if parameter["name"] in _UUIDS:
                    parameter["schema"]["format"] = "uuid"
        for content, example in _pair_examples(operation, exchanges.get(operation_id, {})):
            value = _fill_defaults(example["value"], content.get("schema", {}), schemas)
            content.setdefault("examples", {})[example["name"]] = {"value": value}
    paths = json.dumps(document["paths"])
    document["components"]["examples"] = {
        code: {
            "summary": kind.title,
            "value": adapter(Problem).dump_python(
                problem.example_problem(code), mode="json", exclude_none=True
            ),
        }
        for code, kind in KINDS.items()
        if f'"#/components/examples/{code}"' in paths
    }
    for type_ in document["webhooks"]:
        event = exchanges.get("webhooks", {}).get(type_)
        if event is not None:
            content = document["webhooks"][type_]["post"]["requestBody"]["content"]
            value = _fill_defaults(event, content["application/json"]["schema"], schemas)
            content["application/json"]["examples"] = {"event": {"value": value}}


def _fill_defaults(value: Json, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Json:
    """Return a value with missing required properties set to their schema's defaults."""
    for choice in schema.get("anyOf", []):
        if choice != {"type": "null"} and value is not None:
            return _fill_defaults(value, choice, schemas)
    if "$ref" in schema:
        return _fill_defaults(value, schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if isinstance(value, list) and "items" in schema:
        return [_fill_defaults(item, schema["items"], schemas) for item in value]
    if not isinstance(value, dict):
        return value
    properties = schema.get("properties", {})
    missing = {
        name: about["default"]
        for name, about in properties.items()
        if name not in value and name in schema.get("required", []) and "default" in about
    }
    return {
        name: _fill_defaults(item, properties.get(name, {}), schemas)
        for name, item in value.items()
    } | missing


def _pair_examples(
    operation: dict[str, Any], exchange: Mapping[str, list[dict[str, Json]]]
) -> Iterator[tuple[dict[str, Any], dict[str, Json]]]:
    """Yield each media type object of the operation with an example for it."""
    for example in exchange.get("asked", []):
        yield operation["requestBody"]["content"][example["media_type"]], example
    for example in exchange.get("answered", []):
        answer = operation["responses"][str(example["status"])]
        yield answer.setdefault("content", {}).setdefault(example["media_type"], {}), example
