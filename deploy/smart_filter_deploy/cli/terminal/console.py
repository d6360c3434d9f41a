"""A rich console that escapes control characters in every text."""

from collections.abc import Iterable

import rich.console
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from smart_filter_deploy.cli.terminal.text import escape_unprintable


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
