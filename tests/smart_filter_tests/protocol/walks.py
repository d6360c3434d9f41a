"""Walks through the model that take each kind of step in each kind of state.

The kind of a step is its name together with what its guards look at, without the stage's name. The
walks are the same in every run.
"""

import functools
import random
from collections.abc import Hashable, Sequence

from smart_filter_tests.bench import Bench
from smart_filter_tests.protocol.model import (
    MAX_ATTEMPTS,
    PAST,
    Row,
    State,
    Step,
    Taken,
    find_step,
    first_state,
    steps,
)
from smart_filter_tests.protocol.real_job import RealJob

_OF_A_LEASE = ("renew", "complete", "retry", "release", "release later", "fail")
_WALKS = 300
_LONGEST = 36
_AHEAD_WEIGHTS = {"claim": 6, "complete": 3, "wake": 4, "expire": 3, "redrive": 4, "cancel": 0.1}

_LOST = ("claim 0 by 1", "lease ends 0", "expire", "wake", "claim 0 by 2", "lease ends 0")
# Kinds of steps that random walks seldom reach.
_DIRECTED = (
    *((*_LOST, f"{name} 0 by 1", "renew 0 by 2") for name in _OF_A_LEASE),
    (
        *("claim 0 by 1", "complete 0 by 1", "claim 2 by 1", "release 2 by 1", "patience ends 2"),
        *("claim 2 by 1", "claim 1 by 2", "lease ends 1", "lease ends 2", "expire"),
    ),
)

Walk = tuple[Taken, ...]


@functools.cache
def covering_walks() -> tuple[Walk, ...]:
    """Return walks from the first state; each takes a kind of step that no earlier one took."""
    chance = random.Random(28)
    seen: set[Hashable] = set()
    kept = [_directed(names) for names in _DIRECTED]
    for _ in range(_WALKS):
        walk, last_new = _walk(chance, seen)
        if last_new:
            kept.append(tuple(walk[:last_new]))
    return tuple(kept)


def kind_of(state: State, step: Step) -> Hashable:  # noqa: PLR0911 - a line for each step
    """Return a step's name with what its guards look at."""
    job = state.job
    rows = job.rows
    match step.name:
        case "claim":
            return (step.name, rows[step.stage].state, job.outcome, job.deadline == PAST)
        case "expire":
            running = {_of_lease(row) for row in rows if row.state == "running"}
            return (step.name, frozenset(running))
        case "wake":
            waiting = {(row.backoff, not row.open_needs) for row in rows if row.state == "waiting"}
            return (step.name, frozenset(waiting))
        case "fail_overdue":
            runs = any(row.state == "running" for row in rows)
            return (step.name, runs, job.outcome, job.deadline)
        case "cancel" | "redrive":
            return (
                step.name,
                job.outcome,
                frozenset(row.state for row in rows) & {"succeeded", "running"},
            )
    if step.worker:
        row = rows[step.stage]
        if row.holder != step.worker:
            return (step.name, row.state, row.holder != 0, row.is_late)
        runs_more = sum(row.state == "running" for row in rows) > 1
        is_last = sum(row.state != "succeeded" for row in rows) == 1
        return (step.name, _of_lease(row), *((runs_more, is_last) if row.attempt == 1 else ()))
    return (step.name, rows[step.stage].state if step.stage >= 0 else "")


def _of_lease(row: Row) -> Hashable:
    return (row.is_late, row.attempt == MAX_ATTEMPTS) if row.patience != PAST else PAST


def _directed(names: Sequence[str]) -> Walk:
    state, walk = first_state(), []
    for name in names:
        walk.append(find_step(state, name))
        state = walk[-1].after
    return tuple(walk)


def _walk(chance: random.Random, seen: set[Hashable]) -> tuple[list[Taken], int]:
    """Return a walk, and the length up to its last new kind of step."""
    state, walk, last_new = first_state(), [], 0
    for _ in range(_LONGEST):
        possible = list(steps(state))
        fresh = [step for step in possible if kind_of(state, step.step) not in seen]
        # A refused step costs little and leads nowhere; the others lead on.
        moving = [step for step in possible if step.after != state]
        refused = [step for step in fresh if step.after == state]
        if refused:
            taken = refused[0]
        else:
            among = [step for step in fresh if step in moving] or moving or possible
            weights = [_AHEAD_WEIGHTS.get(taken.step.name, 1) for taken in among]
            (taken,) = chance.choices(among, weights)
        kind = kind_of(state, taken.step)
        walk.append(taken)
        if kind not in seen:
            seen.add(kind)
            last_new = len(walk)
        state = taken.after
    return walk, last_new


def follow_all(bench: Bench, *, about: str = "") -> None:
    """Take all walks on the servers, first those with the largest share of steps of a name.

    Raises Diverged.
    """

    def share(walk: Walk) -> float:
        return sum(taken.step.name.startswith(about) for taken in walk) / len(walk)

    for walk in sorted(covering_walks(), key=share, reverse=True):
        job = RealJob.submit(bench)
        for taken in walk:
            job.follow(taken)
        job.audit()
