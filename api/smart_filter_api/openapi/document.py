"""Build the OpenAPI document: FastAPI's own, completed with webhooks, links and examples."""

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from smart_filter_api.intake import json_document
from smart_filter_api.openapi import answers as openapi_answers
from smart_filter_api.openapi import examples as openapi_examples
from smart_filter_api.openapi import links as openapi_links
from smart_filter_api.schemas.jobs import BatchEvent, JobEvent
from smart_filter_api.schemas.recipe import Resolved
from smart_filter_shared.queue.events import FINAL_TYPES, EventType
from smart_filter_shared.typed_json import adapter
from smart_filter_shared.webhooks import signatures
from smart_filter_wire.problems import Problem

Schema = dict[str, Any]  # a JSON schema: JSON of any shape

_DESCRIPTION = (
    "Submit a photo, wait for its job (poll, `Prefer: wait`, event stream or webhook) and download "
    "its outputs. Every POST accepts an `Idempotency-Key`. Every error is a problem document "
    "(RFC 9457); its header `Link` leads to a page about the problem. Every GET has a HEAD. An "
    "unsupported method gets status 405."
)
TAGS = {
    "jobs": "Submit photos; read, await, cancel and delete their jobs; download outputs.",
    "batches": "Submit photos together; an album composes only its best photos.",
    "models": "Models that a recipe can name.",
    "backgrounds": "Backgrounds that a recipe can name.",
    "recipes": "Saved recipes, which submissions name with `recipe`.",
    "filters": "Filters that a recipe can name.",
    "webhooks": "Addresses that receive the final events of jobs, and their deliveries.",
    "tenants": "API keys, short-lived device keys, limits and usage.",
    "operator": "For operators, only at their port: the state of the whole service, pausing queues "
    "and draining workers, failed jobs.",
    "session": "Browser sessions in place of an API key.",
    "remove.bg": "A remove.bg v1.0 compatible interface, with its own error format.",
    "health": "Liveness, and at the operators' port readiness and metrics; without a key.",
    "problems": "The meaning of each type of problem; without a key.",
}


def build_document(app: FastAPI) -> Schema:
    """Return the app's OpenAPI document, in which all errors are problem documents."""
    document: Schema = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=_DESCRIPTION,
        contact={"name": "The operator of this server"},
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        servers=[{"url": "/", "description": "The service that serves this document"}],
        tags=[{"name": name, "description": about} for name, about in TAGS.items()],
        routes=app.routes,
    )
    document["webhooks"] = {
        **{type_.value: _webhook(type_, JobEvent) for type_ in sorted(FINAL_TYPES)},
        EventType.BATCH_FINISHED.value: _webhook(EventType.BATCH_FINISHED, BatchEvent),
    }
    operations = {
        operation["operationId"]: operation
        for path in document["paths"].values()
        for operation in path.values()
    }
    schemas = document["components"]["schemas"]
    _remove_validation_errors(operations.values(), schemas)
    models = (Problem, JobEvent, BatchEvent, Resolved)
    _, added = TypeAdapter.json_schemas(
        [(model, "serialization", adapter(model)) for model in models],
        ref_template=json_document.REFERENCE,
    )
    schemas.update(added["$defs"])
    # A client reads a recipe as JSON of any shape; a newer server's has more fields.
    schemas["Job"]["properties"]["recipe"] = {
        "$ref": json_document.REFERENCE.format(model=Resolved.__name__),
        "title": "Recipe",
    }
    for operation in operations.values():
        _lift_definitions(operation, schemas)
        _correct_parameters(operation)
    openapi_answers.add_shared_responses(document, operations.values())
    openapi_links.add_links(document["paths"])
    openapi_examples.add_examples(document, operations)
    return document


def operation_id(route: APIRoute) -> str:
    """Return the operationId of a route: its function's name in camel case, such as `submitJob`."""
    first, *others = route.name.split("_")
    return first + "".join(map(str.capitalize, others))


def _remove_validation_errors(operations: Iterable[Schema], schemas: Schema) -> None:
    """Remove FastAPI's 422 of operations with parameters, which this API never sends."""
    for operation in operations:
        if "HTTPValidationError" in str(operation["responses"].get("422")):
            del operation["responses"]["422"]
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)


def _correct_parameters(operation: Schema) -> None:
    """Remove null from the parameters' schemas, and capitalize the names of headers."""
    for parameter in operation.get("parameters", []):
        parameter["schema"] = _without_null(parameter["schema"])
        if parameter["in"] == "header":
            parameter["name"] = parameter["name"].title()


def _without_null(schema: Schema) -> Schema:
    """Return the schema of an optional parameter without null: a query or header is never null."""
    choices = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) != 1:
        return schema
    return {**choices[0], **{name: value for name, value in schema.items() if name != "anyOf"}}


def _lift_definitions(operation: Schema, schemas: Schema) -> None:
    """Move the `$defs` of a body's schema to the document's schemas, where references point."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        for name, definition in content["schema"].pop("$defs", {}).items():
            schemas.setdefault(name, definition)


def _webhook(type_: EventType, model: type) -> Schema:
    """Return the path item of a webhook event.  Source: Standard Webhooks 1.0.0."""
    headers = (signatures.ID_HEADER, signatures.TIMESTAMP_HEADER, signatures.SIGNATURE_HEADER)
    event = {"$ref": f"#/components/schemas/{model.__name__}"}
    shortened = "`items`" if type_ == EventType.BATCH_FINISHED else "`faces` and `rating`"
    operation = {
        "summary": f"{type_.partition('.')[0].capitalize()} has ended: {type_}",
        "description": "Delivered at least once, always with the same `webhook-id`. The payload "
        f"has less than 20 kB; above 16 kB, {shortened} of `data` become counts and a link.",
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
            for name in headers
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": event}}},
        "responses": {"2XX": {"description": "Received; any other status is retried"}},
    }
    return {"post": operation}
