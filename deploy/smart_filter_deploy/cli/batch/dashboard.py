"""Progress display of a batch: a live table on a terminal, else one line per photo."""

import glob
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from smart_filter_deploy.cli.batch.journal import SUCCEEDED, JournalEntry
from smart_filter_deploy.cli.terminal.console import can_redraw, live_display
from smart_filter_deploy.cli.terminal.outputs import OUTPUT_MARK
from smart_filter_deploy.cli.terminal.report import format_duration, format_seconds, state_mark

_BAR_WIDTH = 40
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
        self._waiting = self._before = self._ended = self._failed = 0
        self._moving: dict[str, tuple[str, float]] = {}
        self._note: str | None = None
        self._finishing = False
        self._started: float | None = None
        self._spinner = Spinner("dots", style="cyan")
        self._shown = ExitStack()

    def __enter__(self) -> Self:
        self._shown.enter_context(live_display(self._console, self._picture, transient=True))
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()

    def count(self, *, waiting: int, before: int) -> None:
        """Set the number of unfinished photos, and of photos done before this run."""
        with self._lock:
            self._waiting, self._before = waiting, before

    def moved(self, name: str, where: str) -> None:
        """Show the current step of a photo."""
        with self._lock:
            now = self._clock()
            if self._started is None:
                self._started = now
            _, since = self._moving.get(name, ("", now))
            self._moving[name] = (where, since)

    def ended(self, entry: JournalEntry) -> None:
        """Show the outcome of a photo."""
        with self._lock:
            self._moving.pop(entry.photo, None)
            self._ended += 1
            self._waiting -= 1
            failed = entry.state != SUCCEEDED
            self._failed += failed
            if not can_redraw(self._console):
                self._print(f"[{self._done()}/{self._total()}] {summary_line(entry)}")
            elif failed:
                self._console.print(
                    Text.assemble(state_mark(entry.state), " ", summary_line(entry)), soft_wrap=True
                )

    def left(self, name: str) -> None:
        """Remove a photo that stays unfinished from the display."""
        with self._lock:
            self._moving.pop(name, None)

    def say(self, note: str | None) -> None:
        """Show the reason why all photos wait, until the next call; None clears it."""
        with self._lock:
            if not can_redraw(self._console) and note != self._note:
                if note is not None and self._note is None:
                    self._print(note)
                elif note is None:
                    self._print("continuing")
            self._note = note

    def show_finishing(self) -> None:
        """Show that no new photos are started."""
        with self._lock:
            if not self._finishing:
                self._finishing = True
                count = len(self._moving)
                self._print(
                    f"finishing {count} in progress; Ctrl-C again leaves them to the next run"
                    if count
                    else "stopping"
                )

    def _done(self) -> int:
        return self._before + self._ended

    def _total(self) -> int:
        return self._done() + self._waiting

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, markup=False)

    def _picture(self) -> RenderableType:
        with self._lock:
            head = Table.grid(padding=(0, 1))
            head.add_column(no_wrap=True)
            head.add_column(max_width=_BAR_WIDTH, ratio=1)
            head.add_column(no_wrap=True, overflow="ellipsis", style="dim")
            bar = ProgressBar(total=max(1, self._total()), completed=self._done())
            head.add_row(f"{self._done()}/{self._total()}", bar, self._eta())
            parts: list[RenderableType] = [head]
            if self._moving:
                # The terminal's height, less the lines around the table.
                shown = list(self._moving.items())[: max(1, self._console.height - 4)]
                parts.append(self._table(shown))
            if self._note is not None:
                parts.append(Text(self._note, style="yellow", overflow="ellipsis", no_wrap=True))
            return Group(*parts)

    def _eta(self) -> str:
        parts = []
        if self._failed:
            parts.append(f"{self._failed} failed")
        left = self._waiting
        if left and self._started is not None and self._ended >= _MIN_ENDED_FOR_ETA:
            each = (self._clock() - self._started) / self._ended
            parts.append(f"about {format_duration(left * each)} left")
        return ", ".join(parts)

    def _table(self, shown: list[tuple[str, tuple[str, float]]]) -> Table:
        now = self._clock()
        table = Table.grid(padding=(0, 1))
        table.add_column(width=1)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_column(no_wrap=True, style="cyan")
        table.add_column(no_wrap=True, style="dim", justify="right")
        for name, (where, since) in shown:
            table.add_row(self._spinner, Text(name), where, format_seconds(now - since))
        return table


def summary_line(entry: JournalEntry) -> str:
    """Return the outcome of a photo as one line of text."""
    if entry.state != SUCCEEDED:
        return f"{entry.photo}: {entry.error or entry.state} ({entry.code})"
    parts = []
    if entry.people is not None:
        parts.append("1 person" if entry.people == 1 else f"{entry.people} people")
    if entry.rating is not None:
        parts.append(f"rating {entry.rating:.2f}")
    parts.append(format_seconds(entry.seconds))
    return f"{entry.photo}: {', '.join(parts)}"


def album_lines(
    entries: Sequence[JournalEntry], best: int, take: JournalEntry | None, *, folder: Path
) -> list[str]:
    """Return an album's take, and the ranks of its photos with the reasons, the best first.

    best: the number of composed photos.  folder: of the pictures.
    """
    ranked = sorted(
        (entry for entry in entries if entry.rank is not None), key=lambda entry: entry.rank or 0
    )
    lines = []
    for entry in (*([] if take is None else [take]), *ranked[:best]):
        picture = entry.outputs.get("image")
        rank = "" if entry.rank is None else f"{entry.rank}. "
        lines.append(f"{rank}{entry.photo}" + (f"  {folder / picture}" if picture else ""))
        lines += [f"     {reason}" for reason in entry.reasons]
    for entry in ranked[best : best + _MAX_LISTED_OTHERS]:
        lines.append(f"{entry.rank}. {entry.photo}: {' '.join(entry.reasons)}")
    if len(ranked) > best + _MAX_LISTED_OTHERS:
        lines.append(f"and {len(ranked) - best - _MAX_LISTED_OTHERS} more; --report lists all")
    older = [
        path.name
        for entry in ranked
        if not entry.outputs
        for path in folder.glob(f"{glob.escape(entry.place)}.{OUTPUT_MARK}.*")
    ]
    if older:
        listed = ", ".join(sorted(older)[:_MAX_LISTED_OTHERS])
        lines.append(f"{len(older)} of an earlier run, not among the best, still there: {listed}")
    return lines
