"""What /openapi.json says of the interface that clients of remove.bg speak."""

from typing import Any, Final

from smart_filter_api.multipart import MAX_PHOTO_BYTES
from smart_filter_api.photo_header import MAX_PIXELS, PhotoFormat
from smart_filter_api.removebg.fields import (
    BACKGROUND_FILE,
    CHANNELS,
    FORMATS,
    IMAGE_BASE64,
    IMAGE_FILE,
    SHADOWS,
    SIZES,
    TYPE_LEVELS,
    TYPES,
)

Schema = dict[str, Any]  # a JSON schema: JSON of any shape

_FLAG: Final[Schema] = {"type": "boolean"}


def _words(default: str, description: str) -> Schema:
    return {"type": "string", "default": default, "description": description}


def _one_of(choices: tuple[str, ...], description: str = "") -> Schema:
    told = {"description": description} if description else {}
    return {"type": "string", "enum": list(choices), "default": choices[0], **told}


_FIELDS: Final[Schema] = {
    IMAGE_BASE64: {
        "type": "string",
        "contentEncoding": "base64",
        "description": "the image, in place of image_file or image_url",
    },
    "image_url": {
        "type": "string",
        "format": "uri",
        "description": "where the image is, in place of a file; a worker fetches it",
    },
    "size": _one_of(
        tuple(SIZES), "preview: 0.25 megapixels, medium 1.5, hd 4; the others: the image's own"
    ),
    "type": _one_of(TYPES, "accepted and without effect: people are cut out"),
    "type_level": _one_of(TYPE_LEVELS, "none: no X-Type"),
    "format": _one_of(FORMATS, "auto: png where something shows through, else jpg"),
    "roi": _words("0% 0% 100% 100%", "x1 y1 x2 y2 of where people are, in px or %"),
    "crop": {**_FLAG, "default": False},
    "crop_margin": _words("0", "1, 2 or 4 of `30px` (500) or `10%` (50)"),
    "scale": _words("original", "`10%` to `100%`"),
    "position": _words("original", "`center`, or one or two of `0%` to `100%`"),
    "channels": _one_of(CHANNELS, "alpha: the mask, as png; with format=zip the zip all the same"),
    "semitransparency": {**_FLAG, "default": True, "description": "accepted and without effect"},
    "add_shadow": {**_FLAG, "default": False, "description": "as shadow_type=car"},
    "shadow_type": _one_of(tuple(SHADOWS), "3D and car: under the feet of who is seen whole"),
    "shadow_opacity": {"type": "number", "minimum": 0, "maximum": 100, "default": 50},
    "bg_color": _words("", "3, 4, 6 or 8 hexadecimal digits, or a colour's name"),
    "bg_image_url": {"type": "string", "format": "uri", "description": "a worker fetches it"},
}
_FILES: Final[Schema] = {
    IMAGE_FILE: {
        "type": "string",
        "format": "binary",
        "description": "JPEG, PNG, WebP, AVIF, or HEIC where it is read; at most "
        f"{MAX_PHOTO_BYTES} bytes and {MAX_PIXELS} pixels",
    },
    BACKGROUND_FILE: {
        "type": "string",
        "format": "binary",
        "description": "bounded as the image is; it fills the canvas",
    },
}
_ADDRESSED: Final[Schema] = {"image_url": "https://example.com/me.jpg", "size": "auto"}
# Read by the route as it arrives, past FastAPI.
BODY: Final[Schema] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {**_FILES, **_FIELDS}},
            "examples": {"on white": {"value": {**_ADDRESSED, "bg_color": "fff"}}},
            "encoding": {name: {"contentType": ", ".join(PhotoFormat)} for name in _FILES},
        },
        "application/x-www-form-urlencoded": {
            "schema": {"type": "object", "properties": _FIELDS},
            "examples": {"cropped": {"value": {**_ADDRESSED, "crop": True}}},
        },
        "application/json": {
            "schema": {"type": "object", "properties": _FIELDS},
            "examples": {"cropped": {"value": {**_ADDRESSED, "crop": True}}},
        },
    },
}

_INTEGER: Final[Schema] = {"schema": {"type": "integer"}}
RATE_HEADERS: Final[Schema] = {
    "X-RateLimit-Limit": {"description": "requests a minute", **_INTEGER},
    "X-RateLimit-Remaining": {"description": "of them, now", **_INTEGER},
    "X-RateLimit-Reset": {"description": "when all are there again, Unix seconds", **_INTEGER},
}
RESULT: Final[Schema] = {
    "description": "the image without its background; as JSON where `Accept` prefers that",
    "headers": {
        "X-Type": {"description": "what was found", "schema": {"enum": ["person"]}},
        "X-Width": {"description": "of the result", **_INTEGER},
        "X-Height": {"description": "of the result", **_INTEGER},
        "X-Max-Width": {"description": "of the result with size=full", **_INTEGER},
        "X-Max-Height": {"description": "of the result with size=full", **_INTEGER},
        "X-Credits-Charged": {
            "description": "megapixels that count against today's bound",
            "schema": {"type": "number"},
        },
        **{
            f"X-Foreground-{side}": {"description": "of the people in the image sent", **_INTEGER}
            for side in ("Top", "Left", "Width", "Height")
        },
        **RATE_HEADERS,
    },
    "content": {
        "image/png": {},
        "image/jpeg": {},
        "image/webp": {},
        "application/zip": {},
        "application/json": {
            "examples": {
                "a portrait": {
                    "value": {
                        "data": {
                            "result_b64": "iVBORw0KGgo=",
                            "foreground_top": 20,
                            "foreground_left": 120,
                            "foreground_width": 330,
                            "foreground_height": 492,
                        }
                    }
                }
            },
            "schema": {
                "type": "object",
                "required": ["data"],
                "properties": {
                    "data": {
                        "type": "object",
                        "required": [
                            "result_b64",
                            *(f"foreground_{side}" for side in "top left width height".split()),
                        ],
                        "properties": {
                            "result_b64": {"type": "string", "contentEncoding": "base64"},
                            **{
                                f"foreground_{side}": {"type": "integer"}
                                for side in ("top", "left", "width", "height")
                            },
                        },
                    }
                },
            },
        },
    },
}
ACCOUNT: Final[Schema] = {
    "description": "what is left",
    "headers": RATE_HEADERS,
    "content": {
        "application/json": {
            "examples": {
                "a bound of a hundred megapixels": {
                    "value": {
                        "data": {
                            "attributes": {
                                "credits": {
                                    "total": 99.52,
                                    "subscription": 99.52,
                                    "payg": 0.0,
                                    "enterprise": 0.0,
                                },
                                "api": {"free_calls": 0, "sizes": "all"},
                            }
                        }
                    }
                }
            }
        }
    },
}
