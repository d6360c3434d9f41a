"""The moves that each transition makes on a real database: the declared ones, and no others."""

from collections.abc import Callable

import pytest
from sqlalchemy.exc import DBAPIError

from smart_filter_tests import moves, scenarios
from smart_filter_tests.bench import Bench
from smart_filter_tests.scenarios import Scenario

Seen = set[tuple[str, str, str, str]]


def moves_of(bench: Bench, make: Callable[[Bench], Scenario]) -> Seen:
    """Try every action in a scenario; return (stage or job, before, after, transition)."""
    seen: Seen = set()
    bench.empty()
    for number in range(len(scenarios.actions(make(bench)))):
        bench.empty()
        scenario = make(bench)
        action = scenarios.actions(scenario)[number]
        before = moves.current_states(bench)
        with bench.transaction() as connection:
            action(connection, scenario)
        after = moves.current_states(bench)
        for who in before.keys() & after.keys():
            if before[who] != after[who]:
                whose = "job" if who[1] == "job" else "stage"
                seen.add((whose, before[who], after[who], action.transition.split()[0]))
    return seen


@pytest.mark.timeout(900)
def test_transitions_make_the_declared_moves_and_no_other(bench: Bench) -> None:
    seen = set().union(*(moves_of(bench, make) for make in scenarios.SCENARIOS))

    assert seen == moves.DECLARED


def test_database_of_the_tests_refuses_an_undeclared_move(bench: Bench) -> None:
    bench.submit()

    with pytest.raises(DBAPIError, match="undeclared move"), bench.transaction() as connection:
        connection.exec_driver_sql("UPDATE stages SET state = 'succeeded'")
