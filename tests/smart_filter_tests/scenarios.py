"""Scenarios: jobs in states where many transitions are possible, and those transitions.

A scenario holds one job with photo `photo`; an action is one transition on it, in an open
transaction. Tests make actions alone, one after the other, or against each other.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

from smart_filter_shared.artifacts import references
from smart_filter_shared.errors import Error
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs.photo_queue import CLIENT, WORKER
from smart_filter_shared.jobs.submission import plan_columns
from smart_filter_shared.model_registry.stage_plan import StagePlan
from smart_filter_shared.pipeline import PIPELINE, StageName
from smart_filter_shared.queue.leases import Failure, Lease
from smart_filter_shared.recipe import Background, BackgroundKind, Recipe
from smart_filter_tests import claiming
from smart_filter_tests.bench import (
    TENANT,
    Bench,
    capability,
    run_ahead_result,
    stage_result,
)
from smart_filter_tests.stages import COMPOSITE, FACE, PREPARE, SEGMENTATION, SMILE

RAISED = Failure("model_failed", "A model failed", "ValueError in face")
KEEP_BACKGROUND = Recipe(background=Background(BackgroundKind.KEEP))
# Transitions that skip rows locked by another session; the next sweep or ring retries them.
SKIPPING_LOCKED = frozenset({"claim", "wake", "expire", "fail_overdue"})


@dataclass(frozen=True, slots=True)
class Scenario:
    """A job, and the leases that its stages were claimed under, lost ones included.

    is_late: whether its deadline has passed; in all others no job is overdue.
    """

    bench: Bench
    job_id: JobId
    leases: Mapping[StageName, Lease]
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """One transition; on: the stage whose lease it uses, if it uses one."""

    transition: str
    on: StageName | None
    act: Callable[[Connection, Scenario], object]

    def __str__(self) -> str:
        return self.transition if self.on is None else f"{self.transition} {self.on}"

    def __call__(self, connection: Connection, scenario: Scenario) -> object:
        """Make the transition; return its answer, or the name of the error that it raised."""
        try:
            return self.act(connection, scenario)
        except Error as error:
            return type(error).__name__


def reroute_to_same(connection: Connection, lease: Lease) -> bool:
    """Reroute a stage to the capability that it has."""
    plan = StagePlan(lease.capability, lease.models, lease.parameters)
    return WORKER.reroute(connection, lease, plan_columns(plan))


def new_job(bench: Bench) -> Scenario:
    """Make a job without any claim."""
    return Scenario(bench, bench.submit(photo="photo"), {})


def ready_face(bench: Bench) -> Scenario:
    """Make a job whose segmentation's lease has run out, with a face that is ready."""
    job_id = bench.submit(photo="photo")
    bench.advance(PREPARE)
    leases = {SEGMENTATION: bench.claim_one(SEGMENTATION)}
    bench.age(leases[SEGMENTATION], seconds=31)
    return Scenario(bench, job_id, leases)


def running_stages(bench: Bench) -> Scenario:
    """Make the same with a face that runs."""
    scenario = ready_face(bench)
    return dataclasses.replace(scenario, leases={**scenario.leases, FACE: bench.claim_one(FACE)})


def due_retry(bench: Bench) -> Scenario:
    """Make the same with a face that raised once and whose retry is due."""
    scenario = running_stages(bench)
    bench.work(WORKER.retry, scenario.leases[FACE], RAISED, delay_seconds=5, max_attempts=3)
    bench.pass_time(scenario.job_id, FACE, seconds=6)
    return scenario


def exhausted(bench: Bench) -> Scenario:
    """Make the same with no attempt and no patience left."""
    scenario = running_stages(bench)
    _exhaust(bench)
    return scenario


def exhausted_and_ready(bench: Bench) -> Scenario:
    """Make the same with a face that is ready to be claimed."""
    scenario = exhausted(bench)
    _update(
        bench, "state = 'ready', lease_token = NULL, leased_until = NULL", where="stage = 'face'"
    )
    return scenario


def last_stage(bench: Bench) -> Scenario:
    """Make a job whose last stage runs."""
    job_id = bench.submit(KEEP_BACKGROUND, photo="photo")
    bench.advance(PREPARE)
    return Scenario(bench, job_id, {COMPOSITE: bench.claim_one(COMPOSITE)})


def joining_stages(bench: Bench) -> Scenario:
    """Make a job in which both stages that composite waits for run."""
    job_id = bench.submit(photo="photo")
    bench.advance(PREPARE, FACE)
    return Scenario(
        bench, job_id, {stage: bench.claim_one(stage) for stage in (SEGMENTATION, SMILE)}
    )


def failed_job(bench: Bench) -> Scenario:
    """Make a failed job; a worker still runs its segmentation."""
    scenario = running_stages(bench)
    bench.work(WORKER.fail, scenario.leases[FACE], RAISED)
    return scenario


def overdue(bench: Bench) -> Scenario:
    return _past_its_deadline(new_job(bench))


def overdue_and_due(bench: Bench) -> Scenario:
    """Make an overdue job whose segmentation has succeeded and whose face raised once."""
    scenario = due_retry(bench)
    bench.complete(scenario.leases[SEGMENTATION])
    return _past_its_deadline(scenario)


def overdue_and_ready(bench: Bench) -> Scenario:
    """Make an overdue job whose segmentation and face are ready to be claimed."""
    job_id = bench.submit(photo="photo")
    bench.advance(PREPARE)
    return _past_its_deadline(Scenario(bench, job_id, {}))


def album(bench: Bench) -> Scenario:
    """Make an album in which one photo is still being rated, with no attempt or patience left."""
    job_ids = _unrated_album(bench)
    *others, last = sorted(bench.claim(SMILE, batch_size=3), key=lambda lease: lease.job_id)
    bench.complete(*others)
    bench.age(last, seconds=31)
    _exhaust(bench)
    return Scenario(bench, job_ids[-1], {SMILE: last})


def overdue_album(bench: Bench) -> Scenario:
    """Make an overdue album in which one photo waits to be rated."""
    job_ids = _unrated_album(bench)
    bench.complete(*bench.claim(SMILE, batch_size=2))
    return _past_its_deadline(Scenario(bench, job_ids[-1], {}))


def overdue_take(bench: Bench) -> Scenario:
    """Make a take that has failed by its deadline before its album was ranked."""
    batch_id, _ = bench.submit_batch(2, best=0, with_take=True)
    take_id = bench.batch(batch_id).take_id
    assert take_id is not None
    set_deadline_past(bench, take_id)
    bench.sweep()
    return Scenario(bench, take_id, {})


SCENARIOS: tuple[Callable[[Bench], Scenario], ...] = (
    new_job,
    running_stages,
    ready_face,
    due_retry,
    exhausted,
    exhausted_and_ready,
    last_stage,
    joining_stages,
    failed_job,
    overdue,
    overdue_and_due,
    overdue_and_ready,
    album,
    overdue_album,
    overdue_take,
)


def actions(scenario: Scenario) -> list[Action]:
    """Return every transition that is possible in a scenario, one action for each lease."""
    of_leases = [
        Action(name, stage, functools.partial(_with_lease, act, stage))
        for name, act in _OF_A_LEASE.items()
        for stage in scenario.leases
    ]
    of_job = _OF_A_JOB.items() if scenario.is_late else _OF_ANY_JOB.items()
    return [*(Action(name, None, act) for name, act in of_job), *of_leases]


def drain(bench: Bench) -> None:
    """Expire all leases and delays; then sweep and work until no stage is left."""
    day = "interval '1 day'"
    _update(
        bench,
        f"leased_until = leased_until - {day}, not_before = not_before - {day}",
        where="state IN ('waiting', 'running')",
    )
    while True:
        bench.sweep()
        claimed = [lease for stage in StageName for lease in bench.claim(stage, batch_size=8)]
        if not claimed:
            return
        bench.complete(*claimed)


def set_deadline_past(bench: Bench, job_id: JobId) -> None:
    """Set a job's deadline to a second ago."""
    with bench.transaction() as connection:
        for table, job in (("jobs", "id"), ("stages", "job_id")):
            connection.execute(
                text(f"""
                    UPDATE {table} SET deadline_at = now() - interval '1 s'
                    WHERE {job} = :job_id
                """),
                {"job_id": job_id},
            )


def snapshot(bench: Bench) -> dict[str, object]:
    """Return everything that transitions decide, without ids and times, for comparison."""
    with bench.transaction() as connection:
        stages = connection.execute(
            text("""
                SELECT job_id, stage, state, open_needs, attempt, releases, rerouted,
                    CASE WHEN not_before IS NULL THEN '-'
                        WHEN not_before <= statement_timestamp() THEN 'due' ELSE 'later' END,
                    patience_since IS NOT NULL AS impatient, lease_token IS NOT NULL AS held,
                    leased_until < statement_timestamp() AS late, finished_at IS NOT NULL AS over
                FROM stages ORDER BY job_id, stage
            """)
        ).all()
        jobs = connection.execute(
            text("""
                SELECT outcome, error ->> 'code', id IN (SELECT job_id FROM unsettled_jobs)
                FROM jobs ORDER BY id
            """)
        ).all()
        artifacts = connection.execute(
            text("SELECT kind, marked_at IS NOT NULL AS marked FROM artifacts ORDER BY kind, 2")
        ).all()
        graves = connection.execute(text("SELECT count(*) FROM tombstones")).scalar_one()
    return {
        "stages": [tuple(row)[1:] for row in stages],
        "jobs": [tuple(row) for row in jobs],
        "artifacts": [tuple(row) for row in artifacts],
        "graves": graves,
    }


def _update(bench: Bench, change: str, *, where: str) -> None:
    bench.execute(f"UPDATE stages SET {change} WHERE {where}")


def _exhaust(bench: Bench) -> None:
    """Leave no attempt and no patience to running stages."""
    most = bench.settings.engine.max_attempts
    impatient = "patience_since = statement_timestamp() - interval '1 day'"
    _update(bench, f"attempt = {most}, {impatient}", where="state = 'running'")


def _unrated_album(bench: Bench) -> list[JobId]:
    _, job_ids = bench.submit_batch(3, best=1)
    for stage in (PREPARE, SEGMENTATION, FACE):
        bench.complete(*bench.claim(stage, batch_size=3))
    return job_ids


def _past_its_deadline(scenario: Scenario) -> Scenario:
    set_deadline_past(scenario.bench, scenario.job_id)
    return dataclasses.replace(scenario, is_late=True)


def _with_lease(
    act: Callable[[Connection, Bench, Lease], object],
    stage: StageName,
    connection: Connection,
    scenario: Scenario,
) -> object:
    return act(connection, scenario.bench, scenario.leases[stage])


def _claim(connection: Connection, scenario: Scenario) -> object:
    return [
        str(lease.stage)
        for stage in StageName
        for lease in claiming.claim(
            connection,
            [capability(stage)],
            worker=scenario.bench.worker,
            batch_size=4,
        )
    ]


def _expire(connection: Connection, scenario: Scenario) -> object:
    engine = scenario.bench.settings.engine
    return sorted(
        WORKER.expire(
            connection, max_attempts=engine.max_attempts, give_up_seconds=engine.give_up_seconds
        )
    )


def _renew(connection: Connection, bench: Bench, lease: Lease) -> object:
    seconds = bench.settings.engine.lease_seconds
    return bool(WORKER.renew(connection, [lease], lease_seconds=seconds))


def _complete(connection: Connection, bench: Bench, lease: Lease) -> object:
    del bench
    completion = WORKER.complete(connection, [stage_result(lease)])
    return (sorted(completion.ready), len(completion.succeeded), len(completion.lost))


def _complete_ahead(connection: Connection, bench: Bench, lease: Lease) -> object:
    """Complete a stage, and all stages that need nothing else, as if they had run ahead."""
    del bench
    ran = [lease.stage]
    for stage in PIPELINE:
        if set(stage.needs) & set(ran) and set(stage.needs) <= {*ran, PREPARE}:
            ran.append(stage.name)
    outcomes = [run_ahead_result(lease, stage) for stage in ran[1:]]
    completion = WORKER.complete(connection, [stage_result(lease), *outcomes])
    return (sorted(completion.ready), len(completion.succeeded), len(completion.lost))


def _reopen(connection: Connection, bench: Bench, lease: Lease) -> object:
    """Report the artifact of `prepare` as missing."""
    del bench
    result = connection.execute(
        text("SELECT result FROM stages WHERE job_id = :job_id AND stage = 'prepare'"),
        {"job_id": lease.job_id},
    ).scalar_one_or_none()
    return sorted(WORKER.rerun(connection, lease, references.artifact_keys(result)))


def _release(
    connection: Connection, bench: Bench, lease: Lease, *, delay_seconds: float = 0
) -> object:
    return WORKER.release(
        connection,
        lease,
        delay_seconds=delay_seconds,
        give_up_seconds=bench.settings.engine.give_up_seconds,
    )


def _retry(connection: Connection, bench: Bench, lease: Lease) -> object:
    return WORKER.retry(
        connection,
        lease,
        RAISED,
        delay_seconds=3600,
        max_attempts=bench.settings.engine.max_attempts,
    )


_OF_ANY_JOB: Mapping[str, Callable[[Connection, Scenario], object]] = {
    "claim": _claim,
    "wake": lambda connection, _: sorted(WORKER.wake(connection)),
    "expire": _expire,
    "cancel": lambda connection, scenario: CLIENT.cancel(connection, scenario.job_id, TENANT),
    "redrive": lambda connection, scenario: sorted(
        CLIENT.redrive(connection, scenario.job_id, TENANT)
    ),
    "delete": lambda connection, scenario: len(CLIENT.delete(connection, scenario.job_id, TENANT)),
}
_OF_A_JOB = {
    **_OF_ANY_JOB,
    "fail_overdue": lambda connection, _: len(WORKER.fail_overdue(connection)),
}
_OF_A_LEASE: Mapping[str, Callable[[Connection, Bench, Lease], object]] = {
    "renew": _renew,
    "complete": _complete,
    "complete ahead": _complete_ahead,
    "release": _release,
    "release later": functools.partial(_release, delay_seconds=3600),
    "retry": _retry,
    "reroute": lambda connection, _, lease: reroute_to_same(connection, lease),
    "rerun": _reopen,
    "fail": lambda connection, _, lease: WORKER.fail(connection, lease, RAISED),
}
