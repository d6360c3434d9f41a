"""A click group whose commands are imported when they are run."""

import difflib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click
from click.shell_completion import CompletionItem

# The completion script sets it when Tab is pressed.
COMPLETE_VARIABLE = "_SMART_FILTER_COMPLETE"


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """Where a command is, as `module:name`, and its summary in the help."""

    location: str
    summary: str


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the help: a title, and commands by name."""

    title: str
    commands: Mapping[str, CommandEntry]


class LazyGroup(click.Group):
    """A group that lists its commands without importing them.

    package: the package of the commands' modules.
    sections: the commands, in the order of the help.
    hidden: locations of commands that the help does not list.
    """

    def __init__(
        self,
        *,
        package: str,
        sections: Sequence[Section],
        hidden: Mapping[str, str],
        **rest: object,
    ) -> None:
        super().__init__(**rest)  # type: ignore[arg-type]  # click's own options
        self._package = package
        self._sections = sections
        self._hidden = hidden

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the listed commands, in the order of the help."""
        del ctx
        return [name for section in self._sections for name in section.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command and return it; None when there is none of this name."""
        del ctx
        listed = {name: one for section in self._sections for name, one in section.commands.items()}
        location = listed[cmd_name].location if cmd_name in listed else self._hidden.get(cmd_name)
        if location is None:
            return None
        module, _, name = location.partition(":")
        command: click.Command = getattr(importlib.import_module(f"{self._package}.{module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve a command line, and suggest a similar name for an unknown command."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            # click itself suggests only commands that were registered with it.
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            if near:
                ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections of the help."""
        del ctx
        for section in self._sections:
            with formatter.section(section.title):
                formatter.write_dl([(name, one.summary) for name, one in section.commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Return the commands that complete a word; click's own method would import them all."""
        commands = [
            CompletionItem(name, help=one.summary)
            for section in self._sections
            for name, one in section.commands.items()
            if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]
