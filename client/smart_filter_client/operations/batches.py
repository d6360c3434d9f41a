"""Batches and albums: many photos in one submission."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smart_filter_client import exchange
from smart_filter_client.errors import Gone
from smart_filter_client.flows import Feed, Flow, Server
from smart_filter_client.models import Batch, batch_from
from smart_filter_client.operations import photos
from smart_filter_client.operations.listing import listed
from smart_filter_client.operations.photos import Photo, Upload
from smart_filter_client.operations.recipes import Recipe, waiting, written
from smart_filter_client.requests import Request, path


@dataclass(frozen=True, slots=True)
class Item:
    """A photo of a batch, and what is to be other for it than for all."""

    photo: Photo
    recipe: Recipe | None = None


def submit_batch(
    server: Server,
    items: Sequence[Photo | Item],
    recipe: Recipe | None = None,
    *,
    best: int | None = None,
    webhook_url: str | None = None,
    wait: float | None = None,
    idempotency_key: str | None = None,
) -> Flow[Batch]:
    """Send photos together; return their batch, whose jobs are queued.

    items: at most 1,000 photos as `submit` takes them.  Files and bytes are sent along when they
        are few and small; else each is uploaded, one after the other: whoever wants that done at
        once calls `upload` for each, and names the Uploads here.
    best: the photos are an album: they are ranked, and only so many of them are composed.
    idempotency_key: as for `submit`; of large photos name Uploads then, for each upload is another.
    What is wrong with one photo is told at its item, and the others run.
    Raises OSError when a file cannot be read.
    """
    wanted = [one if isinstance(one, Item) else Item(one) for one in items]
    held: list[Path | bytes | str | Upload] = []
    size = 0
    for item in wanted:
        photo = item.photo
        if not isinstance(photo, str | Upload):
            photo = yield from photos.held(photo)
            size += (yield from photos.measured(photo))[0]
        held.append(photo)
    shown: list[dict[str, object]] = []
    for item, photo in zip(wanted, held, strict=True):
        source = yield from _source(server, photo, is_uploaded=size > photos.LARGE_BYTES)
        own = {} if item.recipe is None else {"recipe": written(item.recipe)}
        shown.append({**source, **own})
    body: dict[str, object] = {"items": shown, "recipe": written(recipe)}
    if best is not None:
        body["album"] = {"best": best}
    if webhook_url is not None:
        body["webhook_url"] = webhook_url
    request = waiting(Request(method="POST", path=path("batches"), json=body), wait)
    return batch_from((yield from exchange.post(server, request, idempotency_key)))


def batch(server: Server, batch_id: str) -> Flow[Batch]:
    """Return a batch as it is now."""
    request = Request(method="GET", path=path("batches", batch_id))
    return batch_from((yield from exchange.ask_json(server, request)))


def batches(server: Server, *, limit: int | None = None) -> Feed[Batch]:
    """Yield batches without their items, newest first; at most so many."""
    yield from listed(server, path("batches"), batch_from, limit=limit)


def cancel_batch(server: Server, batch_id: str) -> Flow[Batch]:
    """Withdraw whatever of a batch has not ended; return it as it is then."""
    request = Request(method="POST", path=path("batches", batch_id, "cancel"))
    return batch_from((yield from exchange.post(server, request)))


def delete_batch(server: Server, batch_id: str) -> Flow[None]:
    """Delete a batch, its jobs, and all that they have made; one that is deleted is no error."""
    try:
        yield from exchange.ask(server, Request(method="DELETE", path=path("batches", batch_id)))
    except Gone:
        return


def _source(
    server: Server, photo: Path | bytes | str | Upload, *, is_uploaded: bool
) -> Flow[dict[str, str]]:
    """Return how an item names its photo."""
    if isinstance(photo, str | Upload):
        return photos.named(photo)
    if is_uploaded:
        return photos.named((yield from photos.uploaded(server, photo)))
    content = yield from photos.contents(photo)
    return {"photo_base64": base64.b64encode(content).decode()}
