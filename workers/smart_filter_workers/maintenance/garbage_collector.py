"""Remove expired artifacts and uploads, and objects that no row names.

One thread removes what has expired, a page at a time: mark, commit, remove the objects, delete the
rows, until less than a page is left. Processes share that work: each claims its own pages.

A second thread does the slow work, so that it never delays the first. It makes examples of
corrections. Once an hour it deletes records past their retention and removes objects that no row
names: uploads whose commit failed, results stored under a lost lease, pictures of the stock
that were replaced or whose row was never written, and weights without a version. Pictures of the
stock that a row names stay until an operator removes them.
"""

import datetime as dt
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy import Connection, Engine, text

from smart_filter_shared import installation, stock
from smart_filter_shared.artifacts import expiry, records, retention, uploads
from smart_filter_shared.db import sessions
from smart_filter_shared.feedback import corrections
from smart_filter_shared.ids import first_id
from smart_filter_shared.jobs import choices
from smart_filter_shared.jobs.photo_queue import CLIENT
from smart_filter_shared.model_registry import weight_versions
from smart_filter_shared.queue import worker_registry
from smart_filter_shared.stock import incoming
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore, list_written_before
from smart_filter_shared.supervision import SupervisedLoop
from smart_filter_shared.telemetry.logs import logger
from smart_filter_shared.tenants import audit_log
from smart_filter_shared.webhooks import outbox
from smart_filter_workers.learning import dataset_export
from smart_filter_workers.learning.examples import ExampleCollector

# Rows per transaction, which holds their locks for some milliseconds.
_ROWS_PER_TRANSACTION = 200
# Objects per request: the limit of DeleteObjects.
_PAGE_OBJECTS = 1000
# Pages per turn: every kind of row gets its turn, and a stopping process notices soon.
_PAGES_PER_TURN = 10
# A batch deletion that has stalled this long is continued by a sweep.
_ABANDONED_AFTER_SECONDS = 60.0
_BATCHES_PER_SWEEP = 10
_JOBS_PER_STEP = 50
# Corrections per turn: one takes 11 ms of CPU for a matte, 18 ms for a face, plus storage requests.
_CORRECTIONS_PER_TURN = 10
# Pause between turns that delete rows past their retention, and that ask whether clearing is due:
# they are hours old, and each turn costs six transactions even when there is nothing to do.
_ROWS_EVERY_SECONDS = 10.0
_CLEAR_EVERY_SECONDS = 3600.0
# Records that one transaction looks at; a batch has up to a thousand jobs.
_RECORDS_AT_ONCE = 500
_BATCHES_AT_ONCE = 5
# Newer objects are spared: a commit under way may name them. (The day of a key is that of its job.)
_UNREFERENCED_GRACE = dt.timedelta(hours=1)
# Listing costs a request per thousand stored objects. New objects lie in the folders of today and
# yesterday. Older days only get objects of jobs that are redone or corrected: each such day is
# listed once in this number of turns, which are hours.
_OLD_DAY_TURNS = 24
_SECONDS_PER_TURN = 3600
# The functions that delete rows past their retention.
_ROW_CLEANUPS = (
    retention.delete_old_requests,
    outbox.delete_old,
    corrections.delete_expired,
    incoming.delete_refused,
    choices.remove_deleted,
    choices.delete_old,
)
_log = logger("retention")


class GarbageCollector:
    """Removes objects in threads of its own, so that slow storage delays no sweep.

    collecting: makes examples of corrections before their artifacts are removed; None: no
        examples are made.
    record_seconds: how long records of jobs are kept after their end; 0: for ever.
    audit_seconds: how long events of the security log are kept.
    """

    def __init__(
        self,
        engine: Engine,
        store: ObjectStore,
        *,
        collecting: ExampleCollector | None = None,
        record_seconds: float = 0.0,
        audit_seconds: float = audit_log.MIN_KEPT_SECONDS,
    ) -> None:
        self._engine = engine
        self._store = store
        self._collecting = collecting
        self._record_seconds = record_seconds
        self._delete_old_audit_events = partial(audit_log.delete_old, seconds=audit_seconds)
        self._due = threading.Event()
        self._slow_due = threading.Event()
        # By `time.monotonic`.
        self._rows_due_at = 0.0
        self._clearing_due_at = 0.0

    def request_run(self) -> None:
        """Wake both threads, because this process has won a sweep."""
        self._due.set()
        self._slow_due.set()

    def run(self, stopping: threading.Event) -> None:
        """Remove when due, until `stopping` is set.  Raises after too many errors in a row."""
        _repeat("retention", self._due, self._remove_due, stopping)

    def run_slow(self, stopping: threading.Event) -> None:
        """Collect examples and clear when due, until `stopping` is set; for its own thread.

        Raises the last of too many errors in a row.
        """
        _repeat("clearing", self._slow_due, self._clear_due, stopping)

    def _remove_due(self) -> None:
        rows = time.monotonic() >= self._rows_due_at
        if rows:
            self._rows_due_at = time.monotonic() + _ROWS_EVERY_SECONDS
        self.remove_expired(rows=rows)

    def _clear_due(self) -> None:
        if time.monotonic() >= self._clearing_due_at:
            self._clearing_due_at = time.monotonic() + _ROWS_EVERY_SECONDS
            with sessions.transaction(self._engine) as connection:
                is_due = worker_registry.acquire_orphan_scan(
                    connection, every_seconds=_CLEAR_EVERY_SECONDS
                )
            if is_due:
                self.delete_old_records()
                self.clear()
        self.learn()

    def learn(self) -> None:
        """Make examples of corrections, and update the manifests after deletions."""
        if self._collecting is not None:
            self._collecting.collect(most=_CORRECTIONS_PER_TURN)
        dataset_export.write_stale(self._engine, self._store, most=_ROWS_PER_TRANSACTION)

    def remove_expired(self, *, rows: bool = True) -> int:
        """Mark what has expired and remove what is marked; return how many objects were removed.

        This covers artifacts, uploads, and what was read from photos of expired jobs. If anything
        is left, the next turn follows at once.
        rows: whether it also deletes request keys older than a day and deliveries older than a
            week, and continues batch deletions.
        """
        if rows:
            self._continue_deletions()
        of_rows = (*_ROW_CLEANUPS, self._delete_old_audit_events) if rows else ()
        cleanups = (*of_rows, expiry.expire_results)
        forgotten = [self._forget(cleanup) for cleanup in cleanups]
        removed, is_done = 0, False
        for _ in range(_PAGES_PER_TURN):
            of_page, is_done = self._remove_page()
            removed += of_page
            if is_done:
                break
        if not all(forgotten):
            self._rows_due_at = 0.0
        if not (is_done and all(forgotten)):
            self._due.set()
        return removed

    def _remove_page(self) -> tuple[int, bool]:
        """Remove a page of objects; return how many, and whether it was the last one for now."""
        with sessions.transaction(self._engine) as connection:
            made = retention.claim(connection, most=_PAGE_OBJECTS)
            put = uploads.claim(connection, most=_PAGE_OBJECTS)
            # Mark only what fits into this page, however long storage is unavailable.
            max_made, max_put = _PAGE_OBJECTS - len(made), _PAGE_OBJECTS - len(put)
            marked_made = retention.mark_expired(connection, most=max_made)
            marked_put = uploads.mark_expired(connection, most=max_put)
            is_done = marked_made < max_made and marked_put < max_put
            if marked_made:
                made += retention.claim(connection, most=max_made)
            if marked_put:
                put += uploads.claim(connection, most=max_put)
        if not made and not put:
            return 0, is_done
        refused = self._store.remove_many([file.key for file in (*made, *put)])
        with sessions.transaction(self._engine) as connection:
            retention.delete_rows(connection, [file for file in made if file.key not in refused])
            uploads.delete_rows(connection, [file for file in put if file.key not in refused])
        if refused:
            # They are tried again when their claim ends.
            key, code = next(iter(refused.items()))
            _log.warning("objects_not_removed", objects=len(refused), key=key, code=code)
        removed = len(made) + len(put) - len(refused)
        # If storage refuses everything, try again at the next sweep.
        return removed, is_done or removed == 0

    def _forget(self, forget: Callable[..., int]) -> bool:
        """Delete rows in transactions of their own; return whether all are deleted."""
        for _ in range(_PAGES_PER_TURN):
            with sessions.transaction(self._engine) as connection:
                if forget(connection, most=_ROWS_PER_TRANSACTION) < _ROWS_PER_TRANSACTION:
                    return True
        return False

    def _continue_deletions(self) -> None:
        """Delete some jobs of batches whose deletion has stalled."""
        with sessions.transaction(self._engine) as connection:
            batches = CLIENT.list_stalled_deletions(
                connection, seconds=_ABANDONED_AFTER_SECONDS, most=_BATCHES_PER_SWEEP
            )
        for batch_id, tenant in batches:
            with sessions.transaction(self._engine) as connection:
                CLIENT.continue_batch_deletion(connection, batch_id, tenant, most=_JOBS_PER_STEP)

    def clear(self, *, older_than: dt.timedelta = _UNREFERENCED_GRACE) -> int:
        """Remove objects that no row names, if the bucket is this database's; return how many.

        Only objects older than `older_than`, and written before the bucket was last confirmed.
        """
        confirmed_at = installation.confirm(self._engine, self._store)
        with sessions.transaction(self._engine) as connection:
            if (fault := installation.read_fault(connection)) is not None:
                _log.error("orphan_removal_disabled", reason=fault)
            now = _database_now(connection)
        if confirmed_at is None:
            return 0
        turn = int(now.timestamp()) // _SECONDS_PER_TURN
        return self._clear_written_before(min(now - older_than, confirmed_at), now, turn)

    def clear_unreferenced(self, *, older_than: dt.timedelta, turn: int | None = None) -> int:
        """Remove old objects that no row names; return how many.

        turn: the number of this turn, which selects some of the older days; None: all days.
        """
        with sessions.transaction(self._engine) as connection:
            now = _database_now(connection)
        return self._clear_written_before(now - older_than, now, turn)

    def _clear_written_before(self, moment: dt.datetime, now: dt.datetime, turn: int | None) -> int:
        """Remove objects written before a moment that no row of any kind names; return how many."""
        removed = self._clear(self._folders(now.date(), turn), moment, retention.unreferenced)
        removed += self._clear([keys.BACKGROUND_PREFIX], moment, stock.unreferenced)
        removed += self._clear([keys.WEIGHTS_PREFIX], moment, weight_versions.unreferenced)
        if removed:
            _log.info("orphans_removed", objects=removed)
        return removed

    def _folders(self, today: dt.date, turn: int | None) -> list[str]:
        """Return the day folders that a turn lists; the service does not own any other folder."""
        days = {folder: keys.day_of_folder(folder) for folder in self._store.folders()}
        return [
            folder
            for folder, day in days.items()
            if day is not None
            and (
                turn is None
                or today - day <= dt.timedelta(days=1)
                or (day.toordinal() - turn) % _OLD_DAY_TURNS == 0
            )
        ]

    def delete_old_records(self) -> None:
        """Delete the records of jobs and batches past the record retention."""
        if not self._record_seconds:
            return
        with sessions.transaction(self._engine) as connection:
            before = first_id(
                _database_now(connection) - dt.timedelta(seconds=self._record_seconds)
            )
        for what, kind, most in (
            ("jobs", records.JOBS, _RECORDS_AT_ONCE),
            ("batches", records.BATCHES, _BATCHES_AT_ONCE),
        ):
            deleted = kept = 0
            after: uuid.UUID | None = records.FIRST
            while after is not None:
                with sessions.transaction(self._engine) as connection:
                    page = records.delete_old(
                        connection,
                        kind,
                        retention_seconds=self._record_seconds,
                        before=before,
                        after=after,
                        most=most,
                    )
                deleted, kept = deleted + page.deleted, kept + page.looked_at - page.deleted
                after = page.last
            if deleted:
                _log.info("records_deleted", what=what, deleted=deleted, kept=kept)

    def _clear(
        self,
        folders: Sequence[str],
        moment: dt.datetime,
        unnamed_among: Callable[[Connection, list[str]], list[str]],
    ) -> int:
        """Remove objects written before a moment that no row names; return how many."""
        removed = 0
        for folder in folders:
            for page in list_written_before(self._store, folder, moment, most=_PAGE_OBJECTS):
                with sessions.transaction(self._engine) as connection:
                    unnamed = unnamed_among(connection, page)
                removed += len(unnamed) - len(self._store.remove_many(unnamed))
        return removed


def _repeat(
    name: str, due: threading.Event, step: Callable[[], None], stopping: threading.Event
) -> None:
    """Take a step each time that it is due, until `stopping` is set."""
    turns = SupervisedLoop(name, every_seconds=0.0)
    while not stopping.wait(turns.pause_seconds):
        if due.wait(timeout=0.5):
            due.clear()
            with turns.step():
                step()


def _database_now(connection: Connection) -> dt.datetime:
    """Return the database's time in UTC; the clock of a worker may be wrong."""
    now = connection.execute(text("SELECT statement_timestamp()")).scalar_one()
    assert isinstance(now, dt.datetime)
    return now.astimezone(dt.UTC)
