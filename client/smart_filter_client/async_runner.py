"""Perform the effects of flows with await; runs under asyncio and trio, like httpx."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

import anyio
import anyio.to_thread
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
_Bodies = dict[httpx.Response, AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class AsyncRunner:
    """Performs effects: holds the connections to a server and the sleep function."""

    server: Server
    http: httpx.AsyncClient
    api_key: str
    seconds: float
    sleep: Callable[[float], Awaitable[None]]

    async def run(self, flow: Flow[T]) -> T:
        """Run a flow; return its result, raise its error."""
        resume: Callable[[], Effect] = functools.partial(next, flow)
        bodies: _Bodies = {}
        with closing(flow):
            try:
                while True:
                    try:
                        effect = resume()
                    except StopIteration as end:
                        result: T = end.value
                        return result
                    resume = await self._resume(flow, effect, bodies)
            finally:
                await _close(bodies)

    async def items(self, feed: Feed[T]) -> AsyncIterator[T]:
        """Yield the results of a feed; raise its error."""
        resume: Callable[[], Effect | Emit[T]] = functools.partial(next, feed)
        bodies: _Bodies = {}
        with closing(feed):
            try:
                while True:
                    try:
                        effect = resume()
                    except StopIteration:
                        return
                    if isinstance(effect, Emit):
                        yield effect.value
                        resume = functools.partial(next, feed)
                    else:
                        resume = await self._resume(feed, effect, bodies)
            finally:
                await _close(bodies)

    # Any: a flow or a feed, and the next effect of either.
    async def _resume(self, flow: Any, effect: Effect, bodies: _Bodies) -> Callable[[], Any]:  # noqa: ANN401
        """Perform an effect; return the function that resumes the flow."""
        try:
            return functools.partial(flow.send, await self._do(effect, bodies))
        except Exception as error:  # noqa: BLE001  # the flow handles it
            return functools.partial(flow.throw, error)

    async def _do(self, effect: Effect, bodies: _Bodies) -> object:
        match effect:
            case Send(request):
                return await self.http.send(self._built(request))
            case Open(request):
                response = await self.http.send(self._built(request), stream=True)
                bodies[response] = response.aiter_bytes()
                if not response.is_success:
                    await response.aread()
                return response
            case Read(response):
                return await anext(bodies[response], None)
            case Close(response):
                del bodies[response]
                await response.aclose()
            case Sleep(seconds):
                await self.sleep(seconds)
            case CallBlocking(work):
                return await anyio.to_thread.run_sync(work)
        return None

    def _built(self, request: Request) -> httpx.Request:
        body = connection.body_arguments(request)
        if request.file is not None:
            body = {"content": connection.read_pieces_async(request.file)}
        return connection.build_request(self.http, request, self.api_key, self.seconds, body)


async def _close(bodies: _Bodies) -> None:
    # A canceled task must return its connection too.
    with anyio.CancelScope(shield=True):
        for response in bodies:
            await response.aclose()


class _Client(Protocol):
    _does: AsyncRunner


class Operation(Generic[P, T]):
    """A client method whose flow is awaited."""

    def __init__(self, flow: Callable[Concatenate[Server, P], Flow[T]]) -> None:
        self._flow = flow
        copy_signature(self, flow)

    @overload
    def __get__(self, client: None, owner: object) -> Self: ...
    @overload
    def __get__(self, client: _Client, owner: object) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(
        self, client: _Client | None, owner: object
    ) -> Self | Callable[P, Coroutine[Any, Any, T]]:
        if client is None:
            return self

        async def method(*args: P.args, **kwargs: P.kwargs) -> T:
            does = client._does  # noqa: SLF001  # part of the client
            return await does.run(self._flow(does.server, *args, **kwargs))

        return copy_signature(method, self._flow)


class Listing(Generic[P, T]):
    """A client method that yields the results of its feed."""

    def __init__(self, feed: Callable[Concatenate[Server, P], Feed[T]]) -> None:
        self._feed = feed
        copy_signature(self, feed)

    @overload
    def __get__(self, client: None, owner: object) -> Self: ...
    @overload
    def __get__(self, client: _Client, owner: object) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(
        self, client: _Client | None, owner: object
    ) -> Self | Callable[P, AsyncIterator[T]]:
        if client is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
            does = client._does  # noqa: SLF001  # part of the client
            return does.items(self._feed(does.server, *args, **kwargs))

        return copy_signature(method, self._feed)
