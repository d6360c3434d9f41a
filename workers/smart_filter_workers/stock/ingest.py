"""Ingest a picture as a background: decode it, store it, and write its row, in that order."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from smart_filter_shared import stock
from smart_filter_shared.artifacts.backends import Backends
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import PictureRefused
from smart_filter_shared.ids import Tenant
from smart_filter_shared.stock import Picture
from smart_filter_shared.storage import keys
from smart_filter_workers import images
from smart_filter_workers.backgrounds import appearance, thumbnails
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stock.descriptions import Description

# The same limit as for an upload.
MAX_BYTES: Final = 40_000_000


class Outcome(StrEnum):
    """The change to the table's row."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """A stored picture, and the change that storing it made."""

    picture: Picture
    outcome: Outcome


def store_picture(
    servers: Backends,
    content: bytes,
    called: Description,
    *,
    tenant: Tenant | None,
    origin: str = "",
    stamp: str = "",
    may_replace: bool = False,
    is_logo: bool = False,
) -> StoredPicture:
    """Store the picture in a file's bytes as a tenant's background, or as the operator's.

    Repeated, it changes nothing; with another description of the same bytes it changes only that.
    called: the description.  origin, stamp: see `stock.Picture`.
    may_replace: whether another picture of the name may be replaced; one of the same origin always
        may, because it is kept in step.
    is_logo: whether it is a logo instead of a background; a picture of the name must be alike.
    Raises PictureRefused, ImageUnreadable, ImageTooLarge, and TryAgain while servers are away.
    """
    if len(content) > MAX_BYTES:
        raise too_large_error(len(content))
    digest = hashlib.sha256(content).hexdigest()
    with sessions.transaction(servers.engine) as connection:
        was = stock.find(connection, tenant, called.name)
    if was is not None and was.is_logo != is_logo:
        raise PictureRefused(
            f"{was.preset.name} is a {'logo' if was.is_logo else 'background'}: choose another name"
        )
    if was is not None and was.digest == digest:
        return update_description(servers, was, called, origin=origin, stamp=stamp)
    if was is not None and not (may_replace or (origin and was.origin == origin)):
        raise _name_taken_error(was)
    srgb = images.decode(content).srgb
    picture = _describe_picture(srgb, digest, called, tenant=tenant, origin=origin, stamp=stamp)
    picture = replace(picture, is_logo=is_logo)
    servers.store.put(
        picture.key, content, length=len(content), media_type="application/octet-stream"
    )
    _store_thumbnail(servers, picture.key, srgb)
    with sessions.transaction(servers.engine) as connection:
        if was is None:
            is_written = stock.add(connection, picture)
        else:
            is_written = stock.change(connection, picture, was=was)
    if not is_written:
        _remove(servers, picture)
        return _accept_concurrent(servers, picture)
    # A job may still read the replaced object; the orphan scan removes it later.
    return StoredPicture(picture, Outcome.ADDED if was is None else Outcome.CHANGED)


def update_description(
    servers: Backends, was: Picture, called: Description, *, origin: str, stamp: str
) -> StoredPicture:
    """Update the description of a picture whose bytes are unchanged, and return the picture.

    Raises PictureRefused when another process has changed it first, and DatabaseUnavailable.
    """
    now = replace(
        was,
        title=called.title,
        tags=called.tags,
        moods=called.moods or appearance.suggest_moods(was.palette, was.brightness),
        origin=origin or was.origin,
        stamp=stamp or was.stamp,
    )
    if now == was:
        return StoredPicture(was, Outcome.UNCHANGED)
    with sessions.transaction(servers.engine) as connection:
        if not stock.change(connection, now, was=was):
            raise PictureRefused(f"{was.preset.name} was just changed elsewhere; try again")
    return StoredPicture(now, Outcome.CHANGED)


def remove_pictures(
    servers: Backends, tenant: Tenant | None, names: Collection[str]
) -> list[Picture]:
    """Remove pictures by their names, rows first; return the names that existed.

    Raises DatabaseUnavailable, and StorageUnavailable: then the orphan scan removes the objects.
    """
    with sessions.transaction(servers.engine) as connection:
        gone = stock.remove(connection, tenant, names)
    for picture in gone:
        _remove(servers, picture)
    return gone


def too_large_error(length: int) -> PictureRefused:
    """Return the error for a file of the given size."""
    return PictureRefused(f"it has {length} bytes; at most {MAX_BYTES} are allowed")


def _store_thumbnail(servers: Backends, key: str, srgb: Srgb8) -> None:
    made = thumbnails.from_picture(srgb)
    servers.store.put(
        keys.thumbnail(key), made.content, length=len(made.content), media_type=made.media_type
    )


def _remove(servers: Backends, picture: Picture) -> None:
    """Remove the objects of a picture that no row names."""
    for key in (picture.key, keys.thumbnail(picture.key)):
        servers.store.remove(key)


def _describe_picture(
    srgb: Srgb8,
    digest: str,
    called: Description,
    *,
    tenant: Tenant | None,
    origin: str,
    stamp: str,
) -> Picture:
    seen = appearance.describe(srgb)
    return Picture(
        tenant=tenant,
        name=called.name,
        title=called.title,
        tags=called.tags,
        moods=called.moods or appearance.suggest_moods(seen.palette, seen.brightness),
        palette=seen.palette,
        brightness=seen.brightness,
        impression=seen.impression,
        key=keys.new_library_background(),
        digest=digest,
        width=srgb.shape[1],
        height=srgb.shape[0],
        origin=origin,
        stamp=stamp,
    )


def _accept_concurrent(servers: Backends, picture: Picture) -> StoredPicture:
    """Return what another process has just written, if it is the same picture."""
    with sessions.transaction(servers.engine) as connection:
        theirs = stock.find(connection, picture.tenant, picture.name)
    if theirs is None or theirs.digest != picture.digest:
        raise PictureRefused(f"{picture.preset.name} was just written elsewhere; try again")
    return StoredPicture(theirs, Outcome.UNCHANGED)


def _name_taken_error(was: Picture) -> PictureRefused:
    origin_note = f", kept in step with {was.origin}" if was.origin else ""
    return PictureRefused(
        f"another picture is named {was.preset.name}{origin_note}: choose another name,"
        " or --replace"
    )
