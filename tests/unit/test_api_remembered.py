"""What is remembered for a moment, one value for each of many keys."""

from collections.abc import Callable

import anyio
import pytest

from smart_filter_api.remembered import RememberedEach


class Clock:
    """A clock that a test sets."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def asked(steps: list[tuple[str, float]], *, most: int = 10) -> list[str]:
    """Return which keys were asked for when they were got at these seconds."""
    clock, asked_for = Clock(), []
    remembered: RememberedEach[str, str] = RememberedEach(1, most=most, clock=clock)

    async def get_all() -> None:
        for key, at in steps:
            clock.seconds = at

            async def ask(key: str = key) -> str:
                asked_for.append(key)
                return key

            assert await remembered.get(key, ask) == key

    anyio.run(get_all)
    return asked_for


def test_each_key_is_asked_for_once_a_second() -> None:
    assert asked([("a", 0), ("b", 0.1), ("a", 0.9), ("b", 1.2)]) == ["a", "b", "b"]


def test_key_that_was_got_longest_ago_is_forgotten_first() -> None:
    steps = [("a", 0.0), ("b", 0.1), ("a", 0.2), ("c", 0.3), ("a", 0.4), ("b", 0.5)]

    assert asked(steps, most=2) == ["a", "b", "c", "b"]


@pytest.mark.parametrize(
    "forget", [lambda remembered: remembered.forget("a"), RememberedEach.forget_all]
)
def test_forgotten_key_is_asked_for_again(
    forget: Callable[[RememberedEach[str, int]], None],
) -> None:
    remembered: RememberedEach[str, int] = RememberedEach(1, most=2, clock=Clock())
    answers = iter([1, 2])

    async def ask() -> int:
        return next(answers)

    async def get_twice() -> list[int]:
        first = await remembered.get("a", ask)
        forget(remembered)
        return [first, await remembered.get("a", ask)]

    assert anyio.run(get_twice) == [1, 2]
