"""Removes what is kept no longer, and what no row names.

One thread removes what has expired: mark, commit, remove the object, delete the row, a page at a
time, until less than a page is left. Processes share that work: each claims its own pages.

Another thread does what may take long, so that it never holds up the first: it learns from
corrections, and once an hour drops days whose records are over and removes objects that no row
names: uploads whose commit failed, what workers stored under leases that they had lost, pictures of
the stock that were replaced or whose row was never written, and weights without a version. Pictures
of the stock that a row names stay until an operator removes them.
"""

import datetime as dt
import threading
from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import Connection, Engine, text

from smart_filter_shared import installation, stock
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

# Rows a transaction: it holds their locks for some milliseconds.
_AT_ONCE = 200
# Objects a request: the most that DeleteObjects takes.
_PAGE = 1000
# Pages a turn, so that every kind of row has its turn, and a process that is to end notices soon.
_PAGES_A_TURN = 10
# Of batches that somebody began to delete so long ago, at one sweep.
_LEFT_SECONDS = 60.0
_BATCHES = 10
_JOBS_AT_ONCE = 50
# Of corrections: 11 ms of processor time for a matte, 18 ms for a face, beside what storage takes.
_CORRECTIONS_AT_ONCE = 10
_CLEAR_EVERY_SECONDS = 3600.0
# A key's day is that of its job. What was written lately may be named by a commit under way.
_UNNAMED_FOR = dt.timedelta(hours=1)
# Listing costs a request for every thousand objects that are kept. New objects come under today and
# yesterday. Those of older days are of jobs that are redone or corrected: each such day is listed
# once in this number of turns, which are hours.
_TURNS_AN_OLD_DAY = 24
_SECONDS_A_TURN = 3600
# What forgets rows that are kept no longer.
_FORGETTING = (
    retention.forget_requests,
    deliveries.forget_old,
    corrections.forget_expired,
    shadows.forget_old,
    expiry.expire,
)
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
        self._slow_due = threading.Event()

    def due(self) -> None:
        """Say that this process has won a sweep: it removes what there is to remove."""
        self._due.set()
        self._slow_due.set()

    def run(self, stopping: threading.Event) -> None:
        """Remove when due, until told to stop.  Raises the last of too many defects in a row."""
        turns = SupervisedLoop("retention", every_seconds=0.0)
        while not stopping.wait(turns.pause_seconds):
            if not self._due.wait(timeout=0.5):
                continue
            self._due.clear()
            with turns.step():
                self.remove_expired()

    def run_slow(self, stopping: threading.Event) -> None:
        """Learn and clear when due, in a thread of its own, until told to stop.

        Raises the last of too many defects in a row.
        """
        turns = SupervisedLoop("clearing", every_seconds=0.0)
        while not stopping.wait(turns.pause_seconds):
            if not self._slow_due.wait(timeout=0.5):
                continue
            self._slow_due.clear()
            with turns.step():
                if self._wins_clearing():
                    self.drop_days()
                    self.clear()
                self.learn()

    def learn(self) -> None:
        """Make examples of corrections, and tell in manifests what was deleted."""
        if self._collecting is not None:
            self._collecting.collect(most=_CORRECTIONS_AT_ONCE)
        manifests.write_stale(self._engine, self._store, most=_AT_ONCE)

    def remove_expired(self) -> int:
        """Mark what has expired, and remove what is marked; return how many objects.

        Uploads too. Requests whose keys are a day old are forgotten on the way, deliveries of a
        week ago, and what was found out about photos whose results go; batches are deleted to
        their end. What is left after that has its turn at once.
        """
        self._go_on_deleting()
        forgotten = [self._forget(forget) for forget in _FORGETTING]
        removed, is_done = 0, False
        for _ in range(_PAGES_A_TURN):
            of_page, is_done = self._remove_page()
            removed += of_page
            if is_done:
                break
        if not (is_done and all(forgotten)):
            self._due.set()
        return removed

    def _remove_page(self) -> tuple[int, bool]:
        """Remove a page of objects; return how many, and whether it was the last one for now."""
        with sessions.transaction(self._engine) as connection:
            made = retention.claim(connection, most=_PAGE)
            put = uploads.claim(connection, most=_PAGE)
            # Only what this page has room for is marked, however long storage is away.
            room, room_put = _PAGE - len(made), _PAGE - len(put)
            is_done = retention.mark_expired(connection, most=room) < room
            is_done &= uploads.mark_expired(connection, most=room_put) < room_put
            made += retention.claim(connection, most=room)
            put += uploads.claim(connection, most=room_put)
        if not made and not put:
            return 0, is_done
        refused = self._store.remove_many([one.key for one in (*made, *put)])
        with sessions.transaction(self._engine) as connection:
            retention.forget(connection, [one for one in made if one.key not in refused])
            uploads.forget(connection, [one for one in put if one.key not in refused])
        if refused:
            # They are tried again when their lease ends.
            key, code = next(iter(refused.items()))
            _log.warning("objects not removed", objects=len(refused), key=key, code=code)
        removed = len(made) + len(put) - len(refused)
        # Storage that refuses everything is asked again at the next sweep.
        return removed, is_done or removed == 0

    def _forget(self, forget: Callable[..., int]) -> bool:
        """Forget rows in transactions of their own; return whether all are forgotten."""
        for _ in range(_PAGES_A_TURN):
            with sessions.transaction(self._engine) as connection:
                if forget(connection, most=_AT_ONCE) < _AT_ONCE:
                    return True
        return False

    def _go_on_deleting(self) -> None:
        """Delete some of what is left of batches that nobody goes on deleting."""
        with sessions.transaction(self._engine) as connection:
            batches = transitions.left_over(connection, seconds=_LEFT_SECONDS, most=_BATCHES)
        for batch_id, tenant in batches:
            with sessions.transaction(self._engine) as connection:
                transitions.go_on_deleting(connection, batch_id, tenant, most=_JOBS_AT_ONCE)

    def clear(self, *, older_than: dt.timedelta = _UNNAMED_FOR) -> int:
        """Remove objects that no row names, where the bucket is this database's; return how many.

        Only what was written so long ago, and before the bucket was last confirmed.
        """
        confirmed_at = installation.confirm(self._engine, self._store)
        with sessions.transaction(self._engine) as connection:
            if (fault := installation.fault(connection)) is not None:
                _log.error("objects that no row names are kept", reason=fault)
            now = _now(connection)
        if confirmed_at is None:
            return 0
        turn = int(now.timestamp()) // _SECONDS_A_TURN
        return self._clear_written_before(min(now - older_than, confirmed_at), now, turn)

    def clear_unnamed(self, *, older_than: dt.timedelta, turn: int | None = None) -> int:
        """Remove objects that no row names and that were not written lately; return how many.

        turn: counts the times; each lists some of the older days; None: lists all.
        """
        with sessions.transaction(self._engine) as connection:
            now = _now(connection)
        return self._clear_written_before(now - older_than, now, turn)

    def _clear_written_before(self, moment: dt.datetime, now: dt.datetime, turn: int | None) -> int:
        """Remove objects that no row names and that were written before a moment."""
        removed = self._clear(self._folders(now.date(), turn), moment, retention.unnamed)
        removed += self._clear([keys.STOCK], moment, stock.unnamed)
        removed += self._clear([keys.WEIGHTS], moment, versions.unnamed)
        if removed:
            _log.info("removed objects that no row names", objects=removed)
        return removed

    def _folders(self, today: dt.date, turn: int | None) -> list[str]:
        """Return the folders of days that a turn lists; other folders are not ours."""
        days = {folder: keys.day_of_folder(folder) for folder in self._store.folders()}
        return [
            folder
            for folder, day in days.items()
            if day is not None
            and (
                turn is None
                or today - day <= dt.timedelta(days=1)
                or (day.toordinal() - turn) % _TURNS_AN_OLD_DAY == 0
            )
        ]

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
            removed += len(unnamed) - len(self._store.remove_many(unnamed))
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
                if len(piece) == _PAGE:
                    yield piece
                    piece = []
            yield piece

    def _wins_clearing(self) -> bool:
        with sessions.transaction(self._engine) as connection:
            return presence.win_clearing(
                connection, cell=self._cell, every_seconds=_CLEAR_EVERY_SECONDS
            )


def _now(connection: Connection) -> dt.datetime:
    """Return the time of the database, in UTC; a worker's clock may be wrong."""
    now = connection.execute(text("SELECT statement_timestamp()")).scalar_one()
    assert isinstance(now, dt.datetime)
    return now.astimezone(dt.UTC)
