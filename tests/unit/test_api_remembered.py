"""Answers that may be a moment old: one value, or one for each of many keys."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import pytest

from smart_filter_api.remembered import Remembered, RememberedEach


@dataclass(slots=True)
class Source:
    """Gives 1, 2, 3, … for the keys that it is asked for; its clock is set by a test."""

    seconds: float = 100.0
    keys: list[str] = field(default_factory=list)

    def clock(self) -> float:
        return self.seconds

    def ask(self, key: str = "") -> Callable[[], Awaitable[int]]:
        async def answer() -> int:
            await anyio.lowlevel.checkpoint()
            self.keys.append(key)
            return len(self.keys)

        return answer

    def got(self, steps: list[tuple[str, float]], *, most: int = 10) -> list[str]:
        """Return the keys that were asked for when keys were got at these seconds."""
        remembered: RememberedEach[str, int] = RememberedEach(1, most=most, clock=self.clock)

        async def get_all() -> None:
            for key, self.seconds in steps:
                await remembered.get(key, self.ask(key))

        anyio.run(get_all)
        return self.keys


def test_answer_is_asked_for_again_only_when_it_is_old() -> None:
    source = Source()
    remembered: Remembered[int] = Remembered(2, clock=source.clock)

    async def look() -> list[int]:
        answers = []
        for passed in (0, 1.9, 0.2, 0):
            source.seconds += passed
            answers.append(await remembered.get(source.ask()))
        return answers

    assert anyio.run(look) == [1, 1, 2, 2]


def test_callers_at_the_same_time_wait_for_one_answer() -> None:
    source = Source()

    async def look() -> None:
        remembered: Remembered[int] = Remembered(2, clock=source.clock)
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(remembered.get, source.ask())

    anyio.run(look)

    assert len(source.keys) == 1


def test_failure_is_not_remembered() -> None:
    source = Source()

    async def fail() -> int:
        raise FileNotFoundError

    async def look() -> int:
        remembered: Remembered[int] = Remembered(2, clock=source.clock)
        with pytest.raises(FileNotFoundError):
            await remembered.get(fail)
        return await remembered.get(source.ask())

    assert anyio.run(look) == 1


def test_each_key_is_asked_for_once_a_second() -> None:
    assert Source().got([("a", 0), ("b", 0.1), ("a", 0.9), ("b", 1.2)]) == ["a", "b", "b"]


def test_key_that_was_got_longest_ago_is_forgotten_first() -> None:
    steps = [("a", 0.0), ("b", 0.1), ("a", 0.2), ("c", 0.3), ("a", 0.4), ("b", 0.5)]

    assert Source().got(steps, most=2) == ["a", "b", "c", "b"]


@pytest.mark.parametrize(
    "forget", [lambda remembered: remembered.forget("a"), RememberedEach.forget_all]
)
def test_forgotten_key_is_asked_for_again(
    forget: Callable[[RememberedEach[str, int]], None],
) -> None:
    source = Source()
    remembered: RememberedEach[str, int] = RememberedEach(1, most=2, clock=source.clock)

    async def get_twice() -> list[int]:
        first = await remembered.get("a", source.ask())
        forget(remembered)
        return [first, await remembered.get("a", source.ask())]

    assert anyio.run(get_twice) == [1, 2]
