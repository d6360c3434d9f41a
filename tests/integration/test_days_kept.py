"""Reads and locks of transitions after many days: only days with unfinished jobs.

Leases run with generic plans, which see no value of a parameter: every execution locks each
partition that such a plan names, even if it prunes the partition later.
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

from smart_filter_shared.artifacts import references
from smart_filter_shared.db import partitions, sessions
from smart_filter_shared.eta import snapshot
from smart_filter_shared.ids import Capability
from smart_filter_shared.jobs import queries, result_cache
from smart_filter_shared.jobs.photo_queue import CLIENT, WORKER
from smart_filter_shared.operations import counters, overview, settlement
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue import fair_queueing, heads
from smart_filter_shared.tenants import quotas
from smart_filter_tests import partitioned_database, scenarios
from smart_filter_tests.bench import RETENTION, TENANT, Bench, capability, stage_result
from smart_filter_tests.partitioned_database import HALF_A_YEAR, today_of
from smart_filter_tests.scenarios import Scenario
from smart_filter_tests.stages import FACE, PREPARE, SEGMENTATION

Act = Callable[[Connection, Scenario], object]
SILENT: Final = {"silent_seconds": 30.0}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(30, id="a month"),
        pytest.param(HALF_A_YEAR, id="half a year", marks=pytest.mark.slow),
    ],
)
def _many_days(_bench: Bench, request: pytest.FixtureRequest) -> Iterator[Bench]:
    with (
        partitioned_database.unmigrated_database(_bench) as engine,
        partitioned_database.bench_after_a_month(_bench, engine, past=request.param) as bench,
    ):
        yield bench


@pytest.fixture
def bench(_many_days: Bench) -> Bench:
    """A bench after many empty days."""
    _many_days.empty()
    _many_days.do(partitions.create_upcoming)  # after midnight
    _many_days.do(partitions.refresh_views)
    return _many_days


@pytest.fixture
def worker(bench: Bench) -> Iterator[Engine]:
    """One connection like a worker's, which prepares every statement at its second execution."""
    engine = sessions.for_key_lookups(sessions.open_engine(bench.settings.database, connections=1))
    with engine.connect() as connection:
        connection.connection.dbapi_connection.prepare_threshold = 1  # type: ignore[union-attr]  # psycopg's
    yield engine
    engine.dispose()


def claim(connection: Connection, bench: Bench, chosen: Capability) -> object:
    """Claim stages."""
    engine = bench.settings.engine
    leases = WORKER.claim(
        connection,
        chosen,
        worker=bench.worker,
        batch_size=4,
        lease_seconds=engine.lease_seconds,
        max_attempts=engine.max_attempts,
        job_sql=queries.CLAIMED_JOB,
    )
    return [str(lease.stage) for lease in leases]


def complete(connection: Connection, scenario: Scenario) -> object:
    lease = next(iter(scenario.leases.values()))
    completion = WORKER.complete(connection, [stage_result(lease)])
    return len(completion.lost)


def complete_and_claim(connection: Connection, scenario: Scenario) -> object:
    """Complete a stage that another waits for, and claim the latter: a worker's transaction."""
    completed = [stage_result(lease) for lease in scenario.leases.values()]
    WORKER.complete(connection, completed)
    chosen = heads.next_capability(connection, [capability(stage) for stage in StageName])
    assert chosen is not None
    return claim(connection, scenario.bench, chosen)


def next_head(connection: Connection, _: Scenario) -> object:
    return heads.next_capability(connection, [capability(stage) for stage in StageName])


def reopen(connection: Connection, scenario: Scenario) -> object:
    """Report the artifact of `prepare` as missing."""
    made = scenario.bench.job(scenario.job_id).result(PREPARE)
    lease = scenario.leases[SEGMENTATION]
    return WORKER.rerun(connection, lease, references.artifact_keys(made))


def named(name: str) -> Act:
    def act(connection: Connection, scenario: Scenario) -> object:
        (action,) = (action for action in scenarios.actions(scenario) if str(action) == name)
        return action(connection, scenario)

    return act


# Maximum runs of a transition until it needs no new plan: the server rarely analyzes tables during
# all of them.
RUNS: Final = 8


@dataclass(frozen=True, slots=True)
class Case:
    """A transition in a scenario, its expected answer, and the number of relations it may lock.

    most: for two open days. Measured, rounded up: the view, the table, its partitions and an index
    of each, and the other written tables. Each further day adds four to eight.
    """

    made: Callable[[Bench], Scenario]
    act: Act
    answer: object
    most: int


# An album's last rating is undone and repeated (batches.py); psycopg then forgets all its prepared
# statements, and planning locks every index of the open days.
CASES: Final = {
    "claim": Case(
        scenarios.ready_face,
        lambda on, scenario: claim(on, scenario.bench, capability(FACE)),
        ["face"],
        22,
    ),
    "claim nothing": Case(
        scenarios.new_job, lambda on, scenario: claim(on, scenario.bench, capability(FACE)), [], 22
    ),
    "heads": Case(scenarios.new_job, next_head, capability(PREPARE), 10),
    "renew": Case(scenarios.running_stages, named("renew segmentation"), True, 10),
    "complete": Case(scenarios.running_stages, complete, 0, 20),
    "complete a job": Case(scenarios.last_stage, complete, 0, 20),
    "complete and claim": Case(scenarios.joining_stages, complete_and_claim, ["composite"], 30),
    "complete an album": Case(scenarios.album, complete, 0, 70),
    "release": Case(scenarios.running_stages, named("release face"), [capability(FACE)], 15),
    "release without patience": Case(scenarios.exhausted, named("release face"), [], 20),
    "retry": Case(scenarios.running_stages, named("retry face"), None, 15),
    "retry without attempts": Case(scenarios.exhausted, named("retry face"), None, 20),
    "reroute": Case(scenarios.running_stages, named("reroute face"), True, 15),
    "rerun": Case(scenarios.running_stages, reopen, [capability(PREPARE)], 20),
    "fail": Case(scenarios.running_stages, named("fail face"), None, 20),
    "expire": Case(scenarios.running_stages, named("expire"), [capability(SEGMENTATION)], 15),
    "expire without patience": Case(
        scenarios.exhausted, named("expire"), [capability(SEGMENTATION)], 20
    ),
    "wake": Case(scenarios.due_retry, named("wake"), [capability(FACE)], 25),
    "fail_overdue": Case(scenarios.overdue, named("fail_overdue"), 1, 30),
    "settle": Case(
        scenarios.failed_job, lambda on, _: sum(settlement.settle(on).ended.values()), 1, 25
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_transition_reads_open_days_and_locks_few_relations(
    bench: Bench, worker: Engine, name: str
) -> None:
    case = CASES[name]
    more_days = (
        today_of(bench.engine) - bench.do(partitions.first_recent_day)
    ).days  # just after midnight
    most_locks = case.most + 8 * more_days
    answers = []

    with explained(worker, bench) as plans:
        # Run once with the existing plans. The server makes new ones, with more locks, whenever it
        # has just analyzed one of the tables.
        for run in range(RUNS):
            empty(bench)
            scenario = case.made(bench)
            with sessions.transaction(worker) as connection:
                answers.append(case.act(connection, scenario))
                locks = locked(bench, connection)
            if run >= 2 and locks <= most_locks:
                break

    assert answers == [case.answer] * len(answers)
    assert {statement for statement, plan in plans.items() if '"Seq Scan"' in plan} == set()
    assert set().union(*map(days_in, plans.values())) == open_days(bench)
    assert locks <= most_locks


def test_statistics_read_open_days_alone(bench: Bench) -> None:
    bench.submit()

    with explained(bench.engine, bench, given=True) as plans, bench.transaction() as connection:
        fair_queueing.advance_virtual_time(connection, **SILENT)
        heads.list_ready(connection, [capability(StageName.PREPARE)])
        counters.read_counters(connection, **SILENT)
        quotas.count_all_unfinished(connection, most=10)
        snapshot.read_snapshot(connection, now=dt.datetime.now(dt.UTC), **SILENT)
        overview.list_queues(connection, **SILENT)
        overview.list_workers(connection, **SILENT)

    assert len(plans) > 7
    # The snapshot also reads the last minutes, which may belong to yesterday.
    yesterday = {f"{today_of(bench.engine) - dt.timedelta(days=1):%Y_%m_%d}"}
    found = set().union(*map(days_in, plans.values()))
    assert found - yesterday == open_days(bench) - yesterday


def test_request_about_a_job_reads_its_day_alone(bench: Bench) -> None:
    job_id = bench.submit()
    day = {f"{today_of(bench.engine):%Y_%m_%d}"}

    with explained(bench.engine, bench, given=True) as plans:
        bench.job(job_id)
        bench.do(CLIENT.cancel, job_id, TENANT)
        bench.do(CLIENT.delete, job_id, TENANT)

    of_jobs = {statement: found for statement in plans if (found := days_in(plans[statement]))}
    assert len(of_jobs) > 8
    assert {statement for statement, found in of_jobs.items() if found != day} == set()


def test_cached_results_are_looked_up_in_the_days_that_keep_them(bench: Bench) -> None:
    now = dt.datetime.now(dt.UTC)
    since = result_cache.first_cached_id(RETENTION)  # a week, and a day for its processing
    kept = {f"{(now - dt.timedelta(days=back)).date():%Y_%m_%d}" for back in range(9)}

    with explained(bench.engine, bench) as plans, bench.transaction() as connection:
        wanted = [capability(PREPARE)]
        place = fair_queueing.reserve_for_new_photo(
            connection, TENANT, wanted, digest="none", since=since
        )
        result_cache.lookup(connection, TENANT, "none", {}, running={}, since=since)

    assert place is not None
    assert [days_in(plan) for plan in plans.values()] == [kept | open_days(bench)] * 2


@contextmanager
def explained(engine: Engine, bench: Bench, *, given: bool = False) -> Iterator[dict[str, str]]:
    """Collect the JSON plan of each statement about jobs or stages that an engine runs.

    given: whether to plan for the given parameters; otherwise the generic plan, for any.
    """
    plans: dict[str, str] = {}

    def explain(_: Any, cursor: Any, statement: str, values: Any, *_more: Any) -> None:  # noqa: ANN401
        if not re.search(r"\b(open_)?(jobs|stages)\b", statement) or statement in plans:
            return
        with bench.engine.connect() as aside:
            # Use an index wherever one fits, although the tables are small.
            aside.execute(text("SET LOCAL enable_seqscan = off"))
            # A cursor of the same kind reads the same placeholders.
            own = type(cursor)(aside.connection.driver_connection)
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
    """Return a statement of psycopg's with numbered parameters."""
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement)))
    for number, name in enumerate(names, start=1):
        statement = statement.replace(f"%({name})s", f"${number}")
    return statement.replace("%%", "%")


def days_in(plan: str) -> set[str]:
    return set(re.findall(r'"Relation Name": "(?:jobs|stages)_(\w+)"', plan))


def open_days(bench: Bench) -> set[str]:
    """Return the days that are always open: today and later, after midnight one more."""
    first = bench.do(partitions.first_recent_day)
    last = today_of(bench.engine) + dt.timedelta(days=partitions.DAYS_AHEAD)
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
    """Delete the jobs of the open days, which is faster than all tables."""
    with bench.transaction() as connection:
        for table in ("open_stages", "open_jobs", "batches", "events", "artifacts"):
            connection.execute(text(f"DELETE FROM {table}"))
