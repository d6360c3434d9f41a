"""Progress display of a batch: a bar on a terminal, and a line per photo."""

import glob
import threading
import time
from collections.abc import Callable, Sequence
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column
from rich.text import Text

from smart_filter_deploy.cli.batch.journal import Journal
from smart_filter_deploy.cli.batch.report import Row
from smart_filter_deploy.cli.terminal.console import can_redraw
from smart_filter_deploy.cli.terminal.report import (
    describe_people,
    format_duration,
    format_seconds,
    state_mark,
)

# Minimum of finished photos for an ETA; an average over fewer is too noisy.
_MIN_ENDED_FOR_ETA = 3
_MAX_LISTED_OTHERS = 20


class Dashboard:
    """Show a batch until its `with` block ends; thread-safe.

    clock: monotonic, in seconds.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._lock = threading.RLock()
        self._waiting = self._before = self._ended = 0
        self._note: str | None = None
        self._finishing = False
        self._started: float | None = None
        fitted = Column(no_wrap=True, overflow="ellipsis", ratio=1)
        self._progress = Progress(
            *(MofNCompleteColumn(), BarColumn(), TextColumn("{task.fields[left]}", markup=False)),
            TextColumn("{task.description}", style="dim", markup=False, table_column=fitted),
            console=console,
            transient=True,
            expand=True,
            disable=not can_redraw(console),
        )
        self._bar = self._progress.add_task("", left="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def count(self, *, waiting: int, before: int) -> None:
        """Set the number of unfinished photos, and of photos done before this run."""
        with self._lock:
            self._waiting, self._before = waiting, before
            self._update()

    def moved(self, name: str, where: str) -> None:
        """Show the current step of a photo."""
        with self._lock:
            if self._started is None:
                self._started = self._clock()
            if self._note is None:
                self._progress.update(self._bar, description=f"{name}: {where}")

    def ended(self, row: Row) -> None:
        """Show the outcome of a photo."""
        with self._lock:
            self._ended += 1
            self._waiting -= 1
            self._update()
            if not can_redraw(self._console):
                done = self._before + self._ended
                self._print(f"[{done}/{done + self._waiting}] {summary_line(row)}")
            elif not row.succeeded:
                line = Text.assemble(state_mark(row.state), " ", summary_line(row))
                self._console.print(line, soft_wrap=True)

    def say(self, note: str | None) -> None:
        """Show the reason why all photos wait, until the next call; None clears it."""
        with self._lock:
            if not can_redraw(self._console) and (note is None) != (self._note is None):
                self._print(note or "continuing")
            self._note = note
            self._progress.update(self._bar, description=note or "")

    def show_finishing(self, count: int) -> None:
        """Show that no new photos are started; count: of those in progress."""
        with self._lock:
            if not self._finishing:
                self._finishing = True
                self._print(
                    f"finishing {count} in progress; Ctrl-C again leaves them to the next run"
                    if count
                    else "stopping"
                )

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, markup=False)

    def _update(self) -> None:
        done = self._before + self._ended
        left = ""
        if self._waiting and self._started is not None and self._ended >= _MIN_ENDED_FOR_ETA:
            each = (self._clock() - self._started) / self._ended
            left = f"about {format_duration(self._waiting * each)} left"
        self._progress.update(self._bar, total=done + self._waiting, completed=done, left=left)


def summary_line(row: Row) -> str:
    """Return the outcome of a photo as one line of text."""
    if row.error is not None:
        return f"{row.file}: {row.error['detail']} ({row.error['code']})"
    parts = [] if row.people is None else [describe_people(row.people, row.subject)]
    if row.rating is not None:
        parts.append(f"rating {row.rating}")
    if row.seconds is not None:
        parts.append(format_seconds(row.seconds))
    lines = [f"{row.file}: {', '.join(parts) or row.state}", *row.warnings]
    return ". ".join(lines)


def album_lines(rows: Sequence[Row], best: int, take: Row | None, journal: Journal) -> list[str]:
    """Return an album's take, and the ranks of its photos with the reasons, the best first.

    best: the number of composed photos.
    """
    ranked = sorted((row for row in rows if row.rank is not None), key=lambda row: row.rank or 0)
    lines = []
    for row in (*([] if take is None else [take]), *ranked[:best]):
        rank = "" if row.rank is None else f"{row.rank}. "
        entry = journal.entry(row.file)
        picture = None if entry is None else entry.outputs.get("image")
        lines.append(f"{rank}{row.file}" + (f"  {journal.folder / picture}" if picture else ""))
        lines += [f"     {reason}" for reason in row.reasons]
    for row in ranked[best : best + _MAX_LISTED_OTHERS]:
        lines.append(f"{row.rank}. {row.file}: {' '.join(row.reasons)}")
    if len(ranked) > best + _MAX_LISTED_OTHERS:
        lines.append(f"and {len(ranked) - best - _MAX_LISTED_OTHERS} more; --report lists all")
    older = sorted(
        path.name
        for row in ranked
        if row.output is None
        for path in journal.folder.glob(f"{glob.escape(journal.place(row.file))}.*")
    )
    if older:
        listed = ", ".join(older[:_MAX_LISTED_OTHERS])
        lines.append(f"{len(older)} of an earlier run, not among the best, still there: {listed}")
    return lines
