"""Whose picture a decoder's child takes next: slow ones leave one child to others."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest

from smart_filter_shared.errors import DecodingStopped
from smart_filter_shared.ids import Tenant
from smart_filter_workers.decoder.turns import RESERVED, SLOW_SECONDS, DecoderTurns, Requester, Turn

ANN, BOB, CEM, DAN = (Tenant(name) for name in ("ann", "bob", "cem", "dan"))
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

    def begin(self, tenant: Tenant, *, is_large: bool = False, is_background: bool = False) -> Turn:
        """Return a turn, or raise at once."""
        requester = Requester(tenant, is_background=is_background, wait_seconds=0)
        return self.turns.begin(requester, is_large=is_large)

    def decode(self, tenant: Tenant, *, seconds: float) -> None:
        turn = self.begin(tenant)
        self.clock.now += seconds
        self.turns.end(turn)

    @contextmanager
    def wait(self, tenant: Tenant, *, is_large: bool = False) -> Iterator["Future[Turn]"]:
        """Let a picture wait for its turn until the block ends."""
        canceled = threading.Event()
        before = self.turns.waiting
        with ThreadPoolExecutor(1) as thread:
            requester = Requester(tenant, canceled, wait_seconds=60)
            turn = thread.submit(self.turns.begin, requester, is_large=is_large)
            while self.turns.waiting == before:
                pass
            try:
                yield turn
            finally:
                canceled.set()
                with suppress(DecodingStopped):
                    self.begin(tenant)  # makes the one that waits look


@pytest.fixture
def decoder() -> Decoder:
    """Return a decoder that has decoded a slow picture of ann's and a quick one of bob's."""
    used = Decoder()
    used.decode(ANN, seconds=LONG)
    used.decode(BOB, seconds=0.1)
    return used


def test_slow_tenants_together_get_one_child_and_a_quick_one_the_other(decoder: Decoder) -> None:
    decoder.decode(CEM, seconds=LONG)
    slow = decoder.begin(ANN)

    with pytest.raises(DecodingStopped):
        decoder.begin(CEM)

    quick = decoder.begin(BOB)
    assert (quick.child, slow.child) == (RESERVED, 1)


def test_large_pictures_leave_the_reserved_child_from_the_first_one_on(decoder: Decoder) -> None:
    decoder.begin(CEM, is_large=True)

    with pytest.raises(DecodingStopped):
        decoder.begin(DAN, is_large=True)

    assert decoder.begin(DAN).child == RESERVED


def test_picture_that_becomes_slow_leaves_the_reserved_child(decoder: Decoder) -> None:
    decoder.begin(ANN)
    slow = decoder.begin(CEM)

    with decoder.wait(BOB) as quick:
        decoder.turns.check(slow)
        decoder.clock.now += LONG

        with pytest.raises(DecodingStopped, match="takes long"):
            decoder.turns.check(slow)
        decoder.turns.end(slow)

        assert quick.result().child == RESERVED
    assert decoder.turns.list_slow() == {ANN, CEM}


def test_waiting_for_a_core_makes_no_picture_slow(decoder: Decoder) -> None:
    decoder.begin(ANN)
    turn = decoder.begin(CEM)
    decoder.clock.now += LONG
    turn.starved_seconds = LONG - 1

    decoder.turns.check(turn)
    decoder.turns.end(turn)

    assert decoder.turns.list_slow() == {ANN}


def test_picture_that_must_be_quick_and_is_not_waits_for_no_child(decoder: Decoder) -> None:
    requester = Requester(CEM, must_be_quick=True, wait_seconds=60)

    with pytest.raises(DecodingStopped, match="longer than its job's size"):
        decoder.turns.begin(requester, is_large=True)

    assert decoder.turns.list_slow() == {ANN, CEM}


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
    decoder.decode(BOB, seconds=0.1)

    assert decoder.begin(CEM).child == RESERVED


def test_tenants_without_quick_company_get_all_children() -> None:
    decoder = Decoder()
    decoder.decode(ANN, seconds=LONG)
    decoder.decode(CEM, seconds=LONG)

    assert [decoder.begin(ANN).child, decoder.begin(CEM, is_large=True).child] == [1, RESERVED]


def test_first_quick_picture_stops_a_large_one_in_the_reserved_child() -> None:
    decoder = Decoder()
    first, second = (decoder.begin(ANN, is_large=True) for _ in range(2))

    with decoder.wait(ANN):
        decoder.turns.check(second)
    with decoder.wait(BOB):
        decoder.turns.check(first)
        with pytest.raises(DecodingStopped):
            decoder.turns.check(second)


def test_background_is_not_quick(decoder: Decoder) -> None:
    background = decoder.begin(CEM, is_background=True)

    with pytest.raises(DecodingStopped):
        decoder.begin(ANN)
    with pytest.raises(DecodingStopped):
        decoder.begin(DAN, is_background=True)

    decoder.turns.end(background)
    decoder.begin(CEM)
    decoder.begin(BOB)


def test_trial_ends_as_soon_as_it_is_slow(decoder: Decoder) -> None:
    trial = decoder.turns.begin(Requester(CEM, is_background=True, is_trial=True))
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
