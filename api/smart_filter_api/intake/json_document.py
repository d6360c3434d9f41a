"""Read and parse small JSON bodies; their size is checked while they arrive."""

from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from typing import IO, Any, Final, TypeVar

import anyio.to_thread
from fastapi import Request
from pydantic import BaseModel, ValidationError
from python_multipart.multipart import parse_options_header

from smart_filter_api.http import strict_json
from smart_filter_api.intake.body import (
    JSON,
    read_chunks,
    refuse_compressed,
    unsupported_type,
)
from smart_filter_api.problems import validation
from smart_filter_shared.errors import (
    FieldError,
    InvalidInput,
    InvalidRecipe,
    InvalidRequest,
    InvalidWebhookUrl,
    MalformedRequest,
    PhotoTooLarge,
)

MAX_BYTES: Final = 65_536
_READ_TIMEOUT_SECONDS: Final = 10.0
# Errors that one answer names.
_MAX_ERRORS: Final = 50
# Above this number none is named: pydantic describes all or none, at 15 µs each.
_MAX_DESCRIBED_ERRORS: Final = 20_000
# The field of a document that names the address of a webhook, unless a caller says otherwise.
_WEBHOOK_FIELD: Final = "webhook_url"
REFERENCE: Final = "#/components/schemas/{model}"

Document = TypeVar("Document", bound=BaseModel)


async def read_body(request: Request) -> bytes:
    """Return the body of a request.

    Raises MalformedRequest when it is too large, UnsupportedMedia when it is compressed or its
    Content-Type is not JSON.
    """
    with ExitStack() as held:
        return b"".join([piece async for piece in _read_pieces(request, held, most=MAX_BYTES)])


async def read_large(
    request: Request, file: IO[bytes], open_files: ExitStack, *, most: int
) -> None:
    """Read the body of a request, which holds a picture, into a file, with the checks of `read`.

    open_files: until it closes, the bytes count as under way.  Raises PhotoTooLarge.
    """
    async for piece in _read_pieces(request, open_files, most=most, refusal=PhotoTooLarge):
        await anyio.to_thread.run_sync(file.write, piece)
    file.seek(0)


async def _read_pieces(
    request: Request,
    open_files: ExitStack,
    *,
    most: int,
    refusal: type[InvalidInput] = MalformedRequest,
) -> AsyncIterator[bytes]:
    refuse_other_types(request)
    length = 0
    async for piece in read_chunks(request, open_files, most=most, seconds=_READ_TIMEOUT_SECONDS):
        length += len(piece)
        if length > most:
            raise refusal(f"the document is larger than {most} bytes")
        yield piece


def refuse_other_types(request: Request) -> None:
    """Raise UnsupportedMedia for a body that is compressed or is not JSON."""
    refuse_compressed(request)
    content_type = request.headers.get("content-type")
    if parse_options_header(content_type)[0] != JSON.encode():
        raise unsupported_type(content_type, (JSON,))


def parse(kind: type[Document], body: bytes, *, webhook_field: str = _WEBHOOK_FIELD) -> Document:
    """Parse a body and return its document.

    webhook_field: the field that names the address of a webhook.
    Raises MalformedRequest when it is not JSON, and InvalidRequest, which names each invalid field,
    or InvalidWebhookUrl when only that is invalid, or InvalidRecipe for recipe fields at the top.
    """
    return validate(kind, strict_json.read_object(body), webhook_field=webhook_field)


def validate(
    kind: type[Document], values: Mapping[str, object], *, webhook_field: str = _WEBHOOK_FIELD
) -> Document:
    """Return the document of a parsed body; raises InvalidRequest and its kinds as `parse` does."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        if error.error_count() > _MAX_DESCRIBED_ERRORS:
            detail = f"has more than {_MAX_DESCRIBED_ERRORS} errors; compare it with the reference"
            raise InvalidRequest([FieldError("", detail)]) from None
        errors = error.errors(include_url=False)[:_MAX_ERRORS]
        faults = [validation.describe_document_error(wrong, kind) for wrong in errors]
        if all(validation.is_recipe_field(wrong, kind) for wrong in errors):
            raise InvalidRecipe(faults) from None
        only_webhook = all(validation.is_about(webhook_field, wrong, kind) for wrong in errors)
        # pydantic's error would repeat the client's values.
        raise (InvalidWebhookUrl if only_webhook else InvalidRequest)(faults) from None


def describe_body(kind: type[BaseModel]) -> dict[str, Any]:  # OpenAPI's own type
    """Return the OpenAPI description of a body; openapi/document.py lifts its `$defs`."""
    schema = kind.model_json_schema(ref_template=REFERENCE)
    definitions = {**schema.pop("$defs", {}), kind.__name__: schema}
    reference = {"$ref": REFERENCE.format(model=kind.__name__), "$defs": definitions}
    content = {"application/json": {"schema": reference}}
    return {"requestBody": {"required": True, "content": content}}
