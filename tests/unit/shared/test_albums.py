import datetime as dt
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_filter_shared.albums import (
    MAX_HAMMING_BITS,
    MAX_HAMMING_BITS_IN_BURST,
    Album,
    rank_album,
)
from smart_filter_shared.best_shot import AlbumFace, AlbumPhoto

NOON = dt.datetime(2031, 5, 6, 12, tzinfo=dt.UTC)
SCENE, OTHER_SCENE = 0x0F1E2D3C4B5A6978, ~0x0F1E2D3C4B5A6978 % 2**64


def flipped(fingerprint: int, bits: int) -> int:
    return fingerprint ^ ((1 << bits) - 1)


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


def test_open_eyes_win_over_a_better_rating_in_a_scene() -> None:
    laughing = AlbumPhoto("laughing", SCENE, rating=0.9, faces=(AlbumFace(closed_eyes=2),))
    calm = AlbumPhoto("calm", SCENE, rating=0.5, faces=(AlbumFace(),))

    album = rank_album([laughing, calm])

    assert album.groups[0].best == "calm"
    assert album.ranking[1].better == "calm"
    assert album.ranking[1].reasons == (
        "Photo calm shows the same scene and is better.",
        "It is rated 0.90.",
        "The better photo shows no closed eyes.",
    )


def test_photo_behind_one_of_another_scene_that_is_rated_lower_says_why() -> None:
    blurred = AlbumPhoto("blurred", SCENE, rating=0.87, faces=(AlbumFace(blur_px=4),))
    sharp = AlbumPhoto("sharp", OTHER_SCENE, rating=0.83, faces=(AlbumFace(),))

    first, second = rank_album([blurred, sharp]).ranking

    assert (first.id, first.reasons) == ("sharp", ("It is rated 0.83.",))
    assert second.reasons == (
        "It is rated 0.87.",
        "The photo before it counts as rated the same and is sharper on the face.",
    )


@pytest.mark.parametrize(
    ("faces", "words"),
    [
        ((AlbumFace(closed_eyes=1), AlbumFace()), "shows no closed eyes"),
        ((AlbumFace(), AlbumFace(turned_away=1)), "has more faces turned to the camera"),
        ((AlbumFace(blur_px=2), AlbumFace(blur_px=3)), "is sharper on both faces"),
        ((AlbumFace(), AlbumFace(grain=8)), "is less noisy on 1 of 2 faces"),
        ((AlbumFace(dark=0.3), AlbumFace(dark=0.3)), "is brighter on both faces"),
        ((AlbumFace(burnt=0.3), AlbumFace()), "is less overexposed on 1 of 2 faces"),
        ((AlbumFace(sadness=0.8), AlbumFace()), "has a better smile on 1 of 2 faces"),
        ((AlbumFace(cut=0.2), AlbumFace()), "cuts no head"),
        ((AlbumFace(),), "shows 1 more face"),
        ((AlbumFace(blur_px=3), AlbumFace(cut=0.2)), "is sharper on 1 of 2 faces and cuts no head"),
    ],
)
def test_equally_rated_photos_are_ranked_by_their_faces_and_say_why(
    faces: tuple[AlbumFace, ...], words: str
) -> None:
    worse = AlbumPhoto("a", SCENE, NOON, rating=0.8, faces=faces)
    good = AlbumPhoto("b", SCENE, NOON, rating=0.8, faces=(AlbumFace(), AlbumFace()))

    best, other = rank_album([worse, good]).ranking

    assert (best.id, other.better) == ("b", "b")
    assert best.reasons[-1] == f"Compared with the next best photo of its scene, it {words}."
    assert other.reasons[-1] == f"The better photo {words}."


def test_tie_is_broken_by_time_and_not_by_the_order_of_files() -> None:
    first, second = NOON, NOON + dt.timedelta(seconds=2)

    best, other = rank_album(
        [AlbumPhoto("a", SCENE, second, rating=0.8), AlbumPhoto("b", SCENE, first, rating=0.8)]
    ).ranking

    assert best.id == "b"
    assert other.reasons[-1] == "The better photo was taken first."


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
    assert sorted(shot_id for group in album.groups for shot_id in group.ids) == sorted(
        shot.id for shot in shots
    )
    assert [ranked.rank for ranked in album.ranking] == list(range(1, count + 1))


def test_repeated_photo_is_refused() -> None:
    with pytest.raises(ValueError, match="the same id"):
        rank_album([AlbumPhoto("a"), AlbumPhoto("a")])
