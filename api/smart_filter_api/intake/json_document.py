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
# Above this many errors none is described: pydantic describes all or none, 15 µs each.
_MAX_DESCRIBED_ERRORS: Final = 20_000
# The field of a document that names the address of a webhook, unless a caller says otherwise.
_WEBHOOK_FIELD: Final = "webhook_url"
_TOO_LARGE: Final = "the document is larger than {} bytes"
REFERENCE: Final = "#/components/schemas/{model}"

Document = TypeVar("Document", bound=BaseModel)


async def read_body(request: Request) -> bytes:
    """Return the body of a request.

    Raises MalformedRequest when it is too large, UnsupportedMedia when it is compressed or its
    Content-Type is not JSON.
    """
    refusal = MalformedRequest(_TOO_LARGE.format(MAX_BYTES))
    with ExitStack() as open_files:
        pieces = _read_pieces(request, open_files, max_bytes=MAX_BYTES, refusal=refusal)
        return b"".join([piece async for piece in pieces])


async def read_large(
    request: Request, file: IO[bytes], open_files: ExitStack, *, max_bytes: int
) -> None:
    """Read the body of a request, which holds a picture, into a file.

    open_files: until it closes, the bytes count as under way.
    Raises PhotoTooLarge, and UnsupportedMedia as `read_body` does.
    """
    refusal = PhotoTooLarge(_TOO_LARGE.format(max_bytes))
    async for piece in _read_pieces(request, open_files, max_bytes=max_bytes, refusal=refusal):
        await anyio.to_thread.run_sync(file.write, piece)
    file.seek(0)


def _read_pieces(
    request: Request, open_files: ExitStack, *, max_bytes: int, refusal: InvalidInput
) -> AsyncIterator[bytes]:
    refuse_other_types(request)
    return read_chunks(
        request, open_files, max_bytes=max_bytes, seconds=_READ_TIMEOUT_SECONDS, refusal=refusal
    )


def refuse_other_types(request: Request) -> None:
    """Raise UnsupportedMedia for a body that is compressed or is not JSON."""
    refuse_compressed(request)
    content_type = request.headers.get("content-type")
    if parse_options_header(content_type)[0] != JSON.encode():
        raise unsupported_type(content_type, (JSON,))


def parse_document(
    kind: type[Document], body: bytes, *, webhook_field: str = _WEBHOOK_FIELD
) -> Document:
    """Parse a body and return its document.

    webhook_field: the field that names the address of a webhook.
    Raises MalformedRequest when it is not JSON, and InvalidRequest, which names each invalid field,
    or InvalidWebhookUrl when only that is invalid, or InvalidRecipe for recipe fields at the top.
    """
    return validate_document(kind, strict_json.read_object(body), webhook_field=webhook_field)


def validate_document(
    kind: type[Document], values: Mapping[str, object], *, webhook_field: str = _WEBHOOK_FIELD
) -> Document:
    """Return the document of a parsed body; raises the errors of its fields as `parse_document`."""
    try:
        return kind.model_validate(values)
    except ValidationError as invalid:
        if invalid.error_count() > _MAX_DESCRIBED_ERRORS:
            detail = f"has more than {_MAX_DESCRIBED_ERRORS} errors; compare it with the reference"
            raise InvalidRequest([FieldError("", detail)]) from None
        errors = invalid.errors(include_url=False)[:_MAX_ERRORS]
        faults = [validation.describe_document_error(error, kind) for error in errors]
        if all(validation.is_recipe_field(error, kind) for error in errors):
            raise InvalidRecipe(faults) from None
        only_webhook = all(validation.is_about(webhook_field, error, kind) for error in errors)
        # pydantic's error would repeat the client's values.
        raise (InvalidWebhookUrl if only_webhook else InvalidRequest)(faults) from None


def describe_body(kind: type[BaseModel]) -> dict[str, Any]:  # OpenAPI's own type
    """Return the OpenAPI description of a body; openapi/document.py lifts its `$defs`."""
    schema = kind.model_json_schema(ref_template=REFERENCE)
    definitions = {**schema.pop("$defs", {}), kind.__name__: schema}
    reference = {"$ref": REFERENCE.format(model=kind.__name__), "$defs": definitions}
    content = {"application/json": {"schema": reference}}
    return {"requestBody": {"required": True, "content": content}}
