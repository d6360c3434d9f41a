"""What routes are given: the process's services, and the caller of the request."""

import datetime as dt
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, ParamSpec, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from smart_filter_api import keys
from smart_filter_api.browsers import forgery
from smart_filter_api.browsers import sessions as browser_sessions
from smart_filter_api.browsers.sessions import Lifetimes, Session
from smart_filter_api.coming_days import ComingDays
from smart_filter_api.forecasts import Forecasts
from smart_filter_api.keys import Caller, Scope
from smart_filter_api.news import Watching
from smart_filter_api.orders import Orders
from smart_filter_api.queue_room import QueueRoom
from smart_filter_api.rates import Allowance, Rates
from smart_filter_api.remembered import Remembered, RememberedEach
from smart_filter_api.ringing import Ringer
from smart_filter_api.tagged import Tagged
from smart_filter_shared import stock
from smart_filter_shared.db import sessions
from smart_filter_shared.doorbell import Doorbell
from smart_filter_shared.errors import DatabaseUnavailable, OutOfScope, RateLimited, Unauthorized
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs import events, guesses, limits, models, outlook
from smart_filter_shared.jobs.events import News
from smart_filter_shared.jobs.limits import Limits
from smart_filter_shared.jobs.measures import Reading
from smart_filter_shared.jobs.outlook import Outlook
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.jobs.published import Published
from smart_filter_shared.jobs.retention import Keeping
from smart_filter_shared.presets import PRESETS, Preset
from smart_filter_shared.sealing import Seal
from smart_filter_shared.settings import Settings
from smart_filter_shared.stock import Picture
from smart_filter_shared.storage.objects import ObjectStore

# All that go at once: more took no more photos a second, as the interpreter is busier than they
# are (docs/measurements.md).
_CONNECTIONS = 4
_STORAGE_THREADS = 16
# Of pictures that are stored in parts: each of these holds two, of 5 MB.
_LARGE_PICTURES = 4
# Each may take 150 MB for a moment.
_JSON_BODIES = 1
# However often somebody scrapes: anybody may.
_MEASURED_SECONDS = 2.0
# A model that a worker brings, or a picture that somebody adds, is listed as much later.
_MODELS_SECONDS = 1.0
_STOCK_SECONDS = 1.0
# How far past its bound all tenants' queue may get: what is submitted in this time.
_QUEUE_SECONDS = 1.0
# A key that is revoked, or a tenant that is bounded otherwise, is taken as before for so long.
_CALLER_SECONDS = 1.0
_CALLERS = 10_000
# Tenants whose pictures are remembered: a few kB each.
_STOCK_TENANTS = 1000

_BEARER = HTTPBearer(auto_error=False, description="a key: `sf_live_…`")
_COOKIE = APIKeyCookie(
    name=forgery.SECURE_COOKIE,
    scheme_name="Session",
    auto_error=False,
    description="a browser's session, of POST /v1/session: what changes something carries its "
    f"`csrf_token` in the header {forgery.TOKEN}; by http the cookie is {forgery.PLAIN_COOKIE}",
)

Given = ParamSpec("Given")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Services:
    """What one API process talks to.

    patience_seconds: how long a server may take for an answer before it counts as away.
    threads: bounds how many blocking calls to storage run at once.
    large_pictures: bounds how many of them store a picture in parts.
    keeping: how long what is stored is kept.
    silent_seconds: a worker that was not heard from for so long is taken for dead.
    pools: capabilities that are declared to have workers, though none may run just now.
    models: all that are known.  stock: the pictures that each tenant may use.
    measured: what the metrics show of the database.
    watching: those who wait for jobs.
    json_bodies: bounds how many JSON bodies are in memory at once.
    seal: what seals secrets; None where the operator has set no key.
    limits: what a tenant may do of which nothing else is said.  rates: their buckets.
    callers: whose keys are, by the keys' digests.
    room: what is known of the room in tenants' queues.
    jobs_in_all: how many jobs may be unfinished; unfinished: how many are.
    lifetimes: of browsers' sessions.  session_secure: whether these are for https alone.
    removebg_seconds: how long a client of remove.bg waits for its picture.
    remember: whether a photo that comes again is met with what was made of it.
    forecasts: where jobs stand and when they will have ended.
    tagged: what is answered to whoever polls.  orders: what was asked for last.
    """

    database: AsyncEngine
    reader: AsyncEngine
    storage: ObjectStore
    doorbell: Doorbell
    ringer: Ringer
    patience_seconds: float
    threads: anyio.CapacityLimiter
    large_pictures: anyio.CapacityLimiter
    keeping: Keeping
    silent_seconds: float
    pools: tuple[str, ...]
    models: Remembered[list[Published]]
    stock: RememberedEach[Tenant, list[Picture]]
    measured: Remembered[Reading]
    watching: Watching
    json_bodies: anyio.CapacityLimiter
    seal: Seal | None
    limits: Limits
    rates: Rates
    callers: RememberedEach[bytes, Caller]
    room: QueueRoom
    jobs_in_all: int
    unfinished: Remembered[int]
    lifetimes: Lifetimes
    session_secure: bool
    removebg_seconds: float
    remember: bool
    forecasts: Forecasts
    tagged: Tagged
    orders: Orders

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that commits when the block ends well, else rolls back.

        Raises DatabaseUnavailable, also when the whole of it takes too long: a network
        that swallows what it is sent would hold up the request for ever.
        """
        async with (
            _in_time(self.patience_seconds),
            sessions.async_transaction(self.database) as connection,
        ):
            yield connection

    @asynccontextmanager
    async def stating(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection for one statement that is a transaction by itself.

        To begin one and to commit it are two round trips more.  Raises DatabaseUnavailable.
        """
        async with self.reading() as connection:
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection on which every statement sees what is committed by then.

        Raises DatabaseUnavailable, as `transaction` does.
        """
        async with (
            _in_time(self.patience_seconds),
            sessions.async_reading(self.reader) as connection,
        ):
            yield connection

    async def presets(self, tenant: Tenant) -> list[Preset]:
        """Return the backgrounds that a tenant may name: designs, everybody's, its own."""
        return [*PRESETS, *(picture.preset for picture in await self.pictures(tenant))]

    async def pictures(self, tenant: Tenant) -> list[Picture]:
        """Return the pictures that a tenant may use: everybody's, its own."""
        return await self.stock.get(tenant, lambda: self._stock_of(tenant))

    async def _stock_of(self, tenant: Tenant) -> list[Picture]:
        async with self.reading() as connection:
            return await connection.run_sync(stock.seen_by, tenant)

    async def refuse_when_full(self, *, jobs: int = 1) -> None:
        """See to it that so many more may wait, whoever's they are.  Raises ServiceFull."""
        if self.jobs_in_all:
            unfinished = await self.unfinished.get(self._count_unfinished)
            limits.refuse_when_all_is_full(
                unfinished + jobs - 1,
                self.jobs_in_all,
                full_seconds=self.forecasts.room_in_seconds(self.jobs_in_all),
            )

    async def _count_unfinished(self) -> int:
        async with self.reading() as connection:
            return await connection.run_sync(limits.unfinished_in_all, most=self.jobs_in_all)

    async def in_thread(
        self, function: Callable[Given, Result], *args: Given.args, **options: Given.kwargs
    ) -> Result:
        """Run something that blocks on storage without holding up the event loop."""
        return await anyio.to_thread.run_sync(
            partial(function, *args, **options), limiter=self.threads
        )


@asynccontextmanager
async def _in_time(seconds: float) -> AsyncIterator[None]:
    """Bound what a connection is used for.  Raises DatabaseUnavailable.

    A client that leaves cancels all awaits of its request, also those with which SQLAlchemy gives
    the connection back: it would be lost until it is collected as garbage. So a request that has
    begun to ask the database is canceled when it has its answer.
    """
    await anyio.lowlevel.checkpoint_if_cancelled()
    try:
        with anyio.fail_after(seconds, shield=True):
            yield
    except TimeoutError as error:
        raise DatabaseUnavailable(f"no answer within {seconds} s") from error


@asynccontextmanager
async def opened(
    settings: Settings,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Services]:
    """Open the services of a process, and close them in the end; nothing is contacted yet."""
    doorbell = Doorbell(settings.broker)
    database = sessions.async_engine(settings.database, connections=_CONNECTIONS, clock=clock)
    reader = sessions.reader(database)
    patience_seconds = settings.database.patience_seconds
    silent_seconds = settings.engine.lease_seconds
    keeping = Keeping(settings.keep.input_seconds, settings.keep.result_seconds)
    services = Services(
        database=database,
        reader=reader,
        storage=ObjectStore(settings.storage, connections=_STORAGE_THREADS),
        doorbell=doorbell,
        ringer=Ringer(doorbell.ring),
        patience_seconds=patience_seconds,
        threads=anyio.CapacityLimiter(_STORAGE_THREADS),
        large_pictures=anyio.CapacityLimiter(_LARGE_PICTURES),
        keeping=keeping,
        silent_seconds=silent_seconds,
        pools=settings.engine.pools,
        models=Remembered(_MODELS_SECONDS, clock=clock),
        stock=RememberedEach(_STOCK_SECONDS, most=_STOCK_TENANTS, clock=clock),
        measured=Remembered(_MEASURED_SECONDS, clock=clock),
        watching=Watching(partial(_news, reader, patience_seconds)),
        json_bodies=anyio.CapacityLimiter(_JSON_BODIES),
        seal=_seal(settings),
        limits=Limits(
            requests_per_minute=settings.limits.requests_per_minute,
            jobs_waiting=settings.limits.jobs_waiting,
            megapixels_per_day=settings.limits.megapixels_per_day,
        ),
        rates=Rates(settings.broker),
        callers=RememberedEach(_CALLER_SECONDS, most=_CALLERS, clock=clock),
        room=QueueRoom(clock=clock),
        jobs_in_all=settings.limits.jobs_in_all,
        unfinished=Remembered(_QUEUE_SECONDS, clock=clock),
        lifetimes=Lifetimes(
            idle=dt.timedelta(seconds=settings.browser.session_idle_seconds),
            whole=dt.timedelta(seconds=settings.browser.session_seconds),
        ),
        session_secure=settings.browser.session_secure,
        removebg_seconds=settings.removebg.seconds,
        remember=settings.engine.remember,
        forecasts=Forecasts(
            partial(_outlook, reader, patience_seconds, silent_seconds), clock=clock
        ),
        tagged=Tagged(keeping),
        orders=Orders(),
    )
    coming = ComingDays(database)
    try:
        async with anyio.create_task_group() as beside:
            beside.start_soon(coming.run)
            beside.start_soon(services.ringer.run)
            beside.start_soon(services.watching.run)
            beside.start_soon(services.rates.run)
            try:
                yield services
            finally:
                coming.end()
                services.ringer.end()
                services.watching.end()
                services.rates.end()
    finally:
        await services.rates.close()
        doorbell.close()
        await database.dispose()


def _seal(settings: Settings) -> Seal | None:
    keys = [key.get_secret_value() for key in settings.secrets.key]
    return Seal(keys) if keys else None


async def _news(reader: AsyncEngine, patience_seconds: float, horizon: str | None) -> News:
    async with _in_time(patience_seconds), sessions.async_reading(reader) as connection:
        return await connection.run_sync(events.news, horizon)


async def _outlook(reader: AsyncEngine, patience_seconds: float, silent_seconds: float) -> Outlook:
    def look(connection: Connection) -> Outlook:
        found = outlook.read(
            connection, cell=CELL, silent_seconds=silent_seconds, now=dt.datetime.now(dt.UTC)
        )
        cards = [one.card for one in models.published(connection)]
        return replace(found, paces=guesses.completed(found.paces, cards))

    async with _in_time(patience_seconds), sessions.async_reading(reader) as connection:
        return await connection.run_sync(look)


async def _services(request: Request) -> Services:
    # Asynchronous though it waits for nothing: FastAPI would call it in a thread.
    services: Services = request.app.state.services
    return services


OpenServices = Annotated[Services, Depends(_services)]


def _caller_with(scope: Scope, *, also_devices: bool = False) -> Callable[..., Awaitable[Caller]]:
    async def authenticated(
        request: Request,
        services: OpenServices,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
        _: Annotated[str | None, Depends(_COOKIE)],
    ) -> Caller:
        if credentials is None:
            caller = (await visiting(request, services)).caller
            await _count(request, services, caller)
        else:
            caller = await identified(request, services, credentials.credentials)
        if scope not in caller.scopes:
            raise OutOfScope(f"the key lacks the scope {scope}")
        if caller.is_device and not also_devices:
            raise OutOfScope("the key is for a device: it submits photos and nothing else")
        return caller

    return authenticated


async def identified(request: Request, services: Services, key: str) -> Caller:
    """Return whose key this is, and count the request.  Raises Unauthorized, RateLimited."""
    digest = keys.digest_of(key)
    caller = await services.callers.get(digest, lambda: _authenticated(services, digest))
    await _count(request, services, caller)
    return caller


async def _authenticated(services: Services, digest: bytes) -> Caller:
    async with services.reading() as connection:
        return await connection.run_sync(keys.authenticate, digest, usual=services.limits)


async def visiting(request: Request, services: Services) -> Session:
    """Return the session of the browser that sends a request.  Raises Unauthorized, Forged."""
    cookie = forgery.cookie_of(request, always_secure=services.session_secure)
    if cookie is None:
        raise Unauthorized("send the header `Authorization: Bearer KEY`")
    forgery.refuse(request, cookie)
    async with services.reading() as connection:
        return await connection.run_sync(
            browser_sessions.find, cookie, services.lifetimes, usual=services.limits
        )


async def _count(request: Request, services: Services, caller: Caller) -> None:
    """Count a request against its tenant's limit; answers tell what is left of it."""
    per_minute = caller.limits.requests_per_minute
    if not per_minute:
        return
    allowance = await services.rates.take(caller.tenant, per_minute)
    request.state.allowance = allowance
    request.state.rate_limit = allowance.headers()
    told_to_wait(allowance, f"{per_minute} requests a minute are allowed")


def told_to_wait(allowance: Allowance, bound: str) -> None:
    """Turn away whom nothing is left of its allowance.  Raises RateLimited."""
    if not allowance.is_granted:
        raise RateLimited(
            f"{bound}; come again in {allowance.more_in_seconds} s",
            retry_after_seconds=allowance.more_in_seconds,
        )


async def _visit(
    request: Request, services: OpenServices, _: Annotated[str | None, Depends(_COOKIE)]
) -> Session:
    return await visiting(request, services)


Visit = Annotated[Session, Depends(_visit)]
# Devices of end users hand in photos; everything else is for the tenant's own servers.
PhotoSender = Annotated[Caller, Depends(_caller_with(Scope.SUBMIT, also_devices=True))]
Submitter = Annotated[Caller, Depends(_caller_with(Scope.SUBMIT))]
Reader = Annotated[Caller, Depends(_caller_with(Scope.READ))]
Administrator = Annotated[Caller, Depends(_caller_with(Scope.ADMIN))]
Operator = Annotated[Caller, Depends(_caller_with(Scope.OPERATOR))]
