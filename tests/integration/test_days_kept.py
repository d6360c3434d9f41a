"""What transitions read and lock after many days: only days with unfinished jobs.

Leases run with generic plans, which see no value of a parameter: a partition that such a plan names
is locked by every execution, whatever it prunes then.
"""

import datetime as dt
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest
from sqlalchemy import Connection, Engine, event, text

from smart_filter_shared.db import days, sessions
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import (
    fairness,
    limits,
    measures,
    memory,
    outlook,
    presence,
    queries,
    queues,
    roster,
    transitions,
)
from smart_filter_shared.jobs.presence import CELL
from smart_filter_shared.pipeline import StageName
from smart_filter_tests import many_days, worlds
from smart_filter_tests.bench import KEEPING, TENANT, Bench, capability, done
from smart_filter_tests.many_days import HALF_A_YEAR, today_of
from smart_filter_tests.worlds import FACE, PREPARE, SEGMENTATION, World

Act = Callable[[Connection, World], object]
SILENT: Final = {"silent_seconds": 30.0}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(30, id="a month"),
        pytest.param(HALF_A_YEAR, id="half a year", marks=pytest.mark.slow),
    ],
)
def _many_days(_bench: Bench, request: pytest.FixtureRequest) -> Iterator[Bench]:
    with many_days.before(_bench) as engine:
        yield many_days.after_a_month(_bench, engine, past=request.param)


@pytest.fixture
def bench(_many_days: Bench) -> Bench:
    """A bench after many days, of which none holds anything."""
    _many_days.empty()
    _many_days.do(days.look)
    return _many_days


@pytest.fixture
def worker(bench: Bench) -> Iterator[Engine]:
    """One connection as a worker has it, which prepares every statement at its second execution."""
    engine = sessions.by_key(sessions.engine(bench.settings.database, connections=1))
    with engine.connect() as connection:
        connection.connection.dbapi_connection.prepare_threshold = 1  # type: ignore[union-attr]  # psycopg's
    yield engine
    engine.dispose()


def claim(connection: Connection, bench: Bench, chosen: Capability) -> object:
    """Claim, and read the jobs of what was claimed."""
    engine = bench.settings.engine
    leases = transitions.claim(
        connection,
        chosen,
        worker=bench.worker,
        batch_size=4,
        lease_seconds=engine.lease_seconds,
        max_attempts=engine.max_attempts,
    )
    queries.for_leases(connection, leases)
    return [str(lease.stage) for lease in leases]


def complete(connection: Connection, world: World) -> object:
    lease = next(iter(world.leases.values()))
    completion = transitions.complete(connection, [done(lease)], KEEPING)
    return len(completion.lost)


def complete_and_claim(connection: Connection, world: World) -> object:
    """Complete what a job waits for, and claim what it has waited with: a worker's transaction."""
    completed = [done(lease) for lease in world.leases.values()]
    transitions.complete(connection, completed, KEEPING)
    chosen = queries.next_capability(connection, [capability(stage) for stage in StageName])
    assert chosen is not None
    return claim(connection, world.bench, chosen)


def heads(connection: Connection, _: World) -> object:
    return queries.next_capability(connection, [capability(stage) for stage in StageName])


def reopen(connection: Connection, world: World) -> object:
    """Miss what `prepare` has made."""
    made = world.bench.job(world.job_id).result(PREPARE)
    lease = world.leases[SEGMENTATION]
    return transitions.reopen(connection, lease, memory.artifacts_of(made))


def named(name: str) -> Act:
    def act(connection: Connection, world: World) -> object:
        (action,) = (one for one in worlds.actions(world) if str(one) == name)
        return action(connection, world)

    return act


# Of a transition, until one is not planned: the server rarely analyzes tables during all of them.
RUNS: Final = 8


@dataclass(frozen=True, slots=True)
class Case:
    """A transition in a world, what it answers there, and how many relations it may lock.

    most: of two days that are shown. Measured, rounded up: the view, the table, its partitions and
    an index of each, and the tables that are written otherwise. A day more adds four to eight.
    """

    made: Callable[[Bench], World]
    act: Act
    answer: object
    most: int


# An album's last rating is undone and made again (batches.py); psycopg forgets all its prepared
# statements then, and to plan anew locks every index of the days that are shown.
CASES: Final = {
    "claim": Case(
        worlds.ready, lambda on, world: claim(on, world.bench, capability(FACE)), ["face"], 20
    ),
    "claim nothing": Case(
        worlds.fresh, lambda on, world: claim(on, world.bench, capability(FACE)), [], 20
    ),
    "heads": Case(worlds.fresh, heads, capability(PREPARE), 10),
    "renew": Case(worlds.running, named("renew segmentation"), True, 10),
    "complete": Case(worlds.running, complete, 0, 20),
    "complete a job": Case(worlds.nearly_done, complete, 0, 20),
    "complete and claim": Case(worlds.joining, complete_and_claim, ["composite"], 30),
    "complete an album": Case(worlds.album, complete, 0, 70),
    "release": Case(worlds.running, named("release face"), [capability(FACE)], 15),
    "release without patience": Case(worlds.hopeless, named("release face"), [], 20),
    "retry": Case(worlds.running, named("retry face"), None, 15),
    "retry without attempts": Case(worlds.hopeless, named("retry face"), None, 20),
    "reroute": Case(worlds.running, named("reroute face"), True, 15),
    "reopen": Case(worlds.running, reopen, [capability(PREPARE)], 20),
    "fail": Case(worlds.running, named("fail face"), None, 20),
    "expire": Case(worlds.running, named("expire"), [capability(SEGMENTATION)], 15),
    "expire without patience": Case(
        worlds.hopeless, named("expire"), [capability(SEGMENTATION)], 20
    ),
    "wake": Case(worlds.due, named("wake"), [capability(FACE)], 25),
    "lapse": Case(worlds.late, named("lapse"), 1, 30),
    "settle": Case(worlds.failed, lambda on, _: sum(fairness.settle(on).ended.values()), 1, 25),
}


@pytest.mark.parametrize("name", CASES)
def test_transition_reads_open_days_and_locks_few_relations(
    bench: Bench, worker: Engine, name: str
) -> None:
    case = CASES[name]
    more_days = (today_of(bench.engine) - bench.do(days.recent_since)).days  # just after midnight
    most_locks = case.most + 8 * more_days
    answers = []

    with explained(worker, bench) as plans:
        # Run once, planned, with the plans of before: which the server makes again, with more
        # locks, whenever it has just analyzed one of the tables.
        for run in range(RUNS):
            empty(bench)
            world = case.made(bench)
            with sessions.transaction(worker) as connection:
                answers.append(case.act(connection, world))
                locks = locked(bench, connection)
            if run >= 2 and locks <= most_locks:
                break

    assert answers == [case.answer] * len(answers)
    assert {statement for statement, plan in plans.items() if '"Seq Scan"' in plan} == set()
    assert set().union(*map(days_in, plans.values())) == open_days(bench)
    assert locks <= most_locks


def test_figures_read_open_days_alone(bench: Bench) -> None:
    bench.submit()

    with explained(bench.engine, bench, given=True) as plans, bench.transaction() as connection:
        fairness.refresh(connection, cell=CELL, **SILENT)
        presence.demands(connection, **SILENT)
        measures.read(connection, **SILENT)
        limits.unfinished_in_all(connection, most=10)
        outlook.read(connection, cell=CELL, now=dt.datetime.now(dt.UTC), **SILENT)
        queues.listed(connection, **SILENT)
        roster.listed(connection, **SILENT)

    assert len(plans) > 7
    # The outlook reads the last minutes too, which may be of yesterday.
    yesterday = {f"{today_of(bench.engine) - dt.timedelta(days=1):%Y_%m_%d}"}
    found = set().union(*map(days_in, plans.values()))
    assert found - yesterday == open_days(bench) - yesterday


def test_request_about_a_job_reads_its_day_alone(bench: Bench) -> None:
    job_id = bench.submit()
    day = {f"{today_of(bench.engine):%Y_%m_%d}"}

    with explained(bench.engine, bench, given=True) as plans:
        bench.job(job_id)
        bench.do(transitions.cancel, job_id, TENANT)
        bench.do(transitions.delete, job_id, TENANT)

    of_jobs = {statement: found for statement in plans if (found := days_in(plans[statement]))}
    assert len(of_jobs) > 8
    assert {statement for statement, found in of_jobs.items() if found != day} == set()


def test_earlier_work_on_a_photo_is_looked_for_in_the_days_that_keep_it(bench: Bench) -> None:
    now = dt.datetime.now(dt.UTC)
    since = memory.kept_since(KEEPING)  # a week, and a day to make it in
    kept = {f"{(now - dt.timedelta(days=back)).date():%Y_%m_%d}" for back in range(9)}

    with explained(bench.engine, bench) as plans, bench.transaction() as connection:
        wanted = [capability(PREPARE)]
        place = fairness.reserve_for_new(
            connection, TENANT, wanted, cell=CELL, digest="none", since=since
        )
        memory.look(connection, TENANT, "none", {}, running={}, since=since)

    assert place is not None
    assert [days_in(plan) for plan in plans.values()] == [kept | open_days(bench)] * 2


@contextmanager
def explained(engine: Engine, bench: Bench, *, given: bool = False) -> Iterator[dict[str, str]]:
    """Collect the plan of each statement about jobs or stages that an engine runs, as JSON.

    given: whether for the parameters that are given; else the generic plan, for any.
    """
    plans: dict[str, str] = {}

    def explain(_: Any, __: Any, statement: str, values: Any, *_more: Any) -> None:  # noqa: ANN401
        if not re.search(r"\b(open_)?(jobs|stages)\b", statement) or statement in plans:
            return
        with bench.engine.connect() as aside:
            # An index is used wherever one serves, though there is next to nothing to read.
            aside.execute(text("SET LOCAL enable_seqscan = off"))
            own = aside.connection.cursor()
            if given:
                own.execute(f"EXPLAIN (FORMAT JSON) {statement}", values)
            else:
                own.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {numbered(statement)}")
            plans[statement] = json.dumps(own.fetchone()[0])

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def numbered(statement: str) -> str:
    """Return a statement of psycopg's with numbers in place of its parameters' names."""
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement)))
    for number, name in enumerate(names, start=1):
        statement = statement.replace(f"%({name})s", f"${number}")
    return statement.replace("%%", "%")


def days_in(plan: str) -> set[str]:
    return set(re.findall(r'"Relation Name": "(?:jobs|stages)_(\w+)"', plan))


def open_days(bench: Bench) -> set[str]:
    """Those that are shown whatever they hold: today and those to come, after midnight one more."""
    first = bench.do(days.recent_since)
    last = today_of(bench.engine) + dt.timedelta(days=days.DAYS_AHEAD)
    shown = [first + dt.timedelta(days=number) for number in range((last - first).days + 1)]
    return {f"{day:%Y_%m_%d}" for day in shown}


def locked(bench: Bench, connection: Connection) -> int:
    process = connection.connection.dbapi_connection.info.backend_pid  # type: ignore[union-attr]  # psycopg's
    with bench.transaction() as other:
        counted = other.execute(
            text("""
                SELECT count(DISTINCT relation) FROM pg_locks
                WHERE pid = :process AND locktype = 'relation'
            """),
            {"process": process},
        )
        return int(counted.scalar_one())


def empty(bench: Bench) -> None:
    """Forget the jobs of the open days: sooner than all that there could be."""
    with bench.transaction() as connection:
        for table in ("open_stages", "open_jobs", "batches", "events", "artifacts"):
            connection.execute(text(f"DELETE FROM {table}"))
