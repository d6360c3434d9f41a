"""What is shown of a batch: on a terminal a table that lives, elsewhere a line for each photo."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from smart_filter_deploy.cli.display import can_redraw, redrawn
from smart_filter_deploy.cli.journal import SUCCEEDED, Entry
from smart_filter_deploy.cli.queued import span
from smart_filter_deploy.cli.report import mark, seconds

_BAR_WIDTH = 40
# Fewer tell nothing about how long the others take.
_ENOUGH_TO_FORETELL = 3


class Dashboard:
    """Shows a batch until its `with` block ends; safe to share between threads.

    clock: seconds.
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
        self._shown.enter_context(redrawn(self._console, self._picture, transient=True))
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()

    def count(self, *, waiting: int, before: int) -> None:
        """Say how many photos are not done yet, and how many were done before."""
        with self._lock:
            self._waiting, self._before = waiting, before

    def moved(self, name: str, where: str) -> None:
        """Show where a photo is by now."""
        with self._lock:
            now = self._clock()
            if self._started is None:
                self._started = now
            _, since = self._moving.get(name, ("", now))
            self._moving[name] = (where, since)

    def ended(self, entry: Entry) -> None:
        """Show what became of a photo."""
        with self._lock:
            self._moving.pop(entry.photo, None)
            self._ended += 1
            self._waiting -= 1
            failed = entry.state != SUCCEEDED
            self._failed += failed
            if not can_redraw(self._console):
                self._print(f"[{self._done()}/{self._total()}] {line_of(entry)}")
            elif failed:
                self._console.print(
                    Text.assemble(mark(entry.state), " ", line_of(entry)), soft_wrap=True
                )

    def left(self, name: str) -> None:
        """Show no more of a photo that is left as it is."""
        with self._lock:
            self._moving.pop(name, None)

    def say(self, note: str | None) -> None:
        """Show what holds everything up, until another note or None takes its place."""
        with self._lock:
            if not can_redraw(self._console) and note != self._note:
                if note is not None and self._note is None:
                    self._print(note)
                elif note is None:
                    self._print("going on")
            self._note = note

    def say_finishing(self) -> None:
        """Show that nothing new is begun any more."""
        with self._lock:
            if not self._finishing:
                self._finishing = True
                count = len(self._moving)
                self._print(
                    f"finishing {count} under way; Ctrl-C again leaves them for the next time"
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
            head.add_row(f"{self._done()}/{self._total()}", bar, self._outlook())
            parts: list[RenderableType] = [head]
            if self._moving:
                # As many as the terminal has lines for, less those around them.
                shown = list(self._moving.items())[: max(1, self._console.height - 4)]
                parts.append(self._table(shown))
            if self._note is not None:
                parts.append(Text(self._note, style="yellow", overflow="ellipsis", no_wrap=True))
            return Group(*parts)

    def _outlook(self) -> str:
        told = []
        if self._failed:
            told.append(f"{self._failed} failed")
        left = self._waiting
        if left and self._started is not None and self._ended >= _ENOUGH_TO_FORETELL:
            each = (self._clock() - self._started) / self._ended
            told.append(f"about {span(left * each)} left")
        return ", ".join(told)

    def _table(self, shown: list[tuple[str, tuple[str, float]]]) -> Table:
        now = self._clock()
        table = Table.grid(padding=(0, 1))
        table.add_column(width=1)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_column(no_wrap=True, style="cyan")
        table.add_column(no_wrap=True, style="dim", justify="right")
        for name, (where, since) in shown:
            table.add_row(self._spinner, Text(name), where, seconds(now - since))
        return table


def line_of(entry: Entry) -> str:
    """Return what became of a photo, in a line for people."""
    if entry.state != SUCCEEDED:
        return f"{entry.photo}: {entry.error or entry.state} ({entry.code})"
    told = []
    if entry.people is not None:
        told.append("1 person" if entry.people == 1 else f"{entry.people} people")
    if entry.rating is not None:
        told.append(f"rating {entry.rating:.2f}")
    told.append(seconds(entry.seconds))
    return f"{entry.photo}: {', '.join(told)}"
