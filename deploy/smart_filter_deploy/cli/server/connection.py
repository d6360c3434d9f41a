"""Chooses the server of a client command, and translates the client's errors."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType

from smart_filter_client import Client
from smart_filter_client import errors as client_errors
from smart_filter_deploy.cli.server.program import typed_command
from smart_filter_deploy.cli.terminal.exit_codes import (
    NO_SERVER,
    PHOTO_FAILED,
    WRONG_USAGE,
    CommandError,
)
from smart_filter_deploy.embedded.addresses import StackAddress
from smart_filter_deploy.embedded.folder import running_stack
from smart_filter_shared.config.paths import data_folder

# Codes of refusals caused by the command's options, not by a photo or a job.
_USAGE_CODES = frozenset(
    (
        "unauthorized scope invalid_recipe invalid_request contradiction not_available"
        " malformed_request invalid_photo_url invalid_webhook_url token_used_up"
    ).split()
)
# Fewer than a program would make: a person waits for the error message.
MAX_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Server:
    """URL and API key of a server."""

    url: str
    api_key: str = field(repr=False)


def server_from_environment() -> Server | None:
    """Return the server in SMART_FILTER_URL, or None."""
    url = os.environ.get("SMART_FILTER_URL")
    return Server(url, os.environ.get("SMART_FILTER_API_KEY", "")) if url else None


def running_server() -> Server | None:
    """Return the local stack that runs on the data folder, or None."""
    stack = running_stack()
    return None if stack is None else _server_of_stack(stack)


def require_running_stack(*, or_name: str) -> StackAddress:
    """Return the local stack that runs on the data folder.

    Ends the command when there is none, and names the settings `or_name` as an alternative.
    """
    stack = running_stack()
    if stack is None:
        raise CommandError(
            f"no stack is running on {data_folder()}: start one with"
            f" `{typed_command()} up`, set"
            " SMART_FILTER_DATA to the --data folder of a running one, or name servers with"
            f" {or_name}",
            NO_SERVER,
        )
    return stack


def choose_server() -> Server:
    """Return the server in SMART_FILTER_URL, else the local stack.

    Ends the command when there is none.
    """
    return server_from_environment() or _server_of_stack(
        require_running_stack(or_name="SMART_FILTER_URL and SMART_FILTER_API_KEY")
    )


@contextmanager
def open_client() -> Iterator[Client]:
    """Give a client of the server that `choose_server` returns."""
    with open_client_for(choose_server()) as client:
        yield client


@contextmanager
def open_client_for(
    server: Server, called: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Client]:
    """Give a client of a server; its errors inside the block become CommandError.

    called: the option that the user typed for a recipe field, by the field's name.
    """
    try:
        with Client(server.url, server.api_key, attempts=MAX_ATTEMPTS) as client:
            yield client
    except client_errors.Error as error:
        raise to_command_error(error, called) from error


def to_command_error(
    error: client_errors.Error, called: Mapping[str, str] = MappingProxyType({})
) -> CommandError:
    """Return the message and exit status for an error of the client."""
    if isinstance(error, client_errors.InvalidAddress):
        return CommandError(f"SMART_FILTER_URL or SMART_FILTER_API_KEY: {error}")
    if isinstance(error, client_errors.TryLater):
        return CommandError(f"the server refuses for now: {error}", NO_SERVER)
    if isinstance(error, client_errors.Refused):
        status = WRONG_USAGE if error.code in _USAGE_CODES else PHOTO_FAILED
        return CommandError(describe_refusal(error, called), status)
    return CommandError(str(error), NO_SERVER)


def is_about_usage(error: client_errors.Refused) -> bool:
    """Return whether every photo would be refused for the same reason."""
    return error.code in _USAGE_CODES


def describe_refusal(
    error: client_errors.Refused, called: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Return a refusal as text, with every invalid field.

    called: the option that the user typed for a recipe field, by the field's name.
    """
    if error.code == "unauthorized":
        return f"the server rejects the API key; set SMART_FILTER_API_KEY ({error})"
    if error.code == "scope":
        issue = f"{typed_command()} keys create --tenant NAME --scopes submit,read,admin"
        return f"{error}; on the server, `{issue}` issues a key with more scopes"
    names: dict[str, list[str]] = {}
    for wrong in error.errors:
        name = ".".join(wrong.pointer.split("/")[1:])
        # The option that the user typed is the subject here, not the field.
        detail = wrong.detail.removeprefix(f"{name} ")
        names.setdefault(detail, []).append(called.get(name, name))
    # Fields with the same error share one message.
    fields = [f"{', '.join(dict.fromkeys(of))}: {detail}" for detail, of in names.items()]
    return "; ".join(fields) or str(error)


def _server_of_stack(stack: StackAddress) -> Server:
    return Server(stack.url, stack.api_key)
