import dataclasses
import datetime as dt
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from smart_filter_shared.albums import (
    MAX_HAMMING_BITS,
    MAX_HAMMING_BITS_IN_BURST,
    Album,
    AlbumPhoto,
    rank_album,
)
from smart_filter_shared.printability import Printability, Sharpness, Verdict
from smart_filter_tests.print_results import PRINTABILITY

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
    alike = flipped(SCENE, MAX_HAMMING_BITS)
    shots = [
        AlbumPhoto("a", SCENE),
        AlbumPhoto("b", OTHER_SCENE),
        AlbumPhoto("c", alike),
        AlbumPhoto("d"),
    ]

    assert groups_of(rank_album(shots)) == [("a", "c"), ("b",), ("d",)]


def test_photos_of_one_moment_may_differ_more() -> None:
    moved = flipped(SCENE, MAX_HAMMING_BITS_IN_BURST)
    soon, later = NOON + dt.timedelta(seconds=20), NOON + dt.timedelta(hours=2)

    burst = rank_album([AlbumPhoto("a", SCENE, NOON), AlbumPhoto("b", moved, soon)])
    apart = rank_album([AlbumPhoto("a", SCENE, NOON), AlbumPhoto("b", moved, later)])

    assert (len(burst.groups), len(apart.groups)) == (1, 2)


def test_chain_of_similar_photos_is_not_one_scene() -> None:
    steps = [flipped(SCENE, 10 * step) for step in range(6)]

    groups = groups_of(rank_album([AlbumPhoto(str(step), one) for step, one in enumerate(steps)]))

    assert all("0" not in group or "5" not in group for group in groups)
    assert len(groups) < len(steps)


def test_open_eyes_win_over_a_better_rating_in_a_group() -> None:
    laughing = AlbumPhoto("laughing", SCENE, rating=0.9, printability=BLINKS)
    calm = AlbumPhoto("calm", SCENE, rating=0.5, printability=prints_well())

    album = rank_album([laughing, calm])

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
        AlbumPhoto(name, SCENE, rating=rating, printability=printability)
        for name, (rating, printability) in (("a", first), ("b", second))
    ]

    assert rank_album(shots).groups[0].best == "b"


@given(st.randoms(use_true_random=False), st.integers(0, 12))
def test_order_of_the_shots_does_not_matter(chance: random.Random, count: int) -> None:
    shots = [
        AlbumPhoto(
            str(number), flipped(SCENE, chance.randrange(30)), rating=chance.choice((0.2, 0.8))
        )
        for number in range(count)
    ]

    album = rank_album(shots)

    assert rank_album(chance.sample(shots, count)) == album
    assert sorted(one for group in album.groups for one in group.ids) == sorted(
        shot.id for shot in shots
    )
    assert [ranked.rank for ranked in album.ranking] == list(range(1, count + 1))


def test_repeated_photo_is_refused() -> None:
    with pytest.raises(ValueError, match="the same id"):
        rank_album([AlbumPhoto("a"), AlbumPhoto("a")])
