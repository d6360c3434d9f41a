"""The command `smart-filter`.

commands/   one module for each command, imported when the command runs
batch/      what `batch` does: a folder of photos, with a journal to resume from
live/       what `live` does: a camera or video file, frame by frame
models/     what `models` does: weights, cards, versions, measurements
server/     which server a command uses, and how it is started and asked
terminal/   output, exit codes, signals, and the lazy command group
secret_files  settings read from files
"""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from smart_filter_deploy.cli import secret_files
from smart_filter_deploy.cli.terminal import exit_codes
from smart_filter_deploy.cli.terminal.examples import examples
from smart_filter_deploy.cli.terminal.lazy_group import (
    COMPLETE_VARIABLE,
    CommandEntry,
    LazyGroup,
    Section,
)

SECTIONS = (
    Section(
        "Pictures",
        {
            "run": CommandEntry("run:run", "Composite photos and save the pictures."),
            "submit": CommandEntry("submit:submit", "Submit photos without waiting."),
            "batch": CommandEntry("batch:batch", "Process a whole folder; can be resumed."),
            "live": CommandEntry("live:live", "Replace the background of a camera or video."),
            "jobs": CommandEntry("jobs:jobs", "List, show, cancel and redrive jobs."),
            "backgrounds": CommandEntry(
                "backgrounds:backgrounds", "List backgrounds; upload and delete your own."
            ),
        },
    ),
    Section(
        "Server",
        {
            "up": CommandEntry("up:up", "Run the whole service on this machine until Ctrl-C."),
            "worker": CommandEntry("processes:worker", "Run a worker for some pipeline stages."),
            "sender": CommandEntry("processes:sender", "Run the process that sends webhooks."),
            "live-worker": CommandEntry(
                "processes:live_worker", "Run the process that serves live video."
            ),
            "router": CommandEntry("router:router", "Print which cell each tenant belongs to."),
            "worker-health": CommandEntry(
                "worker_health:worker_health", "Check this machine's workers and senders."
            ),
        },
    ),
    Section(
        "Models",
        {
            "models": CommandEntry("models:models", "List, measure and download models."),
            "compare": CommandEntry("compare:compare", "Cut out one photo with several models."),
            "eval": CommandEntry("eval:evaluate", "Measure models on photos with known answers."),
            "train": CommandEntry("train:train", "Train a model's weights from pictures."),
            "feedback": CommandEntry("feedback:feedback", "Build datasets from corrections."),
        },
    ),
    Section(
        "Operating",
        {
            "prepare": CommandEntry(
                "processes:prepare", "Migrate the database, create the bucket."
            ),
            "doctor": CommandEntry("doctor:doctor", "Check the installation and explain fixes."),
            "queues": CommandEntry("queues:queues", "Show, pause and resume queues."),
            "workers": CommandEntry("workers:workers", "Show, drain and resume workers."),
            "audit": CommandEntry("audit:audit", "Find lost, duplicated or orphaned work."),
            "keys": CommandEntry("keys:keys", "Issue, list and revoke API keys."),
            "tenants": CommandEntry("tenants:tenants", "Show and set tenants' quotas."),
            "completion": CommandEntry("completion:completion", "Print a shell completion script."),
        },
    ),
)
# Started by `up` and by the container images.
HIDDEN = {"api": "processes:api"}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status.

    arguments: those after the program's name; None: this process's own.
    """
    for stream in (sys.stdout, sys.stderr):
        # Print a replacement for characters that the terminal cannot encode.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # they are text files
    if COMPLETE_VARIABLE in os.environ:
        from smart_filter_deploy.cli.commands import completion  # noqa: PLC0415 - for shells only

        sys.exit(completion.answer_shell(smart_filter))
    sys.exit(exit_codes.run_command_line(smart_filter, arguments))


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
