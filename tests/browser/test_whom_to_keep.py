"""Whom the cut-out keeps: by click, by check box, where models tell people apart."""

from playwright.sync_api import Page, expect

from smart_filter_tests.browsing.correcting import (
    BLUE,
    SAME,
    around,
    at,
    away_from,
    brightness,
    correct,
    is_made,
    middle,
    newest,
    take,
)
from smart_filter_tests.browsing.patience import until
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.pixels import share_changed
from smart_filter_tests.browsing.viewing import output_of
from smart_filter_tests.browsing.visitors import Visitor


def test_person_who_is_clicked_goes_and_comes_back(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    job = correct(page, visitor, photos.pair)
    (left, right) = [middle(person["box"]) for person in job["persons"]]
    before = output_of(visitor, job, "image")
    lit = [brightness(page, person) for person in (left, right)]

    page.mouse.click(*at(page, *left))

    expect(page.get_by_role("checkbox", name="Person 1, dropped")).not_to_be_checked()
    until(page, lambda: is_made(visitor, 2))
    without = output_of(visitor, newest(visitor), "image")
    assert away_from(around(without, *left), BLUE) < SAME
    # The edge is found anew, for one person in place of two.
    assert share_changed(around(before, *right, 40), around(without, *right, 40)) < 0.02
    until(page, lambda: brightness(page, left) < 0.6 * lit[0])
    assert abs(brightness(page, right) - lit[1]) < SAME
    expect(page.get_by_text("Somebody has to stay")).to_be_visible()
    # It says that it cannot be changed; a click tries it all the same.
    page.get_by_role("checkbox", name="Person 2, kept").click(force=True)
    expect(page.get_by_role("checkbox", name="Person 2, kept")).to_be_checked()
    page.get_by_role("checkbox", name="Person 1, dropped").focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("checkbox", name="Person 1, kept")).to_be_checked()
    until(page, lambda: is_made(visitor, 3))
    assert newest(visitor)["recipe"]["persons"] == "all"


def test_only_the_largest_stays_when_asked(page: Page, visitor: Visitor, photos: Photos) -> None:
    correct(page, visitor, photos.pair)

    page.get_by_role("button", name="Only the largest").click()

    until(page, lambda: is_made(visitor, 2))
    assert [person["kept"] for person in newest(visitor)["persons"]].count(True) == 1
    expect(page.get_by_role("checkbox", name="dropped")).to_have_count(1)


def test_where_nobody_is_told_apart_the_brush_is_offered(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    correct(page, visitor, photos.smiling, **{"segmentation.model": "selfie"})

    take(page, "People")

    expect(page.get_by_text("sees people as a whole")).to_be_visible()
