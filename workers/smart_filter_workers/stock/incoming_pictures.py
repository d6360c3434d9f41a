"""Describe the pictures that tenants add over REST, and move them to the stock.

Each worker process has a thread for it, which the sweeper wakes once a second. A claim is a lease
on one row, so several processes share the work, and the picture of a worker that died is described
by another. The bytes are a client's: the locked decoder decodes them.

A tenant's first slow picture gets two seconds. Then it goes back to the queue, and for ten minutes
the tenant's pictures are claimed when no other tenant's picture waits.
"""

import threading
import time
from collections.abc import Callable
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
from smart_filter_shared.stock import Picture, incoming
from smart_filter_shared.stock.descriptions import Description
from smart_filter_shared.stock.incoming import IncomingPicture
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.decoder.pool import Decoders
from smart_filter_workers.decoder.turns import Requester
from smart_filter_workers.stock import ingest
from smart_filter_workers.stock.ingest import StoredBytes

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
        picture = ingest.describe_picture(
            srgb,
            StoredBytes(claimed.key, claimed.digest, claimed.length),
            Description(claimed.name, claimed.title, claimed.tags, None),
            tenant=claimed.tenant,
            is_logo=claimed.is_logo,
        )
        ingest.store_thumbnail(self._servers, picture.key, srgb)
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
            ingest.remove_objects(self._servers, claimed.key)
