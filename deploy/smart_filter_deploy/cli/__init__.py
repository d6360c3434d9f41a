"""The command `smart-filter`.

endings      how a command ends: exit statuses, and errors as one line
sections     which commands there are, in the order of the help
run          photos in, pictures out; with passage, photos, progress and report
submit       photos in
batch        a folder through, again and again; with photo_folder, journal, conveyor, dashboard
live         a camera or a video through the live worker; with filming, live_take, video
up, worker   the servers: on this machine all at once, or one process (worker, sender, live-worker)
worker_health  whether the workers of this machine are well
jobs, models what there is
feedback     data sets of what people corrected
backgrounds  pictures of one's own to stand behind people
queues       what waits for each capability, and whether anybody may claim it
workers      which processes there are, and which claim no more
audit        what is wrong with the rows and objects of jobs
keys         who may use the service
tenants      what each of them may do at most
eval         how good and how dear models are, on photos with known answers
compare      one photo, cut out by several models
doctor       what is wrong here
completion   what teaches a shell our command lines; completing: what may stand where
connection   which server commands talk to
servers      which database and object store an operator's commands work on
database     the same, for those that need no object store
tenant_jobs  what moves all jobs of a tenant
own_stack    an embedded stack that lives as long as a `run`
secret_files settings that are read from files
"""

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from smart_filter_deploy.cli import endings, secret_files
from smart_filter_deploy.cli.examples import examples
from smart_filter_deploy.cli.sections import COMPLETE_VARIABLE, HIDDEN, SECTIONS


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status.

    arguments: those after the program's name; None: this process's own.
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a sign gets another one instead of an error.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # they are text files
    if COMPLETE_VARIABLE in os.environ:
        from smart_filter_deploy.cli import completion  # noqa: PLC0415 - for shells only

        sys.exit(completion.answer(smart_filter))
    sys.exit(endings.status_of(smart_filter, arguments))


class _Program(click.Group):
    """Commands by name, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return [name for section in SECTIONS for name in section.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        listed = {name: one for section in SECTIONS for name, one in section.commands.items()}
        place = listed[cmd_name].place if cmd_name in listed else HIDDEN.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            # As click does for commands that it knows, which are none of these.
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            if near:
                ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        for section in SECTIONS:
            with formatter.section(section.title):
                formatter.write_dl([(name, one.told) for name, one in section.commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        # As the help tells them; what click does would import every command.
        named = [
            CompletionItem(name, help=one.told)
            for section in SECTIONS
            for name, one in section.commands.items()
            if name.startswith(incomplete)
        ]
        return [*named, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(
    cls=_Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "smart-filter run me.jpg --background preset:studio",
        "smart-filter up                # the service, until Ctrl-C",
        "smart-filter batch holiday/ --background transparent --report holiday.csv",
        "smart-filter COMMAND --help    # what a command takes, with examples",
    ),
)
@click.version_option(package_name="smart-filter")
def smart_filter() -> None:
    """Cut people out of photos, rate their smiles, give them a background that suits."""
    secret_files.read_into(os.environ)
