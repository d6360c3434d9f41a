"""One job on the real servers, moved by the steps of the model and read as the model's state."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, RowMapping, text

from smart_filter_shared.errors import Error, LeaseLost
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs.photo_queue import CLIENT, WORKER
from smart_filter_shared.pipeline import PIPELINE
from smart_filter_shared.queue.leases import Lease
from smart_filter_tests import claiming, invariants, scenarios
from smart_filter_tests.bench import TENANT, Bench, capability, stage_result
from smart_filter_tests.protocol.model import (
    AHEAD,
    GONE,
    MAX_ATTEMPTS,
    PAST,
    UNFINISHED,
    Job,
    Row,
    State,
    Step,
    Taken,
    first_state,
)
from smart_filter_tests.scenarios import RAISED

GIVE_UP_SECONDS = 3600.0
# More than any lease, backoff or patience, which are themselves far longer than a walk.
_STEP_SECONDS = 4000.0
LEASE_SECONDS = 3000.0
_BACKOFF_SECONDS = 3600.0
_AGES = {
    "lease ends": "leased_until",
    "backoff ends": "not_before",
    "patience ends": "patience_since",
}
_READ = text("""
    SELECT stages.*, leased_until < statement_timestamp() IS TRUE AS is_late,
        not_before <= statement_timestamp() AS is_due,
        extract(epoch FROM statement_timestamp() - patience_since) >= :give_up AS is_impatient
    FROM stages WHERE job_id = :job_id
""")
_READ_JOB = text("""
    SELECT outcome, deadline_at <= statement_timestamp() AS is_overdue,
        (SELECT count(*) FROM events WHERE job_id = :job_id
            AND type IN ('job.succeeded', 'job.failed', 'job.canceled')) AS ends,
        (SELECT count(*) FROM artifacts WHERE job_id = :job_id AND kind = 'result') AS artifacts
    FROM jobs WHERE id = :job_id
""")


class Diverged(AssertionError):
    """The servers did not do what the model does; by: what noticed it."""

    def __init__(self, step: Step, by: Mapping[str, object]) -> None:
        super().__init__(f"{step}: {dict(by)}")
        self.by = tuple(by)


@dataclass(slots=True)
class RealJob:
    """A job on the servers, next to the model.

    state: the model's.  ends: events of its end so far.  accepted: results so far.
    leases: what each worker believes it has.  patience: when it began, by stage.
    """

    bench: Bench
    job_id: JobId
    state: State
    ends: int = 0
    accepted: int = 0
    leases: dict[int, Lease] = field(default_factory=dict)
    patience: dict[str, dt.datetime] = field(default_factory=dict)

    @classmethod
    def submit(cls, bench: Bench) -> "RealJob":
        """Submit a job with a deadline; earlier jobs are deleted."""
        for table in ("jobs", "stages", "events", "artifacts", "tenants", "batches"):
            bench.execute(f"DELETE FROM {table}")
        job_id = bench.submit()
        ahead = bench.now() + dt.timedelta(hours=9)
        bench.execute("UPDATE jobs SET deadline_at = :at WHERE id = :id", at=ahead, id=job_id)
        bench.execute("UPDATE stages SET deadline_at = :at WHERE job_id = :id", at=ahead, id=job_id)
        return cls(bench, job_id, first_state())

    def follow(self, taken: Taken) -> None:
        """Take a step of the model on the servers.  Raises Diverged."""
        before, self.state = self.state, taken.after
        self.ends += taken.ends
        self.accepted += taken.step.name == "complete" and taken.after.job != before.job
        noticed: dict[str, object] = {}
        try:
            with self.bench.transaction() as connection:
                answer = self.make(connection, taken.step)
        except LeaseLost:
            answer = "LeaseLost"
        except Error as error:
            answer = type(error).__name__
        foretold = foretell_answer(before, taken)
        if foretold is not None and answer != foretold:
            noticed["the answer"] = f"{answer}, not {foretold}"
        self.compare(taken.step, noticed)

    def compare(self, step: Step, noticed: dict[str, object] | None = None) -> None:
        """Compare the servers with the model.  Raises Diverged."""
        noticed = {} if noticed is None else noticed
        patience = self.patience
        job, ends, accepted = self.read()
        if job != self.state.job:
            noticed["the model"] = f"{job}, not {self.state.job}"
        if ends != self.ends:
            noticed["the events"] = f"{ends} ends, not {self.ends}"
        if accepted != self.accepted:
            noticed["the artifacts"] = f"{accepted} results, not {self.accepted}"
        if step.name != "redrive" and any(
            stage in patience and since > patience[stage] for stage, since in self.patience.items()
        ):
            noticed["patience begins once"] = self.patience
        if noticed:
            raise Diverged(step, noticed | self._audit())

    def audit(self) -> None:
        """Let the auditor look at all rows.  Raises Diverged."""
        if faults := self._audit():
            raise Diverged(Step("audit"), faults)

    def _audit(self) -> dict[str, object]:
        broken = invariants.broken(self.bench)
        return {f"audit: {fault.partition(': ')[0]}": fault for fault in broken}

    def read(self) -> tuple[Job, int, int]:
        """Return the job as the model describes it, and the numbers of its ends and results."""
        with self.bench.transaction() as connection:
            where = {"job_id": self.job_id, "give_up": GIVE_UP_SECONDS}
            rows = {row["stage"]: row for row in connection.execute(_READ, where).mappings()}
            job = connection.execute(_READ_JOB, where).one()
        holders = {lease.token: worker for worker, lease in self.leases.items()}
        deadline = {None: "", True: PAST, False: AHEAD}[job.is_overdue]
        described = tuple(describe(rows[stage.name], holders) for stage in PIPELINE)
        self.patience = {
            name: row["patience_since"] for name, row in rows.items() if row["patience_since"]
        }
        return Job(job.outcome or "", deadline, described), job.ends, job.artifacts

    def make(self, connection: Connection, step: Step) -> object:
        """Make a step's transition; return its answer, if it has one that tells something."""
        if step.name == "claim":
            leases = claiming.claim(
                connection,
                [capability(PIPELINE[step.stage].name)],
                worker=self.bench.worker,
                lease_seconds=LEASE_SECONDS,
            )
            self.leases.update(zip([step.worker], leases, strict=False))
            return len(leases)
        if step.name in _AGES:
            self._age(connection, _AGES[step.name], step.stage)
            return None
        if step.name == "deadline passes":
            scenarios.set_deadline_past(self.bench, self.job_id)
            return None
        if step.worker:
            lease = self.leases[step.worker]
            if step.name != "renew":
                del self.leases[step.worker]
            return _settle(connection, step.name, lease)
        return self._sweep_or_ask(connection, step.name)

    def _sweep_or_ask(self, connection: Connection, name: str) -> object:
        match name:
            case "expire":
                WORKER.expire(
                    connection, max_attempts=MAX_ATTEMPTS, give_up_seconds=GIVE_UP_SECONDS
                )
            case "wake":
                WORKER.wake(connection)
            case "fail_overdue":
                WORKER.fail_overdue(connection)
            case "cancel":
                CLIENT.cancel(connection, self.job_id, TENANT)
            case "redrive":
                CLIENT.redrive(connection, self.job_id, TENANT)
        return None

    def _age(self, connection: Connection, column: str, stage: int) -> None:
        connection.execute(
            text(f"""
                UPDATE stages SET {column} = {column} - make_interval(secs => :seconds)
                WHERE job_id = :job_id AND stage = :stage
            """),
            {"seconds": _STEP_SECONDS, "job_id": self.job_id, "stage": PIPELINE[stage].name},
        )


def _settle(connection: Connection, name: str, lease: Lease) -> object:
    """Make a transition of a lease; return whether it was lost, if its answer tells that."""
    match name:
        case "renew":
            alive = WORKER.renew(connection, [lease], lease_seconds=LEASE_SECONDS)
            return None if lease.token in alive else "LeaseLost"
        case "complete":
            done = WORKER.complete(connection, [stage_result(lease)])
            return "LeaseLost" if done.lost else None
        case "retry":
            WORKER.retry(
                connection,
                lease,
                RAISED,
                delay_seconds=_BACKOFF_SECONDS,
                max_attempts=MAX_ATTEMPTS,
            )
        case "release" | "release later":
            delay = _BACKOFF_SECONDS if name == "release later" else 0.0
            WORKER.release(connection, lease, delay_seconds=delay, give_up_seconds=GIVE_UP_SECONDS)
        case "fail":
            WORKER.fail(connection, lease, RAISED)
    return None


def foretell_answer(before: State, taken: Taken) -> object:
    """Return the answer that the model expects; None: none is compared."""
    step = taken.step
    if step.name == "claim":
        return int(taken.after != before)
    if step.worker and step.name != "worker dies":
        return None if before.job.rows[step.stage].holder == step.worker else "LeaseLost"
    if step.name == "cancel" and before.job.outcome:
        return "JobFinal"
    if step.name == "redrive" and before.job.outcome != "failed":
        return "JobFinal" if before.job.outcome else "JobNotFinished"
    return None


def describe(row: RowMapping | Mapping[str, object], holders: Mapping[object, int]) -> Row:
    """Return a stage's row as the model has it; holders: the workers by their lease's token."""
    token = row["lease_token"]
    holder = 0 if token is None else holders.get(token, GONE)
    state = str(row["state"])
    if state not in UNFINISHED:
        return Row(state, holder=holder)
    return Row(
        state,
        int(str(row["open_needs"])),
        int(str(row["attempt"])),
        holder,
        bool(row["is_late"]),
        {None: "", True: PAST, False: AHEAD}[row["is_due"]],  # type: ignore[index]
        {None: "", True: PAST, False: AHEAD}[row["is_impatient"]],  # type: ignore[index]
    )
