"""Windows of long photos, and the people whom they show."""

from itertools import pairwise

import numpy as np
import pytest

from smart_filter_shared.results import LowerEnd
from smart_filter_workers.results import Matte8
from smart_filter_workers.stages.segmentation.models.base import People
from smart_filter_workers.stages.segmentation.people import windows
from smart_filter_workers.stages.segmentation.people.windows import View
from smart_filter_workers.stages.segmentation.regions import Region

HEIGHT, WIDTH = 20, 120
EMPTY = np.zeros((HEIGHT, WIDTH), np.uint8)


def columns(start: int, stop: int) -> Matte8:
    """Return a matte of the photo's size with a person in these columns."""
    matte = EMPTY.copy()
    matte[4:, start:stop] = 255
    return matte


def people(*persons: Matte8, within: Region | None = None, **told: object) -> People:
    """Return people as a view of a window shows them, or of the whole photo."""
    seen = tuple(person[within] if within else person for person in persons)
    matte = np.maximum.reduce([*seen, EMPTY[within] if within else EMPTY])
    return People(matte, persons=seen, **told)  # type: ignore[arg-type]  # each test passes some


def view_windows(*persons: Matte8, **told: object) -> list[View]:
    return [
        View(window, people(*persons, within=window, **told))
        for window in windows.make_windows(HEIGHT, WIDTH)
    ]


@pytest.mark.parametrize("size", [(512, 512), (400, 1000), (1000, 400)])
def test_usual_photo_has_no_windows(size: tuple[int, int]) -> None:
    assert windows.make_windows(*size) == []


@pytest.mark.parametrize("ratio", [2.6, 4, 5.86, 15, 40])
def test_windows_cover_a_long_photo_and_are_few(ratio: float) -> None:
    width = round(175 * ratio)

    wide = windows.make_windows(175, width)

    spans = [span for _, span in wide]
    assert len(wide) <= windows.MAX_WINDOWS
    assert (spans[0].start, spans[-1].stop) == (0, width)
    assert all(rows == slice(0, 175) for rows, _ in wide)
    overlaps = [first.stop - after.start for first, after in pairwise(spans)]
    assert min(overlaps) >= 175 or len(wide) == windows.MAX_WINDOWS or ratio < 3
    assert windows.make_windows(width, 175) == [(span, rows) for rows, span in wide]


def test_person_in_several_windows_counts_once() -> None:
    persons = [columns(start, start + 8) for start in range(2, 112, 12)]

    merged = windows.merge_views(people(), view_windows(*persons))

    assert len(merged.persons or ()) == len(persons)
    np.testing.assert_array_equal(merged.matte, np.maximum.reduce(persons))


def test_windows_part_persons_whom_the_whole_view_joins() -> None:
    persons = [columns(30, 38), columns(40, 48)]

    merged = windows.merge_views(people(columns(30, 48)), view_windows(*persons))

    assert len(merged.persons or ()) == 2


def test_person_wider_than_a_window_is_as_the_whole_view_shows_it() -> None:
    lying = columns(20, 110)

    merged = windows.merge_views(people(lying), view_windows(lying))

    assert len(merged.persons or ()) == 1
    np.testing.assert_array_equal(merged.matte, lying)


def test_possible_person_is_none_where_another_view_is_sure() -> None:
    person, other = columns(30, 38), columns(90, 98)
    whole = people(possible=(person, other))

    merged = windows.merge_views(whole, view_windows(person))

    (possible,) = merged.possible
    np.testing.assert_array_equal(possible, other)


def test_views_with_persons_decide_about_the_result() -> None:
    told = [
        {"confidence": 0.9, "lower_end": LowerEnd.FEET},
        {"confidence": 0.8, "lower_end": LowerEnd.BORDER},
    ]
    first, second, *_, last = windows.make_windows(HEIGHT, WIDTH)
    persons = [columns(2, 8), columns(30, 38)]
    views = [
        View(window, people(person, within=window, **facts))
        for window, person, facts in zip((first, second), persons, told, strict=True)
    ]
    views.append(View(last, people(within=last, needs_review=True, confidence=0.1)))

    merged = windows.merge_views(people(needs_review=True), views)

    assert merged.confidence == 0.8
    assert merged.lower_end == LowerEnd.BORDER
    assert not merged.needs_review
