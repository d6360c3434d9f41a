"""Submits the photos of a folder as one album, whose best are composed."""

import dataclasses
import hashlib
import re
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final

from smart_filter_client import Batch, Client, Item, Upload
from smart_filter_client.errors import Gone, NotFound, Refused
from smart_filter_client.operations.photos import LARGE_BYTES
from smart_filter_deploy.cli.batch.journal import FAILED, SENT, Journal, JournalEntry
from smart_filter_deploy.cli.batch.retry import RetryingClient
from smart_filter_deploy.cli.batch.watch import FoundPhoto
from smart_filter_deploy.cli.batch.worker import PhotoWorker, read_photo
from smart_filter_deploy.cli.server.connection import is_about_usage, to_command_error
from smart_filter_deploy.cli.server.submit_and_fetch import PhotoRequest, refusal_failure
from smart_filter_deploy.cli.terminal.exit_codes import WRONG_USAGE, CommandError
from smart_filter_deploy.cli.terminal.outputs import Failure

# The servers' limit (docs/api/batches.md).
MAX_PHOTOS = 1000
TAKE: Final = "take"


def find_album(journal: Journal, photos: Sequence[FoundPhoto], recipe: str) -> str | None:
    """Return the album of exactly these photos as they are, or None.

    recipe: digest of the recipe.
    """
    entries = [journal.entry(photo.name) for photo in photos]
    albums = {entry.album if entry is not None else "" for entry in entries}
    if len(albums) != 1 or not (album := albums.pop()):
        return None
    is_same = all(
        entry is not None
        and entry.recipe == recipe
        and (entry.bytes, entry.modified_ns) == photo.version
        for entry, photo in zip(entries, photos, strict=True)
    )
    members = sum(entry.album == album for entry in journal.entries() if entry.photo != TAKE)
    return album if is_same and members == len(photos) else None


def has_take(journal: Journal, album: str) -> bool:
    """Return whether the take of an album is done, and its picture still there."""
    entry = journal.entry(TAKE)
    is_done = entry is not None and entry.album == album and entry.is_final
    return is_done and entry is not None and journal.has_pictures(entry)


def is_known(patience: RetryingClient, album: str) -> bool:
    """Return whether the server has an album."""
    try:
        patience.ask(lambda client: client.batch(album))
    except (Gone, NotFound):
        return False
    return True


def submit_album(
    patience: RetryingClient,
    journal: Journal,
    photos: Sequence[FoundPhoto],
    wanted: PhotoRequest,
    *,
    recipe: str,
    is_stopped: Callable[[], bool],
    tell: Callable[[str, str], None],
) -> None:
    """Submit photos together, and record the job of each.

    recipe: digest of the recipe.  tell: as in `PhotoWorker`.
    Raises StoppedWhileAway, and CommandError when there are too many photos.
    """
    if len(photos) > MAX_PHOTOS:
        raise CommandError(
            f"an album has at most {MAX_PHOTOS} photos, and this folder {len(photos)}: split it",
            WRONG_USAGE,
        )
    is_large = sum(photo.version[0] for photo in photos) > LARGE_BYTES
    entries: list[tuple[JournalEntry, Failure | None]] = []
    items: list[Item] = []
    for photo in photos:
        if is_stopped():
            return
        tell(photo.name, "sending")
        content, failure = read_photo(photo)
        sent: Upload | bytes = content
        if is_large and failure is None:
            sent, failure = _upload(patience, content)
        size, modified_ns = photo.version
        entry = JournalEntry(
            photo=photo.name,
            place=journal.place(photo.name),
            bytes=size,
            modified_ns=modified_ns,
            digest=hashlib.sha256(content).hexdigest(),
            recipe=recipe,
        )
        entries.append((entry, failure))
        if failure is None:
            items.append(Item(sent, photo_name=photo.path.name))
    batch = _submit(patience, items, wanted) if items else None
    given = iter(batch.items if batch is not None else ())
    for entry, unreadable in entries:
        item = next(given) if unreadable is None else None
        failure = unreadable if item is None else item.error
        is_sent = item is not None and item.job_id is not None
        journal.note(
            dataclasses.replace(
                entry,
                album="" if batch is None else batch.id,
                job_id=None if item is None else item.job_id,
                state=SENT if is_sent else FAILED,
                code=None if is_sent or failure is None else failure.code,
                error=None if is_sent or failure is None else failure.detail or failure.title,
            )
        )


def fetch_take(
    patience: RetryingClient,
    journal: Journal,
    worker: PhotoWorker,
    wanted: PhotoRequest,
    album: str,
) -> JournalEntry | None:
    """Wait for an album's take and write its picture; return its entry, None without a take.

    Its name in the journal is TAKE, which no photo has, because it has no extension.
    Raises StoppedWhileAway, and CommandError as `PhotoWorker.take` does.
    """
    started = time.monotonic()
    take = patience.ask(lambda client: client.batch(album)).take
    if take is None:
        return None
    entry = JournalEntry(
        photo=TAKE,
        place=journal.place(TAKE),
        bytes=0,
        modified_ns=0,
        digest="",
        recipe=worker.recipe,
        job_id=take.job_id,
        state=SENT,
        album=album,
    )
    journal.note(entry)
    ended = worker.finish(entry, b"", wanted, started=started)
    reasons = _describe_take(patience.ask(lambda client: client.batch(album)), journal)
    ended = dataclasses.replace(ended, reasons=reasons)
    journal.note(ended)
    return ended


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


def _submit(patience: RetryingClient, items: Sequence[Item], wanted: PhotoRequest) -> Batch:
    # One key for all tries, so that an answer that was lost makes no second album.
    key = f"album-{secrets.token_hex(20)}"

    def submit(client: Client) -> Batch:
        return client.submit_batch(items, wanted.recipe, best=wanted.best, idempotency_key=key)

    try:
        return patience.ask(submit)
    except Refused as error:
        raise to_command_error(error) from error


def _upload(
    patience: RetryingClient, content: bytes
) -> tuple[Upload, None] | tuple[bytes, Failure]:
    """Return the upload of a photo, or why it was refused."""
    try:
        return patience.ask(lambda client: client.upload(content)), None
    except Refused as error:
        if is_about_usage(error):
            raise to_command_error(error) from error
        return b"", refusal_failure(error)
