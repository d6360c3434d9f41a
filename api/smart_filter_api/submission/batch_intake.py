"""Receive batches: spool each photo and check its header, as for single photos."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

import anyio.to_thread
from fastapi import Request

from smart_filter_api.intake import body, json_document
from smart_filter_api.intake.body import PhotoRequest
from smart_filter_api.intake.json_body import JsonSubmission
from smart_filter_api.intake.multipart import WEBHOOK_URL
from smart_filter_api.submission import batch_body
from smart_filter_shared.errors import FieldError, InvalidRequest, Rejected
from smart_filter_shared.recipe.words import json_pointer
from smart_filter_shared.security import urls


@dataclass(frozen=True, slots=True)
class UploadedBatch:
    """The photos of a request and their recipes; an invalid item is represented by its error.

    best: number of photos that an album composes; None without an album.
    webhook_url: an additional address, besides the tenant's webhooks, for the final event.
    """

    items: Sequence[PhotoRequest | Rejected]
    best: int | None
    webhook_url: str | None

    @property
    def fingerprint(self) -> bytes:
        """Return bytes that are equal only for identical batches."""
        items = [
            str(item) if isinstance(item, Rejected) else item.fingerprint.decode()
            for item in self.items
        ]
        return json.dumps([items, self.best, self.webhook_url]).encode()


@asynccontextmanager
async def receive_batch(request: Request) -> AsyncIterator[UploadedBatch]:
    """Receive the body of a request; its files are deleted when the block ends.

    Raises MalformedRequest, PhotoTooLarge for the whole body, InvalidRequest and InvalidRecipe for
    the common fields, UnsupportedMedia for a compressed body, and ClientDisconnect when the body
    ends early.
    """
    json_document.refuse_other_types(request)
    with ExitStack() as open_files:
        raw = await body.spool_body(request, open_files, most=batch_body.MAX_BODY_BYTES)
        # A document is parsed in memory, so parse only one at a time, once it is complete.
        async with request.app.state.services.json_bodies:
            sent = await anyio.to_thread.run_sync(lambda: batch_body.parse(raw.read()))
            webhook_url = None if sent.webhook_url is None else _parse_webhook_url(sent.webhook_url)
            items = [await _receive_item(item, open_files) for item in sent.items]
        best = sent.best
        del sent  # free the photos, which are spooled now
        yield UploadedBatch(items, best, webhook_url)


async def _receive_item(
    item: JsonSubmission | Rejected, open_files: ExitStack
) -> PhotoRequest | Rejected:
    if isinstance(item, Rejected):
        return item
    try:
        return await body.spool_submission(item, open_files)
    except Rejected as error:
        return error


def _parse_webhook_url(text: str) -> str:
    try:
        return str(urls.parse(text))
    except ValueError as error:
        raise InvalidRequest([FieldError(json_pointer(WEBHOOK_URL), str(error))]) from error
