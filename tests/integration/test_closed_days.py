"""Jobs of closed days: delivered, replayed, and learned from as those of today are."""

from collections.abc import Iterator

import numpy as np
import pytest
from sqlalchemy import text

from smart_filter_shared.db import days, sessions
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs import data_items, fairness, queries
from smart_filter_tests import many_days, teaching
from smart_filter_tests.bench import Bench
from smart_filter_tests.receiving import Says, a_receiver, send_due
from smart_filter_tests.serving import Api, an_api, serving
from smart_filter_workers.learning.collecting import Collecting

# Two and three days: the contract's attempts. Forty: a replay of a job that is kept.
BACK = (2, 3, 40)
EACH_BACK = [2, pytest.param(3, marks=pytest.mark.slow), 40]
MASK = np.full((teaching.SIDE, teaching.SIDE), 255, np.uint8)


@pytest.fixture(scope="module")
def _aged(_bench: Bench) -> Iterator[tuple[Bench, str]]:
    with many_days.before(_bench) as engine:
        aged = many_days.after_a_month(_bench, engine, past=max(BACK) + 1)
        with serving(aged.settings) as url:
            yield aged, url


@pytest.fixture
def api(_aged: tuple[Bench, str]) -> Iterator[Api]:
    """The API over a database that has kept more than a month of days."""
    bench, url = _aged
    bench.empty()
    with an_api(url, bench) as api:
        yield api


def close(api: Api, job_id: str, *, back: int) -> JobId:
    """Let an ended job be of a day that is closed; return its id there."""
    api.bench.do(fairness.settle)
    moved = many_days.move_back(api.bench, JobId(job_id), back=back)
    with api.bench.transaction() as connection:
        days.look(connection)
        shown = text("SELECT count(*) FROM open_jobs WHERE id = :id")
        assert connection.execute(shown, {"id": moved}).scalar_one() == 0
    return moved


def canceled(api: Api) -> str:
    """Cancel a job that a webhook is to be told of."""
    job_id = api.submit()
    assert api.client.post(f"/v1/jobs/{job_id}/cancel").status_code == 200
    return job_id


def collect(api: Api, *, most: int = 10) -> int:
    collecting = Collecting(api.bench.engine, api.bench.store, teaching.artifacts_of(api))
    return collecting.collect(most=most)


def collected(api: Api) -> int:
    """Return how many corrections have become data items."""
    return int(api.bench.scalar("SELECT count(*) FROM data_items") or 0)


@pytest.mark.parametrize("back", EACH_BACK)
def test_attempt_and_replay_for_a_job_of_a_closed_day_are_sent(api: Api, back: int) -> None:
    says = iter([Says(500), Says(204)])
    with a_receiver(lambda _: next(says)) as receiver:
        webhook = api.client.post("/v1/webhooks", json={"url": receiver.url}).json()["id"]
        job_id = close(api, canceled(api), back=back)
        assert send_due(api.bench) == [1]

        replayed = api.client.post(f"/v1/webhooks/{webhook}/deliveries/replay").json()

        assert replayed == {"replayed": 1}
        assert send_due(api.bench) == [1]
    assert [f"{job_id}".encode() in one.body for one in receiver.got] == [True, True]


def test_correction_whose_job_is_gone_does_not_block_later_ones(api: Api) -> None:
    gone, there = teaching.ended(api), teaching.ended(api)
    teaching.correct_matte(api, gone, MASK)
    teaching.correct_matte(api, there, MASK)
    api.bench.execute("DELETE FROM jobs WHERE id = :id", id=gone)

    for _ in range(2):
        collect(api, most=1)

    assert collected(api) == 1
    assert api.bench.do(data_items.waiting) == 0


def test_looking_at_jobs_by_their_ids_locks_their_days_alone(api: Api) -> None:
    job_id = close(api, canceled(api), back=max(BACK))
    engine = sessions.engine(api.bench.settings.database, connections=1)
    counted = text("""
        SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND pid = pg_backend_pid()
    """)

    # psycopg prepares a statement at its sixth execution. PostgreSQL makes custom plans for five
    # more, and then may choose a generic one.
    for _ in range(12):
        with sessions.transaction(engine) as connection:
            assert list(queries.among(connection, [job_id])) == [job_id]
            assert connection.execute(counted).scalar_one() <= 40
    engine.dispose()
