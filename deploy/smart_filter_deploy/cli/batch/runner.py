"""Runs a batch: scans the folder, keeps the workers busy, reports the outcomes."""

import contextlib
import dataclasses
import json
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import cast

import click
from rich.console import Console

from smart_filter_client import Client, Recipe, Upload
from smart_filter_client.errors import InvalidRequest, TryLater
from smart_filter_deploy.cli.batch import album
from smart_filter_deploy.cli.batch import report as batch_report
from smart_filter_deploy.cli.batch.dashboard import Dashboard, album_lines
from smart_filter_deploy.cli.batch.journal import Journal
from smart_filter_deploy.cli.batch.report import Row
from smart_filter_deploy.cli.batch.retry import RetryingClient, StoppedWhileAway
from smart_filter_deploy.cli.batch.watch import PHOTO_FORMATS, FoundPhoto, HotFolder, WatchedFolder
from smart_filter_deploy.cli.batch.worker import (
    PhotoWorker,
    add_drawings,
    count_drawings,
    recipe_digest,
)
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
    CommandError,
    print_error,
)
from smart_filter_deploy.cli.terminal.report import format_duration
from smart_filter_deploy.cli.terminal.signals import StopFlag, stop_on_signals
from smart_filter_wire.catalog import SavedRecipe

# Photos in progress at once: enough to keep one machine's workers busy during uploads and
# downloads, few enough that their bytes fit in memory.
_MAX_CONCURRENT = 8
_SCAN_SECONDS = 1.0
_TICK_SECONDS = 0.1
# Version of a photo that was moved away; no file has it.
_MOVED = (-1, 0)
# Codes of failures that last until the photo or the recipe is changed.
_FOREVER = {"image_unreadable", "image_too_large", "no_mask", "no_person", "photo_too_small"}


class BatchRunner:
    """A batch from its first scan to its end; progress goes to the console.

    photos: the input folder.  journal: of the output folder.
    outputs: what to ask for where neither the recipe nor saved ones that it names say it.
    hot_folder: where photos go that have ended; None: they stay, and the batch ends with the last.
    retry_failed: whether to retry failed photos.
    report_file: report of all photos.  as_json: whether standard output is JSON.
    """

    def __init__(
        self,
        photos: WatchedFolder,
        journal: Journal,
        wanted: PhotoRequest,
        *,
        outputs: str,
        console: Console,
        hot_folder: HotFolder | None,
        retry_failed: bool,
        report_file: Path | None,
        as_json: bool,
    ) -> None:
        self._photos = photos
        self._journal = journal
        self._wanted = wanted
        self._outputs = outputs
        self._recipe = recipe_digest(wanted)
        self._console = console
        self._hot_folder = hot_folder
        self._watch = hot_folder is not None
        self._retry_failed = retry_failed
        self._report_file = report_file
        self._lists_jobs = report_file is not None or wanted.best is not None
        self._as_json = as_json
        self._stop = StopFlag()
        self._look = photos.look()
        self._seen: dict[str, tuple[int, int]] = {}
        self._before = 0
        self._due: deque[FoundPhoto] = deque()
        self._under_way: dict[Future[Row], FoundPhoto] = {}
        self._needs_take = wanted.best == album.TAKE and bool(self._look.names)
        # Of the photos that ended in this run, and of others that a report or an album lists.
        self._rows: dict[str, Row] = {}
        self._others: dict[str, Row] = {}

    def do(self) -> int:
        """Run the batch; return the exit status.  Raises CommandError."""
        started = time.monotonic()
        with contextlib.ExitStack() as opened:
            if self._wanted.recipe.get("recipe"):
                # Saved recipes may have changed since the last run.
                server = opened.enter_context(open_server(self._console))
                saved = _named_recipes(server, self._wanted)
                self._wanted = _with_findings(self._wanted, saved, self._outputs)
                self._recipe = recipe_digest(self._wanted, saved)
            return self._run(started)

    def _run(self, started: float) -> int:
        for closed in self._look.closed:
            print_error(f"skipped: {closed}")
        if self._wanted.drawings is not None:
            told = count_drawings(self._wanted.drawings, self._look.names)
            self._console.print(told, soft_wrap=True, markup=False)
        self._queue_due()
        # A finished batch needs no server, unless its jobs are listed; do not start one.
        if self._watch or self._is_unfinished() or (self._lists_jobs and self._journal.entries()):
            with open_server(self._console) as server:
                self._put_through(server)
        self._write_report()
        failed = [row for row in self._rows.values() if not row.succeeded]
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
            if self._hot_folder is not None and self._has_ended(photo, self._hot_folder):
                continue
            self._seen[photo.name] = photo.version
            if self._is_done(photo):
                self._before += 1
            else:
                self._journal.number(photo.name)  # in the order of their names
                self._due.append(photo)

    def _is_done(self, photo: FoundPhoto) -> bool:
        try:
            _, recipe = add_drawings(self._wanted, photo.name, self._recipe)
        except (OSError, ValueError):
            return False  # its outcome will say why
        return self._journal.is_done(photo, recipe)

    def _has_ended(self, photo: FoundPhoto, hot_folder: HotFolder) -> bool:
        """Rename or move a photo of a watched folder whose name has ended; return whether it did.

        Cameras reuse names: another photo of a name must not replace the first one's picture.
        """
        entry = self._journal.entry(photo.name)
        if entry is None or not entry.is_done:
            return False
        if entry.version != photo.version:
            hot_folder.set_apart(photo, lambda name: self._journal.entry(name) is not None)
            return True
        if not self._journal.is_done(photo, self._recipe):
            return False
        # An earlier run ended before it moved the photo, or someone has put it back.
        self._put_away(photo, succeeded=True)
        return True

    def _put_away(self, photo: FoundPhoto, *, succeeded: bool) -> None:
        if self._hot_folder is None:
            return
        moved = self._hot_folder.put_away(photo, succeeded=succeeded)
        if moved is not None:
            self._seen[photo.name] = _MOVED
            entry = self._journal.entry(photo.name)
            if entry is not None:
                self._journal.note(dataclasses.replace(entry, moved=moved))

    def _should_retry(self, photo: FoundPhoto) -> bool:
        """Return whether to send a photo again that has failed: as asked, or as it was put back."""
        entry = self._journal.entry(photo.name)
        return self._retry_failed or (entry is not None and bool(entry.moved))

    def _is_unfinished(self) -> bool:
        return bool(self._due or self._under_way or self._look.unfinished or self._needs_take)

    def _find_album(self) -> str | None:
        """Return the album of the folder's photos."""
        return album.find_album(self._journal, self._look.photos, self._recipe)

    def _begin_album(self, patience: RetryingClient, dashboard: Dashboard) -> None:
        """Submit the folder as an album unless the server has it, and queue its photos.

        Raises StoppedWhileAway, CommandError.
        """
        while self._look.unfinished and not self._stop.requested:
            self._stop.wait(_SCAN_SECONDS)
            self._look = self._photos.look()
        photos, album_id = self._look.photos, self._find_album()
        earlier = album.read_album(patience, album_id)
        if earlier is None:
            is_new = album_id is None or bool(self._due)
        else:
            has_failed = earlier.failed or earlier.canceled or earlier.total < len(photos)
            is_new = self._retry_failed and bool(has_failed)
        if is_new:
            earlier = album.submit_album(
                patience,
                self._journal,
                photos,
                self._wanted,
                recipe=self._recipe,
                stop=self._stop,
                tell=dashboard.moved,
            )
        refused = {} if earlier is None else album.list_refused(self._journal, earlier)
        self._seen.clear()
        self._due.clear()
        self._before = 0
        self._queue_due()
        self._due = deque(photo for photo in self._due if photo.name not in refused)
        self._count(dashboard, more=len(refused))
        for row in refused.values():
            self._report(dashboard, row)

    def _put_through(self, server: Server) -> None:
        with open_client_for(server) as client:
            # Report a wrong server or key before waiting starts, and a wrong recipe.
            next(client.jobs(limit=1), None)
            _check_recipe(client, self._wanted)

        def find() -> Server | None:
            # A restarted stack listens on another port.
            return server_from_environment() or running_server() or server

        with (
            Dashboard(self._console) as dashboard,
            contextlib.closing(
                RetryingClient(find, stop=self._stop, tell=dashboard.say)
            ) as patience,
            stop_on_signals(self._stop),
            self._pool() as pool,
        ):
            worker = PhotoWorker(
                patience,
                self._journal,
                self._wanted,
                recipe=self._recipe,
                stop=self._stop,
                tell=dashboard.moved,
            )
            if self._wanted.best is not None and self._is_unfinished():
                with contextlib.suppress(StoppedWhileAway):
                    self._begin_album(patience, dashboard)
            looked = time.monotonic()
            while self._has_work():
                self._feed(pool, worker)
                self._count(dashboard)
                if self._collect(dashboard) and not self._is_unfinished():
                    with contextlib.suppress(StoppedWhileAway):
                        self._read_others(pool, worker)
                    self._write_report()
                if self._stop.requested:
                    dashboard.show_finishing(len(self._under_way))
                elif time.monotonic() - looked >= _SCAN_SECONDS and (
                    self._watch or self._look.unfinished
                ):
                    self._look, looked = self._photos.look(), time.monotonic()
                    self._queue_due()
            with contextlib.suppress(StoppedWhileAway):
                self._finish_take(patience, worker, dashboard)
                self._read_others(pool, worker)

    def _finish_take(
        self, patience: RetryingClient, worker: PhotoWorker, dashboard: Dashboard
    ) -> None:
        """Write the take of the album, whose photos have ended.  Raises StoppedWhileAway."""
        album_id = self._find_album()
        if not self._needs_take or album_id is None or self._stop.requested:
            return
        row = album.fetch_take(patience, self._journal, worker, album_id)
        if row is not None:
            self._needs_take = False
            self._report(dashboard, row)

    def _count(self, dashboard: Dashboard, more: int = 0) -> None:
        waiting = len(self._due) + len(self._under_way) + self._look.unfinished
        dashboard.count(waiting=waiting + self._needs_take + more, before=self._before)

    def _has_work(self) -> bool:
        if self._stop.requested:
            return bool(self._under_way)
        return self._watch or bool(self._due or self._under_way or self._look.unfinished)

    @contextlib.contextmanager
    def _pool(self) -> Iterator[ThreadPoolExecutor]:
        """Give a thread pool; an exception in the block stops its photos at once."""
        with ThreadPoolExecutor(_MAX_CONCURRENT) as pool:
            try:
                yield pool
            except BaseException:
                self._stop.leave()
                raise

    def _feed(self, pool: ThreadPoolExecutor, worker: PhotoWorker) -> None:
        while self._due and len(self._under_way) < _MAX_CONCURRENT and not self._stop.requested:
            photo = self._due.popleft()
            taken = pool.submit(worker.take, photo, again=self._should_retry(photo))
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
                row = taken.result()
            except StoppedWhileAway:
                self._due.append(photo)  # for the next run
                continue
            self._put_away(photo, succeeded=row.succeeded)
            self._report(dashboard, row)
        return bool(ended)

    def _report(self, dashboard: Dashboard, row: Row) -> None:
        dashboard.ended(row)
        self._rows[row.file] = row
        if self._as_json:
            click.echo(json.dumps(dataclasses.asdict(row)))

    def _read_others(self, pool: ThreadPoolExecutor, worker: PhotoWorker) -> None:
        """Ask the service for photos that ended before this run, if they are listed."""
        if not self._lists_jobs:
            return
        others = [
            entry
            for entry in self._journal.entries()
            if entry.photo not in self._rows and entry.photo not in self._others
        ]
        for row in pool.map(worker.read_row, others):
            self._others[row.file] = row

    def _write_report(self) -> None:
        if self._report_file is None:
            return
        rows = {**self._others, **self._rows}
        moved = {entry.photo: entry.moved for entry in self._journal.entries()}
        paths = {name: self._photos.root / (moved.get(name) or name) for name in rows}
        try:
            batch_report.write(
                self._report_file,
                [rows[name] for name in sorted(rows)],
                paths,
                title=self._photos.root.resolve().name,
            )
        except OSError as error:
            raise CommandError(f"cannot write {self._report_file} ({error.strerror})") from error

    def _print_summary(self, failures: Sequence[Row], seconds: float) -> None:
        failed, left = len(failures), len(self._due) + self._look.unfinished
        total = len(self._seen) + self._look.unfinished
        take = self._rows.get(album.TAKE)
        done = total - left - failed + (take is not None and not take.succeeded)
        others = self._look.skipped
        if not total:
            skipped = f" ({others} other file{'s' if others > 1 else ''})" if others else ""
            none = f"no photos in {self._photos.root}{skipped}: {PHOTO_FORMATS} files count"
            self._console.print(none, soft_wrap=True, markup=False)
            return
        parts = {
            f"{done} done": done or not (failed or left),
            f"{failed} failed": failed,
            f"{left} left": left,
            f"{others} other file{'s' if others > 1 else ''} skipped": others,
        }
        summary = ", ".join(text for text, is_shown in parts.items() if is_shown)
        photos = "1 photo" if total == 1 else f"{total} photos"
        lines = [f"{photos} in {format_duration(seconds)}: {summary}; {self._journal.folder}"]
        if any((row.error or {}).get("code") not in _FOREVER for row in failures):
            moved = "move them back from failed/ to retry them"
            lines.append(moved if self._watch else "--retry-failed retries them")
        if self._wanted.best is not None:
            rows = {**self._others, **self._rows}
            best = self._wanted.best if isinstance(self._wanted.best, int) else 0
            shown = [rows[name] for name in sorted(self._seen) if name in rows]
            lines += album_lines(shown, best, take, self._journal)
        if left:
            lines.append("run the same command again to do the rest")
        for line in lines:
            self._console.print(line, soft_wrap=True, markup=False)


def _named_recipes(server: Server, wanted: PhotoRequest) -> list[SavedRecipe]:
    """Return the saved recipes that a recipe names; others are refused at submission."""
    names = {
        name.strip()
        for text in cast("list[str]", wanted.recipe.get("recipe", []))
        for name in text.split(",")
    }
    with open_client_for(server) as client:
        return [saved for saved in client.recipes() if saved.name in names]


def _with_findings(
    wanted: PhotoRequest, saved: Sequence[SavedRecipe], outputs: str
) -> PhotoRequest:
    """Return the request with these outputs, unless its recipe or a saved one has others."""
    if any("outputs" in recipe for recipe in (wanted.recipe, *(entry.recipe for entry in saved))):
        return wanted
    recipe = {**wanted.recipe, "outputs": [outputs]}
    return dataclasses.replace(wanted, recipe=cast("Recipe", recipe))


def _check_recipe(client: Client, wanted: PhotoRequest) -> None:
    """Raise InvalidRequest when the server refuses a recipe; no job is made."""
    # The server names every fault of a submission, and this upload is always one.
    missing = Upload("00000000-0000-0000-0000-000000000000", None)
    try:
        client.submit(missing, wanted.recipe, background_file=wanted.background_file)
    except InvalidRequest as error:
        error.errors = tuple(fault for fault in error.errors if fault.pointer != "/upload_id")
        if error.errors:
            raise
    except TryLater:
        return  # photos wait for the server too
