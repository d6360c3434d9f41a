"""Whose picture a decoder's child takes next: slow ones leave one child to others."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from smart_filter_shared.errors import DecodingStopped
from smart_filter_shared.ids import Tenant
from smart_filter_workers.decoder.turns import SLOW_SECONDS, DecoderTurns, Requester, Turn

ANN, BOB, CEM = Tenant("ann"), Tenant("bob"), Tenant("cem")
LONG = SLOW_SECONDS + 1
TEN_MINUTES = 600.0


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Decoder:
    """Two children whose pictures end when the test says so."""

    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.turns = DecoderTurns(2, clock=self.clock)

    def begin(self, tenant: Tenant, *, is_background: bool = False, is_trial: bool = False) -> Turn:
        """Return a turn, or raise at once."""
        requester = Requester(
            tenant, is_background=is_background, is_trial=is_trial, wait_seconds=0
        )
        return self.turns.begin(requester)

    def decode(self, tenant: Tenant, *, seconds: float) -> None:
        turn = self.begin(tenant)
        self.clock.now += seconds
        self.turns.end(turn)


@pytest.fixture
def decoder() -> Decoder:
    """Return a decoder that has decoded a slow picture of ann's and a quick one of bob's."""
    used = Decoder()
    used.decode(ANN, seconds=LONG)
    used.decode(BOB, seconds=0.1)
    return used


def test_slow_tenants_together_get_one_child_and_a_quick_one_the_other(decoder: Decoder) -> None:
    decoder.decode(CEM, seconds=LONG)
    decoder.begin(ANN)

    with pytest.raises(DecodingStopped):
        decoder.begin(CEM)

    decoder.begin(BOB)


def test_tenant_that_was_never_seen_is_quick(decoder: Decoder) -> None:
    decoder.begin(ANN)

    decoder.begin(CEM)


def test_picture_that_becomes_slow_leaves_the_last_child(decoder: Decoder) -> None:
    first, second = decoder.begin(ANN), decoder.begin(CEM)
    decoder.turns.check(second)
    decoder.clock.now += LONG

    with pytest.raises(DecodingStopped, match="takes long"):
        decoder.turns.check(second)
    decoder.turns.end(second)

    decoder.turns.check(first)
    decoder.begin(BOB)


def test_of_two_pictures_that_become_slow_at_once_one_goes_on(decoder: Decoder) -> None:
    first, second = decoder.begin(BOB), decoder.begin(CEM)
    decoder.clock.now += LONG

    with pytest.raises(DecodingStopped):
        decoder.turns.check(first)
    decoder.turns.end(first)

    decoder.turns.check(second)


def test_stopped_tenant_has_slow_turns_from_then_on(decoder: Decoder) -> None:
    decoder.begin(ANN)
    stopped = decoder.begin(CEM)
    decoder.clock.now += LONG
    decoder.turns.end(stopped)

    with pytest.raises(DecodingStopped):
        decoder.begin(CEM)


def test_tenant_is_quick_again_after_ten_minutes(decoder: Decoder) -> None:
    decoder.decode(CEM, seconds=LONG)
    decoder.clock.now += TEN_MINUTES + 1
    decoder.decode(ANN, seconds=LONG)
    decoder.begin(ANN)

    decoder.begin(CEM)


def test_single_tenant_gets_all_children() -> None:
    decoder = Decoder()
    decoder.decode(ANN, seconds=LONG)

    turns = [decoder.begin(ANN), decoder.begin(ANN)]
    decoder.clock.now += LONG

    for turn in turns:
        decoder.turns.check(turn)


def test_background_counts_as_slow_while_it_is_decoded(decoder: Decoder) -> None:
    background = decoder.begin(CEM, is_background=True)

    with pytest.raises(DecodingStopped):
        decoder.begin(ANN)
    with pytest.raises(DecodingStopped):
        decoder.begin(BOB, is_background=True)

    decoder.turns.end(background)
    decoder.begin(CEM)
    decoder.begin(BOB)


def test_trial_ends_as_soon_as_it_is_slow(decoder: Decoder) -> None:
    trial = decoder.begin(CEM, is_background=True, is_trial=True)
    decoder.turns.check(trial)
    decoder.clock.now += LONG

    with pytest.raises(DecodingStopped):
        decoder.turns.check(trial)


def test_canceled_picture_neither_begins_nor_goes_on(decoder: Decoder) -> None:
    requester = Requester(CEM, threading.Event())
    turn = decoder.turns.begin(requester)
    requester.canceled.set()

    with pytest.raises(DecodingStopped, match="not needed"):
        decoder.turns.check(turn)
    with pytest.raises(DecodingStopped, match="not needed"):
        decoder.turns.begin(requester)


def test_pictures_take_turns_in_order_of_arrival(decoder: Decoder) -> None:
    """A slow picture that waits is passed by quick ones, but not by a slow one that came later."""
    photo, quick = decoder.begin(ANN), decoder.begin(BOB)
    began: list[str] = []

    def wait(name: str, requester: Requester) -> None:
        turn = decoder.turns.begin(requester)
        began.append(name)
        decoder.turns.end(turn)

    with ThreadPoolExecutor(3) as threads:
        waiting: list[Future[None]] = []
        for name, requester in (
            ("background", Requester(CEM, is_background=True, wait_seconds=60)),
            ("slow photo", Requester(ANN, wait_seconds=60)),
            ("quick photo", Requester(BOB, wait_seconds=60)),
        ):
            waiting.append(threads.submit(wait, name, requester))
            while decoder.turns.waiting < len(waiting):
                pass
        decoder.turns.end(quick)
        waiting[-1].result()
        decoder.turns.end(photo)

    assert began == ["quick photo", "background", "slow photo"]
