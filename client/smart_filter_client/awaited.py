"""Does what flows yield, and awaits it; under asyncio and trio, which httpx can run on."""

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
_Bodies = dict[httpx.Response, AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Awaited:
    """What does effects: connections to a server, and what lets time pass."""

    server: Server
    http: httpx.AsyncClient
    api_key: str
    seconds: float
    sleep: Callable[[float], Awaitable[None]]

    async def run(self, flow: Flow[T]) -> T:
        """Return what a flow returns; raises what it raises."""
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
                    resume = await self._resuming(flow, effect, bodies)
            finally:
                await _close(bodies)

    async def items(self, feed: Feed[T]) -> AsyncIterator[T]:
        """Yield what a feed gives; raises what it raises."""
        resume: Callable[[], Effect | Item[T]] = functools.partial(next, feed)
        bodies: _Bodies = {}
        with closing(feed):
            try:
                while True:
                    try:
                        effect = resume()
                    except StopIteration:
                        return
                    if isinstance(effect, Item):
                        yield effect.value
                        resume = functools.partial(next, feed)
                    else:
                        resume = await self._resuming(feed, effect, bodies)
            finally:
                await _close(bodies)

    # Any: a flow or a feed; what either yields next.
    async def _resuming(self, flow: Any, effect: Effect, bodies: _Bodies) -> Callable[[], Any]:  # noqa: ANN401
        """Do an effect; return what goes on with the flow."""
        try:
            return functools.partial(flow.send, await self._do(effect, bodies))
        except Exception as error:  # noqa: BLE001  # the flow's to judge
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
            case Do(work):
                return await anyio.to_thread.run_sync(work)
        return None

    def _built(self, request: Request) -> httpx.Request:
        body = connection.body_of(request)
        if request.file is not None:
            body = {"content": connection.pieces_awaited(request.file)}
        return connection.built(self.http, request, self.api_key, self.seconds, body)


async def _close(bodies: _Bodies) -> None:
    # Whoever cancels wants the connection back as well.
    with anyio.CancelScope(shield=True):
        for response in bodies:
            await response.aclose()


class _Client(Protocol):
    _does: Awaited


class Operation(Generic[P, T]):
    """A method of a client whose flow is awaited."""

    def __init__(self, flow: Callable[Concatenate[Server, P], Flow[T]]) -> None:
        self._flow = flow
        described(self, flow)

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
            does = client._does  # noqa: SLF001  # this is part of it
            return await does.run(self._flow(does.server, *args, **kwargs))

        return described(method, self._flow)


class Listing(Generic[P, T]):
    """A method of a client that yields what its feed gives."""

    def __init__(self, feed: Callable[Concatenate[Server, P], Feed[T]]) -> None:
        self._feed = feed
        described(self, feed)

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
            does = client._does  # noqa: SLF001  # this is part of it
            return does.items(self._feed(does.server, *args, **kwargs))

        return described(method, self._feed)
