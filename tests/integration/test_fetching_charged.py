"""Fetching from an address that is slow costs the tenant that named it, also when it fails."""

import contextlib
import math
import threading
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import cast

import pytest
from sqlalchemy import Engine, text

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import InputsExpired, PhotoUnreachable
from smart_filter_shared.jobs import fairness, transitions
from smart_filter_shared.jobs.leases import Done, Failure
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Background, BackgroundKind, Recipe
from smart_filter_tests import web
from smart_filter_tests.bench import KEEPING, TENANT, Bench
from smart_filter_tests.running import Running
from smart_filter_workers import runner, settling
from smart_filter_workers.heartbeat import Held
from smart_filter_workers.services import Services
from smart_filter_workers.trails import Trail

AWAY = Failure("photo_unreachable", "It cannot be fetched", "404")
# What an address takes to answer; it is what the test is about.
SLOW_SECONDS = 0.5
# No child has started and imported its modules within so long.
CHILD_SECONDS = 0.05


def slow(closing: threading.Event) -> Iterable[bytes]:
    closing.wait(SLOW_SECONDS)
    yield web.answer(404, content__length="0")


@contextlib.contextmanager
def dead_connection(bench: Bench) -> Iterator[Engine]:
    """Give an engine whose connection the server has just ended: its next transaction fails."""
    # On a clock that stands still: a connection that has idled for a second is asked first.
    engine = sessions.engine(bench.settings.database, connections=1, clock=float)
    try:
        with sessions.transaction(engine) as connection:
            backend = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        bench.execute("SELECT pg_terminate_backend(:pid, 5000)", pid=backend)
        yield engine
    finally:
        engine.dispose()


def fetch_in_vain() -> None:
    raise PhotoUnreachable("https://example.com/a answers 404")


def finish(bench: Bench) -> float:
    """Return where the tenant's work ends in virtual time, when all that ended is settled."""
    bench.do(fairness.settle)
    return float(bench.scalar("SELECT finish FROM tenants WHERE name = :tenant", tenant=TENANT))


def test_worker_charges_what_a_slow_address_took_before_it_failed(running_stack: Running) -> None:
    with web.a_site({"/photo.jpg": slow}) as site:
        fields = {"photo_url": (None, f"{site.url}/photo.jpg")}
        answer = running_stack.client.post("/v1/jobs", files=fields)
        assert answer.status_code == 202, answer.text
        job = running_stack.wait(str(answer.json()["id"]))

    (prepare,) = [one for one in job["stages"] if one["name"] == "prepare"]
    assert job["error"]["code"] == "photo_unreachable"
    assert prepare["seconds"] >= SLOW_SECONDS


def test_failed_fetch_is_settled_though_the_database_blinks(bench: Bench) -> None:
    job_id = bench.submit_elsewhere(photo_url="https://example.com/a")
    held = Held(bench.claim_one(StageName.PREPARE), overdue_at=math.inf, fetching_seconds=30.0)

    with dead_connection(bench) as engine:
        services = cast(Services, SimpleNamespace(engine=engine, settings=bench.settings))
        settling.attempt(services, [held], "internal", fetch_in_vain)

    assert (bench.job(job_id).error or {})["code"] == "photo_unreachable"
    assert bench.row(job_id, StageName.PREPARE)["seconds"] == 30.0


def test_start_of_a_child_process_is_not_charged_as_fetching(bench: Bench) -> None:
    background = Background(kind=BackgroundKind.URL, value="https://example.com/b")
    job_id = bench.submit(Recipe(background=background), photo="photo that is gone")
    bench.advance(StageName.PREPARE, StageName.SEGMENTATION)
    held = Held(bench.claim_one(StageName.COMPOSITE), overdue_at=math.inf)
    task = runner._Task(held, bench.job(job_id), Trail())  # noqa: SLF001 - one step of a run
    services = cast(Services, SimpleNamespace(settings=bench.settings, extra_models=()))

    with pytest.raises(InputsExpired):
        runner._run_apart(services, task)  # noqa: SLF001

    (infer,) = task.trail.steps_of(held.lease)
    assert 0 < held.fetching_seconds < (infer.ended_ns - infer.began_ns) / 1e9 - CHILD_SECONDS


def test_failed_fetch_is_not_given_back(bench: Bench) -> None:
    bench.submit_elsewhere(photo_url="https://example.com/a")
    lease = bench.claim_one(StageName.PREPARE)
    before = finish(bench)

    bench.do(transitions.charge, lease, 30.0)
    bench.do(transitions.fail, lease, AWAY)

    assert finish(bench) > before + 20


def test_attempts_of_a_fetch_add_up_without_those_of_a_lost_lease(bench: Bench) -> None:
    job_id = bench.submit_elsewhere(photo_url="https://example.com/a")
    lease = bench.claim_one(StageName.PREPARE)
    bench.do(transitions.charge, lease, 10.0)
    bench.do(transitions.retry, lease, AWAY, delay_seconds=1, max_attempts=3)
    bench.do(transitions.charge, lease, 99.0)
    bench.pass_time(job_id, StageName.PREPARE, seconds=2)
    bench.sweep()
    again = bench.claim_one(StageName.PREPARE)

    done = Done(again, {}, 0.5, {}, fetching_seconds=4.0)
    bench.do(transitions.complete, [done], KEEPING)

    assert bench.row(job_id, StageName.PREPARE)["seconds"] == 14.5
