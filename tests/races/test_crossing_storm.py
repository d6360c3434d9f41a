"""Storms: many sessions make any transition at any moment, and all ends as it should.

One storm is over albums alone, the other over everything that may cross: derivations, deadlines,
redrives, stages that are opened again.
"""

import contextlib
import random
from collections.abc import Callable, Mapping

import pytest
from sqlalchemy import text

from smart_filter_shared.errors import Error
from smart_filter_shared.ids import BatchId, JobId
from smart_filter_shared.jobs import events, transitions
from smart_filter_shared.jobs.batches import BatchState
from smart_filter_shared.jobs.events import EventType
from smart_filter_shared.jobs.memory import artifacts_of
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import invariants, races, worlds
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.worlds import RAISED

SESSIONS = 4
BEST = 2
# How often each kind of step is made; stages of several jobs are mostly worked on together.
OVER_ALBUMS = {"work": 16, "fail": 2, "release": 2, "sweep": 1, "cancel": 1, "delete": 1}
OVER_ALL = {
    "work": 16,
    "fail": 2,
    "redrive": 3,
    "derive": 2,
    "reopen": 2,
    "sweep": 2,
    "late": 1,
    "cancel": 1,
    "delete": 1,
}


@pytest.mark.parametrize("seed", range(6))
def test_album_in_a_storm_is_ranked_once_and_finishes_once(bench: Bench, seed: int) -> None:
    album, _ = bench.submit_batch(5, best=BEST)
    batch, _ = bench.submit_batch(2)

    ride_out(bench, OVER_ALBUMS, steps=14, seed=seed)

    for one in (album, batch):
        assert bench.batch(one).state == BatchState.FINISHED
        assert types_of(bench, one).count(EventType.BATCH_FINISHED) == 1
    ranks = [item.rank for item in bench.batch(album).items or () if item.rank is not None]
    assert len(set(ranks)) == len(ranks)
    assert composed(bench) <= BEST


@pytest.mark.parametrize("seed", range(4))
def test_all_that_may_cross_in_a_storm_ends_as_it_should(bench: Bench, seed: int) -> None:
    album, _ = bench.submit_batch(4, best=BEST)
    batch, _ = bench.submit_batch(2)

    ride_out(bench, OVER_ALL, steps=25, seed=seed)

    for one in (album, batch):
        assert bench.batch(one).state == BatchState.FINISHED
        assert types_of(bench, one)[-1] == EventType.BATCH_FINISHED
    for kind in ("running", "queued"):
        assert unlike_once(bench, kind) == []
    forget_all(bench)
    assert left(bench) == 0


def ride_out(bench: Bench, kinds: Mapping[str, int], *, steps: int, seed: int) -> None:
    """Let sessions make steps at once, then end all jobs; no rule is broken at any time."""

    def session(number: int) -> Callable[[], None]:
        chance = random.Random(f"{seed} {number}")
        return lambda: [step(bench, chance, kinds) for _ in range(steps)] and None

    deadlocks = races.deadlocks(bench)
    races.at_once([session(number) for number in range(SESSIONS)])
    during = invariants.broken(bench)
    worlds.drain(bench)

    assert during == []
    assert invariants.broken(bench) == []
    assert races.deadlocks(bench) == deadlocks


def types_of(bench: Bench, batch_id: BatchId) -> list[EventType]:
    with bench.transaction() as connection:
        return [event.type for event in events.of_batch(connection, batch_id)]


def composed(bench: Bench) -> int:
    """Return of how many of the album's jobs the last stage was begun."""
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
    """Do something to some job, or to those at the head of a queue."""
    kind = chance.choices(list(kinds), list(kinds.values()))[0]
    job_ids = jobs(bench)
    if not job_ids:
        return
    job_id = chance.choice(job_ids)
    # A job that is deleted just now cannot be looked at, which the bench takes for granted.
    with contextlib.suppress(Error, AssertionError):
        if kind == "sweep":
            bench.sweep()
        elif kind == "late":
            worlds.pass_deadline(bench, job_id)
        elif kind == "derive":
            taken = chance.sample(list(StageName)[:-1], 2)
            bench.derive(job_id, *taken)
        elif kind in {"cancel", "delete", "redrive"}:
            with bench.transaction() as connection:
                getattr(transitions, kind)(connection, job_id, TENANT)
        else:
            work(bench, chance, kind)


def work(bench: Bench, chance: random.Random, kind: str) -> None:
    leases = bench.claim(chance.choice(list(StageName)), batch_size=chance.randint(1, 4))
    chance.shuffle(leases)
    if kind == "work" and leases:
        bench.complete(*leases)
    for lease in leases if kind != "work" else []:
        gone = [key for one in bench.job(lease.job_id).stages for key in artifacts_of(one.result)]
        with bench.transaction() as connection:
            if kind == "fail":
                transitions.fail(connection, lease, RAISED)
            elif kind == "release":
                transitions.release(connection, lease, delay_seconds=0, give_up_seconds=60)
            else:
                transitions.reopen(connection, lease, chance.sample(gone, min(1, len(gone))))


def jobs(bench: Bench) -> list[JobId]:
    with bench.transaction() as connection:
        found = connection.execute(text("SELECT id FROM jobs ORDER BY id"))
        return [JobId(row.id) for row in found]


def unlike_once(bench: Bench, kind: str) -> list[object]:
    """Return jobs that were told more often to be so than they were begun or redriven."""
    with bench.transaction() as connection:
        found = connection.execute(
            text("""
                SELECT job_id, array_agg(type ORDER BY id) AS told FROM events
                WHERE type IN ('job.queued', 'job.running', 'job.failed') GROUP BY job_id
                HAVING count(*) FILTER (WHERE type = :type)
                    > 1 + count(*) FILTER (WHERE type = 'job.failed')
            """),
            {"type": f"job.{kind}"},
        )
        return list(found)


def forget_all(bench: Bench) -> None:
    for job_id in jobs(bench):
        with bench.transaction() as connection:
            transitions.delete(connection, job_id, TENANT)


def left(bench: Bench) -> int:
    """Return how many artifacts are kept, or lent."""
    return scalar(
        bench,
        """
        SELECT (SELECT count(*) FROM artifacts WHERE marked_at IS NULL)
            + (SELECT count(*) FROM borrowers JOIN artifacts USING (tenant, key)
                WHERE marked_at IS NULL)
        """,
    )
