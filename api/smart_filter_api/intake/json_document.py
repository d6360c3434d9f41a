"""Read and parse small JSON bodies; their size is checked while they arrive."""

from collections.abc import AsyncIterator
from typing import IO, Any, Final, TypeVar

import anyio.to_thread
from fastapi import Request
from pydantic import BaseModel, ValidationError
from python_multipart.multipart import parse_options_header

from smart_filter_api.http import strict_json
from smart_filter_api.intake.body import read_with_timeout, refuse_compressed
from smart_filter_api.problems import problem
from smart_filter_shared.errors import FieldError, InvalidRequest, MalformedRequest
from smart_filter_shared.recipe.words import json_pointer

MAX_BYTES: Final = 65_536
_READ_TIMEOUT_SECONDS: Final = 10.0
_REFERENCE: Final = "#/components/schemas/{model}"

Document = TypeVar("Document", bound=BaseModel)


async def read(request: Request) -> bytes:
    """Return the body of a request.

    Raises MalformedRequest when it is too large or its Content-Type is not JSON, UnsupportedMedia
    when it is compressed.
    """
    return b"".join([piece async for piece in _read_pieces(request, most=MAX_BYTES)])


async def read_large(request: Request, file: IO[bytes], *, most: int) -> None:
    """Read the body of a request into a file, with the checks of `read`."""
    async for piece in _read_pieces(request, most=most):
        await anyio.to_thread.run_sync(file.write, piece)
    file.seek(0)


async def _read_pieces(request: Request, *, most: int) -> AsyncIterator[bytes]:
    refuse_other_types(request)
    length = 0
    async for piece in read_with_timeout(request.stream(), seconds=_READ_TIMEOUT_SECONDS):
        length += len(piece)
        if length > most:
            raise MalformedRequest(f"the document is larger than {most} bytes")
        yield piece


def refuse_other_types(request: Request) -> None:
    """Raise UnsupportedMedia for a compressed body, MalformedRequest for one that is not JSON."""
    refuse_compressed(request)
    if parse_options_header(request.headers.get("content-type"))[0] != b"application/json":
        raise MalformedRequest(
            "send a document with Content-Type: application/json", pointer="/Content-Type"
        )


def parse(kind: type[Document], body: bytes) -> Document:
    """Parse a body and return its document.

    Raises MalformedRequest when it is not JSON, and InvalidRequest, which names each invalid field.
    """
    values = strict_json.read_object(body)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InvalidRequest(
            [
                FieldError(
                    "".join(json_pointer(str(part)) for part in wrong["loc"]),
                    problem.plain_message(wrong["msg"]),
                )
                for wrong in error.errors(include_url=False, include_input=False)
            ]
        ) from None  # pydantic's error would repeat the client's values


def describe_body(kind: type[BaseModel]) -> dict[str, Any]:  # OpenAPI's own type
    """Return the OpenAPI description of a body; openapi/document.py adds the referenced schemas."""
    schema = kind.model_json_schema(ref_template=_REFERENCE)
    schema.pop("$defs", None)
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
