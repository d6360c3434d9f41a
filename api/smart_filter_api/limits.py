"""Limits of one process on the work of all tenants and of each.

The count of waiting jobs reads one row per job. Far below the limit it need not be exact, so one
count serves many submissions; near the limit each submission counts in its own transaction. When a
batch in another process fills the queue at once, each process may admit a hundredth of the limit
beyond it, for some seconds.

The end of a job writes its webhook deliveries in its own transaction and cannot be refused, so
submissions are refused instead: the deliveries that unfinished jobs will cause are counted as well.
One count serves the submissions of two seconds, by which other processes can exceed the limit.
"""

import math
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from weakref import WeakValueDictionary

import anyio
from fastapi import Request
from starlette.requests import ClientDisconnect

from smart_filter_api.auth.api_keys import Caller
from smart_filter_api.ttl_cache import KeyedTtlCache
from smart_filter_shared.errors import RateLimited, ServiceFull
from smart_filter_shared.ids import Tenant
from smart_filter_shared.tenants.quotas import DeliveryBacklog


@asynccontextmanager
async def end_on_disconnect(request: Request) -> AsyncIterator[None]:
    """Cancel the block when the client of a request leaves.

    The body must have been read, or be unwanted: its rest is discarded. Blocks of the database are
    shielded, so their connections return to the pool first.
    Raises ClientDisconnect unless the block ends before it notices.
    """
    is_canceled = False
    failure: Exception | None = None

    async def watch() -> None:
        nonlocal is_canceled
        while (await request.receive())["type"] != "http.disconnect":
            pass
        is_canceled = True
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised below, without the group around it
            failure = error
        # Here the block has ended, so its client is answered.
        is_canceled = False
        group.cancel_scope.cancel()
    if is_canceled:
        raise ClientDisconnect
    if failure is not None:
        raise failure


_RETRY_SECONDS: Final = 5


class TenantSemaphore:
    """Bounds one kind of work in this process; each tenant's requests wait in order.

    work: the kind, for messages.  most: at a time.  most_each: of one tenant at a time.
    """

    def __init__(self, work: str, *, most: int, most_each: int) -> None:
        self._work = work
        self._most = most
        self._most_each = most_each
        self._all = anyio.Semaphore(most)
        # A tenant's semaphore exists while a request holds it or waits for it.
        self._by_tenant: WeakValueDictionary[Tenant | None, anyio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(
        self, tenant: Tenant | None, *, seconds: float, request: Request | None = None
    ) -> AsyncIterator[None]:
        """Wait until the work may begin, and count it until the block ends.

        request: its client's leaving ends the wait; None: nothing does.
        Raises ClientDisconnect, or, after this many seconds, RateLimited when the tenant is at its
        limit, or ServiceFull when all tenants together are at theirs.
        """
        semaphore = self._by_tenant.setdefault(tenant, anyio.Semaphore(self._most_each))
        is_counted = False
        try:
            wait = nullcontext() if request is None else end_on_disconnect(request)
            with anyio.move_on_after(seconds) as waiting:
                async with wait:
                    await semaphore.acquire()
                    is_counted = True
                    await self._all.acquire()
            if waiting.cancelled_caught:
                raise self._refusal(of_tenant=not is_counted)
            try:
                yield
            finally:
                self._all.release()
        finally:
            if is_counted:
                semaphore.release()

    def _refusal(self, *, of_tenant: bool) -> RateLimited | ServiceFull:
        refusal = RateLimited if of_tenant else ServiceFull
        whose, most = ("this tenant", self._most_each) if of_tenant else ("all tenants", self._most)
        return refusal(
            f"too many {self._work} of {whose} at a time, the limit is {most};"
            f" retry in {_RETRY_SECONDS} s",
            retry_after_seconds=_RETRY_SECONDS,
        )


class DatabaseLimit:
    """Bounds lists and writes of whole batches, so that other requests have a connection.

    Both handle many rows, over the database connections of all tenants. Requests beyond a bound
    wait, because programs and pages send a few at once, and hold no connection while they wait.
    connections: of this process.  seconds: the longest wait.
    """

    def __init__(self, connections: int, *, seconds: float) -> None:
        self._seconds = seconds
        self._lists = TenantSemaphore("lists", most=connections - 1, most_each=connections // 2)
        # A tenant's batches wait for each other's check of the quota anyway.
        self._writes = TenantSemaphore("writes of batches", most=connections // 2, most_each=1)

    def list_rows(
        self, tenant: Tenant, request: Request | None = None
    ) -> AbstractAsyncContextManager[None]:
        """Count a list of a tenant; request, and what it raises: as for `TenantSemaphore.hold`."""
        return self._lists.hold(tenant, seconds=self._seconds, request=request)

    @asynccontextmanager
    async def write_batch(self, tenant: Tenant) -> AsyncIterator[None]:
        """Count a write of a batch of a tenant.  Raises RateLimited, ServiceFull."""
        # It counts as a list too, so that both together leave the connection.
        async with self._writes.hold(tenant, seconds=self._seconds), self.list_rows(tenant):
            yield


# Every body takes a connection, a task and buffers, even one of a few bytes.
_LEAST_BODY_BYTES: Final = 65_536
# Most bodies take less than this at 40 Mbit/s.
_BODY_RETRY_SECONDS: Final = 2


@dataclass(frozen=True, slots=True)
class BodySender:
    """The tenant, and the device if any, that sends a body.

    device: the id of a device's key, or of the upload that a link names; None: a key of the tenant.
    """

    tenant: Tenant
    device: uuid.UUID | None = None

    @classmethod
    def from_caller(cls, caller: Caller | None) -> "BodySender | None":
        """Return the sender of a request; None without a key."""
        return None if caller is None else cls(caller.tenant, caller.device_key_id)


class BodyBudget:
    """The bytes of bodies under way in this process.

    A body is held on disk or in memory from its first byte until its request has stored it. The
    bytes that a request announces are taken before it sends them, so it is refused at once.
    most_bytes: the limit of all senders. The senders of a tenant have half of it, and no more than
        what stays free.  device_bytes: the limit of a device key, the length of the largest form.
    """

    def __init__(self, most_bytes: int, *, device_bytes: int) -> None:
        self._most = most_bytes
        self._of_device = device_bytes
        self._held = 0
        self._of_senders: Counter[Tenant | uuid.UUID] = Counter()

    @contextmanager
    def hold(self, sender: BodySender | None) -> Iterator["HeldBody"]:
        """Hold a body's bytes until the block ends; sender: None for a request without a key."""
        held = HeldBody(self, sender)
        try:
            yield held
        finally:
            self._take(sender, -held.bytes)

    def grow(self, sender: BodySender | None, more: int) -> None:
        """Take bytes for a body.  Raises RateLimited, ServiceFull when too many are under way.

        Source of the bound by what stays free: Choudhury and Hahne, Dynamic Queue Length Thresholds
        (1998). However many tenants announce large bodies, another one's photo finds room.
        """
        held = 0
        if sender is not None:
            held = self._of_senders[sender.tenant]
            self._check_sender("this tenant", sender.tenant, more, self._most // 2)
            if sender.device is not None:
                name = sender.device
                self._check_sender("this device or link", name, more, self._of_device)
        if held + more > self._most - self._held - more:
            raise ServiceFull(
                f"the server receives at most {self._most} bytes of bodies at a time, and has too "
                f"few left for this one; retry in {_BODY_RETRY_SECONDS} s",
                retry_after_seconds=_BODY_RETRY_SECONDS,
            )
        self._take(sender, more)

    def _check_sender(self, who: str, name: Tenant | uuid.UUID, more: int, most: int) -> None:
        if self._of_senders[name] + more > most:
            raise RateLimited(
                f"bodies of at most {most} bytes of {who} are received at a time; "
                f"retry in {_BODY_RETRY_SECONDS} s",
                retry_after_seconds=_BODY_RETRY_SECONDS,
            )

    def _take(self, sender: BodySender | None, more: int) -> None:
        self._held += more
        names = () if sender is None else (sender.tenant, sender.device)
        for name in names:
            if name is not None:
                self._of_senders[name] += more
                if not self._of_senders[name]:
                    del self._of_senders[name]


class HeldBody:
    """The bytes that one body has taken of a budget."""

    def __init__(self, budget: BodyBudget, sender: BodySender | None) -> None:
        self._budget = budget
        self._sender = sender
        self.bytes = 0

    def cover(self, length: int) -> None:
        """Take what a body of this length needs.  Raises RateLimited, ServiceFull."""
        more = max(length, _LEAST_BODY_BYTES) - self.bytes
        if more > 0:
            self._budget.grow(self._sender, more)
            self.bytes += more


# A body up to this length is parsed at once: most are, and it takes a few MB and milliseconds.
_SMALL_BYTES: Final = 65_536


class ParsingLimit:
    """Has this process parse one large body at a time, which may take 150 MB for a moment.

    A tenant's bodies wait for each other before one of them waits for other tenants', so each
    tenant waits for at most one body of every other.
    """

    def __init__(self) -> None:
        self._bodies = TenantSemaphore("large bodies", most=1, most_each=1)

    @asynccontextmanager
    async def hold(self, request: Request, length: int) -> AsyncIterator[None]:
        """Wait until a body may be parsed, until the block ends; small bodies never wait.

        request: its body was read.  length: of the body, in bytes.
        Raises ClientDisconnect when its client leaves during the wait.
        """
        if length <= _SMALL_BYTES:
            yield
            return
        caller: Caller | None = request.state.caller
        tenant = None if caller is None else caller.tenant
        async with self._bodies.hold(tenant, seconds=math.inf, request=request):
            yield


# Each wait reads its job or batch when it changes, over the database connections of all tenants. A
# server's key waits for all of its users; a process serves 2000 waiters (docs/measurements.md).
_MOST_OF_DEVICE: Final = 20
_MOST_OF_KEY: Final = 250
_MOST_OF_TENANT: Final = 1000
# An open download holds a connection to the store, and up to 0.5 MB of an object.
_MOST_DOWNLOADS_OF_DEVICE: Final = 20
_MOST_DOWNLOADS_OF_KEY: Final = 100
_MOST_DOWNLOADS_OF_TENANT: Final = 200
_MOST_DOWNLOADS: Final = 400


class WaitLimit:
    """The open streams and waits of each key and tenant, and their downloads, in this process.

    Streams and waits of a tenant without a limit of requests are not limited. Its downloads are.
    """

    def __init__(self) -> None:
        self._open: Counter[Tenant | uuid.UUID] = Counter()
        # By key, or None for the signed links of a tenant, which anyone may open.
        self._downloads: Counter[tuple[Tenant, uuid.UUID | None]] = Counter()

    def has_room(self, caller: Caller) -> bool:
        """Whether the caller may open another one."""
        return not caller.limits.requests_per_minute or (
            self._open[caller.key_id] < _most_of(caller)
            and self._open[caller.tenant] < _MOST_OF_TENANT
        )

    @contextmanager
    def hold(self, caller: Caller) -> Iterator[None]:
        """Count a stream or wait until the block ends.  Raises RateLimited beyond the bounds."""
        if not self.has_room(caller):
            raise RateLimited(
                f"at most {_most_of(caller)} streams and waits of this key and {_MOST_OF_TENANT} of"
                f" its tenant are open at a time; retry in {_RETRY_SECONDS} s",
                retry_after_seconds=_RETRY_SECONDS,
            )
        names = (caller.key_id, caller.tenant)
        self._open.update(names)
        try:
            yield
        finally:
            for name in names:
                self._open[name] -= 1
                if not self._open[name]:
                    del self._open[name]

    @contextmanager
    def hold_download(self, tenant: Tenant, caller: Caller | None) -> Iterator[None]:
        """Count a download of a tenant until the block ends.

        caller: None for a signed link.
        Raises RateLimited beyond the limit of the key or tenant, ServiceFull beyond the limit of
        the process.
        """
        name = (tenant, None if caller is None else caller.key_id)
        is_device = caller is not None and caller.is_device
        most = _MOST_DOWNLOADS_OF_DEVICE if is_device else _MOST_DOWNLOADS_OF_KEY
        of_tenant = sum(count for (holder, _), count in self._downloads.items() if holder == tenant)
        if self._downloads[name] >= most or of_tenant >= _MOST_DOWNLOADS_OF_TENANT:
            raise RateLimited(
                f"at most {most} downloads of this key, or by signed links, and"
                f" {_MOST_DOWNLOADS_OF_TENANT} of the tenant are open at a time;"
                f" retry in {_RETRY_SECONDS} s",
                retry_after_seconds=_RETRY_SECONDS,
            )
        if self._downloads.total() >= _MOST_DOWNLOADS:
            raise ServiceFull(
                f"at most {_MOST_DOWNLOADS} downloads are open at a time;"
                f" retry in {_RETRY_SECONDS} s",
                retry_after_seconds=_RETRY_SECONDS,
            )
        self._downloads[name] += 1
        try:
            yield
        finally:
            self._downloads[name] -= 1
            if not self._downloads[name]:
                del self._downloads[name]


def _most_of(caller: Caller) -> int:
    return _MOST_OF_DEVICE if caller.is_device else _MOST_OF_KEY


# How long a count is used; other processes submit meanwhile, and jobs end.
_JOBS_TTL_SECONDS: Final = 5.0
_DELIVERIES_TTL_SECONDS: Final = 2.0
# Jobs that a process admits with one count, as a share of the limit: ten processes together admit
# no more than the margin.
_ADMITTED_SHARE: Final = 0.01
# A remembered count is used only while the queue is at least this far below its limit.
_MARGIN_SHARE: Final = 0.1
_MIN_MARGIN_JOBS: Final = 64
# Tenants whose counts are remembered, some hundred bytes each.
_MAX_TENANTS: Final = 10_000

Count = TypeVar("Count")


@dataclass(slots=True)
class _Counted(Generic[Count]):
    """What waited at a count, and what was admitted since."""

    waiting: Count
    admitted: int = 0


class QueueCapacity:
    """Remembered counts of tenants' unfinished jobs; for one event loop.

    clock: monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._counted: KeyedTtlCache[Tenant, _Counted[int]] = KeyedTtlCache(
            _JOBS_TTL_SECONDS, most=_MAX_TENANTS, clock=clock
        )

    async def admit(
        self, tenant: Tenant, bound: int, count: Callable[[int], Awaitable[int]]
    ) -> bool:
        """Return whether one more job of a tenant certainly fits; if so, count it as waiting.

        bound: limit of its unfinished jobs; 0: none.  count: returns their number, counted up to
        its argument.  Raises the errors of `count`.
        """
        if not bound:
            return True
        most = bound - max(_MIN_MARGIN_JOBS, int(bound * _MARGIN_SHARE))
        if most <= 0:
            return False

        async def ask() -> _Counted[int]:
            return _Counted(await count(most))

        counted = await self._counted.get(tenant, ask)
        if counted.admitted >= max(1, int(bound * _ADMITTED_SHARE)):
            self._counted.forget(tenant)
            counted = await self._counted.get(tenant, ask)
        if counted.waiting + counted.admitted >= most:
            return False
        counted.admitted += 1
        return True

    def forget(self, tenant: Tenant) -> None:
        """Count again before the next job of a tenant, after a batch was written."""
        self._counted.forget(tenant)


class DeliveryCapacity:
    """Remembered delivery backlogs of tenants; for one event loop.

    clock: monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._counted: KeyedTtlCache[Tenant, _Counted[DeliveryBacklog]] = KeyedTtlCache(
            _DELIVERIES_TTL_SECONDS, most=_MAX_TENANTS, clock=clock
        )

    async def reserve(
        self,
        tenant: Tenant,
        limit: int,
        count: Callable[[int], Awaitable[DeliveryBacklog]],
        *,
        jobs: int,
        single: int,
    ) -> None:
        """Reserve room for the deliveries that a submission will cause.

        limit: maximum number of the tenant's deliveries; 0: none.
        count: returns its backlog, counted up to its argument.
        jobs, single: as in `DeliveryBacklog.count_new`.
        Raises QueueFull, and the errors of `count`.
        """
        if not limit:
            return

        async def ask() -> _Counted[DeliveryBacklog]:
            return _Counted(await count(limit))

        counted = await self._counted.get(tenant, ask)
        new = counted.waiting.count_new(jobs=jobs, single=single)
        counted.waiting.check(new, limit, admitted=counted.admitted)
        counted.admitted += new
