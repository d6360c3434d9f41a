"""Receive batches: spool each photo and check its header, as for single photos."""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import anyio.to_thread
from fastapi import Request

from smart_filter_api.intake import body, json_document
from smart_filter_api.intake.body import PhotoRequest
from smart_filter_api.intake.json_body import JsonSubmission
from smart_filter_api.services import idempotency
from smart_filter_api.submission import batch_body
from smart_filter_shared.errors import InvalidRecipe, Rejected
from smart_filter_shared.recipe.fields import Fields
from smart_filter_shared.takes import Best


@dataclass(frozen=True, slots=True)
class UploadedBatch:
    """The photos of a request and their recipes; an invalid item is represented by its error.

    common: the common recipe, which the items' recipes include.
    faults: the errors of the common fields, which reject the batch.
    best: number of photos that an album composes, or its take; None without an album.
    webhook_url: an additional address, besides the tenant's webhooks, for the final event; as the
        client sent it, not validated.
    fingerprint: equal only for identical batches; None where it was not requested.
    """

    items: Sequence[PhotoRequest | Rejected]
    common: Fields
    faults: Sequence[InvalidRecipe]
    best: Best | None
    webhook_url: str | None
    fingerprint: str | None = None

    def identify(self) -> Iterator[bytes]:
        """Yield pieces of a text that is equal only for identical batches, an item at a time.

        Every item has the common recipe, so the whole text could be a thousand times the body.
        """
        yield b"[["
        for index, item in enumerate(self.items):
            text = str(item) if isinstance(item, Rejected) else item.fingerprint.decode()
            yield (b", " if index else b"") + json.dumps(text).encode()
        faults = [str(fault) for fault in self.faults]
        yield b"], " + json.dumps([*faults, self.best, self.webhook_url]).encode()[1:]


@asynccontextmanager
async def receive_batch(
    request: Request, *, with_fingerprint: bool
) -> AsyncIterator[UploadedBatch]:
    """Receive the body of a request; its files are deleted when the block ends.

    with_fingerprint: whether to compute the fingerprint, which takes longer than parsing.
    Raises MalformedRequest, PhotoTooLarge for the whole body, UnsupportedMedia for a body that is
    compressed or not JSON, and ClientDisconnect when the body ends early.
    """
    json_document.refuse_other_types(request)
    with ExitStack() as open_files:
        raw = await body.spool_body(request, open_files, max_bytes=batch_body.MAX_BODY_BYTES)
        # A document is parsed in memory, so parse only one at a time, once it is complete.
        async with body.parsing(request, raw):
            sent = await anyio.to_thread.run_sync(lambda: batch_body.parse(raw.read()))
            items = [await _receive_item(item, open_files) for item in sent.items]
            received = UploadedBatch(items, sent.common, sent.faults, sent.best, sent.webhook_url)
            del sent  # free the photos, which are spooled now
            if with_fingerprint:
                fingerprint = await anyio.to_thread.run_sync(
                    lambda: idempotency.compute_fingerprint(request, received.identify())
                )
                received = replace(received, fingerprint=fingerprint)
        yield received


async def _receive_item(
    item: JsonSubmission | Rejected, open_files: ExitStack
) -> PhotoRequest | Rejected:
    if isinstance(item, Rejected):
        return item
    try:
        return await body.spool_submission(item, open_files)
    except Rejected as error:
        return error
