"""What is drawn again and again on a terminal, and nowhere else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.live import Live

_FRAMES_A_SECOND = 12


def can_redraw(console: Console) -> bool:
    """Whether what was written to it can be taken back: on no pipe, and no simple terminal."""
    return console.is_terminal and not console.is_dumb_terminal


@contextmanager
def redrawn(
    console: Console, picture: Callable[[], RenderableType], *, transient: bool = False
) -> Iterator[None]:
    """Draw a picture as it is now, below what is printed, while the block lasts.

    transient: nothing is left of it afterwards.
    """
    if not can_redraw(console):
        yield
        return
    with Live(
        console=console,
        get_renderable=picture,
        refresh_per_second=_FRAMES_A_SECOND,
        transient=transient,
    ):
        yield
