"""The effects that operations of the client yield, independent of blocking or awaiting.

An operation is a generator, a flow. It yields an effect, receives its result or error, and finally
returns its own result. One flow serves both clients: `sync_runner` performs the effects and blocks,
`async_runner` performs them and awaits. So requests, retries, parsing and errors are written once,
independent of the client that runs them.
"""

import inspect
import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import httpx

from smart_filter_client.requests import Request

Method = TypeVar("Method")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request; gives the response with its body.  Throws httpx.HTTPError."""

    request: Request


@dataclass(frozen=True, slots=True)
class Open:
    """Send a request; gives the response before its body is read.  Throws httpx.HTTPError."""

    request: Request


@dataclass(frozen=True, slots=True)
class Read:
    """Read from an opened response; gives bytes, None at its end.  Throws httpx.HTTPError."""

    response: httpx.Response


@dataclass(frozen=True, slots=True)
class Close:
    """Close an opened response; responses still open at the end of a flow are closed too."""

    response: httpx.Response


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class CallBlocking:
    """Call a function that blocks on a disk; gives its result, throws its error."""

    work: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Emit(Generic[T]):
    """Pass one of several results to the caller."""

    value: T


Effect = Send | Open | Read | Close | Sleep | CallBlocking
# Any: what an effect gives depends on the effect.
Flow = Generator[Effect, Any, T]
Feed = Generator[Effect | Emit[T], Any, None]


@dataclass(frozen=True, slots=True)
class Server:
    """The server of the operations, and the retry limits.

    url: for messages.  attempts: maximum attempts of a request.
    clock: seconds.  chance: uniform random numbers, 0 to 1.
    """

    url: str
    attempts: int
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random


def copy_signature(method: Method, flow: Callable[..., object]) -> Method:
    """Give a method the name, the docstring and the parameters of its flow, without `server`."""
    for name in ("__name__", "__qualname__", "__doc__", "__module__"):
        setattr(method, name, getattr(flow, name))
    signature = inspect.signature(flow)
    _, *parameters = signature.parameters.values()
    setattr(method, "__signature__", signature.replace(parameters=parameters))  # noqa: B010
    return method
