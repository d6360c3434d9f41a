"""The command `smart-filter`.

endings      how a command ends: exit statuses, and errors as one line
run          photos in, pictures out; with photos, progress and report
up, worker   the servers: on this machine all at once, or one process (worker, sender, live-worker)
jobs, models what there is
feedback     data sets of what people corrected
backgrounds  pictures of one's own to stand behind people
keys         who may use the service
tenants      what each of them may do at most
eval         how good and how dear models are, on photos with known answers
compare      one photo, cut out by several models
doctor       what is wrong here
connection   which server commands talk to
servers      which database and object store an operator's commands work on
database     the same, for those that need no object store
own_stack    an embedded stack that lives as long as a `run`
"""

import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from smart_filter_deploy.cli import endings

# Imported when they are used: a worker needs no HTTP client, a client no server.
_COMMANDS = {
    "run": "smart_filter_deploy.cli.run:run",
    "up": "smart_filter_deploy.cli.up:up",
    "worker": "smart_filter_deploy.cli.worker:worker",
    "sender": "smart_filter_deploy.cli.worker:sender",
    "live-worker": "smart_filter_deploy.cli.worker:live_worker",
    "api": "smart_filter_deploy.cli.worker:api",
    "prepare": "smart_filter_deploy.cli.worker:prepare",
    "jobs": "smart_filter_deploy.cli.jobs:jobs",
    "backgrounds": "smart_filter_deploy.cli.backgrounds:backgrounds",
    "keys": "smart_filter_deploy.cli.keys:keys",
    "tenants": "smart_filter_deploy.cli.tenants:tenants",
    "models": "smart_filter_deploy.cli.models:models",
    "feedback": "smart_filter_deploy.cli.feedback:feedback",
    "eval": "smart_filter_deploy.cli.eval:evaluate",
    "train": "smart_filter_deploy.cli.train:train",
    "compare": "smart_filter_deploy.cli.compare:compare",
    "doctor": "smart_filter_deploy.cli.doctor:doctor",
}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status.

    arguments: those after the program's name; None: this process's own.
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a sign gets another one instead of an error.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # they are text files
    sys.exit(endings.status_of(_program, arguments))


class _Program(click.Group):
    """Commands by name, each imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(
    cls=_Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="smart-filter")
def _program() -> None:
    """Cut people out of photos, rate their smiles, give them a background that suits."""
