"""Submits the photos of a folder as one album, whose best are composed."""

import contextlib
import dataclasses
import hashlib
import re
import secrets
from collections.abc import Callable, Sequence
from typing import Final

from smart_filter_client import Batch, Client, Item, Upload
from smart_filter_client.errors import Gone, NotFound, Refused
from smart_filter_client.operations.photos import LARGE_BYTES
from smart_filter_deploy.cli.batch.journal import Journal, JournalEntry
from smart_filter_deploy.cli.batch.report import Row, failed_row, known_row
from smart_filter_deploy.cli.batch.retry import RetryingClient, StoppedWhileAway
from smart_filter_deploy.cli.batch.watch import FoundPhoto
from smart_filter_deploy.cli.batch.worker import PhotoFailed, PhotoWorker, new_entry, read_photo
from smart_filter_deploy.cli.server.connection import is_about_usage, to_command_error
from smart_filter_deploy.cli.server.submit_and_fetch import PhotoRequest, refusal_failure
from smart_filter_deploy.cli.terminal.exit_codes import CommandError
from smart_filter_deploy.cli.terminal.signals import StopFlag

# The servers' limit (docs/api/batches.md).
MAX_PHOTOS = 1000
TAKE: Final = "take"


def find_album(journal: Journal, photos: Sequence[FoundPhoto], recipe: str) -> str | None:
    """Return the album of exactly these photos as they are, or None.

    recipe: digest of the recipe.
    """
    albums = set()
    for photo in photos:
        entry = journal.entry(photo.name)
        is_same = entry is not None and (entry.recipe, entry.version) == (recipe, photo.version)
        albums.add(entry.album if entry is not None and is_same else "")
    album = albums.pop() if len(albums) == 1 else ""
    members = {entry.photo for entry in journal.entries() if entry.album == album}
    return album if album and members - {TAKE} == {photo.name for photo in photos} else None


def read_album(patience: RetryingClient, album: str | None) -> Batch | None:
    """Return an album as it is now; None when the server does not have it."""
    if album is None:
        return None
    try:
        return patience.ask(lambda client: client.batch(album))
    except (Gone, NotFound):
        return None


def submit_album(
    patience: RetryingClient,
    journal: Journal,
    photos: Sequence[FoundPhoto],
    wanted: PhotoRequest,
    *,
    recipe: str,
    stop: StopFlag,
    tell: Callable[[str, str], None],
) -> Batch | None:
    """Submit photos together, and note the job of each; None when none can be read.

    recipe: digest of the recipe.  tell: as in `PhotoWorker`.
    Raises StoppedWhileAway, and CommandError when there are too many photos.
    """
    if len(photos) > MAX_PHOTOS:
        raise CommandError(
            f"an album has at most {MAX_PHOTOS} photos, and this folder {len(photos)}: split it"
        )
    is_large = sum(photo.version[0] for photo in photos) > LARGE_BYTES
    entries: list[JournalEntry] = []
    items: list[Item] = []
    for photo in photos:
        if stop.requested:
            raise StoppedWhileAway
        tell(photo.name, "sending")
        entry = new_entry(journal, photo, recipe)
        with contextlib.suppress(PhotoFailed):  # its outcome will say why
            content = read_photo(photo)
            sent = _upload(patience, content) if is_large else content
            entry = dataclasses.replace(entry, digest=hashlib.sha256(content).hexdigest())
            items.append(Item(sent, photo_name=photo.path.name))
        entries.append(entry)
    if not items:
        return None
    # One key for all tries, so that an answer that was lost makes no second album.
    key = f"album-{secrets.token_hex(20)}"

    def submit(client: Client) -> Batch:
        return client.submit_batch(items, wanted.recipe, best=wanted.best, idempotency_key=key)

    try:
        batch = patience.ask(submit)
    except Refused as error:
        raise to_command_error(error) from error
    given = iter(batch.items)
    for entry in entries:
        job_id = next(given).job_id if entry.digest else None
        journal.note(dataclasses.replace(entry, album=batch.id, job_id=job_id))
    return batch


def list_refused(journal: Journal, batch: Batch) -> dict[str, Row]:
    """Return the rows of an album's photos that the server has refused, by name."""
    # In the order of their names, as they were sent.
    errors = (item.error for item in batch.items if item.job_id is None)
    return {
        entry.photo: failed_row(entry.photo, error)
        for entry in journal.entries()
        if entry.album == batch.id and entry.digest and entry.job_id is None
        if (error := next(errors, None)) is not None
    }


def fetch_take(
    patience: RetryingClient, journal: Journal, worker: PhotoWorker, album: str
) -> Row | None:
    """Wait for an album's take and write its picture; return its row, None without a take.

    Its name in the journal is TAKE, which no photo has, because it has no extension.
    Raises StoppedWhileAway, and CommandError as `PhotoWorker.take` does.
    """
    batch = read_album(patience, album)
    entry = journal.entry(TAKE)
    if batch is None or batch.take is None:
        return None if entry is None else known_row(entry, journal.folder)
    if entry is None or entry.job_id != batch.take.job_id:
        entry = journal.note(
            JournalEntry(
                photo=TAKE,
                place=journal.place(TAKE),
                bytes=0,
                modified_ns=0,
                digest="",
                recipe=worker.recipe,
                job_id=batch.take.job_id,
                album=album,
            )
        )
    row = worker.finish(entry)
    ended = read_album(patience, album) or batch
    return dataclasses.replace(row, reasons=_describe_take(ended, journal))


def _describe_take(batch: Batch, journal: Journal) -> tuple[str, ...]:
    """Return sentences about whose face a take has from which photo."""
    take = batch.take
    if take is None or take.base is None:
        return ()
    names = {entry.job_id: entry.photo for entry in journal.entries()}
    photos = [names.get(item.job_id, f"photo {item.index + 1}") for item in batch.items]
    swaps = (
        f"Person {swap.person} from the left is from {photos[swap.item]}: {swap.reason}."
        for swap in take.swaps
    )
    others = (
        # Sentences count photos from 1.
        re.sub(r"\b[Pp]hoto (\d+)\b", lambda number: photos[int(number[1]) - 1], sentence)
        for sentence in (take.fallback, *take.notes)
        if sentence
    )
    return (f"It is based on {photos[take.base]}.", *swaps, *others)


def _upload(patience: RetryingClient, content: bytes) -> Upload:
    """Return the upload of a photo.  Raises PhotoFailed."""
    try:
        return patience.ask(lambda client: client.upload(content))
    except Refused as error:
        if is_about_usage(error):
            raise to_command_error(error) from error
        raise PhotoFailed(refusal_failure(error)) from error
