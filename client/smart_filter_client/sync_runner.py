"""Perform the effects of flows, blocking."""

import functools
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

import httpx

from smart_filter_client import connection
from smart_filter_client.flows import (
    CallBlocking,
    Close,
    Effect,
    Emit,
    Feed,
    Flow,
    Open,
    Read,
    Send,
    Server,
    Sleep,
    copy_signature,
)
from smart_filter_client.requests import Request

P = ParamSpec("P")
T = TypeVar("T")
_Bodies = dict[httpx.Response, Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class SyncRunner:
    """Performs effects: holds the connections to a server and the sleep function."""

    server: Server
    http: httpx.Client
    api_key: str
    seconds: float
    sleep: Callable[[float], None]

    def run(self, flow: Flow[T]) -> T:
        """Run a flow; return its result, raise its error."""
        results = self._results(flow)
        try:
            next(results)
        except StopIteration as end:
            result: T = end.value
            return result
        raise AssertionError("a flow of one result gave several")

    def items(self, feed: Feed[T]) -> Iterator[T]:
        """Yield the results of a feed; raise its error."""
        yield from self._results(feed)

    # Any: what the generator receives and returns.
    def _results(self, flow: Generator[Effect | Emit[Any], Any, Any]) -> Generator[Any, None, Any]:
        resume: Callable[[], Effect | Emit[Any]] = functools.partial(next, flow)
        bodies: _Bodies = {}
        with closing(flow):
            try:
                while True:
                    try:
                        effect = resume()
                    except StopIteration as end:
                        return end.value
                    if isinstance(effect, Emit):
                        yield effect.value
                        resume = functools.partial(next, flow)
                        continue
                    try:
                        resume = functools.partial(flow.send, self._do(effect, bodies))
                    except Exception as error:  # noqa: BLE001  # the flow handles it
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
            case CallBlocking(work):
                return work()
        return None

    def _built(self, request: Request) -> httpx.Request:
        body = connection.body_arguments(request)
        if request.file is not None:
            body = {"content": connection.read_pieces(request.file)}
        return connection.build_request(self.http, request, self.api_key, self.seconds, body)


class _Client(Protocol):
    _does: SyncRunner


class Operation(Generic[P, T]):
    """A client method that blocks until its flow has returned."""

    def __init__(self, flow: Callable[Concatenate[Server, P], Flow[T]]) -> None:
        self._flow = flow
        copy_signature(self, flow)

    @overload
    def __get__(self, client: None, owner: object) -> Self: ...
    @overload
    def __get__(self, client: _Client, owner: object) -> Callable[P, T]: ...
    def __get__(self, client: _Client | None, owner: object) -> Self | Callable[P, T]:
        if client is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> T:
            does = client._does  # noqa: SLF001  # part of the client
            return does.run(self._flow(does.server, *args, **kwargs))

        return copy_signature(method, self._flow)


class Listing(Generic[P, T]):
    """A client method that yields the results of its feed."""

    def __init__(self, feed: Callable[Concatenate[Server, P], Feed[T]]) -> None:
        self._feed = feed
        copy_signature(self, feed)

    @overload
    def __get__(self, client: None, owner: object) -> Self: ...
    @overload
    def __get__(self, client: _Client, owner: object) -> Callable[P, Iterator[T]]: ...
    def __get__(self, client: _Client | None, owner: object) -> Self | Callable[P, Iterator[T]]:
        if client is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
            does = client._does  # noqa: SLF001  # part of the client
            return does.items(self._feed(does.server, *args, **kwargs))

        return copy_signature(method, self._feed)
