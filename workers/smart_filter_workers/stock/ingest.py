"""Describe the pictures that tenants add over REST, and move them to the stock.

Each worker process has a thread for it, which the sweeper wakes once a second. A claim is a lease
on one row, so several processes share the work, and the picture of a worker that died is described
by another. The bytes are a client's: the locked decoder decodes them.

A tenant's first slow picture gets two seconds. Then it goes back to the queue, and for ten minutes
the tenant's pictures are claimed when no other tenant's picture waits.

Take pictures into the stock: read, check, describe and store them.

An operator's pictures, from the terminal, take this path at once. Pictures that tenants add over
REST are stored first, and described by a worker (`IncomingPictures`).
"""

import hashlib
import os
import stat
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from smart_filter_shared import stock
from smart_filter_shared.artifacts.backends import Backends
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import (
    DecodingStopped,
    ObjectMissing,
    PictureRefused,
    TryAgain,
    UnusablePhoto,
)
from smart_filter_shared.ids import Tenant
from smart_filter_shared.stock import MAX_BYTES, Picture, incoming
from smart_filter_shared.stock.descriptions import Description
from smart_filter_shared.stock.incoming import IncomingPicture
from smart_filter_shared.storage import keys
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers import images
from smart_filter_workers.backgrounds import appearance
from smart_filter_workers.decoder.pool import Decoders
from smart_filter_workers.decoder.turns import Requester
from smart_filter_workers.results import Srgb8

# For so long the pictures of a tenant with a slow one come last.
_SLOW_SECONDS: Final = 600.0
# Wait for a turn at the decoder: a slow photo before the picture takes a minute at most.
_TURN_SECONDS: Final = 60.0
_INTERNAL: Final = "internal"
_DEFECT_DETAIL: Final = "the server failed while it read the picture; try another file"
_log = logger("stock")


class IncomingPictures:
    """Describes incoming pictures in a thread of its own.

    decoders: decode them.  clock: monotonic seconds.
    """

    def __init__(
        self,
        servers: Backends,
        decoders: Decoders,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._servers = servers
        self._decoders = decoders
        self._clock = clock
        self._slow: dict[Tenant, float] = {}  # when a tenant's last slow picture was stopped
        self._due = threading.Event()
        self._stopping = threading.Event()

    def request_run(self) -> None:
        """Wake the thread, because this process has won a sweep."""
        self._due.set()

    def run(self, stopping: threading.Event) -> None:
        """Describe pictures when due, until `stopping` is set.  Raises after too many errors."""
        self._stopping = stopping
        turns = SupervisedLoop("pictures", every_seconds=0.0)
        while not stopping.wait(turns.pause_seconds):
            if not self._due.wait(timeout=0.5):
                continue
            self._due.clear()
            with turns.step():
                while not stopping.is_set() and self.describe_next():
                    pass

    def describe_next(self) -> bool:
        """Describe the next picture; return whether there was one.

        Raises TryAgain while servers are away; the picture waits, and its attempt is refunded.
        """
        slow = self._list_slow()
        with sessions.transaction(self._servers.engine) as connection:
            claimed = incoming.claim(connection, last=slow)
        if claimed is None:
            return False
        if claimed.attempt > incoming.MAX_ATTEMPTS:
            self._refuse(claimed, _INTERNAL, _DEFECT_DETAIL)
            return True
        is_trial = claimed.tenant not in slow
        try:
            self._add(claimed, is_trial=is_trial)
        except TryAgain as error:
            with sessions.transaction(self._servers.engine) as connection:
                incoming.release(connection, claimed)
            if not is_trial or not isinstance(error, DecodingStopped) or self._stopping.is_set():
                raise
            self._slow[claimed.tenant] = self._clock()
            _log.info("picture_is_slow", tenant=claimed.tenant, name=claimed.name)
        except (UnusablePhoto, PictureRefused) as error:
            self._refuse(claimed, error.code, str(error))
        except ObjectMissing:
            self._refuse(claimed, _INTERNAL, "its bytes are gone from the storage; add it again")
        except Exception:  # noqa: BLE001 - one picture does not end the thread
            # Another attempt would fail alike.
            _log.exception("picture_not_described", tenant=claimed.tenant, name=claimed.name)
            self._refuse(claimed, _INTERNAL, _DEFECT_DETAIL)
        return True

    def _list_slow(self) -> list[Tenant]:
        """Return the tenants whose pictures come last."""
        now = self._clock()
        self._slow = {
            tenant: then for tenant, then in self._slow.items() if now - then < _SLOW_SECONDS
        }
        return list(self._slow)

    def _add(self, claimed: IncomingPicture, *, is_trial: bool) -> None:
        """Decode a picture and move it to the stock, unless it was replaced or removed meanwhile.

        What is stored for a row that is gone, the orphan scan removes.
        """
        content = self._servers.store.get(claimed.key, most=stock.MAX_BYTES, length=claimed.length)
        requester = Requester(
            claimed.tenant,
            self._stopping,
            is_background=True,
            is_trial=is_trial,
            wait_seconds=_TURN_SECONDS,
        )
        srgb = self._decoders.for_requester(requester).decode(content).srgb
        picture = describe_picture(
            srgb,
            StoredBytes(claimed.key, claimed.digest, claimed.length),
            Description(claimed.name, claimed.title, claimed.tags, None),
            tenant=claimed.tenant,
            is_logo=claimed.is_logo,
        )
        store_thumbnail(self._servers, picture.key, srgb)
        if self._write(claimed, picture):
            _log.info("picture_added", tenant=claimed.tenant, name=claimed.name)

    def _write(self, claimed: IncomingPicture, picture: Picture) -> bool:
        """Return whether the picture was written.  Raises PictureRefused."""
        with sessions.transaction(self._servers.engine) as connection:
            if not incoming.finish(connection, claimed):
                return False
            if not stock.add_or_replace(connection, picture):
                raise PictureRefused(
                    f"{picture.preset.name} has another use by now: choose another name"
                )
            return True

    def _refuse(self, claimed: IncomingPicture, code: str, detail: str) -> None:
        with sessions.transaction(self._servers.engine) as connection:
            is_refused = incoming.refuse(connection, claimed, code, detail)
        if is_refused:
            _log.info("picture_refused", tenant=claimed.tenant, name=claimed.name, code=code)
            remove_objects(self._servers, claimed.key)


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


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """The object of a picture: its key, the hex SHA-256 of its bytes, and their number."""

    key: str
    digest: str
    length: int


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
    stock.check_use(was, is_logo=is_logo)
    if was is not None and was.digest == digest:
        return update_description(servers, was, called, origin=origin, stamp=stamp)
    if was is not None and not (may_replace or (origin and was.origin == origin)):
        raise name_taken_error(was.preset.name, was.origin)
    srgb = images.decode(content).srgb
    picture = describe_picture(
        srgb,
        StoredBytes(keys.new_background(tenant), digest, len(content)),
        called,
        tenant=tenant,
        is_logo=is_logo,
    )
    picture = replace(picture, origin=origin, stamp=stamp)
    servers.store.put(
        picture.key, content, length=len(content), media_type="application/octet-stream"
    )
    store_thumbnail(servers, picture.key, srgb)
    with sessions.transaction(servers.engine) as connection:
        if was is None:
            is_written = stock.add(connection, picture)
        else:
            is_written = stock.change(connection, picture, was=was)
        # The newest picture of a name wins.
        dropped = incoming.remove(connection, tenant, [called.name]) if tenant else []
    for key in dropped:
        servers.store.remove(key)
    if not is_written:
        remove_objects(servers, picture.key)
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
        waiting = incoming.remove(connection, tenant, names) if tenant else []
    for key in waiting:
        servers.store.remove(key)
    for picture in gone:
        remove_objects(servers, picture.key)
    return gone


def describe_picture(
    srgb: Srgb8,
    content: StoredBytes,
    called: Description,
    *,
    tenant: Tenant | None,
    is_logo: bool,
) -> Picture:
    """Return the row of a decoded picture, (H, W, 3) uint8 sRGB, with its appearance."""
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
        key=content.key,
        digest=content.digest,
        width=srgb.shape[1],
        height=srgb.shape[0],
        length=content.length,
        is_logo=is_logo,
    )


def store_thumbnail(servers: Backends, key: str, srgb: Srgb8) -> None:
    """Store the thumbnail of a picture, next to it.  key: the picture's."""
    made = appearance.from_picture(srgb)
    servers.store.put(
        keys.thumbnail(key), made.content, length=len(made.content), media_type=made.media_type
    )


def too_large_error(length: int) -> PictureRefused:
    """Return the error for a file of the given size."""
    return PictureRefused(f"it has {length} bytes; at most {MAX_BYTES} are allowed")


def remove_objects(servers: Backends, key: str) -> None:
    """Remove a picture that no row names, and its thumbnail.  key: the picture's."""
    for stored in (key, keys.thumbnail(key)):
        servers.store.remove(stored)


def _accept_concurrent(servers: Backends, picture: Picture) -> StoredPicture:
    """Return what another process has just written, if it is the same picture."""
    with sessions.transaction(servers.engine) as connection:
        theirs = stock.find(connection, picture.tenant, picture.name)
    if theirs is None or theirs.digest != picture.digest:
        raise PictureRefused(f"{picture.preset.name} was just written elsewhere; try again")
    return StoredPicture(theirs, Outcome.UNCHANGED)


def name_taken_error(name: str, origin: str = "") -> PictureRefused:
    """Return the error for a name that another picture has, kept in step with its origin."""
    origin_note = f", kept in step with {origin}" if origin else ""
    return PictureRefused(
        f"another picture is named {name}{origin_note}: choose another name, or --replace"
    )


def read_file(path: Path) -> bytes:
    """Return the content of a file.

    Raises PictureRefused when it cannot be read, has more than MAX_BYTES, or is not a regular
    file, for example a device.
    """
    try:
        with open(path, "rb", opener=_open_nonblocking) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise PictureRefused("it is not a regular file")
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PictureRefused(f"it cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise too_large_error(max(len(content), status.st_size))
    return content


def _open_nonblocking(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a pipe would wait for a writer.
    return os.open(path, flags | os.O_NONBLOCK)
