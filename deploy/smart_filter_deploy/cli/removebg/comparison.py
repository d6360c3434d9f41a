"""Send a folder of photos to remove.bg and to this service, and compare the cutouts."""

import math
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from smart_filter_deploy.cli.removebg import sheet
from smart_filter_deploy.cli.removebg.interface import (
    ACCOUNT_PATH,
    Answer,
    Interface,
    RequestFailed,
)
from smart_filter_deploy.cli.removebg.ledger import Ledger, Record, shorten
from smart_filter_deploy.cli.terminal.exit_codes import NO_SERVER, WRONG_USAGE, CommandError

# Formats and limit that remove.bg accepts.
PHOTO_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_MAX_PHOTO_BYTES: Final = 22_000_000
# Credits for a photo by size.  Source: remove.bg, API documentation, "Credits & pricing".
_PREVIEW_CREDITS: Final = 0.25
_OTHER_CREDITS: Final = 1.0
# Answers that are given before a photo is processed or charged; all later photos get them too.
_NOT_ACCEPTED: Final = frozenset(
    {HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
)
LOST: Final = "it was sent before and the answer was lost; it is not sent again"


_NOT_COMPARABLE: Final = "not sent: there is no answer of ours to compare"


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo to send: its path, and its size in bytes."""

    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class FoundPhotos:
    """The photos of a folder, by name; skipped: files that are not sent."""

    photos: Sequence[Photo]
    skipped: int


@dataclass(frozen=True, slots=True)
class Side:
    """One service: where its answers are kept, and how it is asked."""

    ledger: Ledger
    interface: Interface


@dataclass(frozen=True, slots=True)
class ComparedPhoto:
    """The two answers for a photo; theirs_id, ours_id: of their pictures in the ledgers."""

    path: Path
    theirs: Record
    ours: Record
    theirs_id: str
    ours_id: str


def find_photos(folder: Path) -> FoundPhotos:
    """Return the photos in a folder, without its subfolders and links.

    Raises CommandError when it cannot be read.
    """
    photos, skipped = [], 0
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        raise CommandError(f"cannot read {folder} ({error.strerror})", WRONG_USAGE) from error
    for entry in entries:
        path = Path(entry.path)
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:  # deleted since the listing
            continue
        is_photo = path.suffix.lower() in PHOTO_SUFFIXES and stat.S_ISREG(status.st_mode)
        if is_photo and 0 < status.st_size <= _MAX_PHOTO_BYTES:
            photos.append(Photo(path, status.st_size))
        elif not entry.is_dir(follow_symlinks=False):
            skipped += 1
    return FoundPhotos(photos, skipped)


def count_unsent(photos: Sequence[Photo], ledger: Ledger) -> int:
    """Return how many different photos were not sent yet."""
    unsent = set()
    for photo in photos:
        content = _read(photo)
        if content is not None and not ledger.was_sent(photo_id := ledger.id_of(content)):
            unsent.add(photo_id)
    return len(unsent)


def estimate_credits(photos: int, size: str) -> float:
    """Return the most credits that remove.bg charges for a number of photos."""
    return photos * (_PREVIEW_CREDITS if size == "preview" else _OTHER_CREDITS)


def read_credits(interface: Interface, *, whose: str, variable: str) -> tuple[float, int]:
    """Return the credits and free calls of an account.

    whose, variable: the service and its key's variable, for errors.
    Raises CommandError when it does not answer, or not with an account.
    """
    try:
        answer = interface.get(ACCOUNT_PATH)
    except RequestFailed as error:
        raise CommandError(f"{whose} does not answer: {error}", NO_SERVER) from error
    if answer.status == HTTPStatus.FORBIDDEN:
        raise CommandError(f"{whose} rejects the key; set {variable}", WRONG_USAGE)
    document = answer.document()
    try:
        attributes = document["data"]["attributes"]  # type: ignore[index]  # any document
        return float(attributes["credits"]["total"]), int(attributes["api"]["free_calls"])
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise CommandError(
            f"{whose} answers {answer.status} to {ACCOUNT_PATH}, without an account", NO_SERVER
        ) from error


def compare(
    photos: Sequence[Photo],
    theirs: Side,
    ours: Side,
    fields: Mapping[str, str],
    *,
    on_photo: Callable[[Path], None],
) -> Iterator[ComparedPhoto]:
    """Yield the answers for each photo; ours first, which costs nothing when it fails.

    on_photo: called with each photo before it is sent.
    """
    refusal = ""
    for photo in photos:
        on_photo(photo.path)
        content = _read(photo)
        if content is None:
            failed = Record(0, 0.0, None, "it cannot be read, or has changed")
            yield ComparedPhoto(photo.path, failed, failed, "", "")
            continue
        ours_id, theirs_id = ours.ledger.id_of(content), theirs.ledger.id_of(content)
        own = _cut_out_here(ours, ours_id, photo, content, fields)
        reason = refusal or (_NOT_COMPARABLE if own.status == 0 else "")
        if reason and theirs.ledger.find(theirs_id) is None:
            their = Record(0, 0.0, None, reason)
        else:
            their = _cut_out_there(theirs, theirs_id, photo, content, fields)
        if their.status in _NOT_ACCEPTED:
            refusal = f"not sent: {their.error}"
        yield ComparedPhoto(photo.path, their, own, theirs_id, ours_id)


def _cut_out_here(
    side: Side, photo_id: str, photo: Photo, content: bytes, fields: Mapping[str, str]
) -> Record:
    """Return our answer for a photo: the stored picture, else a new one."""
    stored = side.ledger.find(photo_id)
    if stored is not None and not stored.error:
        return stored
    try:
        answer = side.interface.cut_out(content, _sent_name(photo), **fields)
    except RequestFailed as error:
        return Record(0, 0.0, None, shorten(f"no answer: {error}"))
    record = _record(answer)
    side.ledger.write(photo_id, record, answer.content)
    return record


def _cut_out_there(
    side: Side, photo_id: str, photo: Photo, content: bytes, fields: Mapping[str, str]
) -> Record:
    """Return their answer for a photo: the stored one, else it is sent, once."""
    stored = side.ledger.find(photo_id)
    if stored is not None:
        return stored
    if not side.ledger.mark_sent(photo_id):
        return Record(0, 0.0, None, LOST)
    try:
        answer = side.interface.cut_out(content, _sent_name(photo), **fields)
    except RequestFailed as error:
        if error.may_have_arrived:
            return Record(0, 0.0, None, shorten(f"the answer was lost: {error}"))
        side.ledger.unmark(photo_id)
        return Record(0, 0.0, None, shorten(f"not sent: {error}"))
    record = _record(answer)
    if answer.status in _NOT_ACCEPTED:
        side.ledger.unmark(photo_id)
    else:
        side.ledger.write(photo_id, record, answer.content)
    return record


def _record(answer: Answer) -> Record:
    text = answer.headers.get("X-Credits-Charged", "")
    try:
        charged = float(text)
    except ValueError:
        charged = math.nan
    error = ""
    if answer.status != HTTPStatus.OK:
        told = "; ".join(said for _, said in answer.errors())
        error = shorten(f"{answer.status} {told}")
    elif not sheet.is_cutout(answer.content):
        kind = answer.headers.get("Content-Type", "unknown type")
        error = shorten(f"{answer.status}, but not a picture ({kind})")
    return Record(
        answer.status,
        round(answer.seconds, 3),
        charged if math.isfinite(charged) else None,
        error,
    )


def _read(photo: Photo) -> bytes | None:
    """Return a photo's content; None when it cannot be read or has grown."""
    try:
        with photo.path.open("rb") as file:
            content = file.read(_MAX_PHOTO_BYTES + 1)
    except OSError:
        return None
    return content if 0 < len(content) <= _MAX_PHOTO_BYTES else None


def _sent_name(photo: Photo) -> str:
    # The file's own name may tell who is in the photo.
    return f"photo{photo.path.suffix.lower()}"
