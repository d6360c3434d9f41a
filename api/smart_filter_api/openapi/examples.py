"""Examples in the OpenAPI document: exchanges with a real service, recorded once.

`make examples` records them (docs/smart_filter_docs/tour.py) into examples.json: for each
operationId what is asked and what is answered, by names. What an answer has by default and came
after the recording is added from its schema.
"""

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from smart_filter_api import pages
from smart_filter_api.problem_pages import PAGES
from smart_filter_api.problems import KINDS

Json = Any  # a JSON value of any shape

_FILE = "examples.json"
# What ids in paths are, and one of them.
PARAMETERS: Mapping[str, tuple[str, str]] = {
    "job_id": ("`id` of a job", "019a9d3c-5d64-7c1e-8a2b-6f0e3d2c1b0a"),
    "batch_id": ("`id` of a batch", "019a9d3c-6b02-7d4f-9a31-2c5e8f7b6a09"),
    "webhook_id": (
        "`id` of a webhook, or `default` where that is allowed",
        "5b1f9a52-3d0e-4a57-9d2c-1f6f0a7b8c9d",
    ),
    "delivery_id": ("`id` of a delivery", "c2a8e1f4-7b63-4d19-8e5a-0f9b1c2d3e4f"),
    "upload_id": (
        "`upload_id` that `POST /v1/uploads` has answered",
        "0199a3c1-5b7e-7d20-9f4a-6c1e8b2d3f50",
    ),
    "key_id": ("`key_id` of a key", "8d7c6b5a-4f3e-4d2c-9b1a-0e9f8d7c6b5a"),
    "tenant": ("the name of a tenant", "local"),
    "capability": ("a stage and what runs it", "face.centerface"),
    "worker_id": ("`worker_id` of a worker", "3f0c2b1a-9e8d-4c7b-a6f5-e4d3c2b1a098"),
    "name": ("of an output that the job was asked for", "image"),
    "code": ("`code` of a problem", "not_found"),
}


def recorded() -> dict[str, Any]:
    """Return the exchanges by operationId: `asked` and `answered`."""
    exchanges: dict[str, Any] = json.loads(
        resources.files("smart_filter_api.openapi").joinpath(_FILE).read_text()
    )
    return exchanges


def add(document: dict[str, Any], operations: Mapping[str, dict[str, Any]]) -> None:
    """Write the examples into a document's operations, parameters, problems and webhooks."""
    exchanges = recorded()
    schemas = document["components"]["schemas"]
    for operation_id, operation in operations.items():
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path" and parameter["name"] in PARAMETERS:
                parameter["description"], parameter["example"] = PARAMETERS[parameter["name"]]
        for content, example in _places(operation, exchanges.get(operation_id, {})):
            value = _filled(example["value"], content.get("schema", {}), schemas)
            content.setdefault("examples", {})[example["name"]] = {"value": value}
    document["components"]["examples"] = {
        code: {
            "summary": kind.title,
            "value": pages.example(code).model_dump(mode="json", exclude_none=True),
        }
        for code, kind in KINDS.items()
        if code in PAGES
    }
    for type_ in document["webhooks"]:
        told = exchanges.get("webhooks", {}).get(type_)
        if told is not None:
            content = document["webhooks"][type_]["post"]["requestBody"]["content"]
            value = _filled(told, content["application/json"]["schema"], schemas)
            content["application/json"]["examples"] = {"told": {"value": value}}


def _filled(value: Json, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Json:
    """Return a value with what its schema says of properties that it lacks."""
    for choice in schema.get("anyOf", []):
        if choice != {"type": "null"} and value is not None:
            return _filled(value, choice, schemas)
    if "$ref" in schema:
        return _filled(value, schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if isinstance(value, list) and "items" in schema:
        return [_filled(one, schema["items"], schemas) for one in value]
    if not isinstance(value, dict):
        return value
    known = schema.get("properties", {})
    missing = {
        name: said["default"]
        for name, said in known.items()
        if name not in value and name in schema.get("required", []) and "default" in said
    }
    return {
        name: _filled(one, known.get(name, {}), schemas) for name, one in value.items()
    } | missing


def _places(
    operation: dict[str, Any], exchange: Mapping[str, list[dict[str, Json]]]
) -> Iterator[tuple[dict[str, Any], dict[str, Json]]]:
    """Yield what a media type of the operation says, and an example that belongs there."""
    for example in exchange.get("asked", []):
        yield operation["requestBody"]["content"][example["media_type"]], example
    for example in exchange.get("answered", []):
        answer = operation["responses"][str(example["status"])]
        yield answer.setdefault("content", {}).setdefault(example["media_type"], {}), example
