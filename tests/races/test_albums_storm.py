"""Albums in a storm: many sessions make any transition at any moment; all ends as it should."""

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
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import invariants, races, worlds
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.worlds import RAISED

PHOTOS = 5
BEST = 2
SESSIONS = 4
STEPS = 14


@pytest.mark.parametrize("seed", range(6))
def test_album_in_a_storm_is_ranked_once_and_finishes_once(bench: Bench, seed: int) -> None:
    deadlocks = races.deadlocks(bench)
    batch_id, job_ids = bench.submit_batch(PHOTOS, best=BEST)
    others, _ = bench.submit_batch(2)

    def session(number: int) -> Callable[[], None]:
        chance = random.Random(f"{seed} {number}")
        return lambda: [step(bench, chance, job_ids) for _ in range(STEPS)] and None

    races.at_once([session(number) for number in range(SESSIONS)])
    during = invariants.broken(bench)
    worlds.drain(bench)

    assert during == []
    assert invariants.broken(bench) == []
    for one in (batch_id, others):
        assert bench.batch(one).state == BatchState.FINISHED
        with bench.transaction() as connection:
            told = [event.type for event in events.of_batch(connection, one)]
        assert told.count(EventType.BATCH_FINISHED) == 1
    ranks = [item.rank for item in bench.batch(batch_id).items or () if item.rank is not None]
    assert len(set(ranks)) == len(ranks)
    assert composed(bench) <= BEST
    assert races.deadlocks(bench) == deadlocks


def composed(bench: Bench) -> int:
    """Return of how many of the album's jobs the last stage was begun."""
    with bench.transaction() as connection:
        return int(
            connection.execute(
                text("""
                    SELECT count(*) FROM stages
                    WHERE stage = 'composite' AND album IS NOT NULL AND started_at IS NOT NULL
                """)
            ).scalar_one()
        )


def step(bench: Bench, chance: random.Random, job_ids: list[JobId]) -> None:
    """Make some transition; mostly the stages of several jobs are worked on together."""
    stage = chance.choice(list(StageName))
    kind = chance.choices(
        ["work", "fail", "release", "cancel", "delete", "sweep"], [16, 2, 2, 1, 1, 1]
    )[0]
    with contextlib.suppress(Error):
        if kind in {"cancel", "delete"}:
            move = transitions.cancel if kind == "cancel" else transitions.delete
            with bench.transaction() as connection:
                move(connection, chance.choice(job_ids), TENANT)
            return
        if kind == "sweep":
            bench.sweep()
            return
        leases = bench.claim(stage, batch_size=chance.randint(1, 4))
        for lease in leases if kind != "work" else []:
            with bench.transaction() as connection:
                if kind == "fail":
                    transitions.fail(connection, lease, RAISED)
                else:
                    transitions.release(connection, lease, delay_seconds=0, give_up_seconds=60)
        if kind == "work" and leases:
            chance.shuffle(leases)
            bench.complete(*leases)
