"""The service without one of its guards: textual changes that are applied in memory.

A mutant replaces a text in an SQL statement or in a function. Everything that uses the statement or
the function then runs without the guard, in this process only.
"""

import importlib
import inspect
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any
from unittest import mock

from sqlalchemy import TextClause

QUEUE = "smart_filter_shared.queue.transitions"
WALKS = "walks"
RUNTIME = "smart_filter_workers.runtime"
_TOKEN = " AND lease_token = :token"


@dataclass(frozen=True, slots=True)
class Patch:
    """A replacement in a statement or function of a module; the text stands there once."""

    module: str
    name: str
    old: str
    new: str = ""


@dataclass(frozen=True, slots=True)
class Mutant:
    """The service without a guard.  check: the check of tests/mutants that notices it."""

    guard: str
    check: str
    patches: tuple[Patch, ...]


def _queue(
    guard: str, place: str, old: str, new: str = "", *more: Patch, check: str = WALKS
) -> Mutant:
    module, _, name = place.partition(" ")
    return Mutant(guard, check, (Patch(f"{QUEUE}.{module}", name, old, new), *more))


def _worker(guard: str, place: str, old: str, new: str, check: str) -> Mutant:
    module, _, name = place.partition(" ")
    return Mutant(guard, check, (Patch(f"{RUNTIME}.{module}", name, old, new),))


_PATIENCE = """
        AND coalesce(
            patience_since > statement_timestamp() - make_interval(secs => :give_up_seconds), true
        )"""
_NOT_RUNNING = """ AND NOT EXISTS (
        SELECT FROM stages
        WHERE stages.job_id = jobs.id AND stages.state = 'running'
    )"""
_OTHER_RUNS = """ AND NOT EXISTS (
            SELECT FROM stages AS other
            WHERE other.job_id = ANY(:ids)
                AND other.job_id = stages.job_id AND other.state = 'running'
        )"""
_TAKEN = "lease_token = NULL, leased_until = NULL"

MUTANTS: tuple[Mutant, ...] = (
    _queue(
        "claim: only ready stages",
        "claim _CLAIM",
        "state = 'ready'\n            AND coalesce",
        "state IN ('ready', 'waiting')\n            AND coalesce",
    ),
    _queue(
        "claim: not past the deadline",
        "claim _CLAIM",
        "            AND coalesce(deadline_at > statement_timestamp(), true)\n",
    ),
    _queue(
        "claim: counts the attempt",
        "claim _CLAIM",
        "attempt = attempt + 1",
        "attempt = attempt",
    ),
    _queue(
        "claim: locks the row",
        "claim _CLAIM",
        "LIMIT 1\n        FOR UPDATE SKIP LOCKED",
        "LIMIT 1",
        check="overlaps",
    ),
    _queue("renew: token", "claim _RENEW", " AND stages.lease_token = lease.token"),
    _queue("complete: token", "complete _COMPLETE", " AND stages.lease_token = done.token"),
    _queue("complete: takes the token", "complete _COMPLETE", f" {_TAKEN},"),
    _queue(
        "complete: artifacts of its token only",
        "complete _MADE",
        "FROM completed, json",
        "FROM json_to_recordset(:batch) AS completed (job_id uuid, made json), json",
    ),
    _queue(
        "complete: ready at zero needs",
        "complete _COMPLETE",
        "WHEN open_needs = met.needs AND",
        "WHEN true AND",
    ),
    _queue(
        "complete: counts needs down",
        "complete _COMPLETE",
        "open_needs = open_needs - met.needs",
        "open_needs = open_needs",
    ),
    _queue(
        "complete: only waiting stages become ready",
        "complete _COMPLETE",
        "= 'waiting' AND stages.open_needs > 0",
        "<> ''",
        check="rerun",
    ),
    _queue(
        "complete: the last stage ends the job",
        "complete _COMPLETE",
        "stages.state <> 'succeeded'",
        "false",
    ),
    _queue(
        "complete: counts the stages of this statement",
        "complete _COMPLETE",
        "AND (stages.job_id, stages.stage) NOT IN (SELECT job_id, stage FROM completed)",
    ),
    _queue(
        "rerun: token",
        "rerun rerun",
        "if connection.execute(sql.FIND_HELD_STAGE, held).one_or_none() is None:",
        "if False:",
        check="rerun",
    ),
    _queue("rerun: bounded", "rerun rerun", "or job.reopened >= _MAX_RERUNS", "", check="rerun"),
    _queue("rerun: takes the token", "rerun _RERUN_STAGES", f", {_TAKEN}", check="rerun"),
    _queue(
        "rerun: refund",
        "rerun _RERUN_STAGES",
        "greatest(0, attempt - 1)",
        "attempt",
        check="rerun",
    ),
    _queue("retry: token", "retry _RETRY", _TOKEN),
    _queue("retry: bounded", "retry _RETRY", "\n        AND attempt < :max_attempts"),
    _queue("retry: takes the token", "retry _RETRY", f", {_TAKEN}"),
    _queue(
        "retry: waits",
        "retry _RETRY",
        "not_before = statement_timestamp() + make_interval(secs => :delay_seconds),",
    ),
    _queue("release: token", "retry _RELEASE", _TOKEN),
    _queue("release: refund", "retry _RELEASE", "attempt = attempt - 1, "),
    _queue("release: bounded", "retry _RELEASE", _PATIENCE),
    _queue("release: takes the token", "retry _RELEASE", f",\n        {_TAKEN}"),
    _queue(
        "release: patience begins once",
        "retry _RELEASE",
        "coalesce(patience_since, statement_timestamp())",
        "statement_timestamp()",
    ),
    _queue("fail: token", "sql FIND_HELD_STAGE", _TOKEN),
    _queue("fail: takes its token", "finish _FAIL_STAGE", f" {_TAKEN},"),
    _queue("fail: takes the siblings' tokens", "batches CANCEL_STAGES", f" {_TAKEN},"),
    _queue(
        "fail: cancels all siblings",
        "batches CANCEL_STAGES",
        "('waiting', 'ready', 'running')",
        "('waiting', 'ready')",
    ),
    _queue(
        "fail: leaves succeeded stages",
        "batches CANCEL_STAGES",
        " AND state IN ('waiting', 'ready', 'running')",
        " AND state <> 'failed'",
    ),
    _queue(
        "expire: only late leases",
        "claim _EXPIRED_STAGES",
        " AND leased_until < statement_timestamp()",
        "",
        Patch(f"{QUEUE}.claim", "_FIND_EXPIRED", " AND leased_until < statement_timestamp()"),
    ),
    _queue(
        "expire: late is judged under the lock",
        "claim _EXPIRED_STAGES",
        " AND leased_until < statement_timestamp()",
    ),
    _queue(
        "expire: refund of the last attempt",
        "claim _EXPIRE",
        "least(attempt, :max_attempts - 1)",
        "attempt",
    ),
    _queue("expire: bounded", "claim _EXPIRE", _PATIENCE),
    _queue(
        "expire: the last attempt costs patience",
        "claim _EXPIRE",
        "coalesce(patience_since, statement_timestamp()) ELSE",
        "patience_since ELSE",
    ),
    _queue("expire: waits for `wake`", "claim _EXPIRE", ", not_before = statement_timestamp()"),
    _queue("expire: takes the token", "claim _EXPIRE", f",\n        {_TAKEN}"),
    _queue("expire: only running stages", "claim _EXPIRE", " AND state = 'running'"),
    _queue(
        "expire: fails a job once",
        "claim expire",
        "and connection.execute(sql.FIND_HELD_STAGE, held).one_or_none() is not None",
        "",
    ),
    _queue(
        "wake: only due stages that need nothing",
        "wake _WAKE",
        "WHEN not_before <= statement_timestamp() AND open_needs = 0\n            THEN 'ready'",
        "WHEN true THEN 'ready'",
    ),
    _queue(
        "wake: takes the time",
        "wake _WAKE",
        "WHEN not_before > statement_timestamp() OR open_needs > 0\n            THEN",
        "WHEN true THEN",
    ),
    _queue(
        "fail_overdue: past the deadline",
        "deadlines _FIND_OVERDUE",
        " AND deadline_at <= statement_timestamp()",
    ),
    _queue(
        "fail_overdue: nothing runs",
        "deadlines _FIND_OVERDUE",
        _NOT_RUNNING,
        "",
        Patch(f"{QUEUE}.deadlines", "_FAIL_OVERDUE", _OTHER_RUNS),
    ),
    _queue(
        "fail_overdue: leaves succeeded stages",
        "deadlines _FAIL_OVERDUE",
        " AND stages.state IN ('waiting', 'ready')",
    ),
    _queue("cancel: only unfinished jobs", "finish cancel", "if outcome is not None:", "if False:"),
    _queue(
        "cancel: ends a job once",
        "batches _CANCEL_JOBS",
        " AND outcome IS NULL",
        check="overlaps",
    ),
    _queue(
        "redrive: only failed jobs",
        "retry redrive",
        "if outcome != JobState.FAILED:",
        "if False:",
    ),
    _queue(
        "redrive: leaves succeeded stages",
        "retry redrive",
        "if row.state != StageState.SUCCEEDED",
        "if row.state",
    ),
    _queue(
        "redrive: counts unfinished needs",
        "retry redrive",
        "len(needs_within(stage, unfinished))",
        "len(stage.needs)",
    ),
    _queue("redrive: all attempts", "retry _REDRIVE_STAGES", " attempt = 0,"),
    _queue("redrive: patience", "retry _REDRIVE_STAGES", " patience_since = NULL,"),
    _queue("redrive: no deadline", "retry _REDRIVE_STAGES", "deadline_at = NULL, "),
    _queue(
        "lock: the job's row",
        "sql LOCK",
        " FOR NO KEY UPDATE",
        check="overlaps",
    ),
    _queue(
        "lock: the batch's row", "batches _LOCK_BATCHES", " FOR NO KEY UPDATE", check="overlaps"
    ),
    _worker(
        "error policy: a lost lease ends the work",
        "error_policy _move_leases",
        "except Conflict as error:",
        "except ZeroDivisionError as error:",
        "lost lease",
    ),
    _worker(
        "error policy: a lost database leaves the lease to the sweeper",
        "error_policy _move_leases",
        "except TryAgain as error:",
        "except ZeroDivisionError as error:",
        "database away",
    ),
    _worker(
        "error policy: an outage spends no attempt",
        "error_policy _settle",
        "case TryAgain():",
        "case ZeroDivisionError():",
        "outage",
    ),
    _worker(
        "error policy: an unusable photo is not retried",
        "error_policy _settle",
        "case UnusablePhoto():",
        "case ZeroDivisionError():",
        "unusable photo",
    ),
    _worker(
        "error policy: no photo to make it again from fails the job",
        "error_policy _rerun",
        "except InputsExpired as error:",
        "except ZeroDivisionError as error:",
        "inputs expired",
    ),
    _worker(
        "error policy: a commit is repeated while the lease may hold",
        "error_policy retry_until_lease_ends",
        "if time.monotonic() > gives_up_at:",
        "if True:",
        "repeated commit",
    ),
    _worker(
        "error policy: objects that a row names stay",
        "error_policy remove_unreferenced",
        "retention.unreferenced(connection, stored)",
        "stored",
        "repeated commit",
    ),
    _worker(
        "runner: an object of a lost lease is removed",
        "runner _complete_and_claim",
        "error_policy.remove_unreferenced(context, outcome.artifacts)",
        "pass",
        "lost completion",
    ),
    _worker(
        "steps: a lost lease stores nothing",
        "steps store",
        "if task.lost.is_set():",
        "if False:",
        "lost before storing",
    ),
    _worker(
        "runner: a failed claim keeps the completion",
        "runner _complete_and_claim",
        "except Exception:",
        "except ZeroDivisionError:",
        "failed claim",
    ),
    _worker(
        "runner: a draining worker claims nothing",
        "runner _may_claim",
        " and not context.draining.is_set()",
        "",
        "draining",
    ),
    _worker(
        "heartbeat: tells the task that its lease is lost",
        "heartbeat Heartbeat.beat",
        "entry.lost.set()",
        "pass",
        "heartbeat of a lost lease",
    ),
    _worker(
        "heartbeat: renews",
        "heartbeat Heartbeat.beat",
        "[entry.lease for entry in held]",
        "[]",
        "heartbeat",
    ),
    _worker(
        "heartbeat: proves progress, not life",
        "heartbeat Heartbeat.in_time",
        "if entry.overdue_at > now",
        "if entry",
        "hang",
    ),
    _worker(
        "shutdown: returns the lease",
        "shutdown GracefulShutdown._release_lease",
        "task.lost.set()",
        "return",
        "shutdown",
    ),
    _worker(
        "shutdown: its own thread stores nothing more",
        "shutdown GracefulShutdown._release_lease",
        "task.lost.set()",
        "pass",
        "shutdown",
    ),
)


@contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """Run the block without the mutant's guard."""
    with ExitStack() as stack:
        for patch in mutant.patches:
            stack.enter_context(_patched(patch))
        yield


@contextmanager
def _patched(patch: Patch) -> Iterator[None]:
    module = importlib.import_module(patch.module)
    owner: Any = module
    *path, name = patch.name.split(".")
    for part in path:
        owner = getattr(owner, part)
    original = getattr(owner, name)
    if isinstance(original, TextClause | str):
        changed = _replaced(getattr(original, "text", original), patch)
        with mock.patch.object(owner, name, type(original)(changed)):
            yield
        return
    code = original.__code__
    original.__code__ = _code(
        module, original, _replaced(textwrap.dedent(inspect.getsource(original)), patch)
    )
    try:
        yield
    finally:
        original.__code__ = code


def _replaced(source: str, patch: Patch) -> str:
    assert source.count(patch.old) == 1, f"{patch.name} has not one text {patch.old!r}"
    return source.replace(patch.old, patch.new)


def _code(module: ModuleType, function: FunctionType, source: str) -> Any:  # noqa: ANN401 - a code object
    """Compile a changed function with the names of its module."""
    made: dict[str, Any] = {}
    future = "from __future__ import annotations\n"
    exec(compile(future + source, function.__code__.co_filename, "exec"), vars(module).copy(), made)
    return made[function.__name__].__code__
