"""Traces of the real system: what each transaction wrote to a job, replayed against the model.

A trigger records the rows; transactions of one job are in the order of their first write, which is
the order of their locks. Each must be one step of the model, or two: a thread completes and claims
in one transaction, and a sweep can expire two leases.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, pairwise

from sqlalchemy import text

from smart_filter_shared.pipeline import PIPELINE
from smart_filter_tests.bench import Bench
from smart_filter_tests.protocol.model import AHEAD, PAST, Job, Row, State, steps
from smart_filter_tests.protocol.real_job import GIVE_UP_SECONDS, describe

# Of one transaction.
_MOST_STEPS = 2
_RECORD = (
    """
    CREATE TABLE trace (number bigserial, job_id uuid, written_in xid8, stage text, found jsonb)
    """,
    """
    CREATE FUNCTION record_trace() RETURNS trigger AS $$
    BEGIN
        INSERT INTO trace (job_id, written_in, stage, found) VALUES (
            CASE WHEN TG_ARGV[0] = 'job' THEN (to_jsonb(NEW)->>'id')::uuid
                ELSE (to_jsonb(NEW)->>'job_id')::uuid END,
            pg_current_xact_id(), to_jsonb(NEW)->>'stage',
            to_jsonb(NEW) || jsonb_build_object('now', statement_timestamp())
        );
        RETURN NULL;
    END $$ LANGUAGE plpgsql SECURITY DEFINER  -- workers have no right to the table
    """,
    """
    CREATE TRIGGER traced AFTER INSERT OR UPDATE ON stages
    FOR EACH ROW EXECUTE FUNCTION record_trace('stage')
    """,
    """
    CREATE TRIGGER traced AFTER INSERT OR UPDATE ON jobs
    FOR EACH ROW EXECUTE FUNCTION record_trace('job')
    """,
)
_READ = text(f"""
    SELECT *, min(number) OVER (PARTITION BY job_id, written_in) AS first,
        found->>'lease_token' AS lease_token, found->>'state' AS state,
        found->>'open_needs' AS open_needs, found->>'attempt' AS attempt,
        CAST(found->>'leased_until' AS timestamptz) < CAST(found->>'now' AS timestamptz)
            IS TRUE AS is_late,
        CAST(found->>'not_before' AS timestamptz) <= CAST(found->>'now' AS timestamptz) AS is_due,
        extract(epoch FROM CAST(found->>'now' AS timestamptz)
            - CAST(found->>'patience_since' AS timestamptz)) >= {GIVE_UP_SECONDS} AS is_impatient,
        CAST(found->>'deadline_at' AS timestamptz) <= CAST(found->>'now' AS timestamptz)
            AS is_overdue,
        found->'result'->'arrays'->>'made' AS made
    FROM trace ORDER BY job_id, first, number
""")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A job after a transaction: its state, and which lease's result each stage has.

    tokens: the holders in `job`, by number.
    """

    job: Job
    tokens: Mapping[str, int]
    made: Mapping[int, str]


@contextmanager
def recording(bench: Bench) -> Iterator[None]:
    """Record every write to jobs and stages while the block runs."""
    with bench.transaction() as connection:
        for statement in _RECORD:
            connection.exec_driver_sql(statement)
    try:
        yield
    finally:
        with bench.transaction() as connection:
            connection.exec_driver_sql("DROP FUNCTION record_trace CASCADE")
            connection.exec_driver_sql("DROP TABLE trace")


def read(bench: Bench) -> list[list[Snapshot]]:
    """Return the traces: for each job its snapshots, from its submission on."""
    with bench.transaction() as connection:
        rows = connection.execute(_READ).mappings().all()
    return [
        _snapshots([list(group) for _, group in groupby(written, lambda row: row["first"])])
        for written in (list(group) for _, group in groupby(rows, lambda row: row["job_id"]))
    ]


def replay(trace: list[Snapshot]) -> tuple[list[str], list[str]]:
    """Return the steps that a trace has made, and its transactions that are no steps."""
    made, refused = [], []
    for before, after in pairwise(trace):
        names = _explain(before, after)
        made += names or ()
        if names is None:
            refused.append(f"{before.job} became {after.job}")
        for stage, token in after.made.items():
            held = before.job.rows[stage].holder
            if stage not in before.made and before.tokens.get(token) != held:
                refused.append(f"{before.job} took the result of the lost lease {token}")
    return made, refused


def _snapshots(written: list[list[Mapping[str, object]]]) -> list[Snapshot]:
    places = {stage.name: place for place, stage in enumerate(PIPELINE)}
    rows: dict[int, Mapping[str, object]] = {}
    job: Mapping[str, object] = {}
    snapshots = []
    for transaction in written:
        for row in transaction:
            if row["stage"] is None:
                job = row
            else:
                rows[places[str(row["stage"])]] = row
        tokens = {
            str(row["lease_token"]): number
            for number, row in enumerate(rows.values(), start=1)
            if row["lease_token"] is not None
        }
        content = job["found"]
        assert isinstance(content, dict)
        deadline = {None: "", True: PAST, False: AHEAD}[job["is_overdue"]]  # type: ignore[index]
        described = tuple(describe(rows[place], tokens) for place in sorted(rows))
        made = {place: str(row["made"]) for place, row in rows.items() if row["made"]}
        snapshots.append(Snapshot(Job(content["outcome"] or "", deadline, described), tokens, made))
    return snapshots


def _explain(before: Snapshot, after: Snapshot) -> tuple[str, ...] | None:
    """Return the names of at most two steps that lead from one to the other."""
    names = dict(before.tokens)
    for token in after.tokens:
        names.setdefault(token, len(PIPELINE) + len(names) + 1)
    goal = _renamed(after, names)
    works_on: list[int | None] = [None] * max(names.values(), default=0)
    for place, row in enumerate(before.job.rows):
        if row.holder > 0:
            works_on[row.holder - 1] = place
    reached: list[tuple[State, tuple[str, ...]]] = [(State(before.job, tuple(works_on)), ())]
    for _ in range(_MOST_STEPS):
        for state, ways in reached:
            if state.job == goal:
                return ways
        reached = [
            (taken.after, (*ways, taken.step.name))
            for state, ways in reached
            for taken in steps(state)
            if taken.step.name != "worker dies" and taken.after.job != state.job
        ]
    return next((ways for state, ways in reached if state.job == goal), None)


def _renamed(snapshot: Snapshot, names: Mapping[str, int]) -> Job:
    of = {number: names[token] for token, number in snapshot.tokens.items()}
    rows: tuple[Row, ...] = tuple(
        row._replace(holder=of.get(row.holder, row.holder)) for row in snapshot.job.rows
    )
    return snapshot.job._replace(rows=rows)
