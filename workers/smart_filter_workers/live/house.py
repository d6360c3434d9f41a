"""The house: who may be connected to this process, and what all connections share."""

import asyncio
import datetime as dt
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Final, ParamSpec, TypeVar

from smart_filter_shared.errors import RateLimited, ServiceFull, Unauthorized
from smart_filter_shared.ids import Tenant
from smart_filter_shared.live.tokens import Admission, Tokens
from smart_filter_workers.live.measures import Measures
from smart_filter_workers.live.sight import Sight

# Who has connected and not yet shown a token: each may be sending 4 MB.
_MOST_STRANGERS: Final = 16
_RETRY_AFTER_SECONDS: Final = 10.0

Given = ParamSpec("Given")
Result = TypeVar("Result")


class House:
    """What the connections of a process share; for one event loop.

    load: loads the models, at the first connection.  threads: how many models run at once.
    most, most_each: connections at once, of all tenants and of one.
    """

    def __init__(
        self,
        tokens: Tokens,
        load: Callable[[], Sight],
        *,
        threads: int,
        most: int,
        most_each: int,
    ) -> None:
        self.measures = Measures()
        # How long each is waited for, whoever came first at the left.
        self._strangers: deque[asyncio.Timeout] = deque()
        self._tokens = tokens
        self._load = load
        self._loading: asyncio.Future[Sight] | None = None
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="live")
        self._most = most
        self._most_each = most_each
        self._connected: Counter[Tenant] = Counter()
        # Of tokens that were used: until when they would have been valid.
        self._used: dict[str, dt.datetime] = {}

    @property
    def connections(self) -> int:
        """How many clients are connected and known."""
        return self._connected.total()

    @property
    def is_full(self) -> bool:
        """Whether nobody else may connect now."""
        return self.connections >= self._most

    def admit(self, token: str) -> Admission:
        """Return what a token says, which opens nothing after that.  Raises Unauthorized."""
        now = dt.datetime.now(dt.UTC)
        admission = self._tokens.read(token, now=now)
        self._used = {nonce: until for nonce, until in self._used.items() if until > now}
        if admission.nonce in self._used:
            raise Unauthorized(
                "the token was used: it opens one connection; get a new one by POST /v1/live",
                pointer="/token",
            )
        self._used[admission.nonce] = admission.expires_at
        return admission

    @contextmanager
    def place(self, tenant: Tenant) -> Iterator[None]:
        """Hold a place of a tenant while the block lasts.  Raises Limited."""
        if self.is_full:
            raise ServiceFull(
                "all places of this live worker are taken; try again later",
                retry_after_seconds=_RETRY_AFTER_SECONDS,
            )
        if self._connected[tenant] >= self._most_each:
            raise RateLimited(
                f"you have {self._most_each} connections, as many as may be; close one",
                retry_after_seconds=_RETRY_AFTER_SECONDS,
            )
        self._connected[tenant] += 1
        try:
            yield
        finally:
            self._connected[tenant] -= 1
            self._connected += Counter()  # keeps no tenant that has none

    @asynccontextmanager
    async def door(self, *, seconds: float) -> AsyncIterator[None]:
        """Wait for one who has not shown a token yet, while the block lasts.

        When too many wait, whoever has waited longest goes: who has a token shows it at once, and
        those who only hold places lock nobody out.  Raises TimeoutError for whoever goes, and
        when the time is over.
        """
        if len(self._strangers) >= _MOST_STRANGERS:
            oldest = self._strangers.popleft()
            if not oldest.expired():
                oldest.reschedule(asyncio.get_running_loop().time())
        async with asyncio.timeout(seconds) as patience:
            self._strangers.append(patience)
            try:
                yield
            finally:
                if patience in self._strangers:
                    self._strangers.remove(patience)

    async def sight(self) -> Sight:
        """Return the models, loaded once.  Raises SetupFailed."""
        if self._loading is None:
            self._loading = asyncio.ensure_future(self.in_thread(self._load))
        try:
            # One that leaves while they are loaded takes them from nobody else.
            return await asyncio.shield(self._loading)
        except asyncio.CancelledError:
            raise
        except Exception:
            self._loading = None  # the next one tries again
            raise

    async def in_thread(
        self, function: Callable[Given, Result], *args: Given.args, **options: Given.kwargs
    ) -> Result:
        """Run something that takes long in one of the threads, first come, first served."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, partial(function, *args, **options))

    def close(self) -> None:
        """Let the threads end with what they are at."""
        self._pool.shutdown(wait=True, cancel_futures=True)
