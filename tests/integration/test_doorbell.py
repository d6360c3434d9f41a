"""The doorbell on a real broker, and on one that is not there."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from smart_filter_shared.doorbell import Doorbell
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.bench import Bench, capability
from smart_filter_tests.proxy import Mode, Proxy, before_broker

FACE = capability(StageName.FACE)


@dataclass(slots=True)
class Away:
    """A doorbell behind a proxy, by a clock that the test moves."""

    doorbell: Doorbell
    proxy: Proxy
    seconds: float = 100.0


@pytest.fixture
def away(bench: Bench) -> Iterator[Away]:
    with before_broker(bench.settings.broker) as (proxy, settings):
        doorbell = Doorbell(settings, clock=lambda: away.seconds)
        away = Away(doorbell, proxy)
        yield away
        doorbell.close()


def test_ring_reaches_the_queue_of_its_capability(bench: Bench) -> None:
    assert bench.doorbell.answers()
    assert bench.doorbell.ring([FACE] * 2)

    assert (bench.rings(StageName.FACE), bench.doorbell.waiting(FACE)) == (2, 2)


@pytest.mark.parametrize("mode", [Mode.RESET, Mode.SWALLOW])
def test_broker_that_is_away_raises_nothing(away: Away, mode: Mode) -> None:
    away.proxy.mode = mode

    assert not away.doorbell.ring([FACE])
    assert not away.doorbell.answers()
    assert away.doorbell.waiting(FACE) is None


def test_broker_that_goes_away_later_raises_nothing(away: Away) -> None:
    assert away.doorbell.ring([FACE])

    away.proxy.mode = Mode.RESET
    away.proxy.cut()

    assert not away.doorbell.ring([FACE])


def test_broker_is_not_rung_for_a_second_after_a_failure(away: Away) -> None:
    away.proxy.mode = Mode.RESET
    away.doorbell.ring([FACE])
    away.proxy.mode = Mode.PASS

    away.seconds += 0.9
    assert not away.doorbell.ring([FACE])
    away.seconds += 0.2
    assert away.doorbell.ring([FACE])
