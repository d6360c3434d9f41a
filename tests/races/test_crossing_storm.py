"""Everything at any moment: albums, derivations, deadlines, redrives, what is made again."""

import contextlib
import random
from collections.abc import Callable

import pytest
from sqlalchemy import text

from smart_filter_shared.errors import Error
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs import events, transitions
from smart_filter_shared.jobs.batches import BatchState
from smart_filter_shared.jobs.events import EventType
from smart_filter_shared.jobs.memory import artifacts_of
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import invariants, races, worlds
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.worlds import RAISED

SESSIONS = 4
STEPS = 25
KINDS = {
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


@pytest.mark.parametrize("seed", range(4))
def test_all_that_may_meet_ends_as_it_should(bench: Bench, seed: int) -> None:
    deadlocks = races.deadlocks(bench)
    album, _ = bench.submit_batch(4, best=2)
    batch, _ = bench.submit_batch(2)

    def session(number: int) -> Callable[[], None]:
        chance = random.Random(f"{seed} {number}")
        return lambda: [step(bench, chance) for _ in range(STEPS)] and None

    races.at_once([session(number) for number in range(SESSIONS)])
    during = invariants.broken(bench)
    worlds.drain(bench)

    assert during == []
    assert invariants.broken(bench) == []
    assert races.deadlocks(bench) == deadlocks
    for one in (album, batch):
        with bench.transaction() as connection:
            told = [event.type for event in events.of_batch(connection, one)]
        assert bench.batch(one).state == BatchState.FINISHED
        assert told[-1] == EventType.BATCH_FINISHED
    for kind in ("running", "queued"):
        assert unlike_once(bench, kind) == []
    forget_all(bench)
    assert left(bench) == 0


def step(bench: Bench, chance: random.Random) -> None:
    """Do something to some job, or to those at the head of a queue."""
    kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
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
    with bench.transaction() as connection:
        return int(
            connection.execute(
                text("""
                    SELECT (SELECT count(*) FROM artifacts WHERE marked_at IS NULL)
                        + (SELECT count(*) FROM borrowers JOIN artifacts USING (tenant, key)
                            WHERE marked_at IS NULL)
                """)
            ).scalar_one()
        )
