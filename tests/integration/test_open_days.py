"""Open days: nobody looks through all days for what there is to do, and nothing is missed."""

import datetime as dt
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from smart_filter_shared.db import days
from smart_filter_shared.errors import DatabaseUnavailable
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs import (
    fairness,
    limits,
    measures,
    outlook,
    presence,
    queues,
    roster,
    transitions,
)
from smart_filter_shared.jobs.leases import Failure
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import many_days
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.many_days import today_of
from smart_filter_workers.retention import Retention
from smart_filter_workers.sweeper import Sweeper
from smart_filter_workers.tally import Tally

GONE = Failure("unavailable", "Away", "away")


@pytest.fixture(scope="module")
def _month(_bench: Bench) -> Iterator[Bench]:
    with many_days.before(_bench) as engine:
        yield many_days.after_a_month(_bench, engine)


@pytest.fixture
def month(_month: Bench) -> Bench:
    """A bench after a month of days, of which none holds anything."""
    _month.empty()
    look(_month)
    return _month


def submit_long_ago(bench: Bench) -> JobId:
    """Write a job of a day three weeks back."""
    day = today_of(bench.engine) - dt.timedelta(days=20)
    return bench.submit(job_id=JobId(days.first_id(day)))


def look(bench: Bench) -> None:
    with bench.transaction() as connection:
        days.look(connection)


def test_days_are_made_ahead_once(month: Bench) -> None:
    last = today_of(month.engine) + dt.timedelta(days=days.DAYS_AHEAD)
    month.submit(job_id=JobId(days.first_id(last)))

    with month.transaction() as connection:
        assert connection.scalar(text(f"SELECT count(*) FROM jobs_{last:%Y_%m_%d}")) == 1
        assert days.make_ahead(connection) == []


def test_days_that_passed_while_nobody_made_any_are_made_with_those_to_come(month: Bench) -> None:
    today = today_of(month.engine)
    coming = [today + dt.timedelta(days=ahead) for ahead in range(days.DAYS_AHEAD + 1)]
    with month.transaction() as connection:
        for day in coming:
            connection.execute(text(f"DROP TABLE jobs_{day:%Y_%m_%d}, stages_{day:%Y_%m_%d}"))

        assert days.make_ahead(connection) == coming


def test_unfinished_job_of_an_old_day_is_claimed_after_the_next_look(month: Bench) -> None:
    job_id = submit_long_ago(month)
    before = month.claim(StageName.PREPARE)

    look(month)

    assert before == []
    assert [lease.job_id for lease in month.claim(StageName.PREPARE)] == [job_id]


def test_sweep_looks(month: Bench) -> None:
    job_id = submit_long_ago(month)
    with month.transaction() as connection:
        connection.execute(text("UPDATE cells SET swept_at = now() - interval '2 s'"))
    sweeper = Sweeper(
        month.engine,
        month.doorbell,
        month.settings.engine,
        tally=Tally(),
        retention=Retention(month.engine, month.store, cell=CELL),
        cell=CELL,
    )

    assert sweeper.sweep()

    assert month.claim_one(StageName.PREPARE).job_id == job_id


def test_look_gives_up_soon_while_a_claim_uses_the_views(month: Bench) -> None:
    submit_long_ago(month)

    with month.transaction() as claiming:
        claiming.execute(text("SELECT FROM open_stages"))
        with pytest.raises(DatabaseUnavailable), month.transaction() as connection:
            days.look(connection)


def test_redriven_job_of_a_day_that_was_closed_is_claimed_after_the_next_look(
    month: Bench,
) -> None:
    job_id = submit_long_ago(month)
    look(month)
    lease = month.claim_one(StageName.PREPARE)
    with month.transaction() as connection:
        transitions.fail(connection, lease, GONE)
    with month.transaction() as connection:
        fairness.settle(connection)
    look(month)
    with month.transaction() as connection:
        transitions.redrive(connection, job_id, TENANT)
    closed = month.claim(StageName.PREPARE)

    look(month)

    assert closed == []
    assert [lease.job_id for lease in month.claim(StageName.PREPARE)] == [job_id]


def test_day_is_open_until_its_jobs_are_counted(month: Bench) -> None:
    submit_long_ago(month)
    look(month)
    lease = month.claim_one(StageName.PREPARE)
    with month.transaction() as connection:
        transitions.fail(connection, lease, GONE)

    look(month)

    with month.transaction() as connection:
        assert sum(fairness.settle(connection).ended.values()) == 1


def test_stage_that_runs_keeps_its_day_open(month: Bench) -> None:
    submit_long_ago(month)
    look(month)
    leases = month.claim(StageName.PREPARE)

    look(month)
    month.complete(*leases)

    assert len(month.claim(StageName.FACE)) == 1


def test_views_stay_as_they_are_while_no_day_opens_or_closes(month: Bench) -> None:
    version = text("SELECT xmin FROM pg_rewrite WHERE ev_class = to_regclass('open_stages')")
    with month.transaction() as connection:
        before = connection.scalar(version)
    month.submit()

    look(month)

    with month.transaction() as connection:
        assert connection.scalar(version) == before


@contextmanager
def explained(engine: Engine) -> Iterator[dict[str, str]]:
    """Collect how PostgreSQL would run each statement about jobs or stages, as JSON."""
    plans: dict[str, str] = {}

    def explain(_: Any, cursor: Any, statement: str, given: Any, *_more: Any) -> None:  # noqa: ANN401
        if not re.search(r"\b(jobs|stages)\b", statement) or statement in plans:
            return
        with cursor.connection.cursor() as aside:
            # Whatever could go by an index does, though there is next to nothing to be read.
            aside.execute("SET LOCAL enable_seqscan = off")
            aside.execute(f"EXPLAIN (FORMAT JSON) {statement}", given)
            plans[statement] = json.dumps(aside.fetchone()[0])

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def days_in(plan: str) -> set[str]:
    return set(re.findall(r'"Relation Name": "(?:jobs|stages)_(\w+)"', plan))


def test_moves_of_jobs_look_into_their_days_alone_and_by_indexes(month: Bench) -> None:
    ids = [month.submit() for _ in range(4)]
    with explained(month.engine) as plans:
        first, second, third, _ = month.claim(StageName.PREPARE, batch_size=4)
        with month.transaction() as connection:
            transitions.renew(connection, [first, second], lease_seconds=30)
        month.complete(first)
        with month.transaction() as connection:
            transitions.release(connection, second, delay_seconds=1, give_up_seconds=60)
        with month.transaction() as connection:
            transitions.retry(connection, third, GONE, delay_seconds=1, max_attempts=3)
        month.advance(StageName.SEGMENTATION, StageName.FACE, StageName.SMILE, StageName.COMPOSITE)
        for job_id in ids:
            month.job(job_id)
        with month.transaction() as connection:
            transitions.cancel(connection, second.job_id, TENANT)
            transitions.delete(connection, second.job_id, TENANT)

    assert len(plans) > 15
    assert {plan for plan in plans.values() if '"Seq Scan"' in plan and days_in(plan)} == set()
    assert {
        statement: found
        for statement, plan in plans.items()
        if not (found := days_in(plan)) <= open_days(month)
    } == {}


def test_sweeps_and_figures_look_into_open_days_alone(month: Bench) -> None:
    month.submit()
    silent = {"silent_seconds": 30.0}

    with explained(month.engine) as plans, month.transaction() as connection:
        transitions.expire(connection, max_attempts=3, give_up_seconds=60)
        transitions.wake(connection)
        transitions.lapse(connection)
        fairness.settle(connection)
        fairness.refresh(connection, cell=CELL, **silent)
        presence.demands(connection, **silent)
        measures.read(connection, **silent)
        limits.unfinished_in_all(connection, most=10)
        outlook.read(connection, cell=CELL, now=dt.datetime.now(dt.UTC), **silent)
        queues.listed(connection, **silent)
        roster.listed(connection, **silent)

    assert len(plans) > 10
    assert {
        statement: found
        for statement, plan in plans.items()
        if not (found := days_in(plan)) <= open_days(month)
    } == {}


def open_days(bench: Bench) -> set[str]:
    """Since yesterday, and those to come."""
    today = today_of(bench.engine)
    return {
        f"{today + dt.timedelta(days=ahead):%Y_%m_%d}" for ahead in range(-1, days.DAYS_AHEAD + 1)
    }
