"""Every pair of transitions on the same rows, in both orders and at the same time."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from smart_filter_tests import races, scenarios
from smart_filter_tests.bench import Bench
from smart_filter_tests.scenarios import Action, Scenario

# For each scenario, the pairs with one of these transitions, so that no pair is raced twice in
# nearly the same scenario.
RACED: Mapping[Callable[[Bench], Scenario], frozenset[str]] = {
    scenarios.running_stages: frozenset(
        {"complete", "release", "retry", "fail", "expire", "cancel"}
    ),
    scenarios.ready_face: frozenset({"claim"}),
    scenarios.due_retry: frozenset({"wake"}),
    scenarios.exhausted: frozenset({"expire", "release", "retry"}),
    scenarios.joining_stages: frozenset({"complete"}),
    scenarios.failed_job: frozenset({"redrive", "delete"}),
    scenarios.overdue_and_ready: frozenset({"fail_overdue"}),
}
RACES = ("in order", "in reverse", "at once")


@dataclass(frozen=True, slots=True)
class End:
    """The answers of two transitions, and the state after them."""

    first: object
    second: object
    picture: Mapping[str, object]


@pytest.mark.parametrize("make", RACED, ids=lambda make: make.__name__)
@pytest.mark.timeout(900)
def test_every_pair_of_transitions_ends_as_if_serialized(
    bench: Bench, make: Callable[[Bench], Scenario]
) -> None:
    deadlocks = races.deadlocks(bench)
    alone = [alone_with(bench, make, number) for number in range(len(actions(bench, make)))]
    wrong: list[str] = []
    for pair in itertools.combinations_with_replacement(range(len(alone)), 2):
        names = [str(actions(bench, make)[number]) for number in pair]
        if not RACED[make] & {name.split()[0] for name in names}:
            continue
        serial = [one_by_one(bench, make, pair), one_by_one(bench, make, pair, reverse=True)]
        if serial[0] == serial[1] and serial[0].picture in (alone[pair[0]], alone[pair[1]]):
            continue  # one of them does nothing here, whatever the other does
        passed_by = [
            alone[other]
            for name, other in zip(names, reversed(pair), strict=True)
            if name in scenarios.SKIPPING_LOCKED
        ]
        for race in RACES:
            end = raced(bench, make, pair, race)
            if end not in serial and end.picture not in passed_by:
                wrong.append(f"{names} {race}: {end}, not {serial}")
            elif not ends_well(bench):
                wrong.append(f"{names} {race}: left behind after {end}")

    assert wrong == []
    assert races.deadlocks(bench) == deadlocks


def actions(bench: Bench, make: Callable[[Bench], Scenario]) -> list[Action]:
    bench.empty()
    return scenarios.actions(make(bench))


def alone_with(
    bench: Bench, make: Callable[[Bench], Scenario], number: int
) -> Mapping[str, object]:
    """Return the state after one transition."""
    bench.empty()
    scenario = make(bench)
    races.run_alone(scenario, scenarios.actions(scenario)[number])
    return scenarios.snapshot(bench)


def one_by_one(
    bench: Bench,
    make: Callable[[Bench], Scenario],
    pair: tuple[int, int],
    *,
    reverse: bool = False,
) -> End:
    bench.empty()
    scenario = make(bench)
    listed = scenarios.actions(scenario)
    answers = [
        races.run_alone(scenario, listed[number]) for number in (pair[::-1] if reverse else pair)
    ]
    first, second = answers[::-1] if reverse else answers
    return End(first, second, scenarios.snapshot(bench))


def raced(bench: Bench, make: Callable[[Bench], Scenario], pair: tuple[int, int], race: str) -> End:
    bench.empty()
    scenario = make(bench)
    first_action, second_action = (scenarios.actions(scenario)[number] for number in pair)
    if race == "in order":
        first, second = races.run_overlapped(scenario, first_action, second_action)
    elif race == "in reverse":
        second, first = races.run_overlapped(scenario, second_action, first_action)
    else:
        first, second = races.at_once(
            [
                lambda: races.run_alone(scenario, first_action),
                lambda: races.run_alone(scenario, second_action),
            ]
        )
    return End(first, second, scenarios.snapshot(bench))


def ends_well(bench: Bench) -> bool:
    """Return whether every job ends when leases expire and a worker sweeps and works."""
    scenarios.drain(bench)
    with bench.transaction() as connection:
        left = connection.execute(text("SELECT count(*) FROM jobs WHERE outcome IS NULL"))
        return left.scalar_one() == 0
