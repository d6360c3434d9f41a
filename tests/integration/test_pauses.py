"""Capabilities that are paused, and workers that are told to claim no more."""

from smart_filter_shared.jobs import pauses, presence, queries
from smart_filter_shared.jobs.presence import Worker
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.bench import Bench, capability

PREPARE = capability(StageName.PREPARE)


def announce(bench: Bench, *, draining: bool = False) -> bool:
    worker = Worker(bench.worker, "here", 7, [PREPARE], threads=2, draining=draining)
    with bench.transaction() as connection:
        return presence.announce(connection, worker)


def test_paused_capability_is_claimed_from_by_nobody_until_it_is_resumed(bench: Bench) -> None:
    bench.submit()

    with bench.transaction() as connection:
        assert pauses.pause(connection, PREPARE)
    paused = bench.claim(StageName.PREPARE, batch_size=8)
    with bench.transaction() as connection:
        assert pauses.resume(connection, PREPARE)
    resumed = bench.claim(StageName.PREPARE, batch_size=8)

    assert (len(paused), len(resumed)) == (0, 1)


def test_paused_capability_is_neither_looked_at_nor_rung_for(bench: Bench) -> None:
    bench.submit()
    announce(bench)

    with bench.transaction() as connection:
        pauses.pause(connection, PREPARE)
        heads = queries.ready_among(connection, [PREPARE])
        rings = presence.demands(connection, silent_seconds=30)

    assert (heads, rings) == ([], [])


def test_what_runs_in_a_paused_capability_is_finished(bench: Bench) -> None:
    bench.submit()
    lease = bench.claim_one(StageName.PREPARE)
    with bench.transaction() as connection:
        pauses.pause(connection, PREPARE)

    completion = bench.complete(lease)

    assert completion.lost == []


def test_capability_is_paused_and_resumed_once(bench: Bench) -> None:
    with bench.transaction() as connection:
        changed = [pauses.pause(connection, PREPARE), pauses.pause(connection, PREPARE)]
        changed += [pauses.resume(connection, PREPARE), pauses.resume(connection, PREPARE)]

    assert changed == [True, False, True, False]


def test_worker_learns_at_its_heartbeat_that_it_is_to_claim_no_more(bench: Bench) -> None:
    told = [announce(bench)]
    with bench.transaction() as connection:
        assert presence.drain(connection, bench.worker)
    told.append(announce(bench))
    with bench.transaction() as connection:
        assert presence.resume(connection, bench.worker)
    told.append(announce(bench))

    assert told == [False, True, False]


def test_drained_worker_whose_row_was_dropped_stays_so(bench: Bench) -> None:
    with bench.transaction() as connection:
        presence.forget_silent(connection, silent_seconds=0)

    assert announce(bench, draining=True)


def test_worker_that_there_is_none_of_cannot_be_told(bench: Bench) -> None:
    with bench.transaction() as connection:
        assert not presence.drain(connection, bench.worker)
