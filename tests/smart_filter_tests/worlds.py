"""Worlds: jobs brought to where many transitions can be made, and those transitions.

A world holds one job with photo `photo`; an action is one transition on it, in an open
transaction. Tests make actions alone, one after the other, or against each other.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text

from smart_filter_shared.errors import Error
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs import memory, transitions
from smart_filter_shared.jobs.leases import Failure, Lease
from smart_filter_shared.jobs.models import Plan
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Background, BackgroundKind, Recipe
from smart_filter_tests.bench import KEEPING, TENANT, Bench, capability, done

PREPARE, SEGMENTATION, FACE, SMILE, COMPOSITE = StageName
RAISED = Failure("model_failed", "A model failed", "ValueError in face")
KEEP_BACKGROUND = Recipe(background=Background(BackgroundKind.KEEP))
# Transitions that pass by what somebody else has locked; the next sweep or ring comes again.
PASSING_BY = frozenset({"claim", "wake", "expire", "lapse"})


@dataclass(frozen=True, slots=True)
class World:
    """A job, and the leases that its stages were claimed under, lost ones too.

    is_late: whether its deadline has passed; in all others nothing can lapse.
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
    act: Callable[[Connection, World], object]

    def __str__(self) -> str:
        return self.transition if self.on is None else f"{self.transition} {self.on}"

    def __call__(self, connection: Connection, world: World) -> object:
        """Make the transition; return its answer, or the name of the error that it raised."""
        try:
            return self.act(connection, world)
        except Error as error:
            return type(error).__name__


def same(lease: Lease) -> Plan:
    return Plan(lease.capability, lease.models, lease.parameters)


def fresh(bench: Bench) -> World:
    """Make a job that nobody has claimed from."""
    return World(bench, bench.submit(photo="photo"), {})


def running(bench: Bench) -> World:
    """Make a job whose segmentation and face run; the lease of segmentation has run out."""
    job_id = bench.submit(photo="photo")
    bench.advance(PREPARE)
    leases = {stage: bench.claim_one(stage) for stage in (SEGMENTATION, FACE)}
    bench.age(leases[SEGMENTATION], seconds=31)
    return World(bench, job_id, leases)


def ready(bench: Bench) -> World:
    """Make the same with a face that is ready to be claimed."""
    job_id = bench.submit(photo="photo")
    bench.advance(PREPARE)
    leases = {SEGMENTATION: bench.claim_one(SEGMENTATION)}
    bench.age(leases[SEGMENTATION], seconds=31)
    return World(bench, job_id, leases)


def due(bench: Bench) -> World:
    """Make the same with a face that raised once and may be tried again by now."""
    world = running(bench)
    bench.do(transitions.retry, world.leases[FACE], RAISED, delay_seconds=5, max_attempts=3)
    bench.pass_time(world.job_id, FACE, seconds=6)
    return world


def hopeless(bench: Bench) -> World:
    """Make the same with no attempt and no patience left."""
    world = running(bench)
    _exhaust(bench)
    return world


def hopeless_beside_ready(bench: Bench) -> World:
    """Make the same with a face that is ready to be claimed."""
    world = hopeless(bench)
    _update(
        bench, "state = 'ready', lease_token = NULL, leased_until = NULL", where="stage = 'face'"
    )
    return world


def nearly_done(bench: Bench) -> World:
    """Make a job whose last stage runs."""
    job_id = bench.submit(KEEP_BACKGROUND, photo="photo")
    bench.advance(PREPARE)
    return World(bench, job_id, {COMPOSITE: bench.claim_one(COMPOSITE)})


def joining(bench: Bench) -> World:
    """Make a job of which both stages run that composite waits for."""
    job_id = bench.submit(photo="photo")
    bench.advance(PREPARE, FACE)
    return World(bench, job_id, {stage: bench.claim_one(stage) for stage in (SEGMENTATION, SMILE)})


def failed(bench: Bench) -> World:
    """Make a job that has failed; a worker still believes that it runs segmentation."""
    world = running(bench)
    bench.do(transitions.fail, world.leases[FACE], RAISED)
    return world


def late(bench: Bench) -> World:
    return _past_its_deadline(fresh(bench))


def late_and_due(bench: Bench) -> World:
    """Make one whose segmentation has succeeded and whose face raised once, past its deadline."""
    world = due(bench)
    bench.complete(world.leases[SEGMENTATION])
    return _past_its_deadline(world)


def late_and_ready(bench: Bench) -> World:
    """Make one whose segmentation and face are ready to be claimed, past its deadline."""
    job_id = bench.submit(photo="photo")
    bench.advance(PREPARE)
    return _past_its_deadline(World(bench, job_id, {}))


def album(bench: Bench) -> World:
    """Make an album of which one photo is still being rated, with no attempt or patience left."""
    job_ids = _unrated_album(bench)
    *others, last = sorted(bench.claim(SMILE, batch_size=3), key=lambda lease: lease.job_id)
    bench.complete(*others)
    bench.age(last, seconds=31)
    _exhaust(bench)
    return World(bench, job_ids[-1], {SMILE: last})


def late_album(bench: Bench) -> World:
    """Make an album of which one photo waits to be rated, past its deadline."""
    job_ids = _unrated_album(bench)
    bench.complete(*bench.claim(SMILE, batch_size=2))
    return _past_its_deadline(World(bench, job_ids[-1], {}))


WORLDS: tuple[Callable[[Bench], World], ...] = (
    fresh,
    running,
    ready,
    due,
    hopeless,
    hopeless_beside_ready,
    nearly_done,
    joining,
    failed,
    late,
    late_and_due,
    late_and_ready,
    album,
    late_album,
)


def actions(world: World) -> list[Action]:
    """Return every transition that can be tried in a world, an action for each lease of it."""
    of_leases = [
        Action(name, stage, functools.partial(_with_lease, act, stage))
        for name, act in _OF_A_LEASE.items()
        for stage in world.leases
    ]
    of_job = _OF_A_JOB.items() if world.is_late else _OF_ANY_JOB.items()
    return [*(Action(name, None, act) for name, act in of_job), *of_leases]


def drain(bench: Bench) -> None:
    """Let every holder be gone and all time pass; then sweep and work until all is done."""
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


def pass_deadline(bench: Bench, job_id: JobId) -> None:
    """Let a job's deadline have passed a second ago."""
    with bench.transaction() as connection:
        for table, job in (("jobs", "id"), ("stages", "job_id")):
            connection.execute(
                text(f"""
                    UPDATE {table} SET deadline_at = now() - interval '1 s'
                    WHERE {job} = :job_id
                """),
                {"job_id": job_id},
            )


def picture(bench: Bench) -> dict[str, object]:
    """Return all that transitions decide, without ids and times: to be compared."""
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
            text("SELECT outcome, error ->> 'code', settled FROM jobs ORDER BY id")
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
    """Leave no attempt and no patience to the stages that run."""
    most = bench.settings.engine.max_attempts
    impatient = "patience_since = statement_timestamp() - interval '1 day'"
    _update(bench, f"attempt = {most}, {impatient}", where="state = 'running'")


def _unrated_album(bench: Bench) -> list[JobId]:
    _, job_ids = bench.submit_batch(3, best=1)
    for stage in (PREPARE, SEGMENTATION, FACE):
        bench.complete(*bench.claim(stage, batch_size=3))
    return job_ids


def _past_its_deadline(world: World) -> World:
    pass_deadline(world.bench, world.job_id)
    return dataclasses.replace(world, is_late=True)


def _with_lease(
    act: Callable[[Connection, Bench, Lease], object],
    stage: StageName,
    connection: Connection,
    world: World,
) -> object:
    return act(connection, world.bench, world.leases[stage])


def _claim(connection: Connection, world: World) -> object:
    engine = world.bench.settings.engine
    return [
        str(lease.stage)
        for stage in StageName
        for lease in transitions.claim(
            connection,
            capability(stage),
            worker=world.bench.worker,
            batch_size=4,
            lease_seconds=engine.lease_seconds,
            max_attempts=engine.max_attempts,
        )
    ]


def _expire(connection: Connection, world: World) -> object:
    engine = world.bench.settings.engine
    return sorted(
        transitions.expire(
            connection, max_attempts=engine.max_attempts, give_up_seconds=engine.give_up_seconds
        )
    )


def _renew(connection: Connection, bench: Bench, lease: Lease) -> object:
    seconds = bench.settings.engine.lease_seconds
    return bool(transitions.renew(connection, [lease], lease_seconds=seconds))


def _complete(connection: Connection, bench: Bench, lease: Lease) -> object:
    del bench
    completion = transitions.complete(connection, [done(lease)], KEEPING)
    return (sorted(completion.ready), len(completion.succeeded), len(completion.lost))


def _reopen(connection: Connection, bench: Bench, lease: Lease) -> object:
    """Miss what `prepare` has made."""
    del bench
    result = connection.execute(
        text("SELECT result FROM stages WHERE job_id = :job_id AND stage = 'prepare'"),
        {"job_id": lease.job_id},
    ).scalar_one_or_none()
    return sorted(transitions.reopen(connection, lease, memory.artifacts_of(result)))


def _release(
    connection: Connection, bench: Bench, lease: Lease, *, delay_seconds: float = 0
) -> object:
    return transitions.release(
        connection,
        lease,
        delay_seconds=delay_seconds,
        give_up_seconds=bench.settings.engine.give_up_seconds,
    )


def _retry(connection: Connection, bench: Bench, lease: Lease) -> object:
    return transitions.retry(
        connection,
        lease,
        RAISED,
        delay_seconds=3600,
        max_attempts=bench.settings.engine.max_attempts,
    )


_OF_ANY_JOB: Mapping[str, Callable[[Connection, World], object]] = {
    "claim": _claim,
    "wake": lambda connection, _: sorted(transitions.wake(connection)),
    "expire": _expire,
    "cancel": lambda connection, world: transitions.cancel(connection, world.job_id, TENANT),
    "redrive": lambda connection, world: sorted(
        transitions.redrive(connection, world.job_id, TENANT)
    ),
    "delete": lambda connection, world: len(transitions.delete(connection, world.job_id, TENANT)),
}
_OF_A_JOB = {
    **_OF_ANY_JOB,
    "lapse": lambda connection, _: len(transitions.lapse(connection)),
}
_OF_A_LEASE: Mapping[str, Callable[[Connection, Bench, Lease], object]] = {
    "renew": _renew,
    "complete": _complete,
    "release": _release,
    "release later": functools.partial(_release, delay_seconds=3600),
    "retry": _retry,
    "reroute": lambda connection, _, lease: transitions.reroute(connection, lease, same(lease)),
    "reopen": _reopen,
    "fail": lambda connection, _, lease: transitions.fail(connection, lease, RAISED),
}
