"""The audit of a stack that is busy, and then killed at: it makes no findings of its own."""

import random

import pytest

from smart_filter_shared.jobs import audit
from smart_filter_tests.storm import PHOTOS, WORKERS, Storm

pytestmark = pytest.mark.timeout(600)
BURST_SECONDS = 0.25 * PHOTOS


def test_audit_finds_nothing_while_workers_work_and_die(
    storm_stack: Storm, chance: random.Random
) -> None:
    found: list[audit.Finding] = []
    looks = [
        (BURST_SECONDS * part / 8, lambda: found.extend(findings(storm_stack))) for part in range(8)
    ]
    kill = storm_stack.running.stack.kill
    job_ids = storm_stack.submit()

    storm_stack.ride_out([*looks, (chance.uniform(0, BURST_SECONDS), lambda: kill(WORKERS[0]))])

    assert storm_stack.damage(job_ids) == []
    assert [*found, *findings(storm_stack)] == []


def findings(storm: Storm) -> list[audit.Finding]:
    bench = storm.bench
    with bench.transaction() as connection:
        rows = audit.rows(connection, most=10)
    return [*rows, *audit.objects(bench.engine, bench.store, most=10)]
