"""What the client does, apart from how it waits for it.

An operation is a generator, a flow: it yields what is to be done next, an effect, is sent what
came of it or thrown what went wrong, and returns its result. One flow serves both clients:
`blocking` does the effects and blocks, `awaited` does them and awaits. So there is one place
for what is asked, tried again, read and told, and none of it knows which of the two runs it.
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
    """Send a request; gives the answer, read.  Throws httpx.HTTPError."""

    request: Request


@dataclass(frozen=True, slots=True)
class Open:
    """Send a request; gives the answer, its body still on its way.  Throws httpx.HTTPError."""

    request: Request


@dataclass(frozen=True, slots=True)
class Read:
    """Go on reading an opened answer; gives bytes, None at its end.  Throws httpx.HTTPError."""

    response: httpx.Response


@dataclass(frozen=True, slots=True)
class Close:
    """Read no more of an opened answer; whatever is open at the end of a flow is closed too."""

    response: httpx.Response


@dataclass(frozen=True, slots=True)
class Sleep:
    """Let so many seconds pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Do:
    """Call a function that waits for a disk; gives what it returns, throws what it raises."""

    work: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Item(Generic[T]):
    """Hand one of several results to the caller."""

    value: T


Effect = Send | Open | Read | Close | Sleep | Do
# Any: what an effect gives depends on the effect.
Flow = Generator[Effect, Any, T]
Feed = Generator[Effect | Item[T], Any, None]


@dataclass(frozen=True, slots=True)
class Server:
    """The server that operations are about, and how patient they are with it.

    url: for messages.  attempts: how often a request is sent at most.
    clock: seconds.  chance: 0 to 1, evenly.
    """

    url: str
    attempts: int
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random


def described(method: Method, flow: Callable[..., object]) -> Method:
    """Give a method the name, the words and the parameters of its flow, but for the server."""
    for name in ("__name__", "__qualname__", "__doc__", "__module__"):
        setattr(method, name, getattr(flow, name))
    signature = inspect.signature(flow)
    _, *parameters = signature.parameters.values()
    setattr(method, "__signature__", signature.replace(parameters=parameters))  # noqa: B010
    return method
