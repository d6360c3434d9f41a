"""OpenAPI schemas of the request bodies that routes read as streams, without FastAPI."""

from typing import Any

from pydantic import BaseModel

from smart_filter_api.intake import json_document
from smart_filter_api.intake.multipart import BACKGROUND, MASK, PICTURES, STROKES
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

Schema = dict[str, Any]  # a JSON schema: JSON of any shape

_NULL: Schema = {"type": "null"}


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
