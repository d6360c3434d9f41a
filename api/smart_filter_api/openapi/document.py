"""What /openapi.json says beyond what FastAPI reads from the routes."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from smart_filter_api.openapi import answers as openapi_answers
from smart_filter_api.openapi import examples as openapi_examples
from smart_filter_api.openapi import links as openapi_links
from smart_filter_api.problems import Problem
from smart_filter_api.schemas.batches import BatchEventAnswer
from smart_filter_api.schemas.deriving import CorrectionRequest
from smart_filter_api.schemas.jobs import EventAnswer
from smart_filter_shared import signing
from smart_filter_shared.jobs.events import FINAL, EventType

Schema = dict[str, Any]  # a JSON schema: JSON of any shape

_DESCRIPTION = (
    "Submit a photo, wait for its job in whatever way suits (poll, `Prefer: wait`, events, a "
    "webhook) and fetch its outputs. Every POST takes an `Idempotency-Key`. Every error is a "
    "problem document (RFC 9457) whose header `Link` leads to a page about it. Every GET has a "
    "HEAD. An address that lacks a method answers 405."
)
TAGS = {
    "jobs": "Photos on their way: submit, look at, wait for, cancel, delete, fetch outputs.",
    "batches": "Photos submitted together; of those of an album, the best are composed.",
    "models": "The models that a recipe may name.",
    "backgrounds": "The backgrounds that a recipe may name.",
    "filters": "The filters that a recipe may name.",
    "webhooks": "Who is told of jobs' ends, and what came of telling them.",
    "tenants": "Keys, short-lived keys for devices, and what was used.",
    "operator": "The whole service, for whoever runs it: how it stands, and what is stopped.",
    "session": "A browser's session in place of a key.",
    "remove.bg": "The interface of remove.bg v1.0, with its own errors.",
    "health": "Whether the service lives and serves, and its metrics; without a key.",
    "problems": "What each kind of problem means; without a key.",
}


def schema(app: FastAPI) -> Schema:
    """Return the app's OpenAPI document, with problem documents as the only errors."""
    document: Schema = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        servers=[{"url": "/", "description": "the service that gave this document"}],
        tags=[{"name": name, "description": about} for name, about in TAGS.items()],
        routes=app.routes,
    )
    ends: list[tuple[EventType, type[BaseModel]]] = [
        *((type_, EventAnswer) for type_ in sorted(FINAL)),
        (EventType.BATCH_FINISHED, BatchEventAnswer),
    ]
    document["webhooks"] = {str(type_): {"post": _told(type_, of)} for type_, of in ends}
    # FastAPI adds an answer that this API never gives to whatever has a parameter.
    for path in document["paths"].values():
        for operation in path.values():
            answers = operation["responses"]
            if "HTTPValidationError" in str(answers.get("422")):
                del answers["422"]
    schemas = document["components"]["schemas"]
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    _, problem = models_json_schema(
        [
            (Problem, "serialization"),
            (EventAnswer, "serialization"),
            (BatchEventAnswer, "serialization"),
            (CorrectionRequest, "validation"),
        ],
        ref_template="#/components/schemas/{model}",
    )
    schemas.update(problem["$defs"])
    operations = {
        operation["operationId"]: operation
        for path in document["paths"].values()
        for operation in path.values()
    }
    for operation in operations.values():
        _lift_definitions(operation, schemas)
        for parameter in operation.get("parameters", []):
            parameter["schema"] = _without_null(parameter["schema"])
    openapi_answers.add(document, operations.values())
    openapi_links.add(operations)
    openapi_examples.add(document, operations)
    return document


def operation_id(route: APIRoute) -> str:
    """Return what programs made from the document call an operation: `jobs_create`.

    The module and the name of its function, which says the same only once.
    """
    module = route.endpoint.__module__.rpartition(".")[2]
    return f"{module}_{route.name.removesuffix(f'_{module}')}"


def _without_null(schema: Schema) -> Schema:
    """Return the schema of a parameter that may be left out, as no query or header is null."""
    choices = [one for one in schema.get("anyOf", []) if one != {"type": "null"}]
    if len(choices) != 1:
        return schema
    return {**choices[0], **{name: said for name, said in schema.items() if name != "anyOf"}}


def _lift_definitions(operation: Schema, schemas: Schema) -> None:
    """Put what a body's own schema defines where its references look for it."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        for name, definition in content["schema"].pop("$defs", {}).items():
            schemas.setdefault(name, definition)


def _told(type_: EventType, of: type[BaseModel]) -> Schema:
    """Return what a webhook is sent.  Source: Standard Webhooks 1.0.0."""
    headers = (signing.ID_HEADER, signing.TIMESTAMP_HEADER, signing.SIGNATURE_HEADER)
    event = {"$ref": f"#/components/schemas/{of.__name__}"}
    counted = "`items`" if type_ == EventType.BATCH_FINISHED else "`faces` and `rating`"
    return {
        "summary": f"{type_.partition('.')[0].capitalize()} has ended: {type_}",
        "description": "At least once, under the same `webhook-id`; less than 20 kB: beyond 16 kB "
        f"{counted} of `data` become counts and a link.",
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
            for name in headers
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": event}}},
        "responses": {"2XX": {"description": "it was received; anything else is tried again"}},
    }
