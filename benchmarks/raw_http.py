"""Send many requests at once on keep-alive connections, with little work for the client.

On two cores a full HTTP client would take processor time from the measured server.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(frozen=True, slots=True)
class Load:
    """The result of `send`.

    rate: answers a second.  bodies: bodies of the answers, in no order.
    """

    rate: float
    bodies: list[bytes]


def send(port: int, requests: Iterator[bytes], *, count: int, at_once: int, expect: int) -> Load:
    """Send `count` requests to a local port, `at_once` at a time, and return the answers.

    requests: complete HTTP/1.1 requests.  expect: the status of every answer.
    Raises ValueError when an answer has another status.
    """
    return asyncio.run(_send(port, requests, count=count, at_once=at_once, expect=expect))


async def _send(
    port: int, requests: Iterator[bytes], *, count: int, at_once: int, expect: int
) -> Load:
    left = [next(requests) for _ in range(count)]
    bodies: list[bytes] = []

    async def converse() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while left:
                writer.write(left.pop())
                bodies.append(await _answer(reader, expect))
        finally:
            writer.close()
            await writer.wait_closed()

    started_at = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(converse())
    return Load(count / (time.perf_counter() - started_at), bodies)


async def _answer(reader: asyncio.StreamReader, expect: int) -> bytes:
    head = await reader.readuntil(_END_OF_HEAD)
    lowered = head.lower()
    length = int(lowered.partition(_LENGTH)[2].partition(b"\r\n")[0])
    body = await reader.readexactly(length)
    if int(head[9:12]) != expect:
        raise ValueError(f"{head[9:12].decode()} instead of {expect}: {body[:300].decode()}")
    return body
