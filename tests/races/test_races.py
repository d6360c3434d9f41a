"""Every pair of transitions on the same rows, in both orders and at the same time."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from smart_filter_tests import races, worlds
from smart_filter_tests.bench import Bench
from smart_filter_tests.worlds import Action, World

# Of each world's pairs those with one of these transitions, so that no pair is raced twice in
# what is nearly the same world.
RACED: Mapping[Callable[[Bench], World], frozenset[str]] = {
    worlds.running: frozenset({"complete", "release", "retry", "fail", "expire", "cancel"}),
    worlds.ready: frozenset({"claim"}),
    worlds.due: frozenset({"wake"}),
    worlds.hopeless: frozenset({"expire", "release", "retry"}),
    worlds.joining: frozenset({"complete"}),
    worlds.failed: frozenset({"redrive", "delete"}),
    worlds.late_and_ready: frozenset({"lapse"}),
}
RACES = ("in order", "in reverse", "at once")


@dataclass(frozen=True, slots=True)
class End:
    """What two transitions answered, and how everything stands after them."""

    first: object
    second: object
    picture: Mapping[str, object]


@pytest.mark.parametrize("make", RACED, ids=lambda make: make.__name__)
@pytest.mark.timeout(300)
def test_every_pair_of_transitions_ends_as_if_one_came_after_the_other(
    bench: Bench, make: Callable[[Bench], World]
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
            alone[two]
            for name, two in zip(names, reversed(pair), strict=True)
            if name in worlds.PASSING_BY
        ]
        for race in RACES:
            end = raced(bench, make, pair, race)
            if end not in serial and end.picture not in passed_by:
                wrong.append(f"{names} {race}: {end}, not {serial}")
            elif not ends_well(bench):
                wrong.append(f"{names} {race}: left behind after {end}")

    assert wrong == []
    assert races.deadlocks(bench) == deadlocks


def actions(bench: Bench, make: Callable[[Bench], World]) -> list[Action]:
    bench.empty()
    return worlds.actions(make(bench))


def alone_with(bench: Bench, make: Callable[[Bench], World], number: int) -> Mapping[str, object]:
    """Return how everything stands after one transition."""
    bench.empty()
    world = make(bench)
    races.alone(world, worlds.actions(world)[number])
    return worlds.picture(bench)


def one_by_one(
    bench: Bench,
    make: Callable[[Bench], World],
    pair: tuple[int, int],
    *,
    reverse: bool = False,
) -> End:
    bench.empty()
    world = make(bench)
    listed = worlds.actions(world)
    answers = [races.alone(world, listed[number]) for number in (pair[::-1] if reverse else pair)]
    first, second = answers[::-1] if reverse else answers
    return End(first, second, worlds.picture(bench))


def raced(bench: Bench, make: Callable[[Bench], World], pair: tuple[int, int], race: str) -> End:
    bench.empty()
    world = make(bench)
    one, two = (worlds.actions(world)[number] for number in pair)
    if race == "in order":
        first, second = races.overlapped(world, one, two)
    elif race == "in reverse":
        second, first = races.overlapped(world, two, one)
    else:
        first, second = races.at_once(
            [lambda: races.alone(world, one), lambda: races.alone(world, two)]
        )
    return End(first, second, worlds.picture(bench))


def ends_well(bench: Bench) -> bool:
    """Whether every job ends when holders are gone and somebody sweeps and works."""
    worlds.drain(bench)
    with bench.transaction() as connection:
        left = connection.execute(text("SELECT count(*) FROM jobs WHERE outcome IS NULL"))
        return left.scalar_one() == 0
