"""The protocol: every state of the model, and the model's walks on real servers."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pytest

from smart_filter_tests.bench import Bench
from smart_filter_tests.protocol import walks
from smart_filter_tests.protocol.model import (
    MAX_ATTEMPTS,
    NEEDS,
    PAST,
    UNFINISHED,
    Row,
    State,
    Taken,
    first_state,
    steps,
)

# The steps that alone must be able to end a job: neither the client nor an error helps.
_HELPFUL = frozenset({"claim", "complete", "lease ends", "backoff ends", "expire", "wake"})
_HELPFUL_WHEN_OVERDUE = _HELPFUL | {"fail_overdue"}
REACHES_END = "from every state, work and sweeps alone can end the job"


@dataclass(frozen=True, slots=True)
class Violation:
    """A property that does not hold, and the shortest way there."""

    property: str
    way: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exploration:
    """All reachable states.  violation: the first one found, which ends the exploration."""

    states: int
    steps: int
    depth: int
    violation: Violation | None


def explore() -> Exploration:  # noqa: C901 - one loop
    """Explore the model; return what was found."""
    start = _canonical(first_state())
    numbers, parents = {start: 0}, [(0, "")]
    depths = [0]
    before: dict[int, list[int]] = defaultdict(list)  # by state: those from which work leads to it
    ended: list[int] = []
    waiting, taken_steps = deque([start]), 0

    def violation(name: str, number: int, last: str) -> Violation:
        way = [last] if last else []
        while number:
            number, step = parents[number]
            way.append(step)
        return Violation(name, tuple(reversed(way)))

    while waiting:
        state = waiting.popleft()
        number = numbers[state]
        if broken := _broken_in(state):
            fault = violation(broken, number, "")
            return Exploration(len(numbers), taken_steps, depths[-1], fault)
        if state.job.outcome:
            ended.append(number)
        helpful = _HELPFUL_WHEN_OVERDUE if state.job.deadline == PAST else _HELPFUL
        for taken in steps(state):
            taken_steps += 1
            if taken.after == state and not taken.ends:
                continue
            if broken := _broken_by(state, taken):
                fault = violation(broken, number, str(taken.step))
                return Exploration(len(numbers), taken_steps, depths[-1], fault)
            after = _canonical(taken.after)
            place = numbers.get(after)
            if place is None:
                place = numbers[after] = len(numbers)
                parents.append((number, str(taken.step)))
                depths.append(depths[number] + 1)
                waiting.append(after)
            if taken.step.name in helpful:
                before[place].append(number)
    stuck = _first_stuck(len(numbers), before, ended)
    lost = None if stuck is None else violation(REACHES_END, stuck, "")
    return Exploration(len(numbers), taken_steps, depths[-1], lost)


def _first_stuck(states: int, before: Mapping[int, list[int]], ended: list[int]) -> int | None:
    """Return the first state from which no end is reachable; None when there is no such state."""
    reaching = set(ended)
    waiting = deque(ended)
    while waiting:
        for number in before.get(waiting.popleft(), ()):
            if number not in reaching:
                reaching.add(number)
                waiting.append(number)
    return next((number for number in range(states) if number not in reaching), None)


def _canonical(state: State) -> State:
    """Return the state with its two workers in a fixed order."""
    first, second = state.works_on
    here, there = (-1 if first is None else first), (-1 if second is None else second)
    if here < there:
        return state
    swapped = {1: 2, 2: 1}
    rows = tuple(
        row._replace(holder=swapped[row.holder]) if row.holder > 0 else row
        for row in state.job.rows
    )
    other = State(state.job._replace(rows=rows), (second, first))
    if here > there:
        return other
    return min(state, other, key=lambda each: [row.holder for row in each.job.rows])


# --- properties of states ----------------------------------------------------------------


def _broken_in(state: State) -> str | None:
    return next((name for name, holds in IN_STATES.items() if not holds(state)), None)


def _leases_match(state: State) -> bool:
    return all((row.state == "running") == (row.holder != 0) for row in state.job.rows)


def _needs_match(state: State) -> bool:
    rows = state.job.rows
    return all(
        row.open_needs == sum(rows[need].state != "succeeded" for need in NEEDS[place])
        for place, row in enumerate(rows)
        if row.state in UNFINISHED
    )


def _waits_for_something(state: State) -> bool:
    return all(
        bool(row.open_needs or row.backoff) == (row.state == "waiting")
        for row in state.job.rows
        if row.state in UNFINISHED
    )


def _is_bounded(row: Row) -> bool:
    most = MAX_ATTEMPTS if row.state == "running" else MAX_ATTEMPTS - 1
    return (row.state == "running") <= row.attempt <= most and row.open_needs >= 0


def _ends_match(state: State) -> bool:
    job = state.job
    states = [row.state for row in job.rows]
    if job.outcome == "succeeded":
        return set(states) == {"succeeded"}
    if bool(job.outcome) == any(state in UNFINISHED for state in states):
        return False
    return states.count("failed") == (job.outcome == "failed")


IN_STATES: Mapping[str, Callable[[State], bool]] = {
    "a stage has a lease exactly while it runs": _leases_match,
    "an unfinished stage counts its unfinished needs": _needs_match,
    "a stage waits exactly while it waits for something": _waits_for_something,
    "attempts are bounded, and no counter is below zero": lambda state: all(
        _is_bounded(row) for row in state.job.rows
    ),
    "a job has ended exactly when no stage is unfinished": _ends_match,
}


# --- properties of steps -----------------------------------------------------------------


def _broken_by(state: State, taken: Taken) -> str | None:
    for name, holds in OF_STEPS.items():
        if not holds(state, taken):
            return name
    return None


def _lost_lease_writes_nothing(state: State, taken: Taken) -> bool:
    step = taken.step
    if not step.worker or step.name == "claim":
        return True
    holds = state.job.rows[step.stage].holder == step.worker
    return holds or taken.after.job == state.job


def _accepts_once(state: State, taken: Taken) -> bool:
    return all(
        after.state == "succeeded"
        for row, after in _pairs(state, taken)
        if row.state == "succeeded"
    )


def _ends_once(state: State, taken: Taken) -> bool:
    before, after = state.job.outcome, taken.after.job.outcome
    if before and after != before:
        return before == "failed" and not after and taken.step.name == "redrive"
    return taken.ends == (after != before)


def _redriven_without_deadline(state: State, taken: Taken) -> bool:
    is_redriven = taken.step.name == "redrive" and taken.after != state
    return not is_redriven or not taken.after.job.deadline


def _stays_canceled(state: State, taken: Taken) -> bool:
    return state.job.outcome != "canceled" or taken.after.job == state.job


def _live_lease_holds(state: State, taken: Taken) -> bool:
    is_over = taken.after.job.outcome != state.job.outcome
    return is_over or all(
        after.holder in {row.holder, *_dead(taken)} or taken.step.worker == row.holder
        for row, after in _pairs(state, taken)
        if row.state == "running" and not row.is_late
    )


def _dead(taken: Taken) -> list[int]:
    return [-1] if taken.step.name == "worker dies" else []


def _starts_in_time(state: State, taken: Taken) -> bool:
    starts = taken.step.name == "claim" and taken.after != state
    return not (starts and state.job.deadline == PAST)


def _overdue_is_late(state: State, taken: Taken) -> bool:
    fails = taken.step.name == "fail_overdue" and taken.ends > 0
    return not fails or state.job.deadline == PAST


def _backoff_is_kept(state: State, taken: Taken) -> bool:
    return all(
        after.state != "ready" or bool(taken.after.job.outcome != state.job.outcome)
        for row, after in _pairs(state, taken)
        if row.state == "waiting" and row.backoff == "ahead"
    )


def _outage_spends_nothing(state: State, taken: Taken) -> bool:
    if not taken.step.name.startswith("release"):
        return True
    row, after = state.job.rows[taken.step.stage], taken.after.job.rows[taken.step.stage]
    return after.state not in {"ready", "waiting"} or row == after or after.attempt < row.attempt


def _patience_ends(state: State, taken: Taken) -> bool:
    gives_back = taken.step.name in {"release", "release later", "expire"}
    return not gives_back or all(
        after.state not in {"ready", "waiting"}
        for row, after in _pairs(state, taken)
        if row.state == "running" and row.patience == PAST
    )


def _pairs(state: State, taken: Taken) -> Iterator[tuple[Row, Row]]:
    return zip(state.job.rows, taken.after.job.rows, strict=True)


OF_STEPS: Mapping[str, Callable[[State, Taken], bool]] = {
    "a lost lease writes nothing": _lost_lease_writes_nothing,
    "a result is accepted once": _accepts_once,
    "a canceled job stays canceled": _stays_canceled,
    "a job ends once": _ends_once,
    "a redriven job has no deadline": _redriven_without_deadline,
    "a lease that is renewed is not taken": _live_lease_holds,
    "no stage starts past the deadline": _starts_in_time,
    "no job is overdue before its deadline": _overdue_is_late,
    "a backoff is waited for": _backoff_is_kept,
    "an outage spends no attempt": _outage_spends_nothing,
    "patience ends": _patience_ends,
}


@pytest.mark.timeout(900)
def test_no_property_is_broken_in_any_state() -> None:
    explored = explore()

    assert explored.violation is None
    assert explored.states > 100_000


@pytest.mark.timeout(900)
def test_servers_follow_the_walks_of_the_model(bench: Bench) -> None:
    walks.follow_all(bench)
