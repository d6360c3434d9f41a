"""Takes a picture in as a background: looked at, stored, and written down, in that order."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from smart_filter_shared import stock
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import PictureRefused
from smart_filter_shared.ids import Tenant
from smart_filter_shared.servers import Servers
from smart_filter_shared.stock import Picture
from smart_filter_shared.storage import keys
from smart_filter_workers import images
from smart_filter_workers.backgrounds import appearance, thumbnails
from smart_filter_workers.results import Srgb8
from smart_filter_workers.stock.words import Called

# As of an upload.
MAX_BYTES: Final = 40_000_000


class Outcome(StrEnum):
    """What became of the table's row."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Kept:
    """A picture that is there now, and what was done for that."""

    picture: Picture
    outcome: Outcome


def keep(
    servers: Servers,
    content: bytes,
    called: Called,
    *,
    tenant: Tenant | None,
    origin: str = "",
    stamp: str = "",
    may_replace: bool = False,
) -> Kept:
    """Keep the picture in a file's bytes as a tenant's background, or as everybody's.

    Repeated, it changes nothing; with other words about the same bytes it changes those.
    origin, stamp: as of `stock.Picture`.
    may_replace: whether another picture of the name may go, which one of the same origin always
        may that is kept in step.
    Raises PictureRefused, ImageUnreadable, ImageTooLarge, and TryAgain while servers are away.
    """
    if len(content) > MAX_BYTES:
        raise too_large(len(content))
    digest = hashlib.sha256(content).hexdigest()
    with sessions.transaction(servers.engine) as connection:
        was = stock.find(connection, tenant, called.name)
    if was is not None and was.digest == digest:
        if not servers.store.has(keys.thumbnail(was.key)):  # taken in before there were any
            _store_thumbnail(servers, was.key, images.decode(content).srgb)
        return retold(servers, was, called, origin=origin, stamp=stamp)
    if was is not None and not (may_replace or (origin and was.origin == origin)):
        raise _taken(was)
    srgb = images.decode(content).srgb
    picture = _looked_at(srgb, digest, called, tenant=tenant, origin=origin, stamp=stamp)
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
        return _written_meanwhile(servers, picture)
    # What was replaced lies there until stray objects are cleared: a job may be reading it.
    return Kept(picture, Outcome.ADDED if was is None else Outcome.CHANGED)


def retold(servers: Servers, was: Picture, called: Called, *, origin: str, stamp: str) -> Kept:
    """Change what is told of a picture whose bytes have not changed, if it has changed.

    Raises PictureRefused when somebody moved first, and DatabaseUnavailable.
    """
    now = replace(
        was,
        title=called.title,
        tags=called.tags,
        moods=called.moods or appearance.moods(was.palette, was.brightness),
        origin=origin or was.origin,
        stamp=stamp or was.stamp,
    )
    if now == was:
        return Kept(was, Outcome.UNCHANGED)
    with sessions.transaction(servers.engine) as connection:
        if not stock.change(connection, now, was=was):
            raise PictureRefused(f"somebody else changed {was.preset.name} just now; try again")
    return Kept(now, Outcome.CHANGED)


def remove(servers: Servers, tenant: Tenant | None, names: Collection[str]) -> list[Picture]:
    """Remove pictures by their names, rows first; return those that there were.

    Raises DatabaseUnavailable, and StorageUnavailable: then the objects go with stray ones.
    """
    with sessions.transaction(servers.engine) as connection:
        gone = stock.remove(connection, tenant, names)
    for picture in gone:
        _remove(servers, picture)
    return gone


def too_large(length: int) -> PictureRefused:
    """Return what is raised for a file of so many bytes."""
    return PictureRefused(f"it has {length} bytes; at most {MAX_BYTES} are taken")


def _store_thumbnail(servers: Servers, key: str, srgb: Srgb8) -> None:
    made = thumbnails.of_picture(srgb)
    servers.store.put(
        keys.thumbnail(key), made.content, length=len(made.content), media_type=made.media_type
    )


def _remove(servers: Servers, picture: Picture) -> None:
    """Remove the objects of a picture that no row names."""
    for key in (picture.key, keys.thumbnail(picture.key)):
        servers.store.remove(key)


def _looked_at(
    srgb: Srgb8,
    digest: str,
    called: Called,
    *,
    tenant: Tenant | None,
    origin: str,
    stamp: str,
) -> Picture:
    seen = appearance.of(srgb)
    return Picture(
        tenant=tenant,
        name=called.name,
        title=called.title,
        tags=called.tags,
        moods=called.moods or appearance.moods(seen.palette, seen.brightness),
        palette=seen.palette,
        brightness=seen.brightness,
        impression=seen.impression,
        key=keys.stock(),
        digest=digest,
        width=srgb.shape[1],
        height=srgb.shape[0],
        origin=origin,
        stamp=stamp,
    )


def _written_meanwhile(servers: Servers, picture: Picture) -> Kept:
    """Return what somebody else wrote just now, if it is the same picture."""
    with sessions.transaction(servers.engine) as connection:
        theirs = stock.find(connection, picture.tenant, picture.name)
    if theirs is None or theirs.digest != picture.digest:
        raise PictureRefused(f"somebody else wrote {picture.preset.name} just now; try again")
    return Kept(theirs, Outcome.UNCHANGED)


def _taken(was: Picture) -> PictureRefused:
    whence = f", kept in step with {was.origin}" if was.origin else ""
    return PictureRefused(
        f"another picture is named {was.preset.name}{whence}: choose another name, or --replace"
    )
