"""Storms: many sessions make any transition at any moment, and every job ends consistently.

One storm is over albums alone, the other over every interaction: derivations, deadlines, redrives,
repeated stages.
"""

import contextlib
import random
from collections.abc import Callable, Mapping

import pytest
from sqlalchemy import text

from smart_filter_shared.artifacts import references
from smart_filter_shared.errors import Error
from smart_filter_shared.ids import BatchId, JobId
from smart_filter_shared.jobs.photo_queue import CLIENT, WORKER
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue import events
from smart_filter_shared.queue.batches import BatchState
from smart_filter_shared.queue.events import EventType
from smart_filter_tests import invariants, races, scenarios
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.scenarios import RAISED

SESSIONS = 4
BEST = 2
# The frequency of each kind of step; stages of several jobs are mostly processed together.
OVER_ALBUMS = {"work": 16, "fail": 2, "release": 2, "sweep": 1, "cancel": 1, "delete": 1}
OVER_ALL = {
    "work": 16,
    "fail": 2,
    "redrive": 3,
    "derive": 2,
    "rerun": 2,
    "sweep": 2,
    "late": 1,
    "cancel": 1,
    "delete": 1,
}


@pytest.mark.parametrize("seed", range(6))
def test_album_in_a_storm_is_ranked_and_finishes_once(bench: Bench, seed: int) -> None:
    album, _ = bench.submit_batch(5, best=BEST)
    batch, _ = bench.submit_batch(2)

    ride_out(bench, OVER_ALBUMS, steps=14, seed=seed)

    for job_id in (album, batch):
        assert bench.batch(job_id).state == BatchState.FINISHED
        assert types_of(bench, job_id).count(EventType.BATCH_FINISHED) == 1
    ranks = [item.rank for item in bench.batch(album).items or () if item.rank is not None]
    assert len(set(ranks)) == len(ranks)
    assert composed(bench) <= BEST


@pytest.mark.parametrize("seed", range(4))
def test_mixed_storm_ends_consistently(bench: Bench, seed: int) -> None:
    album, _ = bench.submit_batch(4, best=BEST)
    batch, _ = bench.submit_batch(2)

    ride_out(bench, OVER_ALL, steps=25, seed=seed)

    for job_id in (album, batch):
        assert bench.batch(job_id).state == BatchState.FINISHED
        assert types_of(bench, job_id)[-1] == EventType.BATCH_FINISHED
    for kind in ("running", "queued"):
        assert unlike_once(bench, kind) == []
    forget_all(bench)
    assert left(bench) == 0


def ride_out(bench: Bench, kinds: Mapping[str, int], *, steps: int, seed: int) -> None:
    """Let sessions make steps at once, then end all jobs; no invariant is broken at any time."""

    def session(number: int) -> Callable[[], None]:
        chance = random.Random(f"{seed} {number}")

        def take_steps() -> None:
            for _ in range(steps):
                step(bench, chance, kinds)

        return take_steps

    deadlocks = races.deadlocks(bench)
    races.at_once([session(number) for number in range(SESSIONS)])
    during = invariants.broken(bench)
    scenarios.drain(bench)

    assert during == []
    assert invariants.broken(bench) == []
    assert races.deadlocks(bench) == deadlocks


def types_of(bench: Bench, batch_id: BatchId) -> list[EventType]:
    with bench.transaction() as connection:
        return [event.type for event in events.list_for_job(connection, JobId(batch_id))]


def composed(bench: Bench) -> int:
    """Return the number of the album's jobs whose last stage has begun."""
    return scalar(
        bench,
        """
        SELECT count(*) FROM stages
        WHERE stage = 'composite' AND album IS NOT NULL AND started_at IS NOT NULL
        """,
    )


def scalar(bench: Bench, query: str) -> int:
    with bench.transaction() as connection:
        return int(connection.execute(text(query)).scalar_one())


def step(bench: Bench, chance: random.Random, kinds: Mapping[str, int]) -> None:
    """Act on a random job, or on those at the head of a queue."""
    kind = chance.choices(list(kinds), list(kinds.values()))[0]
    job_ids = jobs(bench)
    if not job_ids:
        return
    job_id = chance.choice(job_ids)
    # The bench cannot read a job that is deleted at the same time.
    with contextlib.suppress(Error, AssertionError):
        if kind == "sweep":
            bench.sweep()
        elif kind == "late":
            scenarios.set_deadline_past(bench, job_id)
        elif kind == "derive":
            taken = chance.sample(list(StageName)[:-1], 2)
            bench.derive(job_id, *taken)
        elif kind in {"cancel", "delete", "redrive"}:
            with bench.transaction() as connection:
                getattr(CLIENT, kind)(connection, job_id, TENANT)
        else:
            work(bench, chance, kind)


def work(bench: Bench, chance: random.Random, kind: str) -> None:
    leases = bench.claim(chance.choice(list(StageName)), batch_size=chance.randint(1, 4))
    chance.shuffle(leases)
    if kind == "work" and leases:
        bench.complete(*leases)
    for lease in leases if kind != "work" else []:
        gone = [
            key
            for stage in bench.job(lease.job_id).stages
            for key in references.artifact_keys(stage.result)
        ]
        with bench.transaction() as connection:
            if kind == "fail":
                WORKER.fail(connection, lease, RAISED)
            elif kind == "release":
                WORKER.release(connection, lease, delay_seconds=0, give_up_seconds=60)
            else:
                WORKER.rerun(connection, lease, chance.sample(gone, min(1, len(gone))))


def jobs(bench: Bench) -> list[JobId]:
    with bench.transaction() as connection:
        rows = connection.execute(text("SELECT id FROM jobs ORDER BY id"))
        return [JobId(row.id) for row in rows]


def unlike_once(bench: Bench, kind: str) -> list[object]:
    """Return jobs with more events of a kind than starts or redrives."""
    with bench.transaction() as connection:
        rows = connection.execute(
            text("""
                SELECT job_id, array_agg(type ORDER BY id) AS told FROM events
                WHERE type IN ('job.queued', 'job.running', 'job.failed') GROUP BY job_id
                HAVING count(*) FILTER (WHERE type = :type)
                    > 1 + count(*) FILTER (WHERE type = 'job.failed')
            """),
            {"type": f"job.{kind}"},
        )
        return list(rows)


def forget_all(bench: Bench) -> None:
    for job_id in jobs(bench):
        with bench.transaction() as connection:
            CLIENT.delete(connection, job_id, TENANT)


def left(bench: Bench) -> int:
    """Return the number of kept or borrowed artifacts."""
    return scalar(
        bench,
        """
        SELECT (SELECT count(*) FROM artifacts WHERE marked_at IS NULL)
            + (SELECT count(*) FROM borrowers JOIN artifacts USING (tenant, key)
                WHERE marked_at IS NULL)
        """,
    )
