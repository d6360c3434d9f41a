"""Exit codes, and errors printed as one line."""

import errno
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from smart_filter_deploy.cli.terminal.text import print_line
from smart_filter_shared.errors import (
    DatabaseMisconfigured,
    DatabaseUnavailable,
    Error,
    FolderUnreadable,
    NotFound,
    OutcomeUnknown,
    PictureRefused,
    VersionRefused,
)
from smart_filter_shared.extras import install_hint

PROGRAM = "smart-filter"

ALL_SUCCEEDED = 0
PHOTO_FAILED = 1
WRONG_USAGE = 2
NO_SERVER = 3
INTERRUPTED = 130  # 128 + SIGINT, the shells' convention

# Errors about a file, picture, queue, tenant or version that the command line names.
_USAGE_ERRORS = (FolderUnreadable, NotFound, PictureRefused, VersionRefused)
# Errors of a full volume, or of a user's quota on it.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class CommandError(click.ClickException):
    """Ends the command with one line on standard error and this exit status."""

    def __init__(self, message: str, status: int = WRONG_USAGE) -> None:
        super().__init__(message)
        self.status = status


def run_command_line(program: click.Command, arguments: Sequence[str] | None) -> int:
    """Run a command line; print expected errors as one line, and return the exit status."""
    try:
        # Not standalone: click would print three lines for an error, and return 1 for Ctrl-C.
        ended = program.main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except click.Abort:
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return WRONG_USAGE
    except click.ClickException as error:
        print_error(_usage_message(error))
        return error.status if isinstance(error, CommandError) else WRONG_USAGE
    except Error as error:
        print_error(_describe_error(error))
        return WRONG_USAGE if isinstance(error, _USAGE_ERRORS) else NO_SERVER
    except (OSError, UnicodeEncodeError) as error:
        given = sys.argv[1:] if arguments is None else arguments
        return _end_by_system_error(error, given)
    return ended if isinstance(ended, int) else ALL_SUCCEEDED


def print_error(message: str) -> None:
    """Print a message in one line on standard error."""
    print_line(f"{PROGRAM}: {' '.join(message.split())}", err=True)


def raise_for_missing_package(error: ModuleNotFoundError, extra: str) -> NoReturn:
    """Raise CommandError with what to install; the error itself if a module is ours.

    extra: the command's, "" if it needs none.
    """
    name = error.name or ""
    if name == "smart_filter_training":
        raise CommandError(
            "this needs the distribution smart-filter-training: in a checkout,"
            " pip install ./training",
            NO_SERVER,
        ) from error
    if name.startswith("smart_filter"):
        raise error
    raise CommandError(
        f"a package is not installed ({name}): {install_hint(extra)}", NO_SERVER
    ) from error


def _end_by_system_error(error: OSError | UnicodeEncodeError, arguments: Sequence[str]) -> int:
    """Return the status for a closed pipe, a full volume or another user's file; raise others.

    An argument with bytes that are not UTF-8 is wrong usage where it is written as text.
    """
    if isinstance(error, UnicodeEncodeError):
        for argument in arguments:
            if any("\udc80" <= byte <= "\udcff" for byte in argument):  # Source: PEP 383
                print_error(f"the argument {os.fsencode(argument)!r} is not UTF-8")
                return WRONG_USAGE
        raise error
    if isinstance(error, BrokenPipeError):
        # The reader of our output closed the pipe, like `head`. Without the redirect, the
        # interpreter would report the error again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PHOTO_FAILED
    if isinstance(error, PermissionError) and error.filename:
        line = f"{error.filename} cannot be used by this process ({error.strerror})"
        print_error(f"{line}; let its user read and write there")
        return NO_SERVER
    if error.errno not in _FULL:
        raise error
    where = f"for {error.filename}" if error.filename else "on a volume that this process writes"
    print_error(f"no space is left {where}; free space there, or enlarge the volume")
    return NO_SERVER


def _describe_error(error: Error) -> str:
    if isinstance(error, DatabaseMisconfigured):
        return f"the database rejects this process ({error}); correct SMART_FILTER_DATABASE_URL"
    if isinstance(error, OutcomeUnknown):
        return (
            f"the database has not confirmed the change ({error}); look whether it was made"
            " before you repeat the command"
        )
    if isinstance(error, DatabaseUnavailable):
        if os.strerror(errno.ENOSPC) in str(error):
            return f"the database's volume is full ({error}); free space on it, or enlarge it"
        # Raised where this may be a server that waits for its own database to come back.
        return (
            f"the database does not answer ({error}); start it, or correct"
            " SMART_FILTER_DATABASE_URL"
        )
    return str(error)


def _usage_message(error: click.ClickException) -> str:
    if not isinstance(error, click.UsageError):
        return error.format_message()
    path = PROGRAM if error.ctx is None else error.ctx.command_path
    return f"{error.format_message().rstrip('.')} (see {path} --help)"
