"""Dependencies of routes: the services of the process, and the caller of the request."""

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

from smart_filter_api.auth import api_keys, csrf, oidc
from smart_filter_api.auth import sessions as browser_sessions
from smart_filter_api.auth.api_keys import Caller, Scope
from smart_filter_api.auth.failure_limit import FailureLimit
from smart_filter_api.auth.link_signer import LinkSigner
from smart_filter_api.auth.rate_limit import RateLimiter
from smart_filter_api.auth.refusal_log import RefusalLog
from smart_filter_api.auth.sessions import Lifetimes, Session
from smart_filter_api.intake.body_budget import BodyBudget
from smart_filter_api.services.database_turns import DatabaseTurns
from smart_filter_api.services.delivery_backlogs import DeliveryBacklogs
from smart_filter_api.services.doorbell import Ringer
from smart_filter_api.services.end_listener import EndListener
from smart_filter_api.services.eta import EtaEstimator
from smart_filter_api.services.event_poller import EventPoller
from smart_filter_api.services.job_cache import JobCache
from smart_filter_api.services.parsing_turns import ParsingTurns
from smart_filter_api.services.partition_maker import PartitionMaker
from smart_filter_api.services.queue_capacity import QueueCapacity
from smart_filter_api.services.recipe_cache import RecipeCache
from smart_filter_api.services.shared_reads import SharedReads
from smart_filter_api.services.wait_budget import WaitBudget
from smart_filter_api.ttl_cache import KeyedTtlCache, TtlCache
from smart_filter_shared import stock
from smart_filter_shared.artifacts.retention import RetentionPolicy
from smart_filter_shared.config.settings import Settings
from smart_filter_shared.db import sessions
from smart_filter_shared.doorbell import Doorbell
from smart_filter_shared.errors import (
    DatabaseUnavailable,
    InsufficientScope,
    ListTooSlow,
    StatementTimedOut,
    Unauthorized,
)
from smart_filter_shared.eta import snapshot, stage_times
from smart_filter_shared.eta.snapshot import QueueSnapshot
from smart_filter_shared.ids import Tenant
from smart_filter_shared.model_registry import published_models
from smart_filter_shared.model_registry.published_models import PublishedModel
from smart_filter_shared.operations.counters import ServiceMetrics
from smart_filter_shared.presets import PRESETS, Preset
from smart_filter_shared.queue import events
from smart_filter_shared.queue.events import JobChanges
from smart_filter_shared.queue.worker_registry import DEFAULT_CELL
from smart_filter_shared.security.client_network import client_network
from smart_filter_shared.security.outbound_rules import OutboundRules
from smart_filter_shared.security.secretbox import SecretBox
from smart_filter_shared.stock import Picture
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_shared.storage.opening import open_store
from smart_filter_shared.tenants import quotas
from smart_filter_shared.tenants.quotas import Limits

# Database connections of one process. More did not raise the photos per second, since the
# interpreter is busier than the connections (docs/measurements.md).
_DATABASE_CONNECTIONS = 4
_STORAGE_THREADS = 16
# Concurrent multipart uploads to storage; each holds two parts of 5 MB in memory.
_MAX_LARGE_PICTURES = 4
# `/metrics` needs no key, so its text and the query behind it are cached.
_METRICS_TTL_SECONDS = 2.0
# A new model or picture is listed at most this much later.
_MODELS_TTL_SECONDS = 1.0
_STOCK_TTL_SECONDS = 1.0
# TTL of the global queue length; the limit can be exceeded by one TTL of submissions.
_UNFINISHED_TTL_SECONDS = 1.0
# A revoked key, or a changed limit of a tenant, takes effect at most this much later.
_CALLER_TTL_SECONDS = 1.0
_MAX_CALLERS = 10_000
# A device may use this part of its tenant's requests, and no more than two a second, so that one
# device cannot lock its tenant out.
_DEVICE_SHARE = 4
_DEVICE_REQUESTS_PER_MINUTE = 120
# Limits of a network in one process: unknown keys and sessions, a query each; failed sign-ins.
_KEY_FAILURES_PER_MINUTE = 600
_SIGN_IN_FAILURES_PER_MINUTE = 30
_LIST_RETRY_SECONDS = 5
# Tenants whose picture lists are cached, a few kB each.
_MAX_STOCK_TENANTS = 1000

_BEARER = HTTPBearer(auto_error=False, description="An API key: `sf_live_…`")
_COOKIE = APIKeyCookie(
    name=csrf.SECURE_COOKIE,
    scheme_name="Session",
    auto_error=False,
    description="A browser session from POST /v1/session. Requests that change something send its "
    f"`csrf_token` in the header {csrf.TOKEN_HEADER}. Over http the cookie is {csrf.PLAIN_COOKIE}",
)

Given = ParamSpec("Given")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Services:
    """The services and settings of one API process.

    patience_seconds: time-out for an answer of a server, after which it counts as unavailable.
    threads: limits blocking calls to storage.  large_pictures: limits multipart uploads to it.
    silent_seconds: a worker without a heartbeat for this long counts as dead.
    pools: capabilities that are declared to have workers, even when none is running.
    models: all known models.  stock: the pictures that each tenant may use.
    measured: metrics from the database.  exposition: the text of all metrics.
    watching: wakes requests that wait for jobs.  outbound: hosts that may be reached for them.
    waits: limits open streams, waits and downloads.  turns: limits lists and writes of batches.
    batch_reads, job_reads: reads that waiting requests share.
    bodies: limits the bytes of bodies under way.  parsing: turns to parse large ones.
    seal: encrypts secrets; None when the operator has set no key.
    links: signs links to outputs and for uploads; None when the operator has set no key.
    public_url: their scheme and host; None: those of the request.
    link_seconds: the usual lifetime of those to outputs.
    keeping, limits: of tenants without overrides.  rates: their rate limiter.
    key_failures, sign_in_failures: limits of networks with unknown keys and sessions.
    callers: by the digest of their key.  signs: whether workers sign Content Credentials.
    room, backlogs: remembered lengths of tenants' queues, and of their webhook deliveries.
    jobs_in_all: limit of unfinished jobs of all tenants; 0: none.  unfinished: their number.
    lifetimes: of browser sessions.  session_secure: whether their cookies are for https only.
    oidc: the provider at which persons sign in; None when the operator has set none.
    removebg_seconds: how long a remove.bg request waits for its job.
    emotions: whether emotions are read in faces, unless a tenant turns them off.
    remember: whether results are reused when a photo is submitted again.
    forecasts: places of jobs in the queue, and their ETA.
    rendered: cached answers for polled jobs.  orders: cached parsed recipes.
    refusals: the refused requests that are not yet in the security log.
    """

    database: AsyncEngine
    reader: AsyncEngine
    lister: AsyncEngine
    storage: ObjectStore
    doorbell: Doorbell
    ringer: Ringer
    patience_seconds: float
    threads: anyio.CapacityLimiter
    large_pictures: anyio.CapacityLimiter
    keeping: RetentionPolicy
    silent_seconds: float
    pools: tuple[str, ...]
    models: TtlCache[list[PublishedModel]]
    stock: KeyedTtlCache[Tenant, list[Picture]]
    measured: TtlCache[ServiceMetrics]
    exposition: TtlCache[str]
    watching: EventPoller
    waits: WaitBudget
    turns: DatabaseTurns
    batch_reads: SharedReads
    job_reads: SharedReads
    bodies: BodyBudget
    parsing: ParsingTurns
    seal: SecretBox | None
    links: LinkSigner | None
    public_url: str | None
    link_seconds: int
    outbound: OutboundRules
    limits: Limits
    rates: RateLimiter
    key_failures: FailureLimit
    sign_in_failures: FailureLimit
    callers: KeyedTtlCache[bytes, Caller]
    room: QueueCapacity
    backlogs: DeliveryBacklogs
    jobs_in_all: int
    unfinished: TtlCache[int]
    lifetimes: Lifetimes
    session_secure: bool
    oidc: oidc.OidcProvider | None
    removebg_seconds: float
    signs: bool
    emotions: bool
    remember: bool
    forecasts: EtaEstimator
    rendered: JobCache
    orders: RecipeCache
    refusals: RefusalLog

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that commits when the block succeeds, else rolls back.

        Raises DatabaseUnavailable, also when the whole block takes too long: a network that
        drops packets silently would block the request forever.
        """
        async with (
            _database_timeout(self.patience_seconds),
            sessions.async_transaction(self.database) as connection,
        ):
            yield connection

    @asynccontextmanager
    async def writing_batch(self, tenant: Tenant) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that writes a whole batch of a tenant.

        Raises RateLimited or ServiceFull when other batches have not been written in time,
        DatabaseUnavailable.
        """
        async with self.turns.write_batch(tenant), self.transaction() as connection:
            yield connection

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection for one statement that is its own transaction.

        It saves the two round trips of BEGIN and COMMIT.  Raises DatabaseUnavailable.
        """
        async with self.reading() as connection:
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection on which each statement sees the data committed before it.

        Raises DatabaseUnavailable, as `transaction` does.
        """
        async with (
            _database_timeout(self.patience_seconds),
            sessions.async_connection(self.reader) as connection,
        ):
            yield connection

    @asynccontextmanager
    async def listing(self, tenant: Tenant) -> AsyncIterator[AsyncConnection]:
        """Open a connection for a list of a tenant, which may read many rows.

        Raises ListTooSlow when a statement takes longer than `sessions.LISTING_SECONDS`,
        RateLimited or ServiceFull when other lists have not ended in time, DatabaseUnavailable.
        """
        async with self.turns.list_rows(tenant):
            try:
                async with (
                    _database_timeout(self.patience_seconds),
                    sessions.async_transaction(self.lister) as connection,
                ):
                    yield connection
            except StatementTimedOut as error:
                raise ListTooSlow(
                    f"the list takes longer than {sessions.LISTING_SECONDS} s; narrow it, such as"
                    f" by created_after, or retry in {_LIST_RETRY_SECONDS} s",
                    retry_after_seconds=_LIST_RETRY_SECONDS,
                ) from error

    def base_url(self, request: Request) -> str:
        """Return the scheme and host of links to this API in the answer to a request."""
        return self.public_url or str(request.base_url).rstrip("/")

    @property
    def signer(self) -> LinkSigner:
        """The signer of links; there is one if clients cannot reach the store."""
        assert self.links is not None, "a folder of objects needs a secrets key"
        return self.links

    async def presets(self, tenant: Tenant) -> list[Preset]:
        """Return the backgrounds that a tenant may name: designs, the operator's, its own."""
        return [*PRESETS, *(picture.preset for picture in await self.pictures(tenant))]

    async def pictures(self, tenant: Tenant) -> list[Picture]:
        """Return the pictures that a tenant may use: the operator's and its own."""
        return await self.stock.get(tenant, lambda: self._load_pictures(tenant))

    async def _load_pictures(self, tenant: Tenant) -> list[Picture]:
        async with self.reading() as connection:
            return await connection.run_sync(stock.list_usable, tenant)

    async def refuse_when_full(self, *, jobs: int = 1) -> None:
        """Check that the global queue has room for this many more jobs.  Raises ServiceFull."""
        if self.jobs_in_all:
            unfinished = await self.unfinished.get(self._count_unfinished)
            quotas.check_service_capacity(
                unfinished + jobs - 1,
                self.jobs_in_all,
                full_seconds=self.forecasts.seconds_until_room(self.jobs_in_all),
            )

    async def _count_unfinished(self) -> int:
        async with self.reading() as connection:
            return await connection.run_sync(quotas.count_all_unfinished, most=self.jobs_in_all)

    async def in_thread(
        self, function: Callable[Given, Result], *args: Given.args, **options: Given.kwargs
    ) -> Result:
        """Run a blocking storage call in a thread and return its result."""
        return await anyio.to_thread.run_sync(
            partial(function, *args, **options), limiter=self.threads
        )


@asynccontextmanager
async def _database_timeout(seconds: float) -> AsyncIterator[None]:
    """Limit the time of a block that uses a connection.  Raises DatabaseUnavailable.

    A client that disconnects cancels all awaits of its request, including those in which
    SQLAlchemy returns the connection to the pool; the connection would be lost until garbage
    collection. The block is therefore shielded, and the cancellation takes effect after it.
    """
    await anyio.lowlevel.checkpoint_if_cancelled()
    try:
        with anyio.fail_after(seconds, shield=True):
            yield
    except TimeoutError as error:
        raise DatabaseUnavailable(f"no answer within {seconds} s") from error


@asynccontextmanager
async def open_services(
    settings: Settings,
    refusals: RefusalLog,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Services]:
    """Open the services of a process and close them at the end; no server is contacted yet.

    refusals: the refused requests of the process, which are written to the security log.
    """
    doorbell = Doorbell(settings.broker)
    database = sessions.open_async_engine(
        settings.database, connections=_DATABASE_CONNECTIONS, clock=clock
    )
    reader = sessions.reader(database)
    patience_seconds = settings.database.patience_seconds
    silent_seconds = settings.engine.lease_seconds
    keeping = RetentionPolicy(settings.keep.input_seconds, settings.keep.result_seconds)
    secret_keys = [key.get_secret_value() for key in settings.secrets.key]
    watching = EventPoller(partial(_poll_events, reader, patience_seconds))
    services = Services(
        database=database,
        reader=reader,
        lister=sessions.for_lists(database),
        storage=open_store(settings.storage, connections=_STORAGE_THREADS),
        doorbell=doorbell,
        ringer=Ringer(doorbell.ring),
        patience_seconds=patience_seconds,
        threads=anyio.CapacityLimiter(_STORAGE_THREADS),
        large_pictures=anyio.CapacityLimiter(_MAX_LARGE_PICTURES),
        keeping=keeping,
        silent_seconds=silent_seconds,
        pools=settings.engine.pools,
        models=TtlCache(_MODELS_TTL_SECONDS, clock=clock),
        stock=KeyedTtlCache(_STOCK_TTL_SECONDS, most=_MAX_STOCK_TENANTS, clock=clock),
        measured=TtlCache(_METRICS_TTL_SECONDS, clock=clock),
        exposition=TtlCache(_METRICS_TTL_SECONDS, clock=clock),
        watching=watching,
        waits=WaitBudget(),
        turns=DatabaseTurns(_DATABASE_CONNECTIONS, seconds=patience_seconds),
        batch_reads=SharedReads(lambda: watching.wakes, most=16_000_000),  # bytes
        job_reads=SharedReads(lambda: watching.wakes, most=1000),
        bodies=BodyBudget(settings.limits.body_megabytes * 1_000_000),
        parsing=ParsingTurns(),
        seal=SecretBox(secret_keys) if secret_keys else None,
        links=LinkSigner(secret_keys) if secret_keys else None,
        public_url=settings.links.public_url,
        link_seconds=settings.links.link_seconds,
        outbound=OutboundRules(settings.outbound.allow),
        limits=Limits(
            requests_per_minute=settings.limits.requests_per_minute,
            jobs_waiting=settings.limits.jobs_waiting,
            megapixels_per_day=settings.limits.megapixels_per_day,
            stored_bytes=settings.limits.stored_bytes,
            deliveries_waiting=settings.limits.deliveries_waiting,
        ),
        rates=RateLimiter(settings.broker),
        key_failures=FailureLimit(_KEY_FAILURES_PER_MINUTE, clock=clock),
        sign_in_failures=FailureLimit(_SIGN_IN_FAILURES_PER_MINUTE, clock=clock),
        callers=KeyedTtlCache(_CALLER_TTL_SECONDS, most=_MAX_CALLERS, clock=clock),
        room=QueueCapacity(clock=clock),
        backlogs=DeliveryBacklogs(clock=clock),
        jobs_in_all=settings.limits.jobs_in_all,
        unfinished=TtlCache(_UNFINISHED_TTL_SECONDS, clock=clock),
        lifetimes=Lifetimes(
            idle=dt.timedelta(seconds=settings.browser.session_idle_seconds),
            whole=dt.timedelta(seconds=settings.browser.session_seconds),
        ),
        session_secure=settings.browser.session_secure,
        oidc=oidc.open_provider(settings, clock=clock),
        removebg_seconds=settings.removebg.seconds,
        signs=settings.provenance.certificate is not None,
        emotions=settings.engine.emotions,
        remember=settings.engine.remember,
        forecasts=EtaEstimator(
            partial(_take_snapshot, reader, patience_seconds, silent_seconds), clock=clock
        ),
        rendered=JobCache(emotions=settings.engine.emotions),
        orders=RecipeCache(),
        refusals=refusals,
    )
    partition_maker = PartitionMaker(database)
    end_listener = EndListener(settings.broker, services.watching)
    try:
        async with anyio.create_task_group() as ringing:
            ringing.start_soon(services.ringer.run)
            try:
                async with anyio.create_task_group() as loops:
                    loops.start_soon(partition_maker.run)
                    loops.start_soon(services.watching.run)
                    loops.start_soon(end_listener.run)
                    loops.start_soon(services.rates.run)
                    loops.start_soon(refusals.run, database)
                    yield services
                    loops.cancel_scope.cancel()
            finally:
                # Not canceled: pending rings are sent first.
                services.ringer.end()
    finally:
        await end_listener.close()
        await services.rates.close()
        doorbell.close()
        await database.dispose()


async def _poll_events(
    reader: AsyncEngine, patience_seconds: float, horizon: str | None
) -> JobChanges:
    async with _database_timeout(patience_seconds), sessions.async_connection(reader) as connection:
        return await connection.run_sync(events.read_changes, horizon)


async def _take_snapshot(
    reader: AsyncEngine, patience_seconds: float, silent_seconds: float
) -> QueueSnapshot:
    def look(connection: Connection) -> QueueSnapshot:
        found = snapshot.read(
            connection,
            cell=DEFAULT_CELL,
            silent_seconds=silent_seconds,
            now=dt.datetime.now(dt.UTC),
        )
        cards = [one.card for one in published_models.list_models(connection)]
        return replace(found, paces=stage_times.add_defaults(found.paces, cards))

    async with _database_timeout(patience_seconds), sessions.async_connection(reader) as connection:
        return await connection.run_sync(look)


async def _get_services(request: Request) -> Services:
    # Async although it awaits nothing: FastAPI would run a plain function in a thread.
    return services_of(request)


def services_of(request: Request) -> Services:
    """Return the services, for a dependency of other dependencies.

    FastAPI resolves each dependency of these again, which takes 3 % of the time of a poll.
    """
    services: Services = request.app.state.services
    return services


OpenServices = Annotated[Services, Depends(_get_services)]


# The API key or the session of a request; None without one.
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
SessionCookie = Annotated[str | None, Depends(_COOKIE)]


def _require_scope(
    scope: Scope | None, *, also: Scope | None = None, also_devices: bool = False
) -> Callable[..., Awaitable[Caller]]:
    async def authenticated(request: Request, credentials: Credentials, _: SessionCookie) -> Caller:
        services = services_of(request)
        caller = await authorize(request, services, credentials, scope, also_devices=also_devices)
        if also is not None and also not in caller.scopes:
            raise InsufficientScope(f"the key lacks the scope {also}")
        return caller

    return authenticated


async def authorize(
    request: Request,
    services: Services,
    credentials: HTTPAuthorizationCredentials | None,
    scope: Scope | None,
    *,
    also_devices: bool,
) -> Caller:
    """Return the caller of a request, and count the request.

    credentials: its key; None: the browser session decides.  scope: None: any.
    also_devices: whether device keys are accepted, whatever the scope.
    Raises Unauthorized, CsrfRejected, RateLimited, InsufficientScope.
    """
    if credentials is None:
        caller = (await find_browser_session(request, services)).caller
        await _count_request(request, services, caller)
    else:
        caller = await identify_caller(request, services, credentials.credentials)
    if caller.is_device:
        if not also_devices:
            raise InsufficientScope("a device key can only submit photos and read its own jobs")
    elif scope is not None and scope not in caller.scopes:
        raise InsufficientScope(f"the key lacks the scope {scope}")
    return caller


async def identify_caller(request: Request, services: Services, key: str) -> Caller:
    """Return the caller of a key, and count the request.  Raises Unauthorized, RateLimited."""
    digest = api_keys.hash_key(key)
    network = client_network(request.scope)
    caller = await services.callers.get(digest, lambda: _authenticate(services, digest, network))
    await _count_request(request, services, caller)
    return caller


async def _authenticate(services: Services, digest: bytes, network: str) -> Caller:
    with services.key_failures.attempt(network, digest):
        async with services.reading() as connection:
            return await connection.run_sync(api_keys.authenticate, digest, usual=services.limits)


async def find_browser_session(request: Request, services: Services) -> Session:
    """Return the session of a request's browser.

    Raises Unauthorized, CsrfRejected, RateLimited.
    """
    cookie = csrf.read_cookie(request, always_secure=services.session_secure)
    if cookie is None:
        raise Unauthorized("the header `Authorization: Bearer KEY` is missing")
    csrf.verify_request(request, cookie)
    digest = api_keys.hash_key(cookie)
    with services.key_failures.attempt(client_network(request.scope), digest):
        async with services.reading() as connection:
            return await connection.run_sync(
                browser_sessions.find, cookie, services.lifetimes, usual=services.limits
            )


async def _count_request(request: Request, services: Services, caller: Caller) -> None:
    """Note a request's caller and count it against its tenant's limit.

    Answers show the remaining allowance.
    """
    request.state.caller = caller
    per_minute = caller.limits.requests_per_minute
    if not per_minute:
        return
    if caller.is_device:
        # First, so that what is refused here costs its tenant nothing.
        own = max(1, min(_DEVICE_REQUESTS_PER_MINUTE, per_minute // _DEVICE_SHARE))
        await _take_request(request, services, f"{caller.tenant} {caller.key_id}", own)
    await _take_request(request, services, caller.tenant, per_minute)


async def _take_request(request: Request, services: Services, bucket: str, per_minute: int) -> None:
    allowance = await services.rates.take(bucket, per_minute)
    request.state.allowance = allowance
    request.state.rate_limit = allowance.headers()
    allowance.require()


async def _require_browser_session(
    request: Request, services: OpenServices, _: Annotated[str | None, Depends(_COOKIE)]
) -> Session:
    return await find_browser_session(request, services)


BrowserSession = Annotated[Session, Depends(_require_browser_session)]
# Device keys of end users may only submit photos and read the jobs of these; a route that accepts
# them compares the job's `device_key_id`. Everything else needs a key of the tenant.
PhotoSender = Annotated[Caller, Depends(_require_scope(Scope.SUBMIT, also_devices=True))]
Submitter = Annotated[Caller, Depends(_require_scope(Scope.SUBMIT))]
JobReader = Annotated[Caller, Depends(_require_scope(Scope.READ, also_devices=True))]
Reader = Annotated[Caller, Depends(_require_scope(Scope.READ))]
# Derives jobs, which show what was read in the photo of another key's job.
Deriver = Annotated[Caller, Depends(_require_scope(Scope.SUBMIT, also=Scope.READ))]
AnyKey = Annotated[Caller, Depends(_require_scope(None))]
Administrator = Annotated[Caller, Depends(_require_scope(Scope.ADMIN))]
Operator = Annotated[Caller, Depends(_require_scope(Scope.OPERATOR))]
