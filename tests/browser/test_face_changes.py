"""Faces that do not count and faces that were missed, in the studio's view of one photo."""

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from browser.accessibility import assert_accessible
from smart_filter_tests.browsing.page_errors import PageErrors
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.screens import DESKTOP_DARK, PHONE, on_screens
from smart_filter_tests.browsing.viewer import move_fingers, open_result, place_of
from smart_filter_tests.browsing.visitors import Visitor

# A hand of the astronaut, which is no face: 512×512.
_BOX = (330.0, 400.0, 420.0, 500.0)


@pytest.fixture
def job(page: Page, visitor: Visitor, photos: Photos) -> dict[str, Any]:
    """The job of a photo with one face; its panel of people is open."""
    job = open_result(page, visitor, photos.smiling)
    page.get_by_role("tab", name="People").click()
    expect(_persons(page)).to_have_count(1)
    return job


def test_removed_face_counts_nowhere_until_it_is_restored(
    page: Page, visitor: Visitor, job: dict[str, Any]
) -> None:
    page.get_by_role("button", name="Remove the face of person 1").click()
    expect(page.get_by_text("No face was found")).to_be_visible()
    without = visitor.newest()
    expect(page.get_by_text("1 removed")).to_be_visible()
    page.get_by_role("button", name="Restore the found faces").click()
    expect(_persons(page)).to_have_count(1)

    assert (without["faces"], without["rating"], without["faces_removed"]) == ([], None, 1)
    restored = visitor.newest()
    assert restored["faces"] == job["faces"]
    assert {stage["name"] for stage in restored["stages"] if not stage["reused"]} == {"composite"}


@pytest.mark.usefixtures("job")
def test_removal_is_undone_by_its_message(page: Page) -> None:
    page.get_by_role("button", name="Remove the face of person 1").click()
    expect(page.get_by_text("No face was found")).to_be_visible()

    page.get_by_role("status").get_by_role("button", name="Undo").click()

    expect(_persons(page)).to_have_count(1)
    expect(page.get_by_text("1 removed")).to_be_hidden()


@on_screens(DESKTOP_DARK)
@pytest.mark.usefixtures("job")
def test_missed_face_is_added_by_a_drawn_box(page: Page, visitor: Visitor) -> None:
    page.get_by_role("button", name="Add a face").click()
    expect(page.get_by_role("radio", name="Photo", exact=True)).to_be_checked()
    assert_accessible(page)
    (left, top), (right, bottom) = _corners(page)

    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(right, bottom, steps=4)
    page.mouse.up()

    expect(_persons(page)).to_have_count(2)
    added = _persons(page).filter(has_text="Added")
    expect(added).to_contain_text("Person 2")
    face = visitor.newest()["faces"][1]
    assert face["added"]
    assert face["box"] == pytest.approx([330, 400, 90, 100], abs=2)
    assert face["smile"]["level"]
    assert_accessible(page)


@pytest.mark.usefixtures("job")
def test_missed_face_is_added_by_keyboard(page: Page, visitor: Visitor) -> None:
    page.get_by_role("button", name="Add a face").press("Enter")
    # The original is shown first.
    expect(page.locator("#face-box")).to_be_attached()
    page.get_by_role("button", name="Place by keyboard").press("Enter")
    for key in ("Shift+ArrowDown", "ArrowRight", "-"):
        page.keyboard.press(key)
    expect(page.get_by_text("53 % across, 75 % down, 23 % wide")).to_be_attached()
    page.keyboard.press("Enter")

    expect(_persons(page)).to_have_count(2)
    (face,) = (face for face in visitor.newest()["faces"] if face["added"])
    side = 128 / 1.1
    assert face["box"] == pytest.approx([272 - side / 2, 384 - side / 2, side, side], abs=0.5)
    expect(page.get_by_role("button", name="Add a face")).to_be_visible()


@on_screens(PHONE)
@pytest.mark.usefixtures("job")
def test_missed_face_is_added_by_a_finger(page: Page, visitor: Visitor) -> None:
    page.get_by_role("button", name="Add a face").tap()
    expect(page.get_by_role("radio", name="Photo", exact=True)).to_be_checked()
    start, end = _corners(page)

    move_fingers(page, [start], [end])

    expect(_persons(page)).to_have_count(2)
    assert visitor.newest()["faces"][1]["added"]
    assert_accessible(page)


def test_face_that_is_there_already_is_refused_in_words(
    page: Page, page_errors: PageErrors, job: dict[str, Any]
) -> None:
    page_errors.expect("422")
    x, y, width, height = job["faces"][0]["box"]
    page.get_by_role("button", name="Add a face").click()
    (left, top), (right, bottom) = _corners(page, (x, y, x + width, y + height))

    page.mouse.move(left, top)
    page.mouse.down()
    page.mouse.move(right, bottom, steps=4)
    page.mouse.up()

    expect(page.get_by_role("alert")).to_contain_text("Covers a face that counts already")
    page.get_by_role("button", name="Leave it").click()
    expect(_persons(page)).to_have_count(1)


def _persons(page: Page) -> Locator:
    return page.locator("li.person")


def _corners(
    page: Page, box: tuple[float, float, float, float] = _BOX
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return two corners of a box of the photo, 512×512, in the window."""
    x, y, width, height = place_of(page)
    left, top, right, bottom = box
    across, down = width / 512, height / 512
    return (x + left * across, y + top * down), (x + right * across, y + bottom * down)
