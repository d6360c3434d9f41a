"""Requests per minute: a token bucket for each tenant and device, in Redis or in this process.

A bucket holds one minute's quota of tokens and refills evenly; every request takes one token.
Redis holds the buckets for all API processes. While Redis does not answer, and without a broker,
each process continues with its last known state: the effective limit can grow by the number of
processes, but it still exists. A circuit breaker keeps requests from waiting for Redis; a
background loop checks whether Redis is back.

Failed attempts to authenticate are limited by the network of the client. Guessing a key is
hopeless; the limit bounds the cost of unknown keys: each one is a query. Only failures count, so
that many people behind one address can sign in. Secrets that were valid before are not limited:
failures of others in the same network do not lock them out.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import anyio
import redis.asyncio
import redis.exceptions
from cachetools import LRUCache
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from smart_filter_shared.config.settings import BrokerSettings
from smart_filter_shared.errors import RateLimited, Unauthorized
from smart_filter_shared.supervision import SupervisedLoop

WINDOW_SECONDS: Final = 60
_POLICY = "requests"
_PREFIX = "smart-filter:rate:"
# Longest wait of the request that finds Redis down; on one machine an answer takes 0.3 ms.
_MAX_WAIT_SECONDS = 0.03
_PROBE_SECONDS = 1.0
_REDIS_TIMEOUT_SECONDS = 0.5
_MAX_BUCKETS = 10_000

# Uses the clock of Redis, so differences between the clocks of API processes do not matter.
_TAKE_SCRIPT = """
local now = redis.call('TIME')
local at = now[1] + now[2] / 1000000
local quota, rate = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = quota
if kept[1] then
    local passed = math.max(0, at - tonumber(kept[2]))
    tokens = math.min(quota, tonumber(kept[1]) + passed * rate)
end
local taken = 0
if tokens >= 1 then
    taken = 1
    tokens = tokens - 1
end
local left = string.format('%.9f', tokens)
redis.call('HSET', KEYS[1], 'tokens', left, 'at', string.format('%.6f', at))
redis.call('PEXPIRE', KEYS[1], math.ceil(1000 * (quota - tokens) / rate) + 1000)
return {taken, left}
"""


@dataclass(frozen=True, slots=True)
class Allowance:
    """The remaining allowance of a bucket after a request.

    quota: requests per minute.  remaining: requests that it may send now.
    more_in_seconds: seconds until it may send one more than that, at least 1.
    """

    is_granted: bool
    quota: int
    remaining: int
    more_in_seconds: int

    def headers(self) -> dict[str, str]:
        """Return the rate-limit headers, which every answer carries.

        Source: draft-ietf-httpapi-ratelimit-headers-10, 3 and 4.
        """
        return {
            "RateLimit-Policy": f'"{_POLICY}";q={self.quota};w={WINDOW_SECONDS}',
            "RateLimit": f'"{_POLICY}";r={self.remaining};t={self.more_in_seconds}',
        }

    def require(self) -> None:
        """Raise RateLimited when the allowance is used up."""
        if not self.is_granted:
            raise RateLimited(
                f"{self.quota} requests per minute are allowed; retry in {self.more_in_seconds} s",
                retry_after_seconds=self.more_in_seconds,
            )


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket's tokens at a point in time, in monotonic seconds."""

    tokens: float
    at: float


class RateLimiter:
    """The token buckets of all tenants; for one event loop.

    clock: monotonic seconds.  wait_seconds: how long one request may wait for Redis.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait_seconds: float = _MAX_WAIT_SECONDS,
    ) -> None:
        self._look_seconds = max(_REDIS_TIMEOUT_SECONDS, wait_seconds)
        self._is_shared = bool(settings.address)
        # Of any address without a broker: no connection is opened then.
        self._redis = redis.asyncio.Redis.from_url(
            settings.address or "redis://",
            socket_timeout=self._look_seconds,
            socket_connect_timeout=self._look_seconds,
            retry=Retry(NoBackoff(), 0),
        )
        self._take = self._redis.register_script(_TAKE_SCRIPT)
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._buckets: LRUCache[str, Bucket] = LRUCache(_MAX_BUCKETS)
        # Until the first check: the first request does not wait for a connection either.
        self.is_away = True

    async def take(self, name: str, per_minute: int) -> Allowance:
        """Take a token from the bucket of this name, if it has one, and return the allowance."""
        if not self.is_away:
            allowance = await self._shared(name, per_minute)
            if allowance is not None:
                return allowance
            self.is_away = True
        now = self._clock()
        bucket, is_granted = take_token(self._buckets.get(name), now, per_minute)
        self._buckets[name] = bucket
        return _allowance(bucket.tokens, per_minute, is_granted=is_granted)

    async def look(self) -> None:
        """Check whether Redis answers again."""
        with anyio.move_on_after(self._look_seconds):
            try:
                await self._redis.ping()
            except (redis.exceptions.RedisError, OSError):
                return
            self.is_away = False

    async def run(self) -> None:
        """Check once a second while Redis is down, until canceled; without a broker, return.

        Raises the last error when too many unexpected ones follow each other.
        """
        looks = SupervisedLoop("rates", every_seconds=_PROBE_SECONDS)
        while self._is_shared:
            if self.is_away:
                with looks.step():
                    await self.look()
            await anyio.sleep(looks.pause_seconds)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _shared(self, name: str, per_minute: int) -> Allowance | None:
        """Take a token in Redis; return None when Redis does not answer."""
        reply: list[bytes | int] | None = None
        with anyio.move_on_after(self._wait_seconds):
            try:
                reply = await self._take(
                    keys=[_PREFIX + name], args=[per_minute, per_minute / WINDOW_SECONDS]
                )
            except (redis.exceptions.RedisError, OSError):
                return None
        if reply is None:
            return None
        tokens = float(reply[1])
        self._buckets[name] = Bucket(tokens, self._clock())
        return _allowance(tokens, per_minute, is_granted=bool(reply[0]))


def take_token(bucket: Bucket | None, now: float, per_minute: int) -> tuple[Bucket, bool]:
    """Return the bucket after a request at this time, and whether the request got a token.

    bucket: None stands for a full one.
    """
    rate = per_minute / WINDOW_SECONDS
    tokens = float(per_minute)
    if bucket is not None:
        tokens = min(tokens, bucket.tokens + max(0.0, now - bucket.at) * rate)
    if tokens < 1:
        return Bucket(tokens, now), False
    return Bucket(tokens - 1, now), True


def _allowance(tokens: float, per_minute: int, *, is_granted: bool) -> Allowance:
    remaining = math.floor(tokens)
    missing = remaining + 1 - tokens
    seconds = math.ceil(missing * WINDOW_SECONDS / per_minute)
    return Allowance(is_granted, per_minute, remaining, max(1, seconds))


# Networks and secrets that are remembered, about 200 bytes each.
_MAX_KNOWN: Final = 10_000


class FailureLimit:
    """The failures of each network in one process; for one event loop.

    per_minute: failures that a network may have.  clock: monotonic seconds.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: LRUCache[str, Bucket] = LRUCache(_MAX_KNOWN)
        self._valid: LRUCache[bytes, bool] = LRUCache(_MAX_KNOWN)

    @contextmanager
    def attempt(self, network: str, digest: bytes) -> Iterator[None]:
        """Count the block as a failure if it raises Unauthorized.

        digest: the SHA-256 of the secret that is checked.
        Raises RateLimited when the network has used up its failures, unless the secret was valid.
        """
        if self._valid.get(digest):
            try:
                yield
            except Unauthorized:
                self._valid.pop(digest, None)
                raise
            return
        # Taken before the check, so that simultaneous attempts count too.
        bucket, is_granted = take_token(self._buckets.get(network), self._clock(), self._per_minute)
        self._buckets[network] = bucket
        if not is_granted:
            seconds = WINDOW_SECONDS / self._per_minute
            raise RateLimited(
                f"{self._per_minute} failed attempts per minute are allowed from your network",
                retry_after_seconds=seconds,
            )
        try:
            yield
        except Unauthorized:
            raise
        except BaseException:
            self._give_back(network)
            raise
        self._give_back(network)
        self._valid[digest] = True

    def _give_back(self, network: str) -> None:
        bucket = self._buckets.get(network)
        if bucket is not None:
            tokens = min(float(self._per_minute), bucket.tokens + 1)
            self._buckets[network] = Bucket(tokens, bucket.at)
