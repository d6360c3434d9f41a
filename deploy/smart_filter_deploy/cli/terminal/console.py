"""The console of every command: tables and live displays, with control characters escaped."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

import rich.console
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType
from rich.live import Live
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from smart_filter_deploy.cli.terminal.text import escape_unprintable
from smart_filter_deploy.doctor.findings import Finding, Level

_FRAMES_PER_SECOND = 12
# Width of a table in a pipe, where its lines are not fitted to a screen.
_UNLIMITED_WIDTH = 10_000

_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}


class EscapingConsole(rich.console.Console):
    """A console that prints every text, also in tables, through `escape_unprintable`."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Return the segments to print, like rich's method."""
        if isinstance(renderable, str):
            renderable = escape_unprintable(renderable)
        elif isinstance(renderable, Text) and not renderable.plain.isprintable():
            # Escaping moves the spans' offsets, so only the style of the whole text is kept.
            renderable = renderable.blank_copy(escape_unprintable(renderable.plain))
        return super().render(renderable, options)


def can_redraw(console: rich.console.Console) -> bool:
    """Return whether the console can redraw lines: not in a pipe or on a dumb terminal."""
    return console.is_terminal and not console.is_dumb_terminal


@contextmanager
def live_display(
    console: rich.console.Console,
    picture: Callable[[], RenderableType],
    *,
    transient: bool = False,
) -> Iterator[None]:
    """Redraw a picture below the printed lines while the block lasts.

    transient: whether to remove it afterwards.
    """
    if not can_redraw(console):
        yield
        return
    with Live(
        console=console,
        get_renderable=picture,
        refresh_per_second=_FRAMES_PER_SECOND,
        transient=transient,
    ):
        yield


def print_columns(
    columns: Sequence[str],
    rows: Iterable[Sequence[Text | str]],
    *,
    right: Collection[str] = (),
    wrapped: Collection[str] = (),
) -> None:
    """Print rows below column titles on standard output.

    right: columns of numbers.  wrapped: columns whose cells may take several lines.
    """
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        justify: JustifyMethod = "right" if column in right else "left"
        table.add_column(column, no_wrap=column not in wrapped, justify=justify)
    for row in rows:
        # As Text, brackets in a cell are not markup.
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    print_table(EscapingConsole(highlight=False), table)


def facts_table(rows: Iterable[tuple[str, Text | str]]) -> Table:
    """Return a table of two columns: labels, and texts that are folded."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows:
        table.add_row(f"  {label}", text if isinstance(text, Text) else Text(text))
    return table


def print_table(console: rich.console.Console, table: Table) -> None:
    """Print a table; in a pipe, its lines are not fitted to a width."""
    if console.is_terminal:
        console.print(table)
        return
    wide = console.options.update_width(_UNLIMITED_WIDTH)
    for line in console.render_lines(table, wide, pad=False):
        text = "".join(segment.text for segment in line).rstrip()
        console.print(text, soft_wrap=True, markup=False)


def print_finding(console: Console, finding: Finding) -> None:
    """Print a finding with its remedy."""
    line = finding.line()
    level = (finding.level, _STYLES[finding.level])
    console.print(Text.assemble(level, Text(line[len(finding.level) :])), soft_wrap=True)
