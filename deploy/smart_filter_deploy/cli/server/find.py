"""Chooses the server that processes photos, and starts a temporary one if there is none."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status
from rich.text import Text

from smart_filter_deploy.cli.server import own_stack
from smart_filter_deploy.cli.server.connection import Server, server_from_environment
from smart_filter_deploy.cli.terminal.console import can_redraw


@contextmanager
def open_server(console: Console) -> Iterator[Server]:
    """Give a server, and show what it waits for.  Raises what `own_stack.share_stack` raises."""
    named = server_from_environment()
    if named is not None:
        yield named
        return
    with _show_status(console) as on_status, own_stack.share_stack(on_status) as server:
        on_status("")
        yield server


@contextmanager
def _show_status(console: Console) -> Iterator[Callable[[str], None]]:
    """Give a callback that shows a status: one changing line on a terminal, else plain lines."""
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
