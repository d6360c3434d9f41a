"""Small JSON documents as bodies, bounded as they arrive."""

from typing import IO, Any, Final, TypeVar

import anyio.to_thread
from fastapi import Request
from pydantic import BaseModel, ValidationError
from python_multipart.multipart import parse_options_header

from smart_filter_api import json_text, problems
from smart_filter_api.intake import in_time, refuse_coded
from smart_filter_shared.errors import FieldError, InvalidRequest, MalformedRequest
from smart_filter_shared.recipe.words import pointer

MOST_BYTES: Final = 65_536
_SILENT_SECONDS: Final = 10.0
_REFERENCE: Final = "#/components/schemas/{model}"

Document = TypeVar("Document", bound=BaseModel)


async def read(request: Request) -> bytes:
    """Return the body of a request.

    Raises MalformedRequest when it is too large, or called anything but JSON; UnsupportedMedia
    when it is compressed.
    """
    _refuse_other_types(request)
    body = bytearray()
    async for piece in in_time(request.stream(), seconds=_SILENT_SECONDS):
        body += piece
        if len(body) > MOST_BYTES:
            raise MalformedRequest(f"the document is larger than {MOST_BYTES} bytes")
    return bytes(body)


async def read_large(request: Request, file: IO[bytes], *, most: int) -> None:
    """Take the body of a request into a file, as `read` does into memory."""
    _refuse_other_types(request)
    length = 0
    async for piece in in_time(request.stream(), seconds=_SILENT_SECONDS):
        length += len(piece)
        if length > most:
            raise MalformedRequest(f"the document is larger than {most} bytes")
        await anyio.to_thread.run_sync(file.write, piece)
    file.seek(0)


def _refuse_other_types(request: Request) -> None:
    refuse_coded(request)
    if parse_options_header(request.headers.get("content-type"))[0] != b"application/json":
        raise MalformedRequest(
            "send a document with Content-Type: application/json", pointer="/Content-Type"
        )


def parse(kind: type[Document], body: bytes) -> Document:
    """Return the document that a body is.

    Raises MalformedRequest when it is none, InvalidRequest, which names every field at fault.
    """
    values = json_text.read_object(body)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InvalidRequest(
            [
                FieldError(
                    "".join(pointer(str(part)) for part in wrong["loc"]),
                    problems.plainly(wrong["msg"]),
                )
                for wrong in error.errors(include_url=False, include_input=False)
            ]
        ) from None  # the original would repeat what was sent


def described(kind: type[BaseModel]) -> dict[str, Any]:  # OpenAPI's own type
    """Return OpenAPI's description of a body; what it refers to, openapi/document.py adds."""
    schema = kind.model_json_schema(ref_template=_REFERENCE)
    schema.pop("$defs", None)
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
