"""Recorded transactions of many sessions are steps of the model."""

import contextlib
import datetime as dt
import itertools
import random
from collections import Counter
from collections.abc import Callable

import pytest

from smart_filter_shared.errors import Error
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs.photo_queue import CLIENT, WORKER
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.leases import Lease
from smart_filter_tests import races
from smart_filter_tests.bench import TENANT, Bench, stage_result
from smart_filter_tests.protocol import traces
from smart_filter_tests.protocol.mutants import MUTANTS, applied
from smart_filter_tests.protocol.real_job import GIVE_UP_SECONDS
from smart_filter_tests.scenarios import RAISED

SESSIONS = 4
JOBS = 12
STEPS = 100
STEP_SECONDS = 4000.0
# How often a session makes each transition, relative to the others.
KINDS = {
    "complete": 20,
    "retry": 4,
    "fail": 1,
    "release": 3,
    "release later": 2,
    "lose": 4,
    "renew": 2,
    "expire": 5,
    "wake": 6,
    "pass time": 4,
    "cancel": 0.5,
    "redrive": 4,
    "overdue": 0.5,
    "fail_overdue": 1,
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.timeout(600)
def test_every_recorded_transaction_is_a_step_of_the_model(bench: Bench, seed: int) -> None:
    replayed = [traces.replay(trace) for trace in record(bench, seed)]

    assert [each for _, refused in replayed for each in refused] == []
    made = Counter(name for names, _ in replayed for name in names)
    assert made["claim"] > made["complete"] > JOBS


@pytest.mark.timeout(600)
def test_trace_of_a_completion_under_a_lost_lease_is_refused(bench: Bench) -> None:
    (mutant,) = [mutant for mutant in MUTANTS if mutant.guard == "complete: token"]
    with traces.recording(bench):
        bench.submit()
        lost = bench.claim_one(StageName.PREPARE)
        bench.age(lost, seconds=STEP_SECONDS)
        bench.sweep()
        bench.claim_one(StageName.PREPARE)
        with applied(mutant):
            bench.complete(lost)
        (trace,) = traces.read(bench)

    _, (refused,) = traces.replay(trace)
    assert "the result of the lost lease" in refused


def record(bench: Bench, seed: int) -> list[list[traces.Snapshot]]:
    """Let sessions make random transitions on the same jobs; return the traces."""
    with traces.recording(bench):
        ahead = bench.now() + dt.timedelta(hours=9)
        for _ in range(JOBS):
            job_id = bench.submit()
            for table, key in (("jobs", "id"), ("stages", "job_id")):
                bench.execute(
                    f"UPDATE {table} SET deadline_at = :at WHERE {key} = :id", at=ahead, id=job_id
                )

        def session(number: int) -> Callable[[], None]:
            chance = random.Random(f"{seed} {number}")
            return lambda: walk(bench, chance)

        races.at_once([session(number) for number in range(SESSIONS)])
        # A job has its deadline only after its submission.
        return [
            list(itertools.dropwhile(lambda one: not one.job.deadline, trace))
            for trace in traces.read(bench)
        ]


def walk(bench: Bench, chance: random.Random) -> None:
    """Make random transitions; leases that were lost are used too."""
    leases: list[Lease] = []
    job_ids = bench.do(lambda on: list(on.exec_driver_sql("SELECT id FROM jobs").scalars()))
    for _ in range(STEPS):
        kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
        job_id = chance.choice(job_ids)
        if not leases:
            for name in StageName:
                leases += bench.claim(name, batch_size=chance.randint(1, 2))
        with contextlib.suppress(Error):
            if kind in {"expire", "wake", "fail_overdue", "pass time", "overdue"}:
                sweep(bench, kind, job_id)
            elif kind in {"cancel", "redrive"}:
                bench.do(getattr(CLIENT, kind), job_id, TENANT)
            elif leases:
                lease = leases[-1] if kind == "renew" else leases.pop(chance.randrange(len(leases)))
                settle(bench, kind, lease)


def sweep(bench: Bench, kind: str, job_id: JobId) -> None:
    match kind:
        case "expire":
            bench.do(WORKER.expire, max_attempts=3, give_up_seconds=GIVE_UP_SECONDS)
        case "wake":
            bench.do(WORKER.wake)
        case "fail_overdue":
            bench.do(WORKER.fail_overdue)
        case "pass time":
            for stage in StageName:
                bench.execute(
                    """
                    UPDATE stages SET not_before = not_before - interval '4000 s'
                    WHERE job_id = :job_id AND stage = :stage AND state = 'waiting'
                        AND not_before > now()
                    """,
                    job_id=job_id,
                    stage=stage,
                )
        case "overdue":
            bench.execute(
                """
                WITH late AS (
                    UPDATE jobs SET deadline_at = now() - interval '1 s'
                    WHERE id = :id AND outcome IS NULL AND deadline_at > now() RETURNING id
                )
                UPDATE stages SET deadline_at = now() - interval '1 s'
                FROM late WHERE job_id = late.id
                """,
                id=job_id,
            )


def settle(bench: Bench, kind: str, lease: Lease) -> None:
    match kind:
        case "complete":
            bench.do(WORKER.complete, [stage_result(lease)])
        case "retry":
            bench.do(WORKER.retry, lease, RAISED, delay_seconds=3600.0, max_attempts=3)
        case "fail":
            bench.do(WORKER.fail, lease, RAISED)
        case "lose":
            bench.execute(
                """
                UPDATE stages SET leased_until = leased_until - interval '4000 s'
                WHERE job_id = :job_id AND stage = :stage AND lease_token = :token
                """,
                job_id=lease.job_id,
                stage=lease.stage,
                token=lease.token,
            )
        case "renew":
            bench.do(WORKER.renew, [lease], lease_seconds=3000.0)
        case _:
            delay = 3600.0 if kind == "release later" else 0.0
            bench.do(WORKER.release, lease, delay_seconds=delay, give_up_seconds=GIVE_UP_SECONDS)
