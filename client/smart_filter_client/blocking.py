"""Does what flows yield, and blocks until it is done."""

import functools
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

import httpx

from smart_filter_client import connection
from smart_filter_client.flows import (
    Close,
    Do,
    Effect,
    Feed,
    Flow,
    Item,
    Open,
    Read,
    Send,
    Server,
    Sleep,
    described,
)
from smart_filter_client.requests import Request

P = ParamSpec("P")
T = TypeVar("T")
_Bodies = dict[httpx.Response, Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Blocking:
    """What does effects: connections to a server, and what lets time pass."""

    server: Server
    http: httpx.Client
    api_key: str
    seconds: float
    sleep: Callable[[float], None]

    def run(self, flow: Flow[T]) -> T:
        """Return what a flow returns; raises what it raises."""
        results = self._results(flow)
        try:
            next(results)
        except StopIteration as end:
            result: T = end.value
            return result
        raise AssertionError("a flow of one result gave several")

    def items(self, feed: Feed[T]) -> Iterator[T]:
        """Yield what a feed gives; raises what it raises."""
        yield from self._results(feed)

    # Any: what a generator is sent, and what it returns.
    def _results(self, flow: Generator[Effect | Item[Any], Any, Any]) -> Generator[Any, None, Any]:
        resume: Callable[[], Effect | Item[Any]] = functools.partial(next, flow)
        bodies: _Bodies = {}
        with closing(flow):
            try:
                while True:
                    try:
                        effect = resume()
                    except StopIteration as end:
                        return end.value
                    if isinstance(effect, Item):
                        yield effect.value
                        resume = functools.partial(next, flow)
                        continue
                    try:
                        resume = functools.partial(flow.send, self._do(effect, bodies))
                    except Exception as error:  # noqa: BLE001  # the flow's to judge
                        resume = functools.partial(flow.throw, error)
            finally:
                for response in bodies:
                    response.close()

    def _do(self, effect: Effect, bodies: _Bodies) -> object:
        match effect:
            case Send(request):
                return self.http.send(self._built(request))
            case Open(request):
                response = self.http.send(self._built(request), stream=True)
                bodies[response] = response.iter_bytes()
                if not response.is_success:
                    response.read()
                return response
            case Read(response):
                return next(bodies[response], None)
            case Close(response):
                del bodies[response]
                response.close()
            case Sleep(seconds):
                self.sleep(seconds)
            case Do(work):
                return work()
        return None

    def _built(self, request: Request) -> httpx.Request:
        body = connection.body_of(request)
        if request.file is not None:
            body = {"content": connection.pieces(request.file)}
        return connection.built(self.http, request, self.api_key, self.seconds, body)


class _Client(Protocol):
    _does: Blocking


class Operation(Generic[P, T]):
    """A method of a client that blocks until its flow has returned."""

    def __init__(self, flow: Callable[Concatenate[Server, P], Flow[T]]) -> None:
        self._flow = flow
        described(self, flow)

    @overload
    def __get__(self, client: None, owner: object) -> Self: ...
    @overload
    def __get__(self, client: _Client, owner: object) -> Callable[P, T]: ...
    def __get__(self, client: _Client | None, owner: object) -> Self | Callable[P, T]:
        if client is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> T:
            does = client._does  # noqa: SLF001  # this is part of it
            return does.run(self._flow(does.server, *args, **kwargs))

        return described(method, self._flow)


class Listing(Generic[P, T]):
    """A method of a client that yields what its feed gives."""

    def __init__(self, feed: Callable[Concatenate[Server, P], Feed[T]]) -> None:
        self._feed = feed
        described(self, feed)

    @overload
    def __get__(self, client: None, owner: object) -> Self: ...
    @overload
    def __get__(self, client: _Client, owner: object) -> Callable[P, Iterator[T]]: ...
    def __get__(self, client: _Client | None, owner: object) -> Self | Callable[P, Iterator[T]]:
        if client is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
            does = client._does  # noqa: SLF001  # this is part of it
            return does.items(self._feed(does.server, *args, **kwargs))

        return described(method, self._feed)
