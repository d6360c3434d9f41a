"""The command `smart-filter`.

commands/   one module for each command or group, imported when it is called; folders by purpose
batch/      what `batch` does: a folder of photos, with a journal to resume from
live/       what `live` does: a camera or video file, frame by frame
mcp_server/ what `mcp` does: tools for assistants
removebg/   what `removebg check` does
server/     which server a command uses, and how it is started and asked
terminal/   output, exit codes, signals, and the lazy command group
secret_files  settings read from files
"""

import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from smart_filter_deploy.cli import secret_files
from smart_filter_deploy.cli.terminal import exit_codes
from smart_filter_deploy.cli.terminal.lazy_group import (
    COMPLETE_VARIABLE,
    CommandEntry,
    LazyGroup,
)
from smart_filter_deploy.cli.terminal.text import examples
from smart_filter_shared.security import search_paths

SECTIONS = {
    "Pictures": {
        "run": CommandEntry("pictures.run", "Composite photos and save the pictures."),
        "cut": CommandEntry("pictures.cut", "Cut people out here, without a server."),
        "submit": CommandEntry("pictures.submit", "Submit photos without waiting."),
        "batch": CommandEntry("pictures.batch", "Process a whole folder; can be resumed."),
        "live": CommandEntry("pictures.live", "Replace the background of a camera or video."),
        "jobs": CommandEntry("pictures.jobs", "List, show, download and delete jobs."),
        "recipes": CommandEntry("pictures.recipes", "List, save, export and import saved recipes."),
        "backgrounds": CommandEntry(
            "pictures.backgrounds", "List backgrounds; upload and delete your own."
        ),
    },
    "Server": {
        "up": CommandEntry("servers.up", "Run the whole service on this machine until Ctrl-C."),
        "worker": CommandEntry("servers.processes", "Run a worker for some pipeline stages."),
        "sender": CommandEntry("servers.processes", "Run the process that sends webhooks."),
        "live-worker": CommandEntry("servers.processes", "Run the process that serves live video."),
        "mcp": CommandEntry("servers.mcp", "Serve tools for assistants such as Claude.", "mcp"),
        "worker-health": CommandEntry(
            "operating.worker_health", "Check this machine's workers and senders."
        ),
    },
    "Models": {
        "models": CommandEntry("models", "List, measure and download models."),
        "compare": CommandEntry("training.compare", "Cut out one photo with several models."),
        "eval": CommandEntry(
            "training.eval:evaluate", "Measure models on photos with known answers."
        ),
        "train": CommandEntry("training.train", "Train a model's weights from pictures."),
        "feedback": CommandEntry("training.feedback", "Build datasets from corrections."),
    },
    "Operating": {
        "prepare": CommandEntry("servers.processes", "Migrate the database, create the bucket."),
        "doctor": CommandEntry("operating.doctor", "Check the installation and explain fixes."),
        "queues": CommandEntry("operating.queues", "Show, pause and resume queues."),
        "workers": CommandEntry("operating.workers", "Show, drain and resume workers."),
        "audit": CommandEntry("operating.audit", "Find lost, duplicated or orphaned work."),
        "keys": CommandEntry("operating.keys", "Issue, list and revoke API keys."),
        "webhooks": CommandEntry("operating.webhooks", "Forward events to this machine."),
        "removebg": CommandEntry("removebg", "Serve programs written for remove.bg."),
        "tenants": CommandEntry("operating.tenants", "Show and set tenants' quotas."),
        "completion": CommandEntry("operating.completion", "Print a shell completion script."),
    },
}
# Started by `up` and by the container images.
HIDDEN = {
    "api": CommandEntry("servers.processes", "Run the API."),
    "preflight": CommandEntry("servers.preflight", "Check settings, download missing weights."),
    "answers": CommandEntry("operating.answers", "Check that a URL answers."),
}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status.

    arguments: those after the program's name; None: this process's own.
    """
    search_paths.leave_working_folder(os.environ)
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None: the shell closed it
        # Print a replacement for characters that the terminal cannot encode.
        stream.reconfigure(errors="replace")
    if COMPLETE_VARIABLE in os.environ:
        # Only shells need it.
        from smart_filter_deploy.cli.commands.operating import completion  # noqa: PLC0415

        sys.exit(completion.answer_shell(smart_filter))
    status = exit_codes.run_command_line(smart_filter, arguments)
    # The interpreter looks through all objects for garbage before it ends: 0.4 s in a worker.
    gc.freeze()
    sys.exit(status)


@click.group(
    cls=LazyGroup,
    package="smart_filter_deploy.cli.commands",
    sections=SECTIONS,
    hidden=HIDDEN,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "smart-filter run me.jpg --background preset:studio",
        "smart-filter up                # the service, until Ctrl-C",
        "smart-filter batch holiday/ --background transparent --report holiday.csv",
        "smart-filter COMMAND --help    # options and examples",
    ),
)
@click.version_option(package_name="smart-filter")
def smart_filter() -> None:
    """Cut people out of photos, rate their smiles, and choose a matching background."""
    secret_files.load_into(os.environ)
