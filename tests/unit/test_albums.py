import dataclasses
import datetime as dt
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from smart_filter_shared.albums import (
    ALIKE_WITHIN_BITS,
    MOMENT_ALIKE_WITHIN_BITS,
    Album,
    Shot,
    arrange,
)
from smart_filter_shared.printability import Printability, Sharpness, Verdict
from smart_filter_tests.printable import PRINTABILITY

NOON = dt.datetime(2031, 5, 6, 12, tzinfo=dt.UTC)
BLINKS = TypeAdapter(Printability).validate_python(PRINTABILITY)
SCENE, OTHER_SCENE = 0x0F1E2D3C4B5A6978, ~0x0F1E2D3C4B5A6978 % 2**64


def flipped(fingerprint: int, bits: int) -> int:
    return fingerprint ^ ((1 << bits) - 1)


def prints_well(*, blur_px: float = 1.0, verdict: Verdict = Verdict.GOOD) -> Printability:
    return dataclasses.replace(
        BLINKS,
        reasons=(),
        sharpness=Sharpness(verdict, "It is as it is.", blur_px),
        looks=dataclasses.replace(BLINKS.looks, blinking=()),
    )


def groups_of(album: Album) -> list[tuple[str, ...]]:
    return [group.ids for group in album.groups]


def test_photos_of_one_scene_are_one_group() -> None:
    alike = flipped(SCENE, ALIKE_WITHIN_BITS)
    shots = [Shot("a", SCENE), Shot("b", OTHER_SCENE), Shot("c", alike), Shot("d")]

    assert groups_of(arrange(shots)) == [("a", "c"), ("b",), ("d",)]


def test_photos_of_one_moment_may_differ_more() -> None:
    moved = flipped(SCENE, MOMENT_ALIKE_WITHIN_BITS)
    soon, later = NOON + dt.timedelta(seconds=20), NOON + dt.timedelta(hours=2)

    burst = arrange([Shot("a", SCENE, NOON), Shot("b", moved, soon)])
    apart = arrange([Shot("a", SCENE, NOON), Shot("b", moved, later)])

    assert (len(burst.groups), len(apart.groups)) == (1, 2)


def test_a_chain_of_photos_each_like_the_next_is_no_scene() -> None:
    steps = [flipped(SCENE, 10 * step) for step in range(6)]

    groups = groups_of(arrange([Shot(str(step), one) for step, one in enumerate(steps)]))

    assert all("0" not in group or "5" not in group for group in groups)
    assert len(groups) < len(steps)


def test_best_of_a_group_has_open_eyes_before_a_better_rating() -> None:
    laughing = Shot("laughing", SCENE, rating=0.9, printability=BLINKS)
    calm = Shot("calm", SCENE, rating=0.5, printability=prints_well())

    album = arrange([laughing, calm])

    assert album.groups[0].best == "calm"
    assert album.ranking[1].better == "calm"
    assert album.ranking[1].reasons == (
        "Photo calm shows the same scene and is better.",
        "It is rated 0.90.",
        "The person blinks.",
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((0.9, prints_well(blur_px=4, verdict=Verdict.POOR)), (0.6, prints_well())),
        ((0.80, prints_well(blur_px=1.6)), (0.79, prints_well(blur_px=1.0))),
    ],
    ids=["blurred but smiling", "as happy but less sharp"],
)
def test_sharper_photo_of_a_scene_is_the_best(
    first: tuple[float, Printability], second: tuple[float, Printability]
) -> None:
    shots = [
        Shot(name, SCENE, rating=rating, printability=printability)
        for name, (rating, printability) in (("a", first), ("b", second))
    ]

    assert arrange(shots).groups[0].best == "b"


@given(st.randoms(use_true_random=False), st.integers(0, 12))
def test_order_of_the_shots_does_not_matter(chance: random.Random, count: int) -> None:
    shots = [
        Shot(str(number), flipped(SCENE, chance.randrange(30)), rating=chance.choice((0.2, 0.8)))
        for number in range(count)
    ]

    album = arrange(shots)

    assert arrange(chance.sample(shots, count)) == album
    assert sorted(one for group in album.groups for one in group.ids) == sorted(
        shot.id for shot in shots
    )
    assert [ranked.rank for ranked in album.ranking] == list(range(1, count + 1))


def test_repeated_photo_is_refused() -> None:
    with pytest.raises(ValueError, match="once"):
        arrange([Shot("a"), Shot("a")])
