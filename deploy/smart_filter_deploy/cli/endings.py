"""How a command ends: its exit status, and what went wrong as one line."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from smart_filter_deploy.cli.terminal import tell
from smart_filter_shared.errors import DatabaseUnavailable, Error

PROGRAM = "smart-filter"

ALL_SUCCEEDED = 0
PHOTO_FAILED = 1
WRONG_USAGE = 2
NO_SERVER = 3
INTERRUPTED = 130  # 128 + SIGINT, as shells count


class Ending(click.ClickException):
    """Ends the command with one line on standard error and a status of ours."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def status_of(program: click.Command, arguments: Sequence[str] | None) -> int:
    """Run a command line; tell what is foreseen to go wrong and return the exit status."""
    try:
        # Not click's own way to end: it takes three lines for an error, and 1 for Ctrl-C.
        ended = program.main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except click.Abort:
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return WRONG_USAGE
    except click.ClickException as error:
        say(_message(error))
        return error.status if isinstance(error, Ending) else WRONG_USAGE
    except Error as error:
        say(_told(error))
        return NO_SERVER
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; the interpreter would complain
        # once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PHOTO_FAILED
    return ended if isinstance(ended, int) else ALL_SUCCEEDED


def say(message: str) -> None:
    """Tell something in one line on standard error."""
    tell(f"{PROGRAM}: {' '.join(message.split())}", err=True)


@contextmanager
def needing(extra: str) -> Iterator[None]:
    """Tell which extra is missing when the imports inside fail for want of a package."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("smart_filter_"):
            raise
        raise Ending(
            f"this needs more than is installed ({error.name} is missing): "
            f"pip install 'smart-filter[{extra}]'",
            NO_SERVER,
        ) from error


def _told(error: Error) -> str:
    if isinstance(error, DatabaseUnavailable):
        # Where it is raised, it may be a server that waits for its own database to come back.
        return (
            f"the database does not answer ({error}); start it, or correct"
            " SMART_FILTER_DATABASE_URL"
        )
    return str(error)


def _message(error: click.ClickException) -> str:
    if not isinstance(error, click.UsageError):
        return error.format_message()
    path = PROGRAM if error.ctx is None else error.ctx.command_path
    return f"{error.format_message().rstrip('.')} (see {path} --help)"
