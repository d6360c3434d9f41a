"""OpenAPI schemas of the remove.bg compatible interface."""

from typing import Any, Final

from smart_filter_api.removebg.fields import (
    BACKGROUND_FILE,
    CHANNELS,
    FORMATS,
    IMAGE_BASE64,
    IMAGE_FILE,
    OBJECT_CLASSES,
    OTHER_CLASS,
    PERSON_CLASS,
    RECIPE,
    SHADOWS,
    SIZES,
    TYPE_LEVELS,
    TYPES,
)
from smart_filter_shared.security.photo_header import (
    MAX_PHOTO_BYTES,
    MAX_PIXELS,
    MAX_SIDE_PX,
    PhotoFormat,
)

Schema = dict[str, Any]  # a JSON schema: JSON of any shape

_FLAG: Final[Schema] = {"type": "boolean"}


def _string_schema(default: str, description: str) -> Schema:
    return {"type": "string", "default": default, "description": description}


def _one_of(choices: tuple[str, ...], description: str = "") -> Schema:
    about = {"description": description} if description else {}
    return {"type": "string", "enum": list(choices), "default": choices[0], **about}


_FIELDS: Final[Schema] = {
    IMAGE_BASE64: {
        "type": "string",
        "contentEncoding": "base64",
        "description": "The image, in place of image_file or image_url",
    },
    "image_url": {
        "type": "string",
        "format": "uri",
        "description": "URL of the image, in place of a file; a worker fetches it",
    },
    "size": _one_of(
        tuple(SIZES), "preview, small, regular: 0.25 megapixels; medium: 1.5; hd: 4; others: full"
    ),
    "type": _one_of(TYPES, "auto: people if there are any, else what stands out"),
    "type_level": _one_of(TYPE_LEVELS, "Classes of the header X-Type; none: no header"),
    "format": _one_of(FORMATS, "auto: png if the result has transparency, else jpg"),
    "roi": _string_schema("0% 0% 100% 100%", "Region with the people: x1 y1 x2 y2 in px or %"),
    "crop": {**_FLAG, "default": False},
    "crop_margin": _string_schema(
        "0", "1, 2 or 4 values such as `30px` (at most 500) or `10%` (at most 50)"
    ),
    "scale": _string_schema("original", "Size of the people in the result, `10%` to `100%`"),
    "position": _string_schema("original", "`center`, or one or two values from `0%` to `100%`"),
    "channels": _one_of(CHANNELS, "alpha: the mask as png; without effect with format=zip"),
    "semitransparency": {**_FLAG, "default": True, "description": "Accepted without effect"},
    "add_shadow": {**_FLAG, "default": False, "description": "Same as shadow_type=car"},
    "shadow_type": _one_of(
        tuple(SHADOWS), "3D and car: a shadow under the feet, where people are seen whole"
    ),
    "shadow_opacity": {"type": "number", "minimum": 0, "maximum": 100, "default": 50},
    "bg_color": _string_schema("", "3, 4, 6 or 8 hexadecimal digits, or the name of a color"),
    RECIPE: _string_schema(
        "", "Ours: names from `GET /v1/recipes`; their fields apply where the request gives none"
    ),
    "bg_image_url": {
        "type": "string",
        "format": "uri",
        "description": "URL of a background image; a worker fetches it",
    },
}
_FILES: Final[Schema] = {
    IMAGE_FILE: {
        "type": "string",
        "format": "binary",
        "description": "JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP or TIFF; "
        "at most "
        f"{MAX_PHOTO_BYTES} bytes and {MAX_PIXELS} pixels, {MAX_SIDE_PX} a side",
    },
    BACKGROUND_FILE: {
        "type": "string",
        "format": "binary",
        "description": "Background image, with the limits of the image; it fills the canvas",
    },
}
_ADDRESSED: Final[Schema] = {"image_url": "https://example.com/me.jpg", "size": "auto"}
# The route reads the body as a stream, without FastAPI.
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
    "X-RateLimit-Limit": {"description": "Requests per minute", **_INTEGER},
    "X-RateLimit-Remaining": {"description": "Requests left now", **_INTEGER},
    "X-RateLimit-Reset": {
        "description": "Unix time in seconds when all requests are available again",
        **_INTEGER,
    },
}
RESULT: Final[Schema] = {
    "description": "The image without its background; as JSON if `Accept` prefers it",
    "headers": {
        "X-Type": {
            "description": "person, else the class of the request's type at its type_level",
            "schema": {
                "enum": [PERSON_CLASS, *dict.fromkeys(OBJECT_CLASSES.values()), OTHER_CLASS]
            },
        },
        "X-Width": {"description": "Width of the result in pixels", **_INTEGER},
        "X-Height": {"description": "Height of the result in pixels", **_INTEGER},
        "X-Max-Width": {"description": "Width of the result with size=full", **_INTEGER},
        "X-Max-Height": {"description": "Height of the result with size=full", **_INTEGER},
        "X-Credits-Charged": {
            "description": "Megapixels that count toward today's limit",
            "schema": {"type": "number"},
        },
        **{
            f"X-Foreground-{side}": {
                "description": "Box around the people in the submitted image, in pixels",
                **_INTEGER,
            }
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
    "description": "The remaining credits",
    "headers": RATE_HEADERS,
    "content": {
        "application/json": {
            "examples": {
                "limit of 100 megapixels": {
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
