"""Runs a batch: scans the folder, keeps the workers busy, reports the outcomes."""

import json
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from pathlib import Path

import click
from rich.console import Console

from smart_filter_deploy.cli.batch import report as batch_report
from smart_filter_deploy.cli.batch.dashboard import Dashboard, summary_line
from smart_filter_deploy.cli.batch.journal import SUCCEEDED, Journal, JournalEntry
from smart_filter_deploy.cli.batch.retry import RetryingClient, StoppedWhileAway
from smart_filter_deploy.cli.batch.watch import FoundPhoto, WatchedFolder
from smart_filter_deploy.cli.batch.worker import PhotoWorker, recipe_digest
from smart_filter_deploy.cli.server.connection import (
    Server,
    open_client_for,
    running_server,
    server_from_environment,
)
from smart_filter_deploy.cli.server.find import open_server
from smart_filter_deploy.cli.server.submit_and_fetch import PhotoRequest
from smart_filter_deploy.cli.terminal.exit_codes import (
    ALL_SUCCEEDED,
    INTERRUPTED,
    PHOTO_FAILED,
    WRONG_USAGE,
    CommandError,
    print_error,
)
from smart_filter_deploy.cli.terminal.report import format_duration
from smart_filter_deploy.cli.terminal.signals import StopFlag, stop_on_signals

# Photos in progress at once: enough to keep one machine's workers busy during uploads and
# downloads, few enough that their bytes fit in memory.
_MAX_CONCURRENT = 8
_SCAN_SECONDS = 1.0
_TICK_SECONDS = 0.1
_MAX_LISTED_FAILURES = 20


class BatchRunner:
    """A batch from its first scan to its end; progress goes to the console.

    photos: the input folder.  journal: of the output folder.
    watch: whether to run until stopped.  retry_failed: whether to retry failed photos.
    report_file: report of all photos.  as_json: whether standard output is JSON.
    """

    def __init__(
        self,
        photos: WatchedFolder,
        journal: Journal,
        wanted: PhotoRequest,
        *,
        console: Console,
        watch: bool,
        retry_failed: bool,
        report_file: Path | None,
        as_json: bool,
    ) -> None:
        self._photos = photos
        self._journal = journal
        self._wanted = wanted
        self._recipe = recipe_digest(wanted)
        self._console = console
        self._watch = watch
        self._retry_failed = retry_failed
        self._report_file = report_file
        self._as_json = as_json
        self._stop = StopFlag()
        self._look = photos.look()
        self._seen: dict[str, tuple[int, int]] = {}
        self._before = 0
        self._due: deque[FoundPhoto] = deque()
        self._under_way: dict[Future[JournalEntry], FoundPhoto] = {}
        self._reported: set[str] = set()

    def do(self) -> int:
        """Run the batch; return the exit status.  Raises CommandError."""
        started = time.monotonic()
        for closed in self._look.closed:
            print_error(f"skipped: {closed}")
        self._queue_due()
        # A finished batch needs no server; do not start one.
        if self._watch or self._is_unfinished():
            with open_server(self._console) as server:
                self._put_through(server)
        self._write_report()
        failed = self._failed()
        if not self._as_json:
            self._print_summary(failed, time.monotonic() - started)
        if self._stop.at_once or (self._stop.requested and not self._watch):
            return INTERRUPTED if self._is_unfinished() else ALL_SUCCEEDED
        return PHOTO_FAILED if failed else ALL_SUCCEEDED

    def _queue_due(self) -> None:
        """Queue the new, changed and retried photos of the last scan."""
        busy = {photo.name for photo in (*self._due, *self._under_way.values())}
        for photo in self._look.photos:
            if photo.name in busy or self._seen.get(photo.name) == photo.version:
                continue
            self._seen[photo.name] = photo.version
            if self._journal.is_done(photo, self._recipe) and not self._should_retry(photo):
                self._before += 1
            else:
                self._due.append(photo)

    def _should_retry(self, photo: FoundPhoto) -> bool:
        entry = self._journal.entry(photo.name)
        return self._retry_failed and entry is not None and entry.state != SUCCEEDED

    def _is_unfinished(self) -> bool:
        return bool(self._due or self._under_way or self._look.unfinished)

    def _put_through(self, server: Server) -> None:
        with open_client_for(server) as client:
            # Report a wrong server or key before waiting starts.
            next(client.jobs(limit=1), None)

        def find() -> Server | None:
            # A restarted stack listens on another port.
            return server_from_environment() or running_server() or server

        with (
            Dashboard(self._console) as dashboard,
            closing(RetryingClient(find, stop=self._stop, tell=dashboard.say)) as patience,
            stop_on_signals(self._stop),
            self._pool() as pool,
        ):
            conveyor = PhotoWorker(
                patience, self._journal, self._wanted, stop=self._stop, tell=dashboard.moved
            )
            looked = time.monotonic()
            while self._has_work():
                self._feed(pool, conveyor)
                waiting = len(self._due) + len(self._under_way) + self._look.unfinished
                dashboard.count(waiting=waiting, before=self._before)
                if self._collect(dashboard) and not self._is_unfinished():
                    self._write_report()
                if self._stop.requested:
                    dashboard.show_finishing()
                elif time.monotonic() - looked >= _SCAN_SECONDS and (
                    self._watch or self._look.unfinished
                ):
                    self._look, looked = self._photos.look(), time.monotonic()
                    self._queue_due()

    def _has_work(self) -> bool:
        if self._stop.requested:
            return bool(self._under_way)
        return self._watch or self._is_unfinished()

    @contextmanager
    def _pool(self) -> Iterator[ThreadPoolExecutor]:
        """Give a thread pool; an exception in the block stops its photos at once."""
        with ThreadPoolExecutor(_MAX_CONCURRENT) as pool:
            try:
                yield pool
            except BaseException:
                self._stop.leave()
                raise

    def _feed(self, pool: ThreadPoolExecutor, conveyor: PhotoWorker) -> None:
        while self._due and len(self._under_way) < _MAX_CONCURRENT and not self._stop.requested:
            photo = self._due.popleft()
            taken = pool.submit(conveyor.take, photo, again=self._retry_failed)
            self._under_way[taken] = photo

    def _collect(self, dashboard: Dashboard) -> bool:
        """Wait up to a tick for finished photos and report them; return whether there were any."""
        if not self._under_way:
            time.sleep(_TICK_SECONDS)
            return False
        ended, _ = wait(self._under_way, _TICK_SECONDS, FIRST_COMPLETED)
        for taken in ended:
            photo = self._under_way.pop(taken)
            try:
                entry = taken.result()
            except StoppedWhileAway:
                self._due.append(photo)  # for the next run
                dashboard.left(photo.name)
                continue
            dashboard.ended(entry)
            self._reported.add(entry.photo)
            if self._as_json:
                click.echo(json.dumps(batch_report.to_row(entry, self._journal.folder)))
        return bool(ended)

    def _failed(self) -> list[JournalEntry]:
        """Return the photos of the folder that failed and have not succeeded since."""
        entries = (self._journal.entry(name) for name in sorted(self._seen))
        return [
            entry
            for entry in entries
            if entry is not None and entry.is_final and entry.state != SUCCEEDED
        ]

    def _write_report(self) -> None:
        if self._report_file is None:
            return
        try:
            batch_report.write(self._report_file, self._journal.entries(), self._journal.folder)
        except OSError as error:
            raise CommandError(
                f"cannot write {self._report_file} ({error.strerror})", WRONG_USAGE
            ) from error

    def _print_summary(self, failed: Sequence[JournalEntry], seconds: float) -> None:
        left = len(self._due) + self._look.unfinished
        done = len(self._seen) - left - len(failed)
        others = self._look.skipped
        parts = {
            f"{done} done": done or not (failed or left),
            f"{len(failed)} failed": failed,
            f"{left} left": left,
            f"{others} other file{'s' if others > 1 else ''} skipped": others,
        }
        summary = ", ".join(text for text, is_shown in parts.items() if is_shown)
        photos = "1 photo" if len(self._seen) == 1 else f"{len(self._seen)} photos"
        lines = [f"{photos} in {format_duration(seconds)}: {summary}; {self._journal.folder}"]
        # Failures of this run were printed when they happened.
        before = [entry for entry in failed if entry.photo not in self._reported]
        lines += [f"  {summary_line(entry)}" for entry in before[:_MAX_LISTED_FAILURES]]
        if len(before) > _MAX_LISTED_FAILURES:
            lines.append(f"  and {len(before) - _MAX_LISTED_FAILURES} more; --report lists all")
        if failed:
            lines.append("--retry-failed retries them")
        if left:
            lines.append("run the same command again to do the rest")
        for line in lines:
            self._console.print(line, soft_wrap=True, markup=False)
