"""Waiting: what those who follow jobs cost the database, few and many of them.

python -m benchmarks.waiting
"""

from contextlib import AsyncExitStack

import anyio
import httpx

from benchmarks import figures, photos, service
from benchmarks.service import Service

FEW, MANY = 20, 2000
SECONDS = 5.0
ROUNDS = 2
# Nothing happens to this job: all that is measured is the waiting.
NEVER = "2999-01-01T00:00:00Z"


def measure() -> list[figures.Figure]:
    """Return the database's processor time while few and while many wait, and their ratio."""
    few, many = [], []
    with service.folder() as data, service.up(data) as running:
        photo = next(photos.selfies(64))
        job = running.client.submit(photo, {"run_at": NEVER})
        for _ in range(ROUNDS):
            few.append(anyio.run(_load, running, job.id, FEW))
            many.append(anyio.run(_load, running, job.id, MANY))
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
    ]


async def _load(running: Service, job_id: str, followers: int) -> float:
    """Return the database's share of a core, in percent, while so many follow a job."""
    limits = httpx.Limits(max_connections=None)
    headers = {"Authorization": f"Bearer {running.api_key}"}
    async with (
        httpx.AsyncClient(
            base_url=running.client.url, headers=headers, limits=limits, timeout=60
        ) as client,
        AsyncExitStack() as open_streams,
    ):
        for _ in range(followers):
            request = client.build_request("GET", f"/v1/jobs/{job_id}/events")
            answer = await client.send(request, stream=True)
            open_streams.push_async_callback(answer.aclose)
            assert answer.status_code == httpx.codes.OK
        before = running.processor_seconds("database")
        await anyio.sleep(SECONDS)
        return 100 * (running.processor_seconds("database") - before) / SECONDS


if __name__ == "__main__":
    figures.tell(measure())
