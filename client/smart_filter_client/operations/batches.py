"""Batches and albums: many photos in one submission."""

import base64
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from smart_filter_client.errors import Gone
from smart_filter_client.http import exchange
from smart_filter_client.http.connection import Connection, Request, path
from smart_filter_client.http.exchange import iterate_list
from smart_filter_client.models import Batch
from smart_filter_client.operations import photos
from smart_filter_client.operations.jobs import to_form_fields, with_wait
from smart_filter_client.operations.photos import Photo, Upload
from smart_filter_client.reading import read_answer
from smart_filter_client.recipe import NO_FIELDS, Recipe


@dataclass(frozen=True, slots=True)
class Item:
    """A photo of a batch, with recipe fields of its own.

    photo_name: of the photo's file; None: a file's own name.
    """

    photo: Photo
    recipe: Recipe | None = None
    photo_name: str | None = None


async def submit_batch(
    client: Connection,
    items: Sequence[Photo | Item],
    recipe: Recipe = NO_FIELDS,
    *,
    best: int | Literal["take"] | None = None,
    webhook_url: str | None = None,
    wait: float | None = None,
    idempotency_key: str | None = None,
) -> Batch:
    """Submit photos together; return their batch, whose jobs are queued.

    items: at most 1,000 photos as for `submit`. Files and bytes that are many or large are
        uploaded one after the other; to upload concurrently, pass the Uploads of `upload`.
    best: makes the batch an album: the photos are ranked, and only the first `best` composed.
        "take": one picture of 2 to 12 photos, with each person's best face (`Batch.take`).
    idempotency_key: as for `submit`; for large photos pass Uploads.
    An error of one photo is in its item, and the others run.
    Raises OSError when a file cannot be read.
    """
    wanted = [given if isinstance(given, Item) else Item(given) for given in items]
    held: list[Path | bytes | str | Upload] = []
    size = 0
    for item in wanted:
        photo = item.photo
        if not isinstance(photo, str | Upload):
            photo = await photos.make_resendable(client, photo)
            size += (await photos.measure_photo(client, photo))[0]
        held.append(photo)
    shown: list[dict[str, object]] = []
    for item, photo in zip(wanted, held, strict=True):
        source = await _photo_source(client, photo, is_uploaded=size > photos.LARGE_BYTES)
        set_here = {} if item.recipe is None else {"recipe": to_form_fields(item.recipe)}
        shown.append({**source, **photos.name_field(item.photo, item.photo_name), **set_here})
    body: dict[str, object] = {"items": shown, "recipe": to_form_fields(recipe)}
    if best is not None:
        body["album"] = {"best": best}
    if webhook_url is not None:
        body["webhook_url"] = webhook_url
    request = with_wait(Request(method="POST", path=path("batches"), json=body), wait)
    return read_answer(Batch, await exchange.post(client, request, idempotency_key))


async def batch(client: Connection, batch_id: str) -> Batch:
    """Return a batch as it is now."""
    return await exchange.get(client, Batch, "batches", batch_id)


def batches(client: Connection, *, limit: int | None = None) -> AsyncGenerator[Batch]:
    """Yield batches without their items, newest first; at most `limit`."""
    return iterate_list(client, path("batches"), Batch, limit=limit)


async def cancel_batch(client: Connection, batch_id: str) -> Batch:
    """Cancel all unfinished jobs of a batch; return the batch afterward."""
    return await exchange.send(client, Batch, "POST", "batches", batch_id, "cancel")


async def delete_batch(client: Connection, batch_id: str) -> None:
    """Delete a batch, its jobs and their results; a deleted batch is no error."""
    try:
        await exchange.delete(client, "batches", batch_id)
    except Gone:
        return


async def _photo_source(
    client: Connection, photo: Path | bytes | str | Upload, *, is_uploaded: bool
) -> dict[str, str]:
    """Return the fields that name an item's photo."""
    if isinstance(photo, str | Upload):
        return photos.photo_reference(photo)
    if is_uploaded:
        return photos.photo_reference(await photos.upload_photo(client, photo))
    content = await photos.read_photo(client, photo)
    return {"photo_base64": base64.b64encode(content).decode()}
