"""What Schemathesis is told of this API: what bytes a picture is, and what an address is.

It is loaded by Schemathesis itself, as schemathesis.toml says.
"""

import base64
import io
import re
import uuid
from collections.abc import Mapping

import schemathesis
from hypothesis import strategies
from PIL import Image


def _photo(format_: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (48, 32), "teal").save(buffer, format_)
    return buffer.getvalue()


_KEY = "Idempotency-Key"
_VALID_KEY = re.compile(r"[!#-~]{1,200}")
_PHOTO = base64.b64encode(_photo("JPEG")).decode()

for _media_type, _format in {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}.items():
    schemathesis.openapi.media_type(f"image/{_media_type}", strategies.just(_photo(_format)))
# Reserved names (RFC 2606): whatever is sent there finds nobody.
schemathesis.openapi.format(
    "uri",
    strategies.sampled_from(
        ["https://told.invalid/", "http://told.invalid:8080/a?b=c", "https://a.example.invalid/x"]
    ),
)


@schemathesis.hook
def map_headers(_: schemathesis.HookContext, headers: object) -> object:
    """Draw a new Idempotency-Key for each request, as clients do.

    One that is used twice is answered with what has been deleted since.
    """
    if isinstance(headers, Mapping) and _VALID_KEY.fullmatch(str(headers.get(_KEY, ""))):
        return {**headers, _KEY: f"{headers[_KEY]}-{uuid.uuid4()}"}
    return headers


@schemathesis.hook
def map_body(_: schemathesis.HookContext, body: object) -> object:
    """Put a photo where any text of base64 would stand."""
    if isinstance(body, dict) and isinstance(body.get("photo_base64"), str):
        return {**body, "photo_base64": _PHOTO}
    return body
