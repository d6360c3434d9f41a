"""OpenAPI schemas of the request bodies that routes read as streams, without FastAPI."""

from typing import Any

from smart_filter_api.intake import json_document
from smart_filter_api.intake.multipart import BACKGROUND, MAX_PHOTO_BYTES, PHOTO, PICTURES
from smart_filter_api.intake.photo_header import MAX_PIXELS, PhotoFormat
from smart_filter_api.schemas.deriving import DeriveRequest
from smart_filter_shared.catalog.filters import FILTERS
from smart_filter_shared.priority import Priority
from smart_filter_shared.queue.batches import MAX_ITEMS
from smart_filter_shared.recipe import CHOOSABLE_TASKS, Crop, Edge, Effort, Format, Output
from smart_filter_shared.recipe.fields import (
    MAX_DEADLINE_MS,
    MAX_METADATA,
    MAX_METADATA_CHARACTERS,
    MAX_SEED,
)
from smart_filter_shared.recipe.files import MAX_BYTES_LOWER_BOUND
from smart_filter_shared.security import urls
from smart_filter_shared.security.urls import MAX_CHARACTERS

Schema = dict[str, Any]  # a JSON schema: JSON of any shape

_TEXT: Schema = {"type": "string", "maxLength": MAX_METADATA_CHARACTERS}


def _string_schema(default: str, description: str) -> Schema:
    return {"type": "string", "default": default, "description": description}


_FRAMING: Schema = {
    "crop": {
        "type": "string",
        "enum": [str(one) for one in Crop],
        "default": str(Crop.NONE),
        "description": "`true`: crop around the people; `faces`: frame a portrait of the faces",
    },
    "margin": _string_schema(
        "0px", "Margin around the crop: 1, 2 or 4 values such as `30px` (at most 500) or `10%` (50)"
    ),
    "scale": _string_schema("original", "Size of the people in the picture, `10%` to `100%`"),
    "position": _string_schema(
        "original", "Position of the people: `center`, or one or two values from `0%` to `100%`"
    ),
    "roi": _string_schema(
        "0% 0% 100% 100%", "Region that holds the people: left, top, right, bottom"
    ),
    "size": _string_schema(
        "full", "Output size: `full`, `preview`, `medium`, `hd`, `1080x1350`, `print:10x15`"
    ),
    "aspect": _string_schema("original", "Aspect ratio: `original`, `1:1`, `4:5`, `9:16`, `3:2` …"),
}
_FILES: Schema = {
    "matte_bits": {"type": "integer", "enum": [8, 16], "default": 8},
    "max_bytes": {
        "type": "string",
        "description": "Size limit for each of image and cutout: `200000`, `200kB`, `1.5MB`; "
        f"at least {MAX_BYTES_LOWER_BOUND} bytes",
    },
    "keep_metadata": {
        "type": "boolean",
        "default": False,
        "description": "Keep description, artist, copyright, camera and times; never the location",
    },
    "effort": {
        "type": "string",
        "enum": [str(one) for one in Effort],
        "default": str(Effort.FAST),
        "description": "`small`: encode more slowly, for fewer bytes",
    },
}
_APPEARANCE: Schema = {
    "shadow": _string_schema(
        "auto", "`auto`, `none`, `drop` or `contact`; the last two take a strength: `drop:0.4`"
    ),
    "outline": _string_schema(
        "none", "`none`, or a width and a CSS color: `1.5% white`, `12px #f80`"
    ),
    "light_wrap": _string_schema(
        "auto", "How much light of the background falls on the people's edge, 0 to 1"
    ),
    "harmonise": _string_schema(
        "auto", "How far the people's colors move toward the background's light, 0 to 1"
    ),
}

_WEBHOOK_URL: Schema = {
    "type": "string",
    "format": "uri",
    "minLength": 1,
    "maxLength": MAX_CHARACTERS,
    "description": "Receives the final event, signed with the secret of the webhook `default`",
}

# Fields that refer to a photo in place of its bytes.
_PHOTO_REFERENCES: Schema = {
    "photo_url": {
        "type": "string",
        "format": "uri",
        "maxLength": urls.MAX_CHARACTERS,
        "description": "In place of the photo: its URL on a public host; a worker fetches it",
    },
    "upload_id": {
        "type": "string",
        "format": "uuid",
        "description": "In place of the photo: the `upload_id` from `POST /v1/uploads`, after the "
        "photo was uploaded there",
    },
}

# The body of PUT /v1/uploads/{upload_id}.
RAW_PHOTO: Schema = {
    "required": True,
    "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
}

# The body of POST /v1/jobs.
SUBMISSION: Schema = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "oneOf": [{"required": [name]} for name in ("photo", *_PHOTO_REFERENCES)],
                "properties": {
                    "photo": {
                        "type": "string",
                        "format": "binary",
                        "description": "JPEG, PNG, WebP, AVIF, or HEIC where the server reads it; "
                        f"at most {MAX_PHOTO_BYTES} bytes and {MAX_PIXELS} pixels",
                    },
                    "background_file": {
                        "type": "string",
                        "format": "binary",
                        "description": "Background picture, with the limits of the photo; selects "
                        "the background `file`",
                    },
                    **_PHOTO_REFERENCES,
                    "webhook_url": _WEBHOOK_URL,
                    "background": {
                        "type": "string",
                        "default": "auto",
                        "description": "`auto`, `keep`, `transparent`, `color:CSS-COLOR`, "
                        "`preset:NAME`, `keywords:WORD,WORD`, `blur:0..1`, `file` or "
                        "`url:https://HOST/PATH`",
                    },
                    "outputs": {
                        "type": "array",
                        "items": {"type": "string", "enum": [str(one) for one in Output]},
                        "default": ["image"],
                        "description": "Repeat the field, or separate values by commas",
                    },
                    "format": {
                        "type": "string",
                        "enum": [str(one) for one in Format],
                        "default": "auto",
                    },
                    "quality": {"type": "integer", "minimum": 1, "maximum": 100, "default": 90},
                    **_FILES,
                    "edge": {
                        "type": "string",
                        "enum": [str(one) for one in Edge],
                        "default": str(Edge.BALANCED),
                        "description": "Effort spent on the edge of the people",
                    },
                    **_FRAMING,
                    **_APPEARANCE,
                    "filters": {
                        "type": "array",
                        "items": {"type": "string", "enum": [card.name for card in FILTERS]},
                        "default": [],
                        "description": "Drawn in this order; repeat the field, or separate values "
                        "by commas",
                    },
                    "require_person": {"type": "boolean", "default": False},
                    "priority": {
                        "type": "string",
                        "enum": [str(one) for one in Priority],
                        "default": "standard",
                    },
                    "run_at": {"type": "string", "format": "date-time"},
                    "deadline_ms": {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": MAX_DEADLINE_MS,
                        "description": "Milliseconds from acceptance within which the job must end",
                    },
                    "seed": {"type": "integer", "minimum": 0, "maximum": MAX_SEED},
                    "persons": {
                        "type": "string",
                        "default": "all",
                        "description": "`all`, `largest`, or numbers such as `1,3`, counted from "
                        "the left of the photo",
                    },
                    **{
                        f"{task}.model": {
                            "type": "string",
                            "default": "auto",
                            "description": "`auto`, or a name from `GET /v1/models`",
                        }
                        for task in CHOOSABLE_TASKS
                    },
                },
                "patternProperties": {
                    r"^metadata\.[A-Za-z0-9_.-]{1,64}$": _TEXT,
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
                "description": f"At most {MAX_METADATA} metadata fields",
            },
            "encoding": {name: {"contentType": ", ".join(PhotoFormat)} for name in PICTURES},
        },
        "application/json": {
            "schema": {
                "type": "object",
                # Exactly one of them; null counts as absent.
                "oneOf": [
                    {"required": [name], "properties": {name: {"type": "string"}}}
                    for name in ("photo_base64", *_PHOTO_REFERENCES)
                ],
                "properties": {
                    "photo_base64": {
                        "type": "string",
                        "contentEncoding": "base64",
                        "minLength": 4,
                        "description": "The photo's bytes, with the limits of the part `photo`",
                    },
                    **{
                        name: {**one, "type": ["string", "null"]}
                        for name, one in _PHOTO_REFERENCES.items()
                    },
                    "webhook_url": {**_WEBHOOK_URL, "type": ["string", "null"]},
                    "recipe": {
                        "type": ["object", "null"],
                        "description": "The fields of the form, with dotted names nested: "
                        '`{"segmentation": {"model": "people"}}`',
                    },
                },
                "additionalProperties": False,
            }
        },
    },
}

_FORM: Schema = SUBMISSION["content"]["multipart/form-data"]

# The body of POST /v1/jobs/{job_id}/derive.
DERIVATION: Schema = {
    "required": True,
    "content": {
        **json_document.describe_body(DeriveRequest)["requestBody"]["content"],
        "multipart/form-data": {
            "schema": {
                **{name: value for name, value in _FORM["schema"].items() if name != "oneOf"},
                "properties": {
                    **{
                        name: value
                        for name, value in _FORM["schema"]["properties"].items()
                        if name not in {PHOTO, *_PHOTO_REFERENCES}
                    },
                    "correction_id": {"type": "string", "maxLength": 100},
                },
            },
            "encoding": {BACKGROUND: _FORM["encoding"][BACKGROUND]},
        },
    },
}

# The body of POST /v1/batches.
BATCH: Schema = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["items"],
                "properties": {
                    "items": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": MAX_ITEMS,
                        "items": {
                            "type": "object",
                            "oneOf": [
                                {"required": [name]}
                                for name in ("photo_base64", *_PHOTO_REFERENCES)
                            ],
                            "properties": {
                                **_PHOTO_REFERENCES,
                                "photo_base64": {
                                    "type": "string",
                                    "contentEncoding": "base64",
                                    "minLength": 4,
                                    "description": "The photo's bytes; all photos of a batch "
                                    f"together have at most {MAX_PHOTO_BYTES} bytes",
                                },
                                "recipe": {
                                    "type": "object",
                                    "description": "Recipe of this item; its fields override "
                                    "those of the batch's `recipe`",
                                },
                                "metadata": {
                                    "type": "object",
                                    "additionalProperties": _TEXT,
                                    "maxProperties": MAX_METADATA,
                                },
                            },
                            "additionalProperties": False,
                        },
                    },
                    "recipe": {
                        "type": "object",
                        "description": "Recipe for all items, as in the body of `POST /v1/jobs`",
                    },
                    "album": {
                        "type": "object",
                        "required": ["best"],
                        "properties": {
                            "best": {
                                "type": "integer",
                                "minimum": 0,
                                "maximum": MAX_ITEMS,
                                "description": "Number of photos to compose, the best by rank",
                            }
                        },
                        "additionalProperties": False,
                    },
                    "webhook_url": _WEBHOOK_URL,
                },
                "additionalProperties": False,
            }
        }
    },
}
