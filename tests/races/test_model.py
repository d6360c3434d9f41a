"""Transitions against their model, step by step: two sessions, any order, any moment.

One session may leave its transition uncommitted while others continue: they skip its locked rows or
wait for them, as the model predicts.
"""

import dataclasses
import datetime as dt
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, text

from smart_filter_shared.errors import Error
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs.photo_queue import CLIENT, WORKER
from smart_filter_shared.pipeline import PIPELINE, StageName, needs_within
from smart_filter_shared.queue.fair_queueing import Reservation
from smart_filter_shared.queue.leases import Lease
from smart_filter_shared.recipe import Background, BackgroundKind, Output, Recipe, required_stages
from smart_filter_tests import invariants, scenarios
from smart_filter_tests.bench import TENANT, Bench, capability, stage_result
from smart_filter_tests.model import (
    GIVE_UP_SECONDS,
    MOST_ATTEMPTS,
    Change,
    JobModel,
    Key,
    Model,
    Refused,
    StageModel,
    WouldWait,
    own,
    stages_of,
)
from smart_filter_tests.scenarios import RAISED

LATER_SECONDS = 3600.0
# More than any lease, delay or patience, which are themselves far longer than an example.
STEP_SECONDS = 4000.0
LEASE_SECONDS = 3000.0
RECIPES = (
    Recipe(background=Background(BackgroundKind.KEEP)),
    Recipe(),
    Recipe(background=Background(BackgroundKind.COLOR, "red")),
    Recipe(outputs=(Output.FACES,)),
)
TENANTS = st.sampled_from([TENANT] * 5 + [Tenant("other-tenant")])
# The number of steps that a transition stays uncommitted; negative: rolled back after them.
HELD = st.sampled_from([0, 0, 0, 1, 2, 4, -1, -3])
# Counted from the newest, and from leases that hold.
PICK = st.integers(0, 7)
SOME = st.lists(PICK, min_size=1, max_size=3)
DELAY = st.sampled_from([0.0, LATER_SECONDS])


@dataclasses.dataclass(slots=True)
class Pending:
    """An uncommitted transition; steps: for how many more."""

    transaction: ExitStack
    change: Change
    commits: bool
    steps: int


class Undone(Exception):
    """Raised in a transaction to roll it back."""


class Transitions(RuleBasedStateMachine):
    """Makes transitions on the database and predicts them by the model."""

    bench: Bench

    def __init__(self) -> None:
        super().__init__()
        self.bench.empty()
        self.model = Model()
        self.jobs: list[JobId] = []
        self.leases: list[Lease] = []
        self.ended_at: dict[JobId, dt.datetime] = {}
        self.pending: Pending | None = None

    def teardown(self) -> None:
        if self.pending is not None:
            self._settle(self.pending)

    @rule(
        recipe=st.sampled_from(RECIPES),
        run_in_seconds=st.sampled_from([None, None, -1.0, LATER_SECONDS]),
        start=st.integers(0, 9),
        model=st.sampled_from(["bench", "bench", "other"]),
    )
    def submit(self, recipe: Recipe, run_in_seconds: float | None, start: int, model: str) -> None:
        if run_in_seconds is not None:
            run_at = self.bench.now() + dt.timedelta(seconds=run_in_seconds)
            recipe = dataclasses.replace(recipe, run_at=run_at)
        place = Reservation(start + (len(self.jobs) + 1) * 1e-7, 0.5)
        job_id = self.bench.submit(recipe, place=place, model=model)
        rows = _first_rows(job_id, recipe, run_in_seconds)
        self.model.commit(Change(jobs={job_id: JobModel(model)}, stages=rows))
        self.jobs.append(job_id)

    @precondition(lambda self: self._ready())
    @rule(pick=PICK, batch_size=st.integers(1, 4), held=HELD)
    def claim(self, *, pick: int, batch_size: int, held: int) -> None:
        stage = self._ready()[pick % len(self._ready())]
        leases: list[Lease] = []

        def act(connection: Connection) -> object:
            leases.extend(
                WORKER.claim(
                    connection,
                    capability(stage),
                    worker=self.bench.worker,
                    batch_size=batch_size,
                    lease_seconds=LEASE_SECONDS,
                    max_attempts=MOST_ATTEMPTS,
                )
            )
            return {(lease.job_id, lease.stage) for lease in leases}

        def foretell() -> Change:
            taken = frozenset(self.model.claimed(stage, batch_size))
            return Change(taken, locked=taken)

        self._make(act, foretell, held=held, leases=leases)

    @precondition(lambda self: self._ready())
    @rule(pick=PICK)
    def work(self, pick: int) -> None:
        """Claim and complete all stages of a queue: the most frequent step."""
        stage = self._ready()[pick % len(self._ready())]
        self.claim(pick=pick, batch_size=4, held=0)
        held = [lease for lease in self.leases if self.model.holds(lease)]
        unique = {(lease.job_id, lease.stage): lease for lease in held if lease.stage == stage}
        if unique:
            self._complete(list(unique.values()), held=0)

    @precondition(lambda self: self.leases)
    @rule(picks=SOME, held=HELD)
    def complete(self, *, picks: Sequence[int], held: int) -> None:
        self._complete(self._some(picks), held=held)

    @precondition(lambda self: self.leases)
    @rule(picks=SOME, held=HELD)
    def renew(self, *, picks: Sequence[int], held: int) -> None:
        leases = self._some(picks)
        self._make(
            lambda on: WORKER.renew(on, leases, lease_seconds=LEASE_SECONDS),
            lambda: self.model.renew(leases),
            held=held,
        )

    @precondition(lambda self: self.leases)
    @rule(pick=PICK, delay_seconds=DELAY, held=HELD)
    def release(self, *, pick: int, delay_seconds: float, held: int) -> None:
        lease = self._lease(pick)
        self._make(
            lambda on: stages_of(
                WORKER.release(
                    on, lease, delay_seconds=delay_seconds, give_up_seconds=GIVE_UP_SECONDS
                )
            ),
            lambda: self.model.release(lease, delay_seconds=delay_seconds),
            held=held,
        )

    @precondition(lambda self: self.leases)
    @rule(pick=PICK, delay_seconds=DELAY, held=HELD)
    def retry(self, *, pick: int, delay_seconds: float, held: int) -> None:
        lease = self._lease(pick)
        self._make(
            lambda on: WORKER.retry(
                on, lease, RAISED, delay_seconds=delay_seconds, max_attempts=MOST_ATTEMPTS
            ),
            lambda: self.model.retry(lease, delay_seconds=delay_seconds),
            held=held,
        )

    @precondition(lambda self: self.leases)
    @rule(pick=PICK, held=HELD)
    def reroute(self, *, pick: int, held: int) -> None:
        lease = self._lease(pick)
        self._make(
            lambda on: scenarios.reroute_to_same(on, lease),
            lambda: self.model.reroute(lease),
            held=held,
        )

    @precondition(lambda self: self.leases)
    @rule(pick=PICK, missed=st.sets(st.sampled_from(StageName), min_size=1), held=HELD)
    def reopen(self, *, pick: int, missed: set[StageName], held: int) -> None:
        lease = self._lease(pick)
        rows = self.model.of(lease.job_id).items()
        gone = [row.made for key, row in rows if key[1] in missed and row.made is not None]
        self._make(
            lambda on: stages_of(WORKER.rerun(on, lease, gone)),
            lambda: self.model.reopen(lease, gone),
            held=held,
        )

    @precondition(lambda self: self.leases)
    @rule(pick=PICK, held=HELD)
    def fail(self, *, pick: int, held: int) -> None:
        lease = self._lease(pick)
        self._make(
            lambda on: WORKER.fail(on, lease, RAISED),
            lambda: self.model.fail(lease),
            held=held,
        )

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK, tenant=TENANTS, held=HELD)
    def cancel(self, *, pick: int, tenant: Tenant, held: int) -> None:
        job_id = self._job(pick)
        self._make(
            lambda on: CLIENT.cancel(on, job_id, tenant),
            lambda: self.model.cancel(own(job_id, tenant)),
            held=held,
        )

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK, tenant=TENANTS, held=HELD)
    def redrive(self, *, pick: int, tenant: Tenant, held: int) -> None:
        job_id = self._job(pick)
        self._make(
            lambda on: stages_of(CLIENT.redrive(on, job_id, tenant)),
            lambda: self.model.redrive(own(job_id, tenant)),
            held=held,
        )

    @precondition(lambda self: len(self.model.jobs) > 2)
    @rule(pick=PICK, tenant=TENANTS, held=HELD)
    def delete(self, *, pick: int, tenant: Tenant, held: int) -> None:
        job_id = self._job(pick)
        self._make(
            lambda on: len(CLIENT.delete(on, job_id, tenant)),
            lambda: self.model.delete(own(job_id, tenant)),
            held=held,
        )

    @precondition(lambda self: any(row.late for row in self.model.stages.values()))
    @rule(held=HELD)
    def expire(self, *, held: int) -> None:
        self._make(
            lambda on: stages_of(
                WORKER.expire(on, max_attempts=MOST_ATTEMPTS, give_up_seconds=GIVE_UP_SECONDS)
            ),
            self.model.expire,
            held=held,
        )

    @precondition(lambda self: any(job.late for job in self.model.jobs.values()))
    @rule(held=HELD)
    def lapse(self, *, held: int) -> None:
        self._make(lambda on: len(WORKER.fail_overdue(on)), self.model.lapse, held=held)

    @precondition(lambda self: any(row.not_before for row in self.model.stages.values()))
    @rule(held=HELD)
    def wake(self, *, held: int) -> None:
        self._make(lambda on: stages_of(WORKER.wake(on)), self.model.wake, held=held)

    @precondition(lambda self: self.leases)
    @rule(pick=PICK)
    def lease_runs_out(self, pick: int) -> None:
        lease = self._lease(pick)
        key = (lease.job_id, lease.stage)
        if key in self.model.locked or not self.model.holds(lease):
            return
        self.bench.age(lease, seconds=STEP_SECONDS)
        row = dataclasses.replace(self.model.stages[key], late=True)
        self.model.commit(Change(stages={key: row}))

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK)
    def deadline_passes(self, pick: int) -> None:
        job_id = self._job(pick)
        job = self.model.jobs.get(job_id)
        if job is None or {job_id, *self.model.of(job_id)} & self.model.locked:
            return
        scenarios.set_deadline_past(self.bench, job_id)
        self.model.commit(Change(jobs={job_id: dataclasses.replace(job, late=True)}))

    @precondition(lambda self: self.jobs)
    @rule(pick=PICK, stage=st.sampled_from(StageName))
    def time_passes(self, pick: int, stage: StageName) -> None:
        key = (self._job(pick), stage)
        row = self.model.stages.get(key)
        if row is None or key in self.model.locked:
            return
        self.bench.pass_time(*key, seconds=STEP_SECONDS)
        row = dataclasses.replace(
            row,
            not_before=None if row.not_before is None else row.not_before - STEP_SECONDS,
            patience_since=None if row.patience_since is None else -STEP_SECONDS,
        )
        self.model.commit(Change(stages={key: row}))

    @invariant()
    def database_stands_as_the_model_does(self) -> None:
        assert _stored(self.bench) == _foretold(self.model)

    @invariant()
    def nothing_is_broken(self) -> None:
        assert invariants.broken(self.bench) == []

    @invariant()
    def an_end_is_final(self) -> None:
        with self.bench.transaction() as connection:
            rows = connection.execute(text("SELECT id, outcome, finished_at FROM jobs")).all()
        assert {row.id: row.outcome for row in rows} == {
            job_id: job.outcome for job_id, job in self.model.jobs.items()
        }
        ended = {row.id: row.finished_at for row in rows if row.outcome is not None}
        for job_id, moment in ended.items():
            assert self.ended_at.get(job_id, moment) == moment
        self.ended_at = ended

    def _complete(self, leases: Sequence[Lease], *, held: int) -> None:
        def act(connection: Connection) -> object:
            made = WORKER.complete(connection, [stage_result(lease) for lease in leases])
            return (stages_of(made.ready), set(made.succeeded), len(made.lost))

        self._make(act, lambda: self.model.complete(leases), held=held)

    def _make(
        self,
        act: Callable[[Connection], object],
        foretell: Callable[[], Change],
        *,
        held: int,
        leases: Sequence[Lease] = (),
    ) -> None:
        """Make a transition and compare its answer; leases: filled by `act` when it claims."""
        if self.pending is not None:
            self.pending.steps -= 1
            if self.pending.steps < 0:
                self._settle(self.pending)
        change, error = None, None
        self.model.ranks = _ranks(self.bench)
        try:
            change = foretell()
        except WouldWait:
            error = "DatabaseUnavailable"
        except Refused as refused:
            error = str(refused)
        transaction = ExitStack()
        try:
            with transaction:
                on = transaction.enter_context(self.bench.transaction())
                # A wait here would be for a session that never ends before it.
                on.execute(text("SET LOCAL lock_timeout = '15ms'"))
                on.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
                answer = act(on)
                _part(on, self.jobs)
                assert change is not None, f"it should have raised {error}"
                rows = {
                    (lease.job_id, lease.stage): self.model.stages[
                        lease.job_id, lease.stage
                    ].with_token(lease.token)
                    for lease in leases
                }
                # Until here an error ends the transaction, whose locks the next example would meet.
                kept = transaction.pop_all()
        except Error as raised:
            answered = type(raised).__name__
            assert answered == error
            return
        change = dataclasses.replace(change, stages={**change.stages, **rows})
        self.leases.extend(leases)
        if held and self.pending is None:
            self.pending = Pending(kept, change, commits=held > 0, steps=abs(held))
            self.model.locked = change.locked
        else:
            kept.close()
            self.model.commit(change)
        assert answer == change.answer

    def _settle(self, pending: Pending) -> None:
        self.pending = None
        self.model.locked = frozenset()
        if pending.commits:
            pending.transaction.close()
            self.model.commit(pending.change)
        else:
            pending.transaction.__exit__(Undone, Undone(), None)

    def _some(self, picks: Sequence[int]) -> list[Lease]:
        some = [self._lease(pick) for pick in picks]
        return list({(lease.job_id, lease.stage): lease for lease in some}.values())

    def _lease(self, pick: int) -> Lease:
        held = [lease for lease in self.leases if self.model.holds(lease)]
        lost = [lease for lease in self.leases if not self.model.holds(lease)]
        return (lost + held)[-1 - pick % len(self.leases)]

    def _ready(self) -> list[StageName]:
        """Return the stages that have ready rows, the later first."""
        ready = {key[1] for key, row in self.model.stages.items() if row.state == "ready"}
        return [stage for stage in reversed(StageName) if stage in ready]

    def _job(self, pick: int) -> JobId:
        known = [job_id for job_id in self.jobs if job_id in self.model.jobs]
        gone = [job_id for job_id in self.jobs if job_id not in self.model.jobs]
        return (gone + known)[-1 - pick % len(self.jobs)]


@pytest.mark.timeout(3600)
def test_transitions_do_what_the_model_predicts(bench: Bench) -> None:
    class OnThisBench(Transitions):
        pass

    OnThisBench.bench = bench
    # Each of the profile's examples takes more than half a second here.
    half = hypothesis.settings(max_examples=hypothesis.settings().max_examples // 2)
    run_state_machine_as_test(OnThisBench, settings=half)


def _first_rows(
    job_id: JobId, recipe: Recipe, run_in_seconds: float | None
) -> dict[Key, StageModel | None]:
    """Return the rows that `submit` writes; run_in_seconds: until the recipe's run_at."""
    running = required_stages(recipe)
    rows: dict[Key, StageModel | None] = {}
    for stage in PIPELINE:
        if stage.name in running:
            needs = needs_within(stage, running)
            state = "waiting" if needs or run_in_seconds is not None else "ready"
            not_before = None if needs else run_in_seconds
            rows[job_id, stage.name] = StageModel(state, needs, len(needs), not_before)
    return rows


def _stored(bench: Bench) -> dict[Key, tuple[object, ...]]:
    """Return the database's state of every stage."""
    with bench.transaction() as connection:
        rows = connection.execute(
            text("""
                SELECT job_id, stage, state, open_needs, attempt, releases, rerouted, lease_token,
                    leased_until < statement_timestamp() IS TRUE AS late,
                    not_before <= statement_timestamp() AS due,
                    extract(epoch FROM statement_timestamp() - patience_since) >= :give_up
                        AS impatient
                FROM stages
            """),
            {"give_up": GIVE_UP_SECONDS},
        )
        return {(JobId(row.job_id), StageName(row.stage)): tuple(row[2:]) for row in rows}


def _part(connection: Connection, jobs: Sequence[JobId]) -> None:
    """Separate equal ranks of jobs, where this transaction has given them another."""
    connection.execute(
        text("""
            UPDATE stages SET rank = CAST(round(CAST(rank AS numeric), 4) AS float8) + number * 1e-7
            FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS known (id, number)
            WHERE job_id = known.id AND stages.xmin = CAST(pg_current_xact_id() AS xid)
                AND state IN ('waiting', 'ready')
        """),
        {"ids": jobs},
    )


def _ranks(bench: Bench) -> dict[Key, float]:
    """Return the rank of every stage in the database."""
    with bench.transaction() as connection:
        rows = connection.execute(text("SELECT job_id, stage, rank FROM stages"))
        return {(JobId(row.job_id), StageName(row.stage)): row.rank for row in rows}


def _foretold(model: Model) -> dict[Key, tuple[object, ...]]:
    """Return the model's state of every stage."""
    return {
        key: (
            *(
                row.state,
                row.open_needs,
                row.attempt,
                row.releases,
                row.rerouted,
                row.token,
                row.late,
            ),
            None if row.not_before is None else row.not_before <= 0,
            None if row.patience_since is None else row.is_impatient,
        )
        for key, row in model.stages.items()
    }
