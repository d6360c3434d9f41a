"""The matte of people corrected where the networks agree."""

import numpy as np
import pytest

from smart_filter_workers.results import Matte8
from smart_filter_workers.stages.segmentation.mattes.consensus import (
    correct_matte,
    keep_trusted,
    measure_spread,
    take_median,
)
from smart_filter_workers.stages.segmentation.regions import Region

HEIGHT, WIDTH = 240, 320
BODY = np.s_[40:220, 100:220]
CHAIR = np.s_[60:110, 220:260]
ALONE = [np.ones((HEIGHT, WIDTH), np.bool_)]


def a_matte(*parts: Region, level: int = 255) -> Matte8:
    matte = np.zeros((HEIGHT, WIDTH), np.uint8)
    for part in parts:
        matte[part] = level
    return matte


def level_of(matte: Matte8, part: Region) -> float:
    """Return the mean level of a part, without its border."""
    rows, columns = part
    return float(matte[rows.start + 5 : rows.stop - 5, columns.start + 5 : columns.stop - 5].mean())


@pytest.mark.parametrize("sides", [(104, 216), (96, 224)], ids=["inside", "outside"])
def test_outline_follows_the_refiner(sides: tuple[int, int]) -> None:
    second = a_matte(np.s_[40:220, slice(*sides)])

    corrected = correct_matte(a_matte(BODY), second, [], ALONE)

    assert np.array_equal(corrected[100:160] > 127, second[100:160] > 127)


@pytest.mark.parametrize(
    ("refined", "third", "left"),
    [(0, None, 0), (90, None, 255), (40, 40, 0)],
    ids=["sure", "unsure", "two half sure networks"],
)
def test_area_goes_as_a_whole_when_networks_are_sure(
    refined: int, third: int | None, left: int
) -> None:
    second, *others = (a_matte(BODY) for _ in range(1 if third is None else 2))
    second[CHAIR] = refined
    for other in others:
        other[CHAIR] = third

    corrected = correct_matte(a_matte(BODY, CHAIR), second, others, ALONE)

    assert level_of(corrected, CHAIR) == left
    assert level_of(corrected, BODY) == 255


def test_network_that_sees_other_things_does_not_count() -> None:
    table = np.s_[100:220, 0:320]

    corrected = correct_matte(a_matte(BODY), a_matte(BODY), [a_matte(BODY, table)], ALONE)

    assert np.array_equal(corrected, a_matte(BODY))


@pytest.mark.parametrize(
    "part", [np.s_[20:220, 222:320], np.s_[60:200, 235:305]], ids=["touching", "apart"]
)
def test_another_person_is_not_added(part: Region) -> None:
    second = a_matte(BODY, part)

    corrected = correct_matte(a_matte(BODY), second, [second], ALONE)

    assert not corrected[:, 230:].any()


def test_network_counts_for_each_person_whom_it_sees() -> None:
    stranger = np.s_[40:160, 280:310]
    places = [a_matte(place) > 0 for place in (np.s_[:, :270], np.s_[:, 270:])]
    people, portrait = a_matte(BODY, CHAIR, stranger), a_matte(BODY)

    corrected = correct_matte(people, people, [portrait] * 2, places)
    heard = keep_trusted(a_matte(BODY, stranger), a_matte(np.s_[40:220, 104:216]), places)

    assert not level_of(corrected, CHAIR)
    assert level_of(corrected, stranger) == level_of(heard, stranger) == 255
    assert not heard[:, 216:240].any()


@pytest.mark.parametrize(
    ("third", "shown"), [(200, 255), (0, 0)], ids=["unsure of it", "sure of background"]
)
def test_enclosed_hole_is_filled_unless_a_network_is_sure_of_it(third: int, shown: int) -> None:
    hole = np.s_[100:114, 150:164]
    people, second, other = a_matte(BODY), a_matte(BODY), a_matte(BODY)
    people[hole] = second[hole] = 100
    other[hole] = third

    corrected = correct_matte(people, second, [other], ALONE)

    assert (level_of(corrected, hole) > 127) == (shown > 127)


def test_spread_is_the_distance_of_two_outlines_at_most_places() -> None:
    matte, refined, portrait = (np.zeros((200, 400), np.uint8) for _ in range(3))
    for drawn, right in ((matte, 120), (refined, 120), (portrait, 124)):
        drawn[:, :right] = 255
    portrait[:40, 120:300] = 255  # a thing that one network takes for a part of the person

    spread = measure_spread(matte, refined, portrait, longest_side_px=400)

    assert spread == pytest.approx(4 / 400, rel=0.1)
    assert measure_spread(matte, refined, refined, longest_side_px=400) == 0


@pytest.mark.parametrize(
    ("levels", "weights", "expected"),
    [
        ((20, 230, 240), (1, 1, 1), 255),
        ((2, 230, 240), (6, 1, 1), 0),
        ((128, 128), (1, 1), 128),
    ],
    ids=["majority", "weight", "undecided"],
)
def test_median_follows_the_weights(
    levels: tuple[int, ...], weights: tuple[float, ...], expected: int
) -> None:
    mattes = [a_matte(BODY, level=level) for level in levels]

    joined = take_median(mattes, weights)

    assert abs(int(joined[100, 150]) - expected) <= 2  # rounding
    assert not joined[0].any()
