"""Build the OpenAPI document: FastAPI's own, completed with webhooks, links and examples."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from smart_filter_api.intake import json_document
from smart_filter_api.openapi import bodies as openapi_bodies
from smart_filter_api.problems import problem
from smart_filter_api.schemas.recipe import Resolved
from smart_filter_api.schemas.submissions import BatchEvent, JobEvent
from smart_filter_shared.queue.events import FINAL_TYPES, EventType
from smart_filter_shared.recipe.document_photos import document_photos
from smart_filter_shared.typed_json import adapter
from smart_filter_shared.webhooks import endpoints
from smart_filter_wire.formats import Problem

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
    "choices": "Choose many photos by a query, and act on them in steps.",
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
# FastAPI's description for responses that a route does not describe.
_DEFAULT_DESCRIPTION: Final = "Successful Response"
_DESCRIPTIONS: Mapping[str, str] = {
    "200": "Success",
    "201": "Created",
    "202": "Accepted; processing continues in the background",
    "204": "Done; the response has no body",
}
_BINARY_TYPES = ("image/", "application/zip")
_RETRYABLE_STATUSES = {
    str(int(HTTPStatus.TOO_MANY_REQUESTS)),
    str(int(HTTPStatus.SERVICE_UNAVAILABLE)),
}

HEADERS: Mapping[str, Any] = {
    "X-Request-Id": {
        "description": "Id of the request, also in the server's log",
        "required": True,
        "schema": {"type": "string", "format": "uuid"},
    },
    "Link": {
        "description": "`rel=help`: the page about this type of problem",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds to wait before the request is sent again",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
}
_DERIVING = "deriveJob createCorrection listCorrections"

# By operation: the parameter that its answer fills, and from where in its body, of operations that
# can follow. They get the parameters of its own path, too.
_FOLLOWING: Mapping[str, Mapping[str, str]] = {
    "submitJob": {
        "job_id=id": "getJob streamJobEvents cancelJob redriveJob getPhoto getOutput deleteJob "
        + _DERIVING
    },
    # These operations need an ended job, which is most likely when a client reads it.
    "getJob": {"job_id=id": _DERIVING},
    "createCorrection": {"job_id=job_id": "deriveJob listCorrections"},
    "deriveJob": {"job_id=id": "getJob getOutput deleteJob"},
    "createUpload": {"upload_id=upload_id": "uploadPhoto", "": "submitJob"},
    "createBatch": {
        "batch_id=id": "getBatch streamBatchEvents cancelBatch deleteBatch",
        "job_id=items/0/job_id": "getJob deleteJob",
    },
    "cancelBatch": {"batch_id=id": "getBatch deleteBatch"},
    "redriveJob": {"job_id=id": "getJob cancelJob"},
    "cancelJob": {"job_id=id": "getJob deleteJob"},
    "createWebhook": {
        "webhook_id=id": "getWebhook updateWebhook rotateWebhookSecret deleteWebhook sendTestEvent "
        "listDeliveries replayFailedDeliveries"
    },
    "sendTestEvent": {"delivery_id=id": "replayDelivery", "": "listDeliveries"},
    "createKey": {"key_id=key_id": "revokeKey"},
    "createToken": {"key_id=key_id": "revokeKey"},
}
# Fields of the following operation's body.
_BODIES = {
    ("createCorrection", "deriveJob"): "correction_id=id",
    ("createUpload", "submitJob"): "upload_id=upload_id",
}
# Path parameters that are not ids.
_FIXED_PARAMETERS = {"getOutput": {"name": "image"}}


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
    add_shared_responses(document, operations.values())
    add_links(document["paths"])
    openapi_bodies.add_examples(document, operations)
    # No enumeration: an operator's rows differ by server, and clients are generated once.
    form = operations["submitJob"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    fields = form["properties"]
    fields["document"] = {**fields["document"], "examples": list(document_photos())}
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
    headers = (endpoints.ID_HEADER, endpoints.TIMESTAMP_HEADER, endpoints.SIGNATURE_HEADER)
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


def add_shared_responses(document: dict[str, Any], operations: Iterable[dict[str, Any]]) -> None:
    """Add to all responses what they share: headers, descriptions, the 500, the type of files."""
    document["components"]["headers"] = dict(HEADERS)
    for operation in operations:
        answers = operation["responses"]
        for status, answer in problem.describe_responses("internal", needs_key=False).items():
            answers.setdefault(str(status), answer)
        for status, answer in answers.items():
            if answer["description"] == _DEFAULT_DESCRIPTION:
                answer["description"] = _DESCRIPTIONS[status]
            names = ["X-Request-Id"]
            if problem.MEDIA_TYPE in answer.get("content", {}):
                names.append("Link")
            if status in _RETRYABLE_STATUSES:
                names.append("Retry-After")
            for media_type, content in answer.get("content", {}).items():
                if media_type.startswith(_BINARY_TYPES):
                    content.setdefault("schema", {"type": "string", "format": "binary"})
            shared = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
            answer["headers"] = {**shared, **answer.get("headers", {})}


def add_links(paths: Mapping[str, Mapping[str, dict[str, Any]]]) -> None:
    """Add the links to the operations of a document, by path and method."""
    operations = {
        operation["operationId"]: (set(re.findall(r"{(\w+)}", path)), operation)
        for path, methods in paths.items()
        for operation in methods.values()
    }
    for after, following in _FOLLOWING.items():
        placeholders, operation = operations[after]
        for source, names in following.items():
            for to in names.split():
                needed, linked = operations[to]
                link = {
                    "operationId": to,
                    "description": linked["summary"],
                    "parameters": {
                        **{name: f"$request.path.{name}" for name in placeholders & needed},
                        **_values(source),
                        **_FIXED_PARAMETERS.get(to, {}),
                    },
                }
                if body := _BODIES.get((after, to)):
                    link["requestBody"] = _values(body)
                for status, answer in operation["responses"].items():
                    if status in {"200", "201", "202"}:
                        answer.setdefault("links", {})[to] = link


def _values(source: str) -> dict[str, str]:
    name, _, place = source.partition("=")
    return {name: f"$response.body#/{place}"} if name else {}
