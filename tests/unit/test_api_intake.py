"""Bodies that stop arriving."""

from collections.abc import AsyncIterator

import anyio
import pytest

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
