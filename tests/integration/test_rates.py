"""Buckets on a real Redis, on one that is away, and on one that comes back."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import anyio
import pytest

from smart_filter_api.rates import Rates
from smart_filter_shared.ids import Tenant
from smart_filter_shared.settings import BrokerSettings
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.proxy import Mode, Proxy, before_broker

# A busy machine is no Redis that is away.
PATIENT_SECONDS = 60.0


@pytest.fixture
def through(bench: Bench) -> Iterator[tuple[Proxy, BrokerSettings]]:
    """A way to Redis that can be broken, and settings that lead by it."""
    with before_broker(bench.settings.broker) as found:
        yield found


@asynccontextmanager
async def rates_of(
    settings: BrokerSettings, *, wait_seconds: float = PATIENT_SECONDS
) -> AsyncIterator[Rates]:
    rates = Rates(settings, clock=lambda: 0.0, wait_seconds=wait_seconds)
    try:
        yield rates
    finally:
        await rates.close()


def granted(times: int, rates: Rates, per_minute: int = 5) -> Callable[[], Awaitable[int]]:
    async def take() -> int:
        return sum([(await rates.take(TENANT, per_minute)).is_granted for _ in range(times)])

    return take


def test_processes_share_one_bucket(bench: Bench) -> None:
    async def take() -> list[int]:
        async with rates_of(bench.settings.broker) as one, rates_of(bench.settings.broker) as other:
            await one.look()
            await other.look()
            return [await granted(4, one)(), await granted(4, other)()]

    assert anyio.run(take) == [4, 1]


def test_refusal_says_when_there_is_one_more_and_concerns_no_other_tenant(bench: Bench) -> None:
    async def take() -> tuple[int, int, bool]:
        async with rates_of(bench.settings.broker) as rates:
            await rates.look()
            await granted(5, rates)()
            refused = await rates.take(TENANT, 5)
            other = await rates.take(Tenant("another"), 5)
            return refused.remaining, refused.more_in_seconds, other.is_granted

    assert anyio.run(take) == (0, 12, True)


def test_bucket_is_forgotten_when_it_is_full_again(bench: Bench) -> None:
    async def take() -> None:
        async with rates_of(bench.settings.broker) as rates:
            await rates.look()
            await granted(2, rates, per_minute=60)()

    anyio.run(take)

    (key,) = bench.broker.scan_iter("smart-filter:rate:*")
    assert 2000 < int(bench.broker.pttl(key)) <= 3000


@pytest.mark.parametrize("mode", [Mode.RESET, Mode.SWALLOW])
def test_limits_hold_without_redis(through: tuple[Proxy, BrokerSettings], mode: Mode) -> None:
    proxy, settings = through

    async def take() -> tuple[int, int]:
        async with rates_of(settings, wait_seconds=0.03) as rates:
            rates.is_away = False
            proxy.mode = mode
            return await granted(20, rates)(), await granted(20, rates)()

    assert anyio.run(take) == (5, 0)


def test_local_bucket_goes_on_until_redis_is_back(through: tuple[Proxy, BrokerSettings]) -> None:
    proxy, settings = through

    async def take() -> list[int]:
        async with rates_of(settings) as rates:
            await rates.look()
            before = await granted(3, rates)()
            proxy.mode = Mode.RESET
            proxy.cut()
            local = await granted(20, rates)()
            await rates.look()
            proxy.mode = Mode.PASS
            return [before, local, rates.is_away, await rates.look(), rates.is_away]

    assert anyio.run(take) == [3, 2, True, None, False]


def test_only_one_swallowed_request_waits(through: tuple[Proxy, BrokerSettings]) -> None:
    proxy, settings = through

    async def take() -> tuple[float, float]:
        async with rates_of(settings, wait_seconds=0.2) as rates:
            rates.is_away = False
            proxy.mode = Mode.SWALLOW
            began = time.monotonic()
            await rates.take(TENANT, 1000)
            first = time.monotonic() - began
            await granted(200, rates, per_minute=1000)()
            return first, time.monotonic() - began - first

    first, others = anyio.run(take)

    assert first >= 0.2
    assert others < 20, "two hundred that wait would take 40 s"
