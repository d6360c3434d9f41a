"""Which server the client commands talk to, and its errors as endings."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType

from smart_filter_client import Client
from smart_filter_client import errors as client_errors
from smart_filter_deploy.cli.endings import NO_SERVER, PHOTO_FAILED, WRONG_USAGE, Ending
from smart_filter_deploy.embedded.addresses import StackAddress
from smart_filter_deploy.embedded.folder import running_stack
from smart_filter_shared.places import data_folder

# Refusals that say that the command was wrong, not that a photo or a job is.
_USAGE_CODES = frozenset(
    (
        "unauthorized scope invalid_recipe invalid_request contradiction not_available"
        " malformed_request"
    ).split()
)
# A person sees sooner than a program that nothing answers.
_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is and the key to it."""

    url: str
    api_key: str = field(repr=False)


def named_server() -> Server | None:
    """Return the server that SMART_FILTER_URL names, or None."""
    url = os.environ.get("SMART_FILTER_URL")
    return Server(url, os.environ.get("SMART_FILTER_API_KEY", "")) if url else None


def running_server() -> Server | None:
    """Return the stack that is up on the data folder, or None."""
    stack = running_stack()
    return None if stack is None else _of(stack)


def stack_up(*, or_name: str) -> StackAddress:
    """Return the stack that is up on the data folder.

    Ends the command when none is, which tells that `or_name` would name what does for one.
    """
    stack = running_stack()
    if stack is None:
        raise Ending(
            f"nothing is up on {data_folder()}: start it with `smart-filter up`, set"
            " SMART_FILTER_DATA to the --data of what is up elsewhere, or name servers with"
            f" {or_name}",
            NO_SERVER,
        )
    return stack


@contextmanager
def connected() -> Iterator[Client]:
    """Give a client of the server that is named or up."""
    server = named_server() or _of(stack_up(or_name="SMART_FILTER_URL and SMART_FILTER_API_KEY"))
    with client_of(server) as client:
        yield client


@contextmanager
def client_of(server: Server, called: Mapping[str, str] = MappingProxyType({})) -> Iterator[Client]:
    """Give a client of a server; what it raises inside becomes an Ending.

    called: what the person wrote for a field of the recipe, by the field's name.
    """
    try:
        with Client(server.url, server.api_key, attempts=_ATTEMPTS) as client:
            yield client
    except client_errors.Error as error:
        raise ending_of(error, called) from error


def ending_of(
    error: client_errors.Error, called: Mapping[str, str] = MappingProxyType({})
) -> Ending:
    """Return how a command ends for what a client raised."""
    if isinstance(error, client_errors.InvalidAddress):
        return Ending(f"SMART_FILTER_URL or SMART_FILTER_API_KEY: {error}", WRONG_USAGE)
    if isinstance(error, client_errors.TryLater):
        return Ending(f"the server cannot now, try again later: {error}", NO_SERVER)
    if isinstance(error, client_errors.Refused):
        status = WRONG_USAGE if error.code in _USAGE_CODES else PHOTO_FAILED
        return Ending(told(error, called), status)
    return Ending(str(error), NO_SERVER)


def is_about_usage(error: client_errors.Refused) -> bool:
    """Whether every photo would be refused alike."""
    return error.code in _USAGE_CODES


def told(error: client_errors.Refused, called: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return a refusal for a person, every wrong field included.

    called: what the person wrote for a field of the recipe, by the field's name.
    """
    if error.code == "unauthorized":
        return f"the server does not know the key; set SMART_FILTER_API_KEY ({error})"
    if error.code == "not_found":
        return f"the server has none: {error}"
    names: dict[str, list[str]] = {}
    for wrong in error.errors:
        name = ".".join(wrong.pointer.split("/")[1:])
        names.setdefault(wrong.detail, []).append(called.get(name, name))
    # What several fields share is said once.
    fields = [f"{', '.join(dict.fromkeys(of))}: {detail}" for detail, of in names.items()]
    return "; ".join(fields) or str(error)


def _of(stack: StackAddress) -> Server:
    return Server(stack.url, stack.api_key)
