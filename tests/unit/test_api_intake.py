"""Bodies that stop arriving."""

from collections.abc import AsyncIterator

import anyio
import pytest

from smart_filter_api import intake
from smart_filter_api.intake import in_time
from smart_filter_shared.errors import MalformedRequest


async def silent_after(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    await anyio.sleep_forever()


async def ended_after(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def test_body_that_ends_is_passed_on() -> None:
    async def read() -> list[bytes]:
        return [chunk async for chunk in in_time(ended_after(b"a", b"b"), seconds=5)]

    assert anyio.run(read) == [b"a", b"b"]


def test_caller_who_falls_silent_is_refused() -> None:
    async def read() -> None:
        async for _ in in_time(silent_after(b"a"), seconds=0.01):
            pass

    with pytest.raises(MalformedRequest, match="nothing of the body came"):
        anyio.run(read)


async def a_byte_at_a_time() -> AsyncIterator[bytes]:
    while True:
        await anyio.sleep(0.001)
        yield b"a"


def test_caller_who_sends_a_byte_at_a_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_UNMEASURED_SECONDS", 0.01)

    async def read() -> None:
        with anyio.fail_after(5):
            async for _ in in_time(a_byte_at_a_time(), seconds=5):
                pass

    with pytest.raises(MalformedRequest, match="too slowly"):
        anyio.run(read)


def test_time_that_we_take_ourselves_is_not_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "_UNMEASURED_SECONDS", 0.01)

    async def read() -> int:
        length = 0
        async for chunk in in_time(ended_after(b"a", b"b", b"c"), seconds=5):
            await anyio.sleep(0.01)
            length += len(chunk)
        return length

    assert anyio.run(read) == 3
