"""Batches as they arrive: photos are spooled and judged one by one, as single ones are."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

import anyio.to_thread
from fastapi import Request
from python_multipart.multipart import parse_options_header

from smart_filter_api import intake, json_body
from smart_filter_api.batches import body as batch_body
from smart_filter_api.batches.body import SentItem
from smart_filter_api.intake import Upload
from smart_filter_api.multipart import WEBHOOK_URL
from smart_filter_shared import web_address
from smart_filter_shared.errors import FieldError, InvalidRequest, MalformedRequest, Rejected
from smart_filter_shared.recipe.words import pointer


@dataclass(frozen=True, slots=True)
class UploadedBatch:
    """The photos of a request and their recipes; an item that may not enter is why.

    best: of an album, how many are composed.
    webhook_url: who is to be told of the batch's end beside the tenant's webhooks.
    """

    items: Sequence[Upload | Rejected]
    best: int | None
    webhook_url: str | None

    @property
    def fingerprint(self) -> bytes:
        """What tells it from any other batch."""
        items = [
            str(item) if isinstance(item, Rejected) else item.fingerprint.decode()
            for item in self.items
        ]
        return json.dumps([items, self.best, self.webhook_url]).encode()


@asynccontextmanager
async def received(request: Request) -> AsyncIterator[UploadedBatch]:
    """Take the body of a request; whatever ends the block, nothing of it is left behind.

    Raises MalformedRequest, PhotoTooLarge for all of it, InvalidRequest and InvalidRecipe for what
    holds for all items, UnsupportedMedia for what is compressed; ClientDisconnect when the body
    ends early.
    """
    intake.refuse_coded(request)
    if parse_options_header(request.headers.get("content-type"))[0] != b"application/json":
        raise MalformedRequest(
            "send a document with Content-Type: application/json", pointer="/Content-Type"
        )
    with ExitStack() as open_files:
        raw = await intake.whole(request, open_files, most=batch_body.MAX_BODY_BYTES)
        # A document is taken apart in memory: one after the other, when all of it is here.
        async with request.app.state.services.json_bodies:
            sent = await anyio.to_thread.run_sync(lambda: batch_body.read(raw.read()))
            told = None if sent.webhook_url is None else _address(sent.webhook_url)
            items = [await _taken(item, open_files) for item in sent.items]
        best = sent.best
        del sent  # the photos are in their files by now
        yield UploadedBatch(items, best, told)


async def _taken(item: SentItem | Rejected, open_files: ExitStack) -> Upload | Rejected:
    if isinstance(item, Rejected):
        return item
    try:
        photo = (
            intake.elsewhere(item.photo_url, item.upload_id)
            if item.photo is None
            else await intake.spooled(item.photo, open_files, sent_as=json_body.PHOTO)
        )
        return Upload(photo, None, item.fields)
    except Rejected as error:
        return error


def _address(text: str) -> str:
    try:
        return str(web_address.read(text))
    except ValueError as error:
        raise InvalidRequest([FieldError(pointer(WEBHOOK_URL), str(error))]) from error
