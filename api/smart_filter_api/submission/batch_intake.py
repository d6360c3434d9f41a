"""Receive batches: spool each photo and check its header, as for single photos."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from typing import TypeAlias

import anyio.to_thread
from fastapi import Request

from smart_filter_api.intake import body, json_document
from smart_filter_api.intake.body import PhotoRequest
from smart_filter_api.intake.json_body import JsonSubmission
from smart_filter_api.services import idempotency
from smart_filter_api.submission import batch_body
from smart_filter_api.submission.batch_body import SentBatch
from smart_filter_shared.errors import Rejected

UploadedBatch: TypeAlias = SentBatch[PhotoRequest]


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
            received = SentBatch(items, sent.common, sent.faults, sent.best, sent.webhook_url)
            del sent  # free the photos, which are spooled now
            if with_fingerprint:
                fingerprint = await anyio.to_thread.run_sync(
                    lambda: idempotency.compute_fingerprint(request, identify_batch(received))
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


def identify_batch(batch: UploadedBatch) -> Iterator[bytes]:
    """Yield pieces of a text that is equal only for identical batches, an item at a time.

    Every item has the common recipe, so the whole text could be a thousand times the body.
    """
    yield b"[["
    for index, item in enumerate(batch.items):
        text = str(item) if isinstance(item, Rejected) else item.fingerprint.decode()
        yield (b", " if index else b"") + json.dumps(text).encode()
    faults = [str(fault) for fault in batch.faults]
    yield b"], " + json.dumps([*faults, batch.best, batch.webhook_url]).encode()[1:]
