"""Capabilities that are paused, and workers that an operator drains."""

from smart_filter_shared.jobs import pauses, presence, queries
from smart_filter_shared.jobs.presence import Worker
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.bench import Bench, capability

PREPARE = capability(StageName.PREPARE)


def announce(bench: Bench, *, draining: bool = False) -> bool:
    worker = Worker(bench.worker, "here", 7, [PREPARE], threads=2, draining=draining)
    return bench.do(presence.announce, worker)


def test_paused_capability_is_not_claimed_from_until_it_is_resumed(bench: Bench) -> None:
    bench.submit()

    assert bench.do(pauses.pause, PREPARE)
    paused = bench.claim(StageName.PREPARE, batch_size=8)
    assert bench.do(pauses.resume, PREPARE)
    resumed = bench.claim(StageName.PREPARE, batch_size=8)

    assert (len(paused), len(resumed)) == (0, 1)


def test_paused_capability_is_neither_looked_at_nor_rung_for(bench: Bench) -> None:
    bench.submit()
    announce(bench)

    bench.do(pauses.pause, PREPARE)

    assert bench.do(queries.ready_among, [PREPARE]) == []
    assert bench.do(presence.demands, silent_seconds=30) == []


def test_stage_that_runs_in_a_paused_capability_is_finished(bench: Bench) -> None:
    bench.submit()
    lease = bench.claim_one(StageName.PREPARE)
    bench.do(pauses.pause, PREPARE)

    completion = bench.complete(lease)

    assert completion.lost == []


def test_capability_is_paused_and_resumed_once(bench: Bench) -> None:
    moves = [pauses.pause, pauses.pause, pauses.resume, pauses.resume]

    assert [bench.do(move, PREPARE) for move in moves] == [True, False, True, False]


def test_worker_learns_at_its_heartbeat_that_it_is_drained(bench: Bench) -> None:
    assert not bench.do(presence.drain, bench.worker)  # there is none yet
    drained = [announce(bench)]
    assert bench.do(presence.drain, bench.worker)
    drained.append(announce(bench))
    assert bench.do(presence.resume, bench.worker)
    drained.append(announce(bench))

    assert drained == [False, True, False]


def test_drained_worker_whose_row_was_dropped_stays_so(bench: Bench) -> None:
    bench.do(presence.forget_silent, silent_seconds=0)

    assert announce(bench, draining=True)
