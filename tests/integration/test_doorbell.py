"""The doorbell on a real broker, and on one that is not there."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from smart_filter_shared.doorbell import Doorbell
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.settings import BrokerSettings
from smart_filter_tests.bench import Bench, capability
from smart_filter_tests.proxy import Mode, Proxy

FACE = capability(StageName.FACE)


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def proxy(bench: Bench) -> Iterator[Proxy]:
    """A way to the broker that can be broken."""
    address = urlsplit(bench.settings.broker.url.get_secret_value())
    assert address.hostname is not None
    assert address.port is not None
    with Proxy(address.hostname, address.port) as proxy:
        yield proxy


@pytest.fixture
def doorbell(bench: Bench, proxy: Proxy, clock: Clock) -> Iterator[Doorbell]:
    """A doorbell behind the proxy."""
    address = urlsplit(bench.settings.broker.url.get_secret_value())
    url = f"redis://:{address.password}@127.0.0.1:{proxy.port}/0"
    doorbell = Doorbell(BrokerSettings(url=SecretStr(url)), clock=clock)
    yield doorbell
    doorbell.close()


def test_ring_reaches_the_queue_of_its_capability(bench: Bench) -> None:
    taken = bench.doorbell.ring([capability(StageName.FACE)] * 2)

    assert taken
    assert bench.rings(StageName.FACE) == 2
    assert bench.doorbell.waiting(capability(StageName.FACE)) == 2


def test_broker_that_answers_is_seen(bench: Bench) -> None:
    assert bench.doorbell.answers()


@pytest.mark.parametrize("mode", [Mode.RESET, Mode.SWALLOW])
def test_broker_that_is_away_hurts_nobody(doorbell: Doorbell, proxy: Proxy, mode: Mode) -> None:
    proxy.mode = mode

    assert not doorbell.ring([FACE])
    assert not doorbell.answers()
    assert doorbell.waiting(FACE) is None


def test_broker_that_goes_away_later_hurts_nobody(doorbell: Doorbell, proxy: Proxy) -> None:
    assert doorbell.ring([FACE])

    proxy.mode = Mode.RESET
    proxy.cut()

    assert not doorbell.ring([FACE])


def test_after_a_failure_nobody_rings_for_a_second(
    doorbell: Doorbell, proxy: Proxy, clock: Clock
) -> None:
    proxy.mode = Mode.RESET
    doorbell.ring([FACE])
    proxy.mode = Mode.PASS

    clock.seconds += 0.9
    assert not doorbell.ring([FACE])
    clock.seconds += 0.2
    assert doorbell.ring([FACE])
