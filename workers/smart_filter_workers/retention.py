"""Removes what is kept no longer, and what no row names.

Marked artifacts first: mark, commit, remove the object, delete the row. Then, once an hour,
objects of past days that no row names: uploads whose commit failed, and what workers stored
under leases that they had lost; and pictures of the stock that were replaced, or whose row
was never written. Those of the stock that a row names are kept until somebody removes them. And
days that were over so long ago that nothing of them is to be known any more.
"""

import datetime as dt
import threading
from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import Connection, Engine

from smart_filter_shared import stock
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.jobs import (
    corrections,
    deliveries,
    expiry,
    past_days,
    presence,
    retention,
    shadows,
    transitions,
    uploads,
    versions,
)
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.learning import manifests
from smart_filter_workers.learning.collecting import Collecting

_AT_ONCE = 200
# Of batches that somebody began to delete so long ago, at one sweep.
_LEFT_SECONDS = 60.0
_BATCHES = 10
_JOBS_AT_ONCE = 50
# Of corrections: 11 ms of processor time for a matte, 18 ms for a face, beside what storage takes.
_CORRECTIONS_AT_ONCE = 10
_CLEAR_EVERY_SECONDS = 3600.0
# A key's day is that of its job. What was written lately may be named by a commit under way.
_UNNAMED_FOR = dt.timedelta(hours=1)
_log = logger("retention")


class Retention:
    """Removes objects; a thread of its own, so that slow storage holds up no sweep.

    collecting: makes examples of corrections before what they are about goes; None: nobody does.
    record_seconds: how long what is known of jobs is kept after their day; None: until they are
        deleted.
    """

    def __init__(
        self,
        engine: Engine,
        store: ObjectStore,
        *,
        cell: str,
        collecting: Collecting | None = None,
        record_seconds: float | None = None,
    ) -> None:
        self._engine = engine
        self._store = store
        self._cell = cell
        self._collecting = collecting
        self._record_seconds = record_seconds
        self._due = threading.Event()

    def due(self) -> None:
        """Say that this process has won a sweep: it removes what there is to remove."""
        self._due.set()

    def run(self, stopping: threading.Event) -> None:
        """Work when due, until told to stop.  Raises the last of too many defects in a row."""
        turns = SupervisedLoop("retention", every_seconds=0.0)
        while not stopping.wait(turns.pause_seconds):
            if not self._due.wait(timeout=0.5):
                continue
            self._due.clear()
            with turns.step():
                self.learn()
                self.remove_expired()
                if self._wins_clearing():
                    self.drop_days()
                    self.clear_unnamed(older_than=_UNNAMED_FOR)

    def learn(self) -> None:
        """Make examples of corrections, and tell in manifests what was deleted."""
        if self._collecting is not None:
            self._collecting.collect(most=_CORRECTIONS_AT_ONCE)
        manifests.write_stale(self._engine, self._store, most=_AT_ONCE)

    def remove_expired(self) -> int:
        """Mark what has expired, and remove what is marked; return how many objects.

        Uploads too. Requests whose keys are a day old are forgotten on the way, deliveries of a
        week ago, and what was found out about photos whose results go; batches are deleted to
        their end.
        """
        self._go_on_deleting()
        with sessions.transaction(self._engine) as connection:
            retention.mark_expired(connection, most=_AT_ONCE)
            uploads.mark_expired(connection, most=_AT_ONCE)
            retention.forget_requests(connection, most=_AT_ONCE)
            deliveries.forget_old(connection, most=_AT_ONCE)
            corrections.forget_expired(connection, most=_AT_ONCE)
            shadows.forget_old(connection, most=_AT_ONCE)
        # Of a job whose time is over its artifacts are marked by now.
        with sessions.transaction(self._engine) as connection:
            expiry.expire(connection, most=_AT_ONCE)
        with sessions.transaction(self._engine) as connection:
            marked = retention.marked(connection, most=_AT_ONCE)
            put = uploads.marked(connection, most=_AT_ONCE)
        for artifact in (*marked, *put):
            self._store.remove(artifact.key)
        if marked or put:
            with sessions.transaction(self._engine) as connection:
                retention.forget(connection, marked)
                uploads.forget(connection, put)
        return len(marked) + len(put)

    def _go_on_deleting(self) -> None:
        """Delete some of what is left of batches that nobody goes on deleting."""
        with sessions.transaction(self._engine) as connection:
            batches = transitions.left_over(connection, seconds=_LEFT_SECONDS, most=_BATCHES)
        for batch_id, tenant in batches:
            with sessions.transaction(self._engine) as connection:
                transitions.go_on_deleting(connection, batch_id, tenant, most=_JOBS_AT_ONCE)

    def clear_unnamed(self, *, older_than: dt.timedelta) -> int:
        """Remove objects that no row names and that were not written lately; return how many."""
        moment = dt.datetime.now(dt.UTC) - older_than
        days = [
            one for one in self._store.folders() if one.rstrip("/") <= moment.date().isoformat()
        ]
        removed = self._clear(days, moment, retention.unnamed)
        removed += self._clear([keys.STOCK], moment, stock.unnamed)
        removed += self._clear([keys.WEIGHTS], moment, versions.unnamed)
        if removed:
            _log.info("removed objects that no row names", objects=removed)
        return removed

    def drop_days(self) -> None:
        """Drop the days of which nothing is to be known any more; say what holds the others."""
        if self._record_seconds is None:
            return
        with sessions.transaction(self._engine) as connection:
            over = past_days.over(connection, kept_seconds=self._record_seconds)
        for span in over:
            try:
                with sessions.transaction(self._engine) as connection:
                    held = past_days.drop(connection, span)
            except TryAgain as error:
                # Somebody reads for long: there is time, and others have waited for this one try.
                _log.info("no day dropped for now", reason=str(error))
                return
            if held:
                _log.info("a day is kept", day=span.name, held_by=held)
            else:
                _log.info("dropped a day", day=span.name)

    def _clear(
        self,
        folders: Sequence[str],
        moment: dt.datetime,
        unnamed_among: Callable[[Connection, list[str]], list[str]],
    ) -> int:
        """Remove what was written before a moment and that no row names; return how many."""
        removed = 0
        for piece in self._keys_written_before(folders, moment):
            with sessions.transaction(self._engine) as connection:
                unnamed = unnamed_among(connection, piece)
            for key in unnamed:
                self._store.remove(key)
            removed += len(unnamed)
        return removed

    def _keys_written_before(
        self, folders: Sequence[str], moment: dt.datetime
    ) -> Iterator[list[str]]:
        """Yield keys in pieces."""
        for folder in folders:
            piece: list[str] = []
            for stored in self._store.stored(folder):
                if stored.written_at < moment:
                    piece.append(stored.key)
                if len(piece) == _AT_ONCE:
                    yield piece
                    piece = []
            yield piece

    def _wins_clearing(self) -> bool:
        with sessions.transaction(self._engine) as connection:
            return presence.win_clearing(
                connection, cell=self._cell, every_seconds=_CLEAR_EVERY_SECONDS
            )
