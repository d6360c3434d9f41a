"""Schemas of the bodies that routes read as streams, and examples: recorded exchanges.

`make examples` records them with a real service (docs/smart_filter_docs/tour.py) into
examples.json: the requests and responses of each operationId, by name. Fields added to the schema
after the recording are filled with their defaults.
"""

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from pydantic import BaseModel

from smart_filter_api.intake import json_document
from smart_filter_api.intake.multipart import BACKGROUND, MASK, PICTURES, STROKES
from smart_filter_api.problems import problem
from smart_filter_api.problems.problem import KINDS
from smart_filter_api.schemas.recipe import FilterChoice, Recipe
from smart_filter_api.schemas.submissions import CreateBatchRequest, DeriveRequest, SubmitJobRequest
from smart_filter_shared.catalog.filters import FILTERS
from smart_filter_shared.feedback.corrections import MAX_MASK_BYTES
from smart_filter_shared.recipe import CHOOSABLE_TASKS
from smart_filter_shared.recipe.recipe import (
    MAX_METADATA,
    MAX_METADATA_CHARACTERS,
    declared_fields,
)
from smart_filter_shared.security.photo_header import (
    MAX_PHOTO_BYTES,
    MAX_PIXELS,
    MAX_SIDE_PX,
    PhotoFormat,
)
from smart_filter_shared.typed_json import adapter
from smart_filter_wire.formats import Problem

Schema = dict[str, Any]  # a JSON schema: JSON of any shape

_NULL: Schema = {"type": "null"}

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


def _binary(description: str) -> Schema:
    return {"type": "string", "format": "binary", "description": description}


def _properties(kind: type[BaseModel]) -> Schema:
    schema = kind.model_json_schema(ref_template=json_document.REFERENCE)
    return {name: _as_form_field(field) for name, field in schema["properties"].items()}


def _as_form_field(field: Schema) -> Schema:
    """Return the schema of a JSON field for a form, which has texts and no null."""
    choices = [choice for choice in field.get("anyOf", ()) if choice != _NULL]
    rest = {name: value for name, value in field.items() if name not in {"anyOf", "title"}}
    if not choices:
        return rest
    words = [choice for choice in choices if "$ref" in choice or "enum" in choice]
    if len(choices) > 1 and not words:
        return {"type": "string", **rest}
    return {**(words or choices)[0], **rest}


def _recipe_form_fields() -> Schema:
    """Return the fields of a recipe as a form has them: nested names become dotted.

    `x-default` is the value of an absent field. `default` would make generated clients send it.
    """
    in_json = _properties(Recipe)
    in_json["filters"] |= {"type": "array", "items": _properties(FilterChoice)["name"]}
    in_form = {}
    for name, field in declared_fields().items():
        schema = in_json[name]
        if field.default_json is not None:
            schema["x-default"] = field.default_json
        if schema.get("type") == "array":
            schema["description"] += "; repeat the field, or separate values by commas"
        if name in CHOOSABLE_TASKS:
            in_form[f"{name}.model"] = {
                "type": "string",
                **{word: text for word, text in schema.items() if word != "$ref"},
            }
        elif name != "metadata":
            in_form[name] = schema
    return in_form


_RECIPE_FORM: Schema = {
    "type": "object",
    "patternProperties": {
        r"^metadata\.[A-Za-z0-9_.-]{1,64}$": {
            "type": "string",
            "maxLength": MAX_METADATA_CHARACTERS,
        },
        rf"^filters\.({'|'.join(card.name for card in FILTERS)})\.[a-z]+$": {
            "type": "string",
            "description": "See `parameters` in `GET /v1/filters`",
        },
        rf"^({'|'.join(CHOOSABLE_TASKS)})\.params\.[a-z0-9_]+$": {
            "type": "string",
            "description": "See `parameters` of the model in `GET /v1/models`",
        },
    },
    "additionalProperties": False,
}
_BACKGROUND_FILE = _binary(
    "Background picture, with the limits of the photo; selects the background `file`"
)
_PICTURE_TYPES = ", ".join(PhotoFormat)


def _raw_body(description: str) -> Schema:
    """Return a body of bytes, which tell the type of the picture."""
    content = {"application/octet-stream": {"schema": _binary(description)}}
    return {"required": True, "content": content}


# The bodies of PUT /v1/uploads/{upload_id} and of PUT /v1/backgrounds/tenant/{picture_name}.
RAW_PHOTO = _raw_body("The photo; its type and length are those announced")
RAW_PICTURE = _raw_body("The picture, with the limits of a photo")

# The body of POST /v1/jobs.
SUBMISSION: Schema = {
    "required": True,
    "content": {
        **json_document.describe_body(SubmitJobRequest)["requestBody"]["content"],
        "multipart/form-data": {
            "schema": {
                **_RECIPE_FORM,
                "description": "A photo and the fields of its recipe, with dotted names such as "
                "`segmentation.model` and `metadata.ORDER`; send exactly one of photo, photo_url "
                f"and upload_id, and at most {MAX_METADATA} metadata fields",
                "properties": {
                    "photo": _binary(
                        "JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP or TIFF; "
                        "at most "
                        f"{MAX_PHOTO_BYTES} bytes and {MAX_PIXELS} pixels, {MAX_SIDE_PX} a side"
                    ),
                    BACKGROUND: _BACKGROUND_FILE,
                    MASK: _binary(
                        "Mask to use as the matte exactly: a gray PNG of the photo's size, white "
                        f"where people are; at most {MAX_MASK_BYTES} bytes"
                    ),
                    **{
                        name: field
                        for name, field in _properties(SubmitJobRequest).items()
                        if name not in {"photo_base64", "recipe", STROKES}
                    },
                    STROKES: {
                        "type": "string",
                        "description": "A JSON list, as in a JSON body",
                    },
                    **_recipe_form_fields(),
                },
            },
            "encoding": {
                name: {"contentType": PhotoFormat.PNG if name == MASK else _PICTURE_TYPES}
                for name in PICTURES
            },
        },
    },
}

# The body of POST /v1/jobs/{job_id}/derive.
DERIVATION: Schema = {
    "required": True,
    "content": {
        **json_document.describe_body(DeriveRequest)["requestBody"]["content"],
        "multipart/form-data": {
            "schema": {
                **_RECIPE_FORM,
                "description": "Fields that replace those of the parent's recipe",
                "properties": {
                    BACKGROUND: _BACKGROUND_FILE,
                    "webhook_url": _properties(SubmitJobRequest)["webhook_url"],
                    "correction_id": {"type": "string", "maxLength": 100},
                    **_recipe_form_fields(),
                },
            },
            "encoding": {BACKGROUND: {"contentType": _PICTURE_TYPES}},
        },
    },
}

# The body of POST /v1/batches.
BATCH: Schema = json_document.describe_body(CreateBatchRequest)["requestBody"]


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
