"""An in-memory model of jobs and stages: the expected effect of every transition.

Times are seconds from now; the tests advance time in steps much longer than their own duration. A
transition is predicted against the committed state and another session's locks: it waits for that
session, or it answers and changes rows. The changes count once committed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from smart_filter_shared.ids import JobId, LeaseToken, Tenant
from smart_filter_shared.pipeline import PIPELINE, StageName
from smart_filter_shared.queue.leases import Lease
from smart_filter_tests.bench import TENANT

GIVE_UP_SECONDS = 3600.0
MOST_ATTEMPTS = 3
NEAR_A_BATCH = 8
MOST_REOPENED = 2

NEEDS = {stage.name: stage.needs for stage in PIPELINE}
UNFINISHED = frozenset({"waiting", "ready", "running"})

Key = tuple[JobId, StageName]
Lockable = JobId | Key | Tenant


@dataclass(frozen=True, slots=True)
class StageModel:
    """A stage's row.

    late: its lease has run out.  needs: the stages it depends on in its job.  made: its artifact's
    key.
    """

    state: str
    needs: tuple[StageName, ...]
    open_needs: int
    not_before: float | None = None
    attempt: int = 0
    releases: int = 0
    patience_since: float | None = None
    token: LeaseToken | None = None
    late: bool = False
    rerouted: bool = False
    made: str | None = None

    def with_token(self, token: LeaseToken) -> "StageModel":
        return replace(
            self,
            state="running",
            attempt=self.attempt + 1,
            token=token,
            not_before=None,
            late=False,
        )

    def idle(self, state: str, not_before: float | None) -> "StageModel":
        return replace(self, state=state, not_before=not_before, token=None, late=False)

    @property
    def is_impatient(self) -> bool:
        """Return whether it has waited for infrastructure for too long."""
        return self.patience_since is not None and self.patience_since <= -GIVE_UP_SECONDS


@dataclass(frozen=True, slots=True)
class JobModel:
    """A job's row.  artifacts: number of objects its rows name.  late: past its deadline."""

    model: str
    artifacts: int = 1
    outcome: str | None = None
    reopened: int = 0
    late: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A transition's answer and the changed rows; None: the row is deleted.

    locked: jobs, stages and tenants that it holds until its end.
    """

    answer: object = None
    jobs: Mapping[JobId, JobModel | None] = field(default_factory=dict)
    stages: Mapping[Key, StageModel | None] = field(default_factory=dict)
    locked: frozenset[Lockable] = frozenset()


class WouldWait(Exception):
    """The transition waits for a lock that another session holds."""


class Refused(Exception):
    """The transition raises an error of this name."""


class Model:
    """The committed state.

    locked: locks held by another session's open transaction.  ranks: as in the database.
    """

    def __init__(self) -> None:
        self.jobs: dict[JobId, JobModel] = {}
        self.stages: dict[Key, StageModel] = {}
        self.locked: frozenset[Lockable] = frozenset()
        self.ranks: dict[Key, float] = {}

    def commit(self, change: Change) -> None:
        for job_id, job in change.jobs.items():
            if job is None:
                del self.jobs[job_id]
            else:
                self.jobs[job_id] = job
        for key, stage in change.stages.items():
            if stage is None:
                del self.stages[key]
            else:
                self.stages[key] = stage

    def of(self, job_id: JobId) -> dict[Key, StageModel]:
        """Return the stages of a job, in the pipeline's order."""
        return {key: stage for key, stage in self.stages.items() if key[0] == job_id}

    def holds(self, lease: Lease) -> bool:
        stage = self.stages.get((lease.job_id, lease.stage))
        return stage is not None and stage.token == lease.token

    def claimed(self, stage: StageName, batch_size: int) -> list[Key]:
        """Return the stages that a claim takes, the head first."""
        ready = sorted(
            (key for key, row in self.stages.items() if key[1] == stage and row.state == "ready"),
            key=lambda key: self.ranks[key],
        )
        free = [key for key in ready if key not in self.locked and not self.jobs[key[0]].late]
        if not free:
            return []
        head = free[0]
        mates = [
            key
            for key in ready[: NEAR_A_BATCH * batch_size]
            if key in free
            and key != head
            and self.jobs[key[0]].model == self.jobs[head[0]].model
            and max(self.stages[key].attempt, self.stages[head].attempt) < MOST_ATTEMPTS - 1
        ]
        return [head, *mates[: batch_size - 1]]

    def wake(self) -> Change:
        """Predict a wake.  Raises WouldWait."""
        due = {
            key: stage.idle("ready", None)
            for key, stage in self.stages.items()
            if stage.state == "waiting"
            and stage.open_needs == 0
            and stage.not_before is not None
            and stage.not_before <= 0
            and key[0] not in self.locked
        }
        locked = self._lock({job_id for job_id, _ in due})
        retried = {key[0] for key in due if self.stages[key].attempt or self.stages[key].releases}
        if {job_id for job_id, _ in due} - retried:
            locked |= self._place()
        return Change(sorted(key[1] for key in due), stages=due, locked=locked)

    def renew(self, leases: Sequence[Lease]) -> Change:
        """Predict a renewal.  Raises WouldWait."""
        held = {(lease.job_id, lease.stage): lease.token for lease in leases if self.holds(lease)}
        self._wait_for(held)
        renewed = {key: replace(self.stages[key], late=False) for key in held}
        return Change(set(held.values()), stages=renewed, locked=frozenset(held))

    def complete(self, leases: Sequence[Lease]) -> Change:
        """Predict a completion.  Raises WouldWait."""
        locked = self._lock({lease.job_id for lease in leases})
        stages = {key: row for lease in leases for key, row in self.of(lease.job_id).items()}
        done = [(lease.job_id, lease.stage) for lease in leases if self.holds(lease)]
        for key in done:
            done_row = replace(stages[key].idle("succeeded", None), patience_since=None)
            stages[key] = replace(done_row, made=str(stages[key].token))
        ready = []
        for key, row in stages.items():
            met = sum((key[0], need) in done for need in row.needs)
            if row.state != "waiting" or not met:
                continue
            stages[key] = replace(row, open_needs=row.open_needs - met)
            if row.open_needs == met and (row.not_before is None or row.not_before <= 0):
                stages[key] = replace(stages[key], state="ready")
                ready.append(key[1])
        jobs = {}
        for job_id in {job_id for job_id, _ in done}:
            job = self.jobs[job_id]
            made = sum(key[0] == job_id for key in done)
            over = all(row.state == "succeeded" for key, row in stages.items() if key[0] == job_id)
            jobs[job_id] = replace(
                job, artifacts=job.artifacts + made, outcome="succeeded" if over else None
            )
        ended = {job_id for job_id, job in jobs.items() if job.outcome is not None}
        return Change((sorted(ready), ended, len(leases) - len(done)), jobs, stages, locked)

    def release(self, lease: Lease, *, delay_seconds: float) -> Change:
        """Predict a release.  Raises WouldWait, RequestRefused."""
        locked = self._lock([lease.job_id])
        key, row = self._held(lease)
        if row.is_impatient:
            return self._failed(key, answer=[])
        row = replace(
            row.idle("waiting" if delay_seconds else "ready", delay_seconds or None),
            attempt=row.attempt - 1,
            releases=row.releases + 1,
            patience_since=0.0 if row.patience_since is None else row.patience_since,
        )
        return Change([] if delay_seconds else [key[1]], stages={key: row}, locked=locked)

    def retry(self, lease: Lease, *, delay_seconds: float) -> Change:
        """Predict a retry.  Raises WouldWait, RequestRefused."""
        locked = self._lock([lease.job_id])
        key, row = self._held(lease)
        if row.attempt >= MOST_ATTEMPTS:
            return self._failed(key)
        return Change(stages={key: row.idle("waiting", delay_seconds)}, locked=locked)

    def fail(self, lease: Lease) -> Change:
        """Predict a failure.  Raises WouldWait, RequestRefused."""
        self._lock([lease.job_id])
        key, _ = self._held(lease)
        return self._failed(key)

    def reroute(self, lease: Lease) -> Change:
        """Predict a hand-over to another model.  Raises WouldWait, RequestRefused."""
        locked = self._lock([lease.job_id])
        key, row = self._held(lease)
        if row.rerouted:
            return Change(False, locked=locked)
        again = replace(row.idle("ready", None), attempt=0, rerouted=True)
        return Change(True, stages={key: again}, locked=locked)

    def reopen(self, lease: Lease, gone: Collection[str]) -> Change:
        """Predict a rerun of stages with missing artifacts.  Raises WouldWait, RequestRefused."""
        locked = self._lock([lease.job_id])
        self._held(lease)
        job = self.jobs[lease.job_id]
        rows = {key[1]: row for key, row in self.of(lease.job_id).items()}
        again = {name for name, row in rows.items() if row.made in gone}
        if not again or job.reopened == MOST_REOPENED:
            raise Refused("InputsExpired")
        # Backwards from unfinished stages to those with missing artifacts, each stage runs again.
        for name in reversed(StageName):
            row = rows.get(name)
            if row is not None and (row.state != "succeeded" or name in again):
                steps = {need for need in row.needs if _depends_on_missing(need, again)}
                if not steps & again:
                    again |= steps
        stages: dict[Key, StageModel | None] = {}
        ready = []
        for name, row in rows.items():
            if name not in again and (row.state == "succeeded" or not again & set(row.needs)):
                continue
            needs = sum(need in again or rows[need].state != "succeeded" for need in row.needs)
            stages[lease.job_id, name] = replace(
                row.idle("waiting" if needs else "ready", row.not_before),
                open_needs=needs,
                attempt=row.attempt - (row.state in {"running", "succeeded"}),
                made=None,
            )
            ready += [] if needs else [name]
        changed = {lease.job_id: replace(job, reopened=job.reopened + 1)}
        return Change(sorted(ready), changed, stages, locked)

    def cancel(self, job_id: JobId) -> Change:
        """Predict a cancel.  Raises WouldWait, RequestRefused."""
        locked = self._lock_own(job_id)
        job = self.jobs[job_id]
        if job.outcome is not None:
            raise Refused("JobFinal")
        return Change(
            None, {job_id: replace(job, outcome="canceled")}, _canceled(self.of(job_id)), locked
        )

    def delete(self, job_id: JobId) -> Change:
        """Predict a delete.  Raises WouldWait, RequestRefused."""
        locked = self._lock_own(job_id)
        gone = dict.fromkeys(self.of(job_id))
        return Change(self.jobs[job_id].artifacts, {job_id: None}, gone, locked)

    def redrive(self, job_id: JobId) -> Change:
        """Predict a redrive.  Raises WouldWait, RequestRefused."""
        locked = self._lock_own(job_id)
        job = self.jobs[job_id]
        if job.outcome is None:
            raise Refused("JobNotFinished")
        if job.outcome != "failed":
            raise Refused("JobFinal")
        locked |= self._place()
        again = {key: row for key, row in self.of(job_id).items() if row.state != "succeeded"}
        for key, row in again.items():
            needs = sum((job_id, need) in again for need in row.needs)
            state = "waiting" if needs else "ready"
            again[key] = StageModel(state, row.needs, needs, rerouted=row.rerouted)
        ready = sorted(key[1] for key, row in again.items() if row.state == "ready")
        return Change(ready, {job_id: replace(job, outcome=None, late=False)}, again, locked)

    def expire(self) -> Change:
        """Predict an expiry.  Raises WouldWait."""
        late = sorted(key for key, row in self.stages.items() if row.late)
        late = [key for key in late if key[0] not in self.locked]
        locked = self._lock({job_id for job_id, _ in late})
        jobs: dict[JobId, JobModel | None] = {}
        stages: dict[Key, StageModel | None] = {}
        for key in late:
            row = self.stages[key]
            if key[0] in jobs:
                continue  # another stage of the job has just ended it
            if row.is_impatient:
                failed = self._failed(key)
                jobs |= failed.jobs
                stages |= failed.stages
            else:
                stages[key] = _expired(row)
        return Change(sorted(key[1] for key in late), jobs, stages, locked)

    def lapse(self) -> Change:
        """Predict the failure of overdue jobs.  Raises WouldWait."""
        late = [
            job_id
            for job_id, job in self.jobs.items()
            if job.late
            and job.outcome is None
            and job_id not in self.locked
            and not any(row.state == "running" for row in self.of(job_id).values())
        ]
        locked = self._lock(late)
        jobs: dict[JobId, JobModel | None] = {}
        stages: dict[Key, StageModel | None] = {}
        for job_id in late:
            unfinished = [
                (key, row) for key, row in self.of(job_id).items() if row.state in UNFINISHED
            ]
            # In the pipeline's order, the first of the stages with the fewest open needs.
            key, _ = min(unfinished, key=lambda pair: pair[1].open_needs)
            failed = self._failed(key)
            jobs |= failed.jobs
            stages |= failed.stages
        return Change(len(jobs), jobs, stages, locked)

    def _failed(self, key: Key, answer: object = None) -> Change:
        others = _canceled(self.of(key[0]))
        failed = self.stages[key].idle("failed", None)
        return Change(
            answer,
            {key[0]: replace(self.jobs[key[0]], outcome="failed")},
            {**others, key: failed},
            self._lock([key[0]]),
        )

    def _held(self, lease: Lease) -> tuple[Key, StageModel]:
        if not self.holds(lease):
            raise Refused("LeaseLost")
        key = (lease.job_id, lease.stage)
        return key, self.stages[key]

    def _lock_own(self, job_id: JobId) -> frozenset[Lockable]:
        if job_id not in self.jobs:
            raise Refused("NotFound")
        return self._lock([job_id])

    def _lock(self, job_ids: Collection[JobId]) -> frozenset[Lockable]:
        ids = [job_id for job_id in job_ids if job_id in self.jobs]
        wanted = frozenset([*ids, *(key for job_id in ids for key in self.of(job_id))])
        self._wait_for(wanted)
        return wanted

    def _place(self) -> frozenset[Lockable]:
        """Reserve a place: the tenant's row is locked.  Raises WouldWait."""
        self._wait_for([TENANT])
        return frozenset([TENANT])

    def _wait_for(self, wanted: Iterable[Lockable]) -> None:
        if self.locked & set(wanted):
            raise WouldWait


def _depends_on_missing(name: StageName, gone: Collection[StageName]) -> bool:
    """Return whether a stage's artifact is missing, or that of any stage it needs, transitively."""
    return name in gone or any(_depends_on_missing(need, gone) for need in NEEDS[name])


def _canceled(stages: Mapping[Key, StageModel]) -> dict[Key, StageModel]:
    return {
        key: row.idle("canceled", None) for key, row in stages.items() if row.state in UNFINISHED
    }


def _expired(row: StageModel) -> StageModel:
    row = row.idle("waiting", 0.0)
    if row.attempt < MOST_ATTEMPTS:
        return row
    return replace(
        row,
        attempt=MOST_ATTEMPTS - 1,
        releases=row.releases + 1,
        patience_since=0.0 if row.patience_since is None else row.patience_since,
    )


def own(job_id: JobId, tenant: Tenant) -> JobId:
    """Return a job of the tests' tenant.  Raises RequestRefused for another's."""
    if tenant != TENANT:
        raise Refused("NotFound")
    return job_id


def stages_of(capabilities: Sequence[str]) -> list[StageName]:
    return sorted(StageName(capability.partition(".")[0]) for capability in capabilities)
