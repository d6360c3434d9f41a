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
        "It is rated 90 of 100.",
        "The person smiles, and the eyes are closed.",
        "Although it is rated higher, the better photo shows no closed eyes.",
    )


def test_photo_that_is_rated_the_same_as_one_of_another_scene_says_why_it_is_behind() -> None:
    blurred = AlbumPhoto("blurred", SCENE, rating=0.874, faces=(AlbumFace(blur_px=4),))
    sharp = AlbumPhoto("sharp", OTHER_SCENE, rating=0.866, faces=(AlbumFace(),))

    first, second = rank_album([blurred, sharp]).ranking

    smiles = ("It is rated 87 of 100.", "The person smiles, and the eyes are not closed.")
    assert (first.id, first.reasons) == ("sharp", smiles)
    assert second.reasons == (
        *smiles,
        "The photo before it is rated the same and is sharper on the face.",
    )


@given(st.randoms(use_true_random=False), st.integers(2, 12))
def test_ranks_follow_the_rating_shown_but_for_better_photos_of_the_scene(
    chance: random.Random, count: int
) -> None:
    shots = [
        AlbumPhoto(
            str(number),
            flipped(SCENE, chance.choice((0, 3, 40))),
            rating=chance.randrange(101) / 100,
            faces=(AlbumFace(blur_px=chance.choice((0, 4))),),
        )
        for number in range(count)
    ]
    points = {shot.id: shot.points for shot in shots}

    album = rank_album(shots)

    places = {one.id: one.rank for one in album.ranking}
    best = [points[one.id] for one in album.ranking if one.better is None]
    assert best == sorted(best, reverse=True)
    for later in album.ranking:
        [scene] = [group.ids for group in album.groups if later.id in group.ids]
        ahead = scene[: scene.index(later.id) + 1]
        for earlier in album.ranking[: later.rank - 1]:
            if later.better is not None and earlier.better is not None:
                assert points[earlier.id] >= min(points[id_] for id_ in ahead)
        assert [places[id_] for id_ in scene] == sorted(places[id_] for id_ in scene)


@pytest.mark.parametrize(
    ("faces", "words"),
    [
        ((AlbumFace(), AlbumFace()), "Both people smile, and no eyes are closed."),
        (
            (AlbumFace(sadness=0.9), AlbumFace(), AlbumFace(closed_eyes=1)),
            "2 of 3 people smile, and 1 of 3 people has closed eyes.",
        ),
        ((AlbumFace(sadness=1),), "No person smiles, and the eyes are not closed."),
    ],
)
def test_each_photo_says_what_its_faces_show(faces: tuple[AlbumFace, ...], words: str) -> None:
    [ranked] = rank_album([AlbumPhoto("a", SCENE, rating=0.5, faces=faces)]).ranking

    assert words in ranked.reasons


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
