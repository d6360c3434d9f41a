"""The services of an API process, opened at its start."""

import datetime as dt
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final, ParamSpec, TypeVar

import anyio
import anyio.to_thread
from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine

from smart_filter_api import caches
from smart_filter_api.auth import oidc
from smart_filter_api.auth.links import Links, LinkSigner, LinkTerms
from smart_filter_api.auth.oidc import OidcProvider
from smart_filter_api.auth.rate_limit import FailureLimit, RateLimiter
from smart_filter_api.auth.security_log import RefusalLog
from smart_filter_api.auth.sessions import Lifetimes
from smart_filter_api.caches import Caches
from smart_filter_api.intake.multipart import MAX_BODY_BYTES
from smart_filter_api.limits import (
    BodyBudget,
    DatabaseLimit,
    DeliveryCapacity,
    ParsingLimit,
    QueueCapacity,
    WaitLimit,
)
from smart_filter_api.presenters import job
from smart_filter_api.services.database import ClaimRelease, Database, limit_seconds
from smart_filter_api.services.eta import EtaEstimator
from smart_filter_api.services.loops import EndListener, EventPoller, QueuedDoorbell
from smart_filter_shared import stock
from smart_filter_shared.artifacts.retention import RetentionPolicy
from smart_filter_shared.config.settings import Settings
from smart_filter_shared.db import sessions
from smart_filter_shared.doorbell import Doorbell
from smart_filter_shared.eta.estimate import CompletionEstimate
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.operations import stored_snapshot
from smart_filter_shared.operations.stored_snapshot import StoredSnapshot
from smart_filter_shared.presets import PRESETS, Preset
from smart_filter_shared.queue import events
from smart_filter_shared.queue.events import JobChanges
from smart_filter_shared.security.outbound_rules import OutboundRules
from smart_filter_shared.security.secretbox import SecretBox
from smart_filter_shared.stock import Picture
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_shared.storage.opening import open_store
from smart_filter_shared.tenants import quotas
from smart_filter_shared.tenants.quotas import Limits
from smart_filter_wire.jobs import Job

# Each holds two parts of 5 MB in memory.
_MAX_LARGE_PICTURES: Final = 4
# Limits of a network in one process: unknown keys and sessions, a query each; failed sign-ins.
_KEY_FAILURES_PER_MINUTE: Final = 600
_SIGN_IN_FAILURES_PER_MINUTE: Final = 30


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """The limits that a request must pass before it costs anything.

    usual: of tenants without overrides.  rates: their requests a minute.
    key_failures, sign_in_failures: of networks with unknown keys and sessions.
    waits: open streams, waits and downloads.  bodies: bytes of bodies under way.
    parsing: large bodies in memory.  large_pictures: multipart uploads to storage.
    queues, deliveries: unfinished jobs and webhook deliveries of each tenant.
    """

    usual: Limits
    rates: RateLimiter
    key_failures: FailureLimit
    sign_in_failures: FailureLimit
    waits: WaitLimit
    bodies: BodyBudget
    parsing: ParsingLimit
    large_pictures: anyio.CapacityLimiter
    queues: QueueCapacity
    deliveries: DeliveryCapacity


def open_limits(settings: Settings, *, clock: Callable[[], float]) -> ProcessLimits:
    """Return the limits of a process.  clock: monotonic seconds."""
    limits = settings.limits
    return ProcessLimits(
        usual=Limits(
            requests_per_minute=limits.requests_per_minute,
            jobs_waiting=limits.jobs_waiting,
            megapixels_per_day=limits.megapixels_per_day,
            stored_bytes=limits.stored_bytes,
            pictures=limits.pictures,
            deliveries_waiting=limits.deliveries_waiting,
        ),
        rates=RateLimiter(settings.broker),
        key_failures=FailureLimit(_KEY_FAILURES_PER_MINUTE, clock=clock),
        sign_in_failures=FailureLimit(_SIGN_IN_FAILURES_PER_MINUTE, clock=clock),
        waits=WaitLimit(),
        bodies=BodyBudget(limits.body_megabytes * 1_000_000, device_bytes=MAX_BODY_BYTES),
        parsing=ParsingLimit(),
        large_pictures=anyio.CapacityLimiter(_MAX_LARGE_PICTURES),
        queues=QueueCapacity(clock=clock),
        deliveries=DeliveryCapacity(clock=clock),
    )


@dataclass(frozen=True, slots=True)
class SignIn:
    """Settings of browser sessions.

    secure: whether their cookies are for https only.
    provider: at which persons sign in; None when the operator has set none.
    """

    lifetimes: Lifetimes
    secure: bool
    provider: OidcProvider | None


def open_sign_in(settings: Settings, *, clock: Callable[[], float]) -> SignIn:
    """Return the settings of browser sessions.  clock: monotonic seconds."""
    return SignIn(
        Lifetimes(
            idle=dt.timedelta(seconds=settings.browser.session_idle_seconds),
            whole=dt.timedelta(seconds=settings.browser.session_seconds),
        ),
        settings.browser.session_secure,
        oidc.open_provider(settings, clock=clock),
    )


# Database connections of one process. More did not raise the photos per second, since the
# interpreter is busier than the connections (docs/measurements.md).
_DATABASE_CONNECTIONS: Final = 4
_STORAGE_THREADS: Final = 16

Given = ParamSpec("Given")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Services:
    """The services of one API process.

    storage_threads: limits blocking calls to storage.
    claims: frees claims of requests that ended without an answer.
    broker: where workers listen.  doorbell: rings for them without waiting.
    events: wakes requests that wait for jobs.
    eta: places of jobs in the queue, and when they end.
    secret_box: encrypts secrets; None when the operator has set no key.
    outbound: hosts that may be reached for callers.
    retention: of tenants without overrides.
    refusals: the refused requests that are not yet in the security log.
    """

    settings: Settings
    database: Database
    claims: ClaimRelease
    storage: ObjectStore
    storage_threads: anyio.CapacityLimiter
    broker: Doorbell
    doorbell: QueuedDoorbell
    events: EventPoller
    eta: EtaEstimator
    limits: ProcessLimits
    caches: Caches
    links: Links
    sign_in: SignIn
    secret_box: SecretBox | None
    outbound: OutboundRules
    retention: RetentionPolicy
    refusals: RefusalLog

    @property
    def silent_seconds(self) -> float:
        """A worker without a heartbeat for this long counts as dead."""
        return self.settings.engine.lease_seconds

    async def presets(self, tenant: Tenant) -> list[Preset]:
        """Return the backgrounds that a tenant may name: designs, the operator's, its own."""
        return [*PRESETS, *stock.presets_of(await self.pictures(tenant))]

    async def pictures(self, tenant: Tenant) -> list[Picture]:
        """Return the pictures that a tenant may use: the operator's and its own."""
        return await self.caches.stock.get(
            tenant, lambda: self.database.query(stock.list_usable, tenant)
        )

    def render_job(
        self,
        row: JobRow,
        estimate: CompletionEstimate | None = None,
        *,
        links: LinkTerms | None = None,
    ) -> Job:
        """Return the answer for a job with its place in the queue.

        estimate: the estimate to use; None: one from the last snapshot of the queues.
        links: as in `presenters.job.render_job`.
        """
        estimate = estimate or self.eta.estimate_row(row)
        emotions = self.settings.engine.emotions
        return job.render_job(row, estimate, links=links, emotions=emotions)

    async def refuse_when_full(self, *, jobs: int = 1) -> None:
        """Check that the global queue has room for this many more jobs.  Raises ServiceFull."""
        if most := self.settings.limits.jobs_in_all:
            unfinished = await self.caches.unfinished.get(self._count_unfinished)
            quotas.check_service_capacity(
                unfinished + jobs - 1, most, full_seconds=self.eta.seconds_until_room(most)
            )

    async def _count_unfinished(self) -> int:
        most = self.settings.limits.jobs_in_all
        return await self.database.query(quotas.count_all_unfinished, most=most)

    async def in_thread(
        self, function: Callable[Given, Result], *args: Given.args, **options: Given.kwargs
    ) -> Result:
        """Run a blocking storage call in a thread and return its result."""
        return await anyio.to_thread.run_sync(
            partial(function, *args, **options), limiter=self.storage_threads
        )


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
    engine = sessions.open_async_engine(
        settings.database, connections=_DATABASE_CONNECTIONS, clock=clock
    )
    reader = sessions.reader(engine)
    patience_seconds = settings.database.patience_seconds
    secret_keys = [key.get_secret_value() for key in settings.secrets.key]
    poller = EventPoller(partial(_poll_events, reader, patience_seconds))
    read_snapshot = partial(_read_stored_snapshot, reader, patience_seconds)
    database = Database(
        engine,
        reader,
        sessions.for_lists(engine),
        DatabaseLimit(_DATABASE_CONNECTIONS, seconds=patience_seconds),
        patience_seconds,
    )
    services = Services(
        settings=settings,
        database=database,
        claims=ClaimRelease(database),
        storage=open_store(settings.storage, connections=_STORAGE_THREADS),
        storage_threads=anyio.CapacityLimiter(_STORAGE_THREADS),
        broker=doorbell,
        doorbell=QueuedDoorbell(doorbell.ring),
        events=poller,
        eta=EtaEstimator(read_snapshot, clock=clock),
        limits=open_limits(settings, clock=clock),
        caches=caches.open_caches(
            count_events=lambda: poller.wakes, emotions=settings.engine.emotions, clock=clock
        ),
        links=Links(
            LinkSigner(secret_keys) if secret_keys else None,
            settings.links.public_url,
            settings.links.link_seconds,
        ),
        sign_in=open_sign_in(settings, clock=clock),
        secret_box=SecretBox(secret_keys) if secret_keys else None,
        outbound=OutboundRules(settings.outbound.allow),
        retention=RetentionPolicy(settings.keep.input_seconds, settings.keep.result_seconds),
        refusals=refusals,
    )
    end_listener = EndListener(settings.broker, services.events)
    try:
        async with anyio.create_task_group() as ringing:
            ringing.start_soon(services.doorbell.run)
            try:
                async with anyio.create_task_group() as loops:
                    loops.start_soon(services.events.run)
                    loops.start_soon(services.claims.run)
                    loops.start_soon(end_listener.run)
                    loops.start_soon(services.limits.rates.run)
                    loops.start_soon(refusals.run, engine)
                    yield services
                    loops.cancel_scope.cancel()
            finally:
                # Not canceled: pending rings are sent first.
                services.doorbell.end()
    finally:
        await end_listener.close()
        await services.limits.rates.close()
        doorbell.close()
        await engine.dispose()


async def _poll_events(
    reader: AsyncEngine, patience_seconds: float, horizon: str | None
) -> JobChanges:
    async with limit_seconds(patience_seconds):
        return await sessions.async_query(reader, events.read_changes, horizon)


async def _read_stored_snapshot(
    reader: AsyncEngine, patience_seconds: float, cached_at: dt.datetime | None
) -> StoredSnapshot | None:
    async with limit_seconds(patience_seconds):
        return await sessions.async_query(
            reader, stored_snapshot.read_snapshot, cached_at=cached_at
        )


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
