"""Progress display of running jobs: a line per stage."""

from collections import Counter
from contextlib import ExitStack
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from smart_filter_client.models import Job
from smart_filter_deploy.cli.terminal.console import can_redraw, live_display
from smart_filter_deploy.cli.terminal.report import (
    describe_completion,
    describe_position,
    format_seconds,
    format_stage_time,
    state_mark,
)
from smart_filter_wire.jobs import Stage
from smart_filter_wire.words import StageState

_FINAL_STATES: frozenset[StageState] = frozenset({"succeeded", "failed", "canceled"})
_BAR_WIDTH = 24


class Progress:
    """Shows the progress of jobs until its `with` block ends.

    On a terminal the lines are live. Elsewhere a plain line is printed when a stage ends.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._jobs: dict[str, Job] = {}
        self._names: dict[str, str] = {}
        self._printed: set[tuple[str, str]] = set()
        self._spinner = Spinner("dots", style="cyan")
        self._shown = ExitStack()

    def __enter__(self) -> Self:
        self._shown.enter_context(live_display(self._console, self._picture))
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()

    def add(self, name: str, job: Job) -> None:
        """Start showing a job under its photo's name."""
        self._names[job.id] = name
        self.update(job)

    def update(self, job: Job) -> None:
        """Show the current state of a job."""
        self._jobs[job.id] = job
        if not can_redraw(self._console):
            self._print_ended(job)

    def _print_ended(self, job: Job) -> None:
        for stage in job.stages:
            if stage.state in _FINAL_STATES and (job.id, stage.name) not in self._printed:
                self._printed.add((job.id, stage.name))
                which = f"{self._names[job.id]}: " if len(self._names) > 1 else ""
                line = f"{which}{stage.name} {stage.state}{_format_duration(stage)}"
                self._console.print(line, soft_wrap=True, markup=False)

    def _picture(self) -> RenderableType:
        if len(self._jobs) == 1:
            [job] = self._jobs.values()
            return self._job_stages(job)
        return self._all_stages()

    def _job_stages(self, job: Job) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        for stage in job.stages:
            moving = stage.state == "running"
            style = "" if moving or stage.state in _FINAL_STATES else "dim"
            attempt = f"attempt {stage.attempt}" if stage.attempt > 1 else ""
            table.add_row(
                " ",
                self._spinner if moving else state_mark(stage.state),
                Text(stage.name, style=style),
                Text(format_stage_time(stage), style="dim", justify="right"),
                Text(attempt, style="yellow"),
            )
        return _with_line(table, describe_position(job))

    def _all_stages(self) -> RenderableType:
        jobs = list(self._jobs.values())
        names = list(dict.fromkeys(stage.name for job in jobs for stage in job.stages))
        table = Table.grid(padding=(0, 1))
        for name in names:
            states = Counter(
                stage.state for job in jobs for stage in job.stages if stage.name == name
            )
            total, done = states.total(), sum(states[state] for state in _FINAL_STATES)
            failed = states["failed"]
            table.add_row(
                " ",
                state_mark("succeeded")
                if done == total
                else (self._spinner if done else state_mark("ready")),
                Text(name),
                ProgressBar(total=total, completed=done, width=_BAR_WIDTH),
                Text(f"{done}/{total}", justify="right"),
                Text(f"{failed} failed" if failed else "", style="red"),
            )
        return _with_line(table, describe_completion(jobs))


def _with_line(table: Table, line: str | None) -> RenderableType:
    return table if line is None else Group(table, Text(f"  {line}", style="dim"))


def _format_duration(stage: Stage) -> str:
    if stage.reused:
        return " (reused)"
    return "" if stage.seconds is None else f" in {format_seconds(stage.seconds)}"
