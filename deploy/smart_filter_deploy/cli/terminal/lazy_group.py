"""A click group whose commands are imported when they are run."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass

import click
from click.shell_completion import CompletionItem

from smart_filter_deploy.cli.terminal.exit_codes import raise_for_missing_package
from smart_filter_shared import suggestions

# The completion script sets it when Tab is pressed.
COMPLETE_VARIABLE = "_SMART_FILTER_COMPLETE"


# Key of the called command's extra in click's context.
_EXTRA_KEY = f"{__name__}.extra"


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """Where a command is, its summary in the help, and the extra that it needs.

    location: its module, and `:name` if the command has another name there.
    extra: "" if the command needs none.
    """

    location: str
    summary: str
    extra: str = ""


class LazyGroup(click.Group):
    """A group that lists its commands without importing them.

    A command whose packages are not installed ends with one line that says what to install.

    package: the package of the commands' modules.
    sections: the commands by title, in the order of the help.
    hidden: commands that the help does not list; None when there are none.
    """

    def __init__(
        self,
        *,
        package: str,
        sections: Mapping[str, Mapping[str, CommandEntry]],
        hidden: Mapping[str, CommandEntry] | None = None,
        **rest: object,
    ) -> None:
        super().__init__(**rest)  # type: ignore[arg-type]  # click's own options
        self._package = package
        self._sections = sections
        self._listed = {
            name: command for each in sections.values() for name, command in each.items()
        }
        self._entries = {**self._listed, **(hidden or {})}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the listed commands, in the order of the help."""
        del ctx
        return list(self._listed)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command and return it; None when there is none of this name."""
        entry = self._entries.get(cmd_name)
        if entry is None:
            return None
        ctx.meta[_EXTRA_KEY] = entry.extra
        module, _, name = entry.location.partition(":")
        imported = importlib.import_module(f"{self._package}.{module}")
        command: click.Command = getattr(imported, name or cmd_name.replace("-", "_"))
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command of this line; end with one line when a package is not installed."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            raise_for_missing_package(error, ctx.meta.get(_EXTRA_KEY, ""))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve a command line, and suggest a similar name for an unknown command."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            # click itself suggests only commands that were registered with it.
            near = suggestions.find_nearest(args[0], self.list_commands(ctx))
            if near:
                ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections of the help."""
        del ctx
        for title, entries in self._sections.items():
            with formatter.section(title):
                formatter.write_dl([(name, command.summary) for name, command in entries.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Return the commands that complete a word; click's own method would import them all."""
        commands = [
            CompletionItem(name, help=command.summary)
            for name, command in self._listed.items()
            if name.startswith(incomplete)
        ]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]
