"""Measure estimates: the share of 500 mixed jobs that end before the time given at acceptance.

python -m benchmarks.calibration [service|stub] [SEED]

service: the whole service. stub: the API and the database, with workers whose stages only wait, so
other load of the machine does not change the result.
"""

import datetime as dt
import random
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import httpx
from sqlalchemy import Engine, text

from benchmarks import figures, photos, service
from benchmarks.figures import Figure
from benchmarks.stub_workers import Cost, StubWorkers
from smart_filter_api.auth import api_keys
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.catalog.model_card import Offer
from smart_filter_shared.config.settings import Settings
from smart_filter_shared.db import migrate, sessions
from smart_filter_shared.ids import OPERATOR
from smart_filter_shared.model_registry import published_models
from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_shared.storage.opening import open_store
from smart_filter_tests.bench import capability, settings_of
from smart_filter_tests.serving import a_card, a_photo, serve_api
from smart_filter_workers.runtime.counters import WorkerCounters

_WARM_UP, _JOBS = 60, 500
_LOAD = 0.7
# The service's capacity is measured with this many jobs always running.
_BUSY, _BUSY_JOBS = 4, 40
_FIRST_JOBS = 12  # they load the models and do not count
_LEAST_PERCENT, _MOST_PERCENT = 85.0, 95.0
_SIDES = {560: 4, 1000: 4, 1732: 2}  # pixels: weight; 0.3, 1 and 3 MP
_OUTPUTS = {"image": 6, "image,rating": 2, "cutout": 2, "faces,rating": 1, "matte,thumbnail": 1}
_BACKGROUNDS = {"auto": 6, "color:teal": 4}
_PRIORITIES = {"standard": 5, "interactive": 3, "batch": 2}
_COSTS = {
    StageName.PREPARE: Cost(0.05, 0.02),
    StageName.SEGMENTATION: Cost(0.15, 0.0),
    StageName.FACE: Cost(0.08, 0.0),
    StageName.SMILE: Cost(0.03, 0.0),
    StageName.COMPOSITE: Cost(0.08, 0.05),
}
_THREADS, _SPREAD = 4, 0.3


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimate that a job got at acceptance, in seconds."""

    job_id: str
    priority: str
    p50: float
    p90: float


@dataclass(frozen=True, slots=True)
class Place:
    """The API that jobs are sent to; took: returns the seconds of a job once it has ended."""

    client: httpx.AsyncClient
    photos: Mapping[int, Iterator[bytes]]
    took: Callable[[str], Awaitable[float]]


def measure(variant: str, seed: int) -> list[Figure]:
    """Send jobs at random times; return how their durations compare with the estimates."""
    begin = {"service": _with_service, "stub": _with_stub}[variant]
    with begin(seed) as run:
        estimates, took = run(random.Random(seed))
    return list(_figures(estimates, took))


def _figures(estimates: list[Estimate], took: Mapping[str, float]) -> Iterator[Figure]:
    for name in ("all", *_PRIORITIES):
        jobs = [job for job in estimates if name in {"all", job.priority}]
        for quantile in ("p50", "p90"):
            ended = [took[job.job_id] <= getattr(job, quantile) for job in jobs]
            yield Figure(
                name=f"{name}, {len(jobs)} jobs: ended before {quantile}",
                unit="%",
                samples=[100 * statistics.mean(ended)],
                goal=_LEAST_PERCENT if (name, quantile) == ("all", "p90") else None,
                kind="at least",
            )
        for what, seconds in (
            ("took", [took[job.job_id] for job in jobs]),
            ("p50 estimate", [job.p50 for job in jobs]),
            ("p90 estimate", [job.p90 for job in jobs]),
        ):
            yield Figure(name=f"{name}: {what}", unit="s", samples=seconds)
    share = 100 * statistics.mean(took[job.job_id] <= job.p90 for job in estimates)
    yield Figure(
        name="all: ended before p90, no more", unit="%", samples=[share], goal=_MOST_PERCENT
    )


Run = Callable[[random.Random], tuple[list[Estimate], dict[str, float]]]


@contextmanager
def _with_service(seed: int) -> Iterator[Run]:
    del seed
    with service.folder() as data, service.up(data) as running:

        async def run(rng: random.Random) -> tuple[list[Estimate], dict[str, float]]:
            async with _client(running.client.url, running.api_key) as client:
                contents = {side: photos.selfies(side) for side in _SIDES}
                place = Place(client, contents, partial(_seconds_from_api, client))
                await _capacity(place, rng, _FIRST_JOBS)
                capacity = await _capacity(place, rng, _BUSY_JOBS)
                return await _send_all(place, rng, _LOAD * capacity)

        yield lambda rng: anyio.run(run, rng)


@contextmanager
def _with_stub(seed: int) -> Iterator[Run]:
    with tempfile.TemporaryDirectory(prefix="smart-filter-bench-") as made, ExitStack() as stack:
        Path(made).chmod(0o711)  # as root PostgreSQL is another user, who must pass
        servers = stack.enter_context(Stack(DataFolder.at(Path(made) / "data")))
        settings = settings_of(servers.addresses)
        engine = sessions.open_engine(settings.database, connections=_THREADS + 3)
        stack.callback(engine.dispose)
        key = _prepare(settings, engine)
        site = stack.enter_context(serve_api(settings))
        served = tuple(capability(stage) for stage in StageName)
        workers = StubWorkers(engine, _COSTS, served, _THREADS, _SPREAD, WorkerCounters())
        stack.enter_context(workers.working(seed))

        async def run(rng: random.Random) -> tuple[list[Estimate], dict[str, float]]:
            async with _client(site.url, key) as client:
                contents = {side: _same(a_photo(size=(side, side))) for side in _SIDES}
                place = Place(client, contents, partial(_seconds_from_database, engine))
                return await _send_all(place, rng, _LOAD * _THREADS / _mean_cost())

        yield lambda rng: anyio.run(run, rng)


def _prepare(settings: Settings, engine: Engine) -> str:
    migrate.upgrade(engine)
    open_store(settings.storage, connections=1).ensure_bucket()
    with sessions.transaction(engine) as connection:
        published_models.publish(connection, [Offer(a_card(task)) for task in TaskName])
        return api_keys.issue(connection, tenant=OPERATOR, scopes=api_keys.ALL_SCOPES).key


def _client(url: str, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=url,
        headers={"Authorization": f"Bearer {key}"},
        limits=httpx.Limits(max_connections=64),
        timeout=120,
    )


async def _send_all(
    place: Place, rng: random.Random, rate: float
) -> tuple[list[Estimate], dict[str, float]]:
    sys.stderr.write(f"{rate:.2f} jobs a second\n")
    estimates: list[Estimate] = []
    due = anyio.current_time()
    async with anyio.create_task_group() as group:
        for _ in range(_WARM_UP + _JOBS):
            due += rng.expovariate(rate)
            await anyio.sleep_until(due)
            group.start_soon(_submit, place, *_draw_job(rng), estimates)
    took = {job.job_id: await place.took(job.job_id) for job in estimates}
    return estimates[_WARM_UP:], took


async def _capacity(place: Place, rng: random.Random, jobs: int) -> float:
    """Return how many mixed jobs a second end while a few are always running."""
    waiting_jobs = [_draw_job(rng) for _ in range(jobs)]
    estimates: list[Estimate] = []

    async def keep_busy() -> None:
        while waiting_jobs:
            side, fields = waiting_jobs.pop()
            own_estimate: list[Estimate] = []
            await _submit(place, side, fields, own_estimate)
            await place.took(own_estimate[0].job_id)
            estimates.extend(own_estimate)

    began = anyio.current_time()
    async with anyio.create_task_group() as group:
        for _ in range(_BUSY):
            group.start_soon(keep_busy)
    return len(estimates) / (anyio.current_time() - began)


def _draw_job(rng: random.Random) -> tuple[int, dict[str, str]]:
    """Return the side of a photo and the fields of its form, both random."""

    def draw(weights: Mapping[str, int]) -> str:
        return rng.choices(list(weights), list(weights.values()))[0]

    fields = {
        "outputs": draw(_OUTPUTS),
        "background": draw(_BACKGROUNDS),
        "priority": draw(_PRIORITIES),
        "seed": str(rng.randrange(1000)),
    }
    return rng.choices(list(_SIDES), list(_SIDES.values()))[0], fields


async def _submit(
    place: Place, side: int, fields: dict[str, str], estimates: list[Estimate]
) -> None:
    photo = next(place.photos[side])
    answer = await place.client.post("/v1/jobs", files={"photo": ("photo.jpg", photo)}, data=fields)
    answer.raise_for_status()
    job = answer.json()
    queue = job["queue"]
    estimates.append(
        Estimate(job["id"], fields["priority"], queue["eta_p50_s"], queue["eta_p90_s"])
    )


async def _seconds_from_api(client: httpx.AsyncClient, job_id: str) -> float:
    while True:
        answer = await client.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=60"})
        job = answer.raise_for_status().json()
        if job["finished_at"] is not None:
            if job["state"] != "succeeded":
                raise RuntimeError(f"job {job_id} {job['state']}: {job['error']}")
            began, ended = (
                dt.datetime.fromisoformat(job[name]) for name in ("created_at", "finished_at")
            )
            return (ended - began).total_seconds()


async def _seconds_from_database(engine: Engine, job_id: str) -> float:
    """Return a job's seconds from the database: the API cannot show results of stub stages."""

    def look() -> float | None:
        with sessions.transaction(engine) as connection:
            seconds: float | None = connection.execute(
                text("""
                    SELECT CAST(extract(epoch FROM finished_at - created_at) AS float8)
                    FROM jobs WHERE id = :id
                """),
                {"id": job_id},
            ).scalar_one()
            return seconds

    while (seconds := await anyio.to_thread.run_sync(look)) is None:  # noqa: ASYNC110 - a worker ends it
        await anyio.sleep(0.2)
    return seconds


def _mean_cost() -> float:
    """Return the mean seconds of a thread that a mixed job takes, over 2,000 random jobs."""
    rng = random.Random(0)
    noise = 1 + _SPREAD**2 / 2
    total = 0.0
    draws = 2000
    for _ in range(draws):
        side, fields = _draw_job(rng)
        megapixels = side * side / 1_000_000
        rates_people = fields["background"] == "auto" or "rating" in fields["outputs"]
        composes = fields["outputs"] != "faces,rating"
        for stage, cost in _COSTS.items():
            needed = {
                StageName.FACE: rates_people,
                StageName.SMILE: rates_people,
                StageName.COMPOSITE: composes,
            }.get(stage, True)
            total += cost.mean_seconds(megapixels) * noise if needed else 0.0
    return total / draws


def _same(photo: bytes) -> Iterator[bytes]:
    while True:
        yield photo


if __name__ == "__main__":
    _variant, _seed = (*sys.argv[1:], *("service", "1")[len(sys.argv) - 1 :])[:2]
    figures.print_figures(measure(_variant, int(_seed)))
