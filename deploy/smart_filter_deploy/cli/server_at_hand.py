"""The server that takes photos: one that is named or up, else one of our own while it lasts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status
from rich.text import Text

from smart_filter_deploy.cli import own_stack
from smart_filter_deploy.cli.connection import Server, named_server
from smart_filter_deploy.cli.display import can_redraw


@contextmanager
def server_at_hand(console: Console) -> Iterator[Server]:
    """Give a server; what is waited for is shown.  Raises what `own_stack.server` does."""
    named = named_server()
    if named is not None:
        yield named
        return
    with _status(console) as on_status, own_stack.server(on_status) as server:
        on_status("")
        yield server


@contextmanager
def _status(console: Console) -> Iterator[Callable[[str], None]]:
    """Give a way to show what is waited for: one changing line, or lines in a pipe."""
    status = Status("", console=console)
    last = ""

    def show(message: str) -> None:
        nonlocal last
        if message == last:
            return
        last = message
        if not can_redraw(console):
            if message:
                console.print(message, soft_wrap=True, markup=False)
        elif message:
            status.update(Text(message, style="dim"))
            status.start()
        else:
            status.stop()

    try:
        yield show
    finally:
        status.stop()
