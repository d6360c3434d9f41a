"""Measure the load of clients that follow a job on the database, with few and many of them.

python -m benchmarks.waiting

Each follower is one socket, so following costs this process almost nothing. A measurement lasts
longer than the keep-alive interval, so it contains the keep-alive messages.
"""

import asyncio
import datetime as dt
import os
import resource
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

from benchmarks import figures, photos, service
from benchmarks.service import Service
from smart_filter_api.responses.long_poll import KEEP_ALIVE_SECONDS

FEW, MANY = 20, 2000
SECONDS = 2 * KEEP_ALIVE_SECONDS + 2
ROUNDS = 3
# The job never runs, so only the waiting is measured.
NEVER = (dt.datetime.now(dt.UTC) + dt.timedelta(days=7)).isoformat()
# Opening a stream is work for the service, and its backlog of connections is limited.
_OPENING_AT_ONCE = 16
_OTHER_FILES = 500


def measure() -> list[figures.Figure]:
    """Return the database's processor time with few and with many followers, and their ratio."""
    _allow_files(MANY + _OTHER_FILES)
    few, many, load = [], [], []
    with service.folder() as data, service.up(data) as running:
        photo = next(photos.selfies(64))
        job = running.client.submit(photo, {"run_at": NEVER})
        for _ in range(ROUNDS):
            few.append(asyncio.run(_load(running, job.id, FEW)))
            many.append(asyncio.run(_load(running, job.id, MANY)))
            load.append(os.getloadavg()[0])
    pairs = zip(few, many, strict=True)
    return [
        figures.Figure(name=f"database, {FEW} follow a job", unit="% of a core", samples=few),
        figures.Figure(name=f"database, {MANY} follow a job", unit="% of a core", samples=many),
        figures.Figure(
            name=f"database, {MANY} of {FEW}",
            unit="×",
            samples=[more / less for less, more in pairs],
            goal=1.2,
        ),
        figures.Figure(name="load of the machine meanwhile", unit="", samples=load),
    ]


async def _load(running: Service, job_id: str, followers: int) -> float:
    """Return the database's share of a core, in percent, while followers wait for a job."""
    opening = asyncio.Semaphore(_OPENING_AT_ONCE)
    async with AsyncExitStack() as open_streams:

        async def follow() -> None:
            async with opening:
                writer = await _follow(running, job_id)
                open_streams.callback(writer.close)

        async with asyncio.TaskGroup() as group:
            for _ in range(followers):
                group.create_task(follow())
        before = running.processor_seconds("database")
        await asyncio.sleep(SECONDS)
        return 100 * (running.processor_seconds("database") - before) / SECONDS


async def _follow(running: Service, job_id: str) -> asyncio.StreamWriter:
    """Return a connection that has received a job's first event; later ones stay unread."""
    address = urlsplit(running.client.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(
        (
            f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\n"
            f"Host: {address.netloc}\r\nAuthorization: Bearer {running.api_key}\r\n\r\n"
        ).encode()
    )
    status = await reader.readline()
    if b" 200 " not in status:
        raise ValueError(f"status line is {status.decode()!r}, expected 200")
    await reader.readuntil(b"event: job.queued")
    return writer


def _allow_files(files: int) -> None:
    """Raise the limit of open files of this process and of those that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(files, hard), hard))


if __name__ == "__main__":
    figures.print_figures(measure())
