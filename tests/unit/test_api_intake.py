"""Bodies that stop arriving."""

from collections.abc import AsyncIterator

import anyio
import pytest

from smart_filter_api.intake import in_time
from smart_filter_shared.errors import MalformedRequest


class Caller:
    """Sends bytes one at a time, each after so many seconds of a clock that only it moves."""

    def __init__(self, count: int, *, seconds: float) -> None:
        self.count = count
        self.seconds = seconds
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    async def body(self) -> AsyncIterator[bytes]:
        for _ in range(self.count):
            self.now += self.seconds
            yield b"a"


def received(caller: Caller, *, seconds_of_our_own: float = 0.0) -> int:
    """Return how many bytes were read by a reader that takes so long for each."""

    async def read() -> int:
        length = 0
        async for chunk in in_time(caller.body(), seconds=60, clock=caller.clock):
            caller.now += seconds_of_our_own
            length += len(chunk)
        return length

    return anyio.run(read)


def test_silent_caller_is_refused() -> None:
    async def silent() -> AsyncIterator[bytes]:
        yield b"a"
        await anyio.sleep_forever()

    async def read() -> None:
        async for _ in in_time(silent(), seconds=0.01):
            pass

    with pytest.raises(MalformedRequest, match="nothing of the body came"):
        anyio.run(read)


def test_caller_with_a_byte_a_second_is_refused_after_half_a_minute() -> None:
    assert received(Caller(30, seconds=1)) == 30
    with pytest.raises(MalformedRequest, match="too slowly"):
        received(Caller(31, seconds=1))


def test_time_of_the_reader_is_not_the_callers() -> None:
    assert received(Caller(3, seconds=0.01), seconds_of_our_own=100) == 3
