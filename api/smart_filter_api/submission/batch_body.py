"""Receive the JSON body of a batch: items, each with a photo and its own fields, and common fields.

As for a single photo, the base64 texts of photos are cut out of the body before parsing.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Generic, TypeAlias, TypeVar

import anyio.to_thread
from fastapi import Request

from smart_filter_api.http import strict_json
from smart_filter_api.intake import body, json_body, json_document
from smart_filter_api.intake.body import PhotoRequest
from smart_filter_api.intake.json_body import PHOTO, SOURCES, JsonSubmission
from smart_filter_api.intake.multipart import (
    MAX_BASE64_BYTES,
    MAX_PARTS,
    PHOTO_NAME,
    PHOTO_URL,
    UPLOAD_ID,
    WEBHOOK_URL,
)
from smart_filter_api.problems import validation
from smart_filter_api.services import idempotency
from smart_filter_shared.albums import MAX_SHOTS, MIN_SHOTS, Best
from smart_filter_shared.catalog.scalars import Value, as_list, as_text
from smart_filter_shared.errors import (
    FieldError,
    InvalidRecipe,
    InvalidRequest,
    MalformedRequest,
    PhotoTooLarge,
    Rejected,
)
from smart_filter_shared.queue.batches import MAX_ITEMS
from smart_filter_shared.recipe import Output
from smart_filter_shared.recipe.declaration import json_pointer
from smart_filter_shared.recipe.fields import Fields, drop_replaced
from smart_filter_wire.findings import TAKE

# Size limit without the photos: a thousand items, each with a URL or a recipe of its own.
MAX_OTHER_BYTES: Final = 4_000_000
# All photos together have the size limit of one.
MAX_BODY_BYTES: Final = MAX_BASE64_BYTES + MAX_OTHER_BYTES
# Every item includes the common recipe, so its size counts a thousand times; the longest metadata
# takes half of this. In UTF-8, where a character is up to four bytes.
_MAX_COMMON_BYTES: Final = 32_768

# A wrong recipe costs a hundred times a valid one: the nearest names are searched for each fault.
MAX_WRONG_ITEMS: Final = 100

_NAMES: Final = ("items", "recipe", "album", WEBHOOK_URL)
_ITEM_NAMES: Final = (*SOURCES, PHOTO_NAME, "recipe", "metadata")
_METADATA: Final = "metadata."
_OUTPUTS: Final = "outputs"
# Base64 has no quotes, and other JSON strings escape theirs, so this cannot match inside them.
_PHOTO_TEXT: Final = re.compile(rb'("photo_base64"[ \t\r\n]*:[ \t\r\n]*")([^"]*)"')
# Replaces the text of a photo in the body; the number is its index among the photos.
_PHOTO_PLACEHOLDER: Final = re.compile(r"#([0-9]{1,7})")


Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class SentBatch(Generic[Item]):
    """A batch; an invalid item is represented by its error.

    items: those up to the last wrong one that is accepted; a fault says that others follow. Of a
        parsed body, then of photos whose bytes are spooled.
    common: the common recipe, which the items' recipes include.
    faults: the errors of the common fields, which reject the batch.
    best: number of photos that an album composes, or its take; None without an album.
    webhook_url: an additional address, besides the tenant's webhooks, for the final event; as the
        client sent it, not validated.
    fingerprint: equal only for identical batches; None where it was not requested.
    """

    items: Sequence[Item | Rejected]
    common: Fields
    faults: Sequence[InvalidRecipe]
    best: Best | None
    webhook_url: str | None
    fingerprint: str | None = None


def parse(body: bytes) -> SentBatch[JsonSubmission]:
    """Parse a body and return its items and common fields.

    Raises MalformedRequest for another document, PhotoTooLarge for the whole body, InvalidRequest
    for too many photos. The error of an item takes its place in `items`; those of the common fields
    are `faults`, which end with an error for all items once MAX_WRONG_ITEMS are wrong.
    """
    photos = _find_photos(body)
    rest_bytes = len(body) - sum(end - start for start, end in photos)
    if rest_bytes > MAX_OTHER_BYTES:
        raise PhotoTooLarge(
            f"the body is too large; without the photos at most {MAX_OTHER_BYTES} bytes are "
            "accepted"
        )
    document = strict_json.read_object(_cut_photos(body, photos))
    faults: list[InvalidRecipe] = []
    with _collect(faults):
        json_body.refuse_unknown_names(document, _NAMES, InvalidRequest)
    items = document.get("items")
    if not isinstance(items, list) or not 0 < len(items) <= MAX_ITEMS:
        faults.append(_wrong_number_of_items())
        items = []
    common: Fields = {}
    with _collect(faults):
        common = _read_common(document.get("recipe"))
    webhook_url = None
    with _collect(faults):
        webhook_url = json_body.read_texts(document, (WEBHOOK_URL,))[WEBHOOK_URL]
    best = None
    with _collect(faults):
        best = _parse_best(document.get("album"))
        if best == TAKE and items and not MIN_SHOTS <= len(items) <= MAX_SHOTS:
            raise InvalidRequest([FieldError("/album/best", _describe_wrong_shots(len(items)))])
    texts = [memoryview(body)[start:end] for start, end in photos]
    parsed: list[JsonSubmission | Rejected] = []
    wrong = 0
    for index, item in enumerate(items):
        parsed.append(_parse_item(item, texts, common, is_ranked=best is not None))
        wrong += isinstance(parsed[-1], Rejected)
        if wrong == MAX_WRONG_ITEMS:
            faults.append(too_many_wrong(index))
            break
    return SentBatch(parsed, common, faults, best, webhook_url)


def too_many_wrong(last: int) -> InvalidRecipe:
    """Return the error of a batch with too many wrong items; last: the index of the last one."""
    detail = f"{MAX_WRONG_ITEMS} items are wrong; those after /items/{last} were not read"
    return InvalidRecipe([FieldError("/items", detail)])


def _find_photos(body: bytes) -> list[tuple[int, int]]:
    """Return where the texts of photos begin and end.  Raises InvalidRequest for too many."""
    # Each match takes ten times its bytes, so stop at the bound.
    matches = islice(_PHOTO_TEXT.finditer(body), MAX_ITEMS + 1)
    photos = [match.span(2) for match in matches]
    if len(photos) > MAX_ITEMS:
        raise _wrong_number_of_items()
    return photos


def _cut_photos(body: bytes, photos: Sequence[tuple[int, int]]) -> bytes:
    """Return a body with a placeholder for each photo's text."""
    pieces = []
    cut_to = 0
    for index, (start, end) in enumerate(photos):
        pieces += [body[cut_to:start], b"#%d" % index]
        cut_to = end
    return b"".join([*pieces, body[cut_to:]])


def _wrong_number_of_items() -> InvalidRequest:
    detail = f"is not a list of 1 to {MAX_ITEMS} photos and their recipes"
    return InvalidRequest([FieldError("/items", detail)])


@contextmanager
def _collect(faults: list[InvalidRecipe]) -> Iterator[None]:
    """Add the errors of fields that a block raises to `faults`."""
    try:
        yield
    except InvalidRecipe as error:
        faults.append(error)


def _describe_wrong_shots(count: int) -> str:
    return (
        f"is {TAKE}, which composes one picture of {MIN_SHOTS} to {MAX_SHOTS} photos of the same"
        f" people; the batch has {count}: send that many, or set a number of best photos"
    )


def _parse_best(album: object) -> Best | None:
    if album is None:
        return None
    unknown = (
        [name for name in album if name != "best"][:MAX_PARTS] if isinstance(album, dict) else []
    )
    if unknown:
        raise InvalidRequest(
            [
                FieldError(
                    "/album" + json_pointer(name), validation.describe_unknown_name(name, ("best",))
                )
                for name in unknown
            ]
        )
    best = album.get("best") if isinstance(album, dict) else None
    if best == TAKE:
        return TAKE
    if isinstance(best, bool) or not isinstance(best, int) or not 0 <= best <= MAX_ITEMS:
        detail = f"is neither a whole number from 0 to {MAX_ITEMS} nor {TAKE}"
        raise InvalidRequest([FieldError("/album/best", detail)])
    return best


def _parse_item(
    item: object,
    photos: Sequence[memoryview],
    common: Fields,
    *,
    is_ranked: bool,
) -> JsonSubmission | Rejected:
    try:
        if not isinstance(item, dict):
            raise MalformedRequest('the item is not an object such as {"photo_base64": …}')
        json_body.refuse_unknown_names(item, _ITEM_NAMES, InvalidRecipe)
        source = json_body.require_one_source(item)
        fields_of_item = json_body.read_fields(item.get("recipe"))
        fields: Fields = {
            **drop_replaced(common, fields_of_item),
            **fields_of_item,
            **_metadata_fields(item.get("metadata")),
        }
        fields = with_rating(fields) if is_ranked else fields
        texts = json_body.read_texts(item, (PHOTO_URL, UPLOAD_ID, PHOTO_NAME))
        photo = _decode_photo(item[PHOTO], photos) if source == PHOTO else None
        return JsonSubmission(photo, fields, **texts)
    except Rejected as error:
        return error


def _read_common(recipe: object) -> Mapping[str, Value]:
    """Return the fields of the common recipe.  Raises InvalidRecipe, also when it is too large."""
    fields = json_body.read_fields(recipe)
    length = sum(
        len(name.encode()) + sum(len(as_text(value).encode()) for value in as_list(values))
        for name, values in fields.items()
    )
    if length > _MAX_COMMON_BYTES:
        detail = f"is longer than {_MAX_COMMON_BYTES} bytes"
        raise InvalidRecipe([FieldError("/recipe", detail)])
    return fields


def _decode_photo(mark: object, photos: Sequence[memoryview]) -> bytes:
    match = _PHOTO_PLACEHOLDER.fullmatch(mark) if isinstance(mark, str) else None
    if match is None or int(match[1]) >= len(photos):
        raise MalformedRequest(f"{PHOTO} is not a base64 string", pointer=json_pointer(PHOTO))
    return json_body.decode_photo(photos[int(match[1])])


def _metadata_fields(metadata: object) -> dict[str, Value]:
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise InvalidRecipe([FieldError("/metadata", "is not an object of strings")])
    fields = json_body.read_fields({"metadata": metadata})
    return {name: value for name, value in fields.items() if name.startswith(_METADATA)}


def with_rating(fields: Fields) -> Fields:
    """Return the fields of a photo of an album, with `rating` added to its outputs."""
    outputs = as_list(fields.get(_OUTPUTS, Output.IMAGE))
    if any(Output.RATING in as_text(value).split(",") for value in outputs):
        return fields
    return {**fields, _OUTPUTS: [*outputs, Output.RATING]}


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
        raw = await body.spool_body(request, open_files, max_bytes=MAX_BODY_BYTES)
        # A document is parsed in memory, so parse only one at a time, once it is complete.
        async with body.parsing(request, raw):
            sent = await anyio.to_thread.run_sync(lambda: parse(raw.read()))
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
