"""What /openapi.json says of the bodies that their routes read as they arrive, past FastAPI."""

from typing import Any

from smart_filter_api import documents
from smart_filter_api.multipart import BACKGROUND, MAX_PHOTO_BYTES, PHOTO, PICTURES
from smart_filter_api.photo_header import MAX_PIXELS, PhotoFormat
from smart_filter_api.schemas.deriving import DeriveRequest
from smart_filter_shared import web_address
from smart_filter_shared.filters import FILTERS
from smart_filter_shared.jobs.batches import MOST_ITEMS
from smart_filter_shared.recipe import CHOOSABLE_TASKS, Crop, Edge, Effort, Format, Output, Priority
from smart_filter_shared.recipe.fields import (
    MAX_DEADLINE_MS,
    MAX_METADATA,
    MAX_METADATA_CHARACTERS,
    MAX_SEED,
)
from smart_filter_shared.recipe.files import LEAST_MAX_BYTES
from smart_filter_shared.web_address import MAX_CHARACTERS

Schema = dict[str, Any]  # a JSON schema: JSON of any shape

_TEXT: Schema = {"type": "string", "maxLength": MAX_METADATA_CHARACTERS}


def _words(default: str, description: str) -> Schema:
    return {"type": "string", "default": default, "description": description}


_FRAMING: Schema = {
    "crop": {
        "type": "string",
        "enum": [str(one) for one in Crop],
        "default": str(Crop.NONE),
        "description": "`true`: around the people; `faces`: framed as a portrait of the faces",
    },
    "margin": _words("0px", "around what is cropped: 1, 2 or 4 of `30px` (500) or `10%` (50)"),
    "scale": _words("original", "of the people within the picture, `10%` to `100%`"),
    "position": _words("original", "of the people: `center`, or one or two of `0%` to `100%`"),
    "roi": _words("0% 0% 100% 100%", "left, top, right, bottom of where people are"),
    "size": _words("full", "`preview`, `medium`, `hd`, `1080x1350`, `print:10x15`"),
    "aspect": _words("original", "`1:1`, `4:5`, `9:16`, `3:2` …"),
}
_FILES: Schema = {
    "matte_bits": {"type": "integer", "enum": [8, 16], "default": 8},
    "max_bytes": {
        "type": "string",
        "description": "image and cut-out each take no more: `200000`, `200kB`, `1.5MB`; "
        f"{LEAST_MAX_BYTES} bytes at least",
    },
    "keep_metadata": {
        "type": "boolean",
        "default": False,
        "description": "description, artist, copyright, camera, times; never where it was taken",
    },
    "effort": {
        "type": "string",
        "enum": [str(one) for one in Effort],
        "default": str(Effort.FAST),
        "description": "`small`: slower encoders, for fewer bytes",
    },
}
_LOOK: Schema = {
    "shadow": _words("auto", "`none`, `drop`, `contact`, the last two with how dark: `drop:0.4`"),
    "outline": _words("none", "a width and a CSS colour: `1.5% white`, `12px #f80`"),
    "light_wrap": _words("auto", "light of the background on the people's edge, 0 to 1"),
    "harmonise": _words("auto", "the people's colours toward the background's light, 0 to 1"),
}

_WEBHOOK_URL: Schema = {
    "type": "string",
    "format": "uri",
    "minLength": 1,
    "maxLength": MAX_CHARACTERS,
    "description": "told of the job's end, signed with the secret of the webhook `default`",
}

# What may stand for the photo itself.
_ELSEWHERE: Schema = {
    "photo_url": {
        "type": "string",
        "format": "uri",
        "maxLength": web_address.MAX_CHARACTERS,
        "description": "instead of the photo: where a worker fetches it, from public hosts only",
    },
    "upload_id": {
        "type": "string",
        "format": "uuid",
        "description": "instead of the photo: what `POST /v1/uploads` has answered, when the "
        "photo was put there",
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
                "oneOf": [{"required": [name]} for name in ("photo", *_ELSEWHERE)],
                "properties": {
                    "photo": {
                        "type": "string",
                        "format": "binary",
                        "description": "JPEG, PNG, WebP, AVIF, or HEIC where it is read; at most "
                        f"{MAX_PHOTO_BYTES} bytes and {MAX_PIXELS} pixels",
                    },
                    "background_file": {
                        "type": "string",
                        "format": "binary",
                        "description": "a picture to stand behind the people, bounded as the "
                        "photo is; asks for the background `file`",
                    },
                    **_ELSEWHERE,
                    "webhook_url": _WEBHOOK_URL,
                    "background": {
                        "type": "string",
                        "default": "auto",
                        "description": "`auto`, `keep`, `transparent`, `color:CSS-COLOUR`, "
                        "`preset:NAME`, `keywords:WORD,WORD`, `blur:0..1`, `file` or "
                        "`url:https://HOST/PATH`",
                    },
                    "outputs": {
                        "type": "array",
                        "items": {"type": "string", "enum": [str(one) for one in Output]},
                        "default": ["image"],
                        "description": "repeated, or separated by commas",
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
                        "description": "how much work the edge of the people is worth",
                    },
                    **_FRAMING,
                    **_LOOK,
                    "filters": {
                        "type": "array",
                        "items": {"type": "string", "enum": [card.name for card in FILTERS]},
                        "default": [],
                        "description": "drawn in this order; repeated, or separated by commas",
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
                        "description": "from its acceptance",
                    },
                    "seed": {"type": "integer", "minimum": 0, "maximum": MAX_SEED},
                    "persons": {
                        "type": "string",
                        "default": "all",
                        "description": "`all`, `largest`, or numbers such as `1,3`, counted from "
                        "the left",
                    },
                    **{
                        f"{task}.model": {
                            "type": "string",
                            "default": "auto",
                            "description": "`auto` or a name of `GET /v1/models`",
                        }
                        for task in CHOOSABLE_TASKS
                    },
                },
                "patternProperties": {
                    r"^metadata\.[A-Za-z0-9_.-]{1,64}$": _TEXT,
                    rf"^filters\.({'|'.join(card.name for card in FILTERS)})\.[a-z]+$": {
                        "type": "string",
                        "description": "as `parameters` of `GET /v1/filters` says",
                    },
                    rf"^({'|'.join(CHOOSABLE_TASKS)})\.params\.[a-z0-9_]+$": {
                        "type": "string",
                        "description": "as `parameters` of the model's card says",
                    },
                },
                "additionalProperties": False,
                "description": f"at most {MAX_METADATA} fields of metadata",
            },
            "encoding": {name: {"contentType": ", ".join(PhotoFormat)} for name in PICTURES},
        },
        "application/json": {
            "schema": {
                "type": "object",
                # Exactly one of them: null is as if it were not there.
                "oneOf": [
                    {"required": [name], "properties": {name: {"type": "string"}}}
                    for name in ("photo_base64", *_ELSEWHERE)
                ],
                "properties": {
                    "photo_base64": {
                        "type": "string",
                        "contentEncoding": "base64",
                        "minLength": 4,
                        "description": "the photo's bytes, bounded as the part `photo` is",
                    },
                    **{
                        name: {**one, "type": ["string", "null"]}
                        for name, one in _ELSEWHERE.items()
                    },
                    "webhook_url": {**_WEBHOOK_URL, "type": ["string", "null"]},
                    "recipe": {
                        "type": ["object", "null"],
                        "description": "the fields of the form, those with dots nested: "
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
        **documents.described(DeriveRequest)["requestBody"]["content"],
        "multipart/form-data": {
            "schema": {
                **{name: value for name, value in _FORM["schema"].items() if name != "oneOf"},
                "properties": {
                    **{
                        name: value
                        for name, value in _FORM["schema"]["properties"].items()
                        if name not in {PHOTO, *_ELSEWHERE}
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
                        "maxItems": MOST_ITEMS,
                        "items": {
                            "type": "object",
                            "oneOf": [
                                {"required": [name]} for name in ("photo_base64", *_ELSEWHERE)
                            ],
                            "properties": {
                                **_ELSEWHERE,
                                "photo_base64": {
                                    "type": "string",
                                    "contentEncoding": "base64",
                                    "minLength": 4,
                                    "description": "the photo's bytes; all photos of a batch "
                                    f"together: at most {MAX_PHOTO_BYTES}",
                                },
                                "recipe": {
                                    "type": "object",
                                    "description": "in place of what `recipe` says for all",
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
                        "description": "for all items, as in the body of a single photo",
                    },
                    "album": {
                        "type": "object",
                        "required": ["best"],
                        "properties": {
                            "best": {
                                "type": "integer",
                                "minimum": 0,
                                "maximum": MOST_ITEMS,
                                "description": "how many are composed, the best by their rank",
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
