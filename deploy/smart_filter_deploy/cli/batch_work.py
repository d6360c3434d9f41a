"""Does a batch: looks at the folder, keeps the conveyor fed, tells what comes of it."""

import json
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from pathlib import Path

import click
from rich.console import Console

from smart_filter_deploy.cli import batch_report, queued
from smart_filter_deploy.cli.connection import Server, client_of, named_server, running_server
from smart_filter_deploy.cli.conveyor import Conveyor, recipe_digest
from smart_filter_deploy.cli.dashboard import Dashboard, line_of
from smart_filter_deploy.cli.endings import (
    ALL_SUCCEEDED,
    INTERRUPTED,
    PHOTO_FAILED,
    WRONG_USAGE,
    Ending,
    say,
)
from smart_filter_deploy.cli.journal import SUCCEEDED, Entry, Journal
from smart_filter_deploy.cli.passage import Wanted
from smart_filter_deploy.cli.patience import GivenUp, Patience
from smart_filter_deploy.cli.photo_folder import Found, PhotoFolder
from smart_filter_deploy.cli.server_at_hand import server_at_hand
from smart_filter_deploy.cli.stopping import Stop, asked_by_signals

# Enough to keep a machine's workers busy while photos are sent and pictures fetched, and few
# enough that the memory for their bytes does not matter.
_AT_ONCE = 8
_LOOK_SECONDS = 1.0
_BEAT_SECONDS = 0.1
_MOST_FAILED = 20


class Work:
    """A batch from its first look to its end; progress goes to the console.

    photos: where they are.  journal: of the folder for the pictures.
    watch: whether to stay until told to stop.  retry_failed: whether what failed is done again.
    report_file: where to tell of all photos.  as_json: whether standard output is for programs.
    """

    def __init__(
        self,
        photos: PhotoFolder,
        journal: Journal,
        wanted: Wanted,
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
        self._stop = Stop()
        self._look = photos.look()
        self._seen: dict[str, tuple[int, int]] = {}
        self._before = 0
        self._due: deque[Found] = deque()
        self._under_way: dict[Future[Entry], Found] = {}
        self._told: set[str] = set()

    def do(self) -> int:
        """Do it; return the exit status.  Raises Ending."""
        started = time.monotonic()
        for closed in self._look.closed:
            say(f"passed over: {closed}")
        self._sort()
        # Where nothing is to be done no server is needed, let alone started.
        if self._watch or self._is_unfinished():
            with server_at_hand(self._console) as server:
                self._put_through(server)
        self._write_report()
        failed = self._failed()
        if not self._as_json:
            self._sum_up(failed, time.monotonic() - started)
        if self._stop.at_once or (self._stop.requested and not self._watch):
            return INTERRUPTED if self._is_unfinished() else ALL_SUCCEEDED
        return PHOTO_FAILED if failed else ALL_SUCCEEDED

    def _sort(self) -> None:
        """Find out what of the last look is due: what is new, has changed, or is to be retried."""
        busy = {found.name for found in (*self._due, *self._under_way.values())}
        for found in self._look.photos:
            if found.name in busy or self._seen.get(found.name) == found.version:
                continue
            self._seen[found.name] = found.version
            if self._journal.is_done(found, self._recipe) and not self._is_retried(found):
                self._before += 1
            else:
                self._due.append(found)

    def _is_retried(self, found: Found) -> bool:
        entry = self._journal.entry(found.name)
        return self._retry_failed and entry is not None and entry.state != SUCCEEDED

    def _is_unfinished(self) -> bool:
        return bool(self._due or self._under_way or self._look.unfinished)

    def _put_through(self, server: Server) -> None:
        with client_of(server) as client:
            # What is wrong with the server or the key is told before anything is waited for.
            next(client.jobs(limit=1), None)

        def find() -> Server | None:
            # A stack that was started again listens elsewhere.
            return named_server() or running_server() or server

        with (
            Dashboard(self._console) as dashboard,
            closing(Patience(find, stop=self._stop, tell=dashboard.say)) as patience,
            asked_by_signals(self._stop),
            self._pool() as pool,
        ):
            conveyor = Conveyor(
                patience, self._journal, self._wanted, stop=self._stop, tell=dashboard.moved
            )
            looked = time.monotonic()
            while self._goes_on():
                self._feed(pool, conveyor)
                waiting = len(self._due) + len(self._under_way) + self._look.unfinished
                dashboard.count(waiting=waiting, before=self._before)
                if self._collect(dashboard) and not self._is_unfinished():
                    self._write_report()
                if self._stop.requested:
                    dashboard.say_finishing()
                elif time.monotonic() - looked >= _LOOK_SECONDS and (
                    self._watch or self._look.unfinished
                ):
                    self._look, looked = self._photos.look(), time.monotonic()
                    self._sort()

    def _goes_on(self) -> bool:
        if self._stop.requested:
            return bool(self._under_way)
        return self._watch or self._is_unfinished()

    @contextmanager
    def _pool(self) -> Iterator[ThreadPoolExecutor]:
        """Give threads; whatever ends the block early has them leave what they do."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            try:
                yield pool
            except BaseException:
                self._stop.leave()
                raise

    def _feed(self, pool: ThreadPoolExecutor, conveyor: Conveyor) -> None:
        while self._due and len(self._under_way) < _AT_ONCE and not self._stop.requested:
            found = self._due.popleft()
            taken = pool.submit(conveyor.take, found, again=self._retry_failed)
            self._under_way[taken] = found

    def _collect(self, dashboard: Dashboard) -> bool:
        """Wait a moment; tell what has ended meanwhile, and return whether anything has."""
        if not self._under_way:
            time.sleep(_BEAT_SECONDS)
            return False
        ended, _ = wait(self._under_way, _BEAT_SECONDS, FIRST_COMPLETED)
        for taken in ended:
            found = self._under_way.pop(taken)
            try:
                entry = taken.result()
            except GivenUp:
                self._due.append(found)  # for the next time
                dashboard.left(found.name)
                continue
            dashboard.ended(entry)
            self._told.add(entry.photo)
            if self._as_json:
                click.echo(json.dumps(batch_report.row(entry, self._journal.folder)))
        return bool(ended)

    def _failed(self) -> list[Entry]:
        """Return the photos of the folder that have failed and not succeeded since."""
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
            raise Ending(
                f"cannot write {self._report_file} ({error.strerror})", WRONG_USAGE
            ) from error

    def _sum_up(self, failed: Sequence[Entry], seconds: float) -> None:
        left = len(self._due) + self._look.unfinished
        done = len(self._seen) - left - len(failed)
        others = self._look.skipped
        parts = {
            f"{done} done": done or not (failed or left),
            f"{len(failed)} failed": failed,
            f"{left} left": left,
            f"{others} other file{'s' if others > 1 else ''} passed over": others,
        }
        told = ", ".join(text for text, is_told in parts.items() if is_told)
        photos = "1 photo" if len(self._seen) == 1 else f"{len(self._seen)} photos"
        lines = [f"{photos} in {queued.span(seconds)}: {told}; {self._journal.folder}"]
        # Those of this time were told when it happened.
        before = [entry for entry in failed if entry.photo not in self._told]
        lines += [f"  {line_of(entry)}" for entry in before[:_MOST_FAILED]]
        if len(before) > _MOST_FAILED:
            lines.append(f"  and {len(before) - _MOST_FAILED} more, which --report tells")
        if failed:
            lines.append("--retry-failed tries them again")
        if left:
            lines.append("the same command does the rest")
        for line in lines:
            self._console.print(line, soft_wrap=True, markup=False)
