"""The registry of connected clients, and what all connections of a process share.

Counters of a live worker since its start, for the metrics endpoint.
"""

import asyncio
import datetime as dt
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Final, ParamSpec, TypeVar

from smart_filter_shared.errors import RateLimited, ServiceFull, Unauthorized
from smart_filter_shared.ids import Tenant
from smart_filter_shared.live import TokenClaims, Tokens
from smart_filter_shared.telemetry import metrics
from smart_filter_shared.telemetry.metrics import Sample
from smart_filter_workers.decoder.pool import Decoder
from smart_filter_workers.live.models import LiveModels

_RETRY_AFTER_SECONDS: Final = 10.0

Given = ParamSpec("Given")
Result = TypeVar("Result")

# Upper bounds in seconds; frames come every 30 to 70 ms.
_BUCKETS: Final = (0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.16, 0.25, 0.5, 1.0, 2.5)


class SessionRegistry:
    """The state that connections of a process share; for one event loop.

    load: loads the models, at the first connection.  decoder: decodes frames and backgrounds.
    threads: how many models run at once.
    most, most_each: limits of simultaneous connections, for all tenants and for one.
    """

    def __init__(
        self,
        tokens: Tokens,
        load: Callable[[], LiveModels],
        decoder: Decoder,
        *,
        threads: int,
        most: int,
        most_each: int,
    ) -> None:
        self.measures = LiveMetrics()
        self.decoder = decoder
        self._tokens = tokens
        self._load = load
        self._loading: asyncio.Future[LiveModels] | None = None
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="live")
        self._most = most
        self._most_each = most_each
        self._connected: Counter[Tenant] = Counter()
        # The expiry of used tokens, by nonce.
        self._used: dict[str, dt.datetime] = {}

    @property
    def connections(self) -> int:
        """The number of authenticated clients."""
        return self._connected.total()

    @property
    def is_full(self) -> bool:
        """Whether no further client may connect now."""
        return self.connections >= self._most

    def admit(self, token: str, *, origin: str | None) -> TokenClaims:
        """Return the claims of a token, and mark it as used.  Raises Unauthorized.

        origin: the header Origin of the connection's handshake, which browsers send.
        """
        now = dt.datetime.now(dt.UTC)
        admission = self._tokens.read(token, now=now)
        if admission.origin not in (None, origin):
            raise Unauthorized(
                "the token is for pages of the origin that asked for it", pointer="/token"
            )
        self._used = {nonce: until for nonce, until in self._used.items() if until > now}
        if admission.nonce in self._used:
            raise Unauthorized(
                "the token was used: it opens one connection; get a new one by POST /v1/live",
                pointer="/token",
            )
        self._used[admission.nonce] = admission.expires_at
        return admission

    def extend(self, tenant: Tenant, token: str, *, origin: str | None) -> dt.datetime:
        """Return until when a token extends a connection of a tenant.  Raises Unauthorized.

        origin: as for `admit`.
        """
        claims = self.admit(token, origin=origin)
        if claims.tenant != tenant:
            raise Unauthorized(
                "the token is of another tenant; use the key that opened the connection",
                pointer="/token",
            )
        return claims.expires_at

    @contextmanager
    def place(self, tenant: Tenant) -> Iterator[None]:
        """Hold a place for a tenant while the block runs.  Raises RetryAfter."""
        if self.is_full:
            raise ServiceFull(
                "all places of this live worker are taken; try again later",
                retry_after_seconds=_RETRY_AFTER_SECONDS,
            )
        if self._connected[tenant] >= self._most_each:
            raise RateLimited(
                f"you have {self._most_each} connections, the maximum; close one",
                retry_after_seconds=_RETRY_AFTER_SECONDS,
            )
        self._connected[tenant] += 1
        try:
            yield
        finally:
            self._connected[tenant] -= 1
            self._connected += Counter()  # removes tenants with a count of 0

    async def sight(self) -> LiveModels:
        """Return the models, loaded once.  Raises SetupFailed."""
        if self._loading is None:
            self._loading = asyncio.ensure_future(self.in_thread(self._load))
        try:
            # `shield`: a client that leaves during the loading must not cancel it for others.
            return await asyncio.shield(self._loading)
        except asyncio.CancelledError:
            raise
        except Exception:
            self._loading = None  # the next client tries again
            raise

    async def in_thread(
        self, function: Callable[Given, Result], *args: Given.args, **options: Given.kwargs
    ) -> Result:
        """Run a slow function in one of the threads, in order of arrival; return its result."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, partial(function, *args, **options))

    def close(self) -> None:
        """Wait for the threads to finish their current calls."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class LiveMetrics:
    """The counters of one process; for one event loop."""

    def __init__(self) -> None:
        self.frames = dict.fromkeys(metrics.FrameOutcome, 0)
        self._buckets = [0] * (len(_BUCKETS) + 1)
        self._seconds = 0.0

    def shown(self, seconds: float) -> None:
        """Count an answered frame, and the seconds from its arrival to its answer."""
        self.frames[metrics.FrameOutcome.SHOWN] += 1
        self._buckets[bisect_left(_BUCKETS, seconds)] += 1
        self._seconds += seconds

    def text(self, *, connections: int) -> str:
        """Return all counters in the Prometheus text format."""
        below, samples = 0, []
        for bound, count in zip((*_BUCKETS, "+Inf"), self._buckets, strict=True):
            below += count
            samples.append(Sample(below, (), "_bucket", str(bound)))
        samples += [Sample(self._seconds, (), "_sum"), Sample(below, (), "_count")]
        return metrics.render(
            {
                metrics.LIVE_CONNECTIONS: [Sample(connections)],
                metrics.LIVE_FRAMES: [
                    Sample(count, (outcome,)) for outcome, count in self.frames.items()
                ],
                metrics.LIVE_FRAME: samples,
            }
        )
