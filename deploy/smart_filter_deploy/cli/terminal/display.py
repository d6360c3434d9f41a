"""Live displays that are redrawn on a terminal, and omitted elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.live import Live

_FRAMES_PER_SECOND = 12


def can_redraw(console: Console) -> bool:
    """Return whether the console can redraw lines: not in a pipe or on a dumb terminal."""
    return console.is_terminal and not console.is_dumb_terminal


@contextmanager
def live_display(
    console: Console, picture: Callable[[], RenderableType], *, transient: bool = False
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
