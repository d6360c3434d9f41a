"""A console that shows tables and what lives, and none of what their words might command."""

from collections.abc import Iterable

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from smart_filter_deploy.cli.terminal import shown


class Console(rich.console.Console):
    """A console on which every text, wherever it stands in a table, is `shown` in one line."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Return what is to be written, as rich does."""
        if isinstance(renderable, str):
            renderable = shown(renderable)
        elif isinstance(renderable, Text) and not renderable.plain.isprintable():
            # Its parts' styles stand at places that move; the whole keeps its own.
            renderable = renderable.blank_copy(shown(renderable.plain))
        return super().render(renderable, options)
