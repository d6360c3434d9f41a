"""A dictionary that drops what was not used for longest."""

import pytest

from smart_filter_shared.lru_dict import LruDict


def kept(most: int, *used: str) -> list[str]:
    """Return which of the keys are kept after they were put, or used again, in this order."""
    values: LruDict[str, int] = LruDict(most)
    for key in used:
        if values.get(key) is None:
            values.put(key, 1)
    return [key for key in sorted(set(used)) if values.get(key)]


@pytest.mark.parametrize(
    ("used", "expected"), [("abc", ["b", "c"]), ("abac", ["a", "c"]), ("aab", ["a", "b"])]
)
def test_least_recently_used_value_is_dropped(used: str, expected: list[str]) -> None:
    assert kept(2, *used) == expected


def test_replaced_value_drops_no_other() -> None:
    values: LruDict[str, int] = LruDict(2)

    for key, value in (("a", 1), ("b", 1), ("a", 2)):
        values.put(key, value)

    assert (values.get("a"), values.get("b")) == (2, 1)


def test_room_is_made_before_a_value_is_put() -> None:
    values: LruDict[str, int] = LruDict(1)
    values.put("a", 1)

    values.make_room()

    assert values.get("a") is None


def test_heavy_value_drops_as_many_as_it_weighs() -> None:
    values: LruDict[str, int] = LruDict(10)
    for key, weight in (("a", 4), ("b", 4), ("c", 2), ("d", 6)):
        values.put(key, 1, weight=weight)

    kept = [key for key in "abcd" if values.get(key)]
    values.put("e", 1, weight=11)

    assert kept == ["c", "d"]
    assert [key for key in "cde" if values.get(key)] == ["e"]
