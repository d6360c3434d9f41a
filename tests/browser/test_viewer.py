"""The viewer: before and after, zoom to pixels, matte, cutout, and faults."""

import re
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from smart_filter_tests.browsing.page_errors import PageErrors
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.screens import PHONE, on_screens
from smart_filter_tests.browsing.viewer import (
    box_of,
    mean_difference,
    move_fingers,
    open_photo,
    open_result,
    output_of,
    photo_of,
    picture_pixels,
    place_of,
    select_mode,
    submit_photo,
)
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.waits import wait_until

# Differences between JPEG decoders, in levels of 255.
_SAME = 1.5


@pytest.fixture
def job(page: Page, visitor: Visitor, photos: Photos) -> dict[str, Any]:
    """The job of a photo, whose finished picture is shown."""
    return open_result(page, visitor, photos.smiling)


def test_slider_divides_photo_and_result(page: Page, visitor: Visitor, photos: Photos) -> None:
    job = open_result(page, visitor, photos.smiling, background="color:#2060c0")
    page.keyboard.press("1")
    slider = page.get_by_role("slider", name="Photo and result")

    slider.press("Home")
    for _ in range(15):
        slider.press("ArrowRight")

    expect(slider).to_have_attribute("aria-valuenow", "30")
    photo, result = photo_of(visitor, job), output_of(visitor, job, "image")

    def is_divided() -> bool:
        whole = picture_pixels(page)
        line = round(0.3 * whole.shape[1])
        left, right = slice(None, line - 24), slice(line + 24, None)
        return all(
            mean_difference(whole[:, side], expected[:, side]) < _SAME
            for side, expected in ((left, photo), (right, result))
        )

    wait_until(page, is_divided)


@pytest.mark.usefixtures("job")
def test_wheel_zooms_at_the_pointer_and_dragging_pans(page: Page) -> None:
    select_mode(page, "Result")
    left, top, width, height = place_of(page)
    at = (left + 0.3 * width, top + 0.4 * height)

    page.mouse.move(*at)
    page.mouse.wheel(0, -600)
    wait_until(page, lambda: place_of(page)[2] > 2 * width)

    near = place_of(page)
    assert (at[0] - near[0]) / near[2] == pytest.approx(0.3, abs=0.005)
    assert (at[1] - near[1]) / near[3] == pytest.approx(0.4, abs=0.005)
    page.mouse.down()
    page.mouse.move(at[0] + 50, at[1] - 30)
    page.mouse.up()
    there = pytest.approx((near[0] + 50, near[1] - 30), abs=1)
    wait_until(page, lambda: place_of(page)[:2] == there)


@on_screens(PHONE)
@pytest.mark.usefixtures("job")
def test_two_fingers_zoom_and_one_slides(page: Page) -> None:
    left, top, width, height = place_of(page)
    middle, row = left + width / 2, top + 0.3 * height
    slider = page.get_by_role("slider", name="Photo and result")

    move_fingers(page, [(left + 0.2 * width, row)], [(left + 0.7 * width, row)])
    expect(slider).to_have_attribute("aria-valuenow", "70")
    move_fingers(
        page, [(middle - 40, row), (middle + 40, row)], [(middle - 120, row), (middle + 120, row)]
    )

    wait_until(page, lambda: place_of(page)[2] == pytest.approx(3 * width, rel=0.1))
    expect(slider).to_have_attribute("aria-valuenow", "70")


def test_matte_and_cutout_are_shown_unchanged(
    page: Page, visitor: Visitor, job: dict[str, Any]
) -> None:
    page.keyboard.press("1")
    matte = output_of(visitor, job, "matte")

    select_mode(page, "Matte")
    wait_until(page, lambda: mean_difference(picture_pixels(page), matte) < _SAME)
    select_mode(page, "Alone")
    # A checkerboard.
    wait_until(page, lambda: len(np.unique(picture_pixels(page)[:60, :60, 0])) == 2)
    people = matte[..., 0] == 255
    photo = photo_of(visitor, job)[300:400][people[300:400]]
    wait_until(
        page, lambda: mean_difference(picture_pixels(page)[300:400][people[300:400]], photo) < 4
    )
    page.get_by_role("radio", name="On white").check()
    wait_until(page, lambda: bool((picture_pixels(page)[:60, :60] == 255).all()))
    page.get_by_role("radio", name="On black").check()
    wait_until(page, lambda: bool((picture_pixels(page)[:60, :60] == 0).all()))


def test_faces_are_outlined_in_place(page: Page, visitor: Visitor, photos: Photos) -> None:
    job = open_result(page, visitor, photos.group, crop="true")
    page.get_by_role("tab", name="People").click()

    # This scrolls the page.
    page.get_by_role("button", name="Person 2: show in the picture").hover()

    outlines = page.locator(".faces .outline")
    frame, faces = job["frame"], job["faces"]
    expect(outlines).to_have_count(len(faces))

    def are_in_place() -> bool:
        left, top, width, _ = place_of(page)
        zoom = width / frame["width"]
        return all(
            box_of(outlines.nth(index))
            == pytest.approx(
                (
                    left + zoom * (frame["left"] + frame["scale"] * x),
                    top + zoom * (frame["top"] + frame["scale"] * y),
                    zoom * frame["scale"] * across,
                    zoom * frame["scale"] * down,
                ),
                abs=2,  # half of the line
            )
            for index, (x, y, across, down) in enumerate(face["box"] for face in faces)
        )

    wait_until(page, are_in_place)
    expect(page.locator(".faces .marked")).to_have_count(1)
    x, y, across, down = box_of(outlines.nth(2))
    page.mouse.move(x + across / 2, y + down / 2)
    expect(page.get_by_role("listitem").filter(has_text="Person 3")).to_have_class(
        re.compile("marked")
    )


def test_missing_output_is_made_on_request(page: Page, visitor: Visitor, photos: Photos) -> None:
    job = open_result(page, visitor, photos.smiling, outputs="image")

    select_mode(page, "Matte")
    expect(page.get_by_text("The matte was not requested")).to_be_visible()
    page.get_by_role("button", name="Make it now").click()

    expect(page.get_by_alt_text("The matte: people are white")).to_be_visible()
    (made, _) = visitor.jobs()
    assert (made["parent_id"], made["recipe"]["outputs"]) == (job["id"], ["image", "matte"])
    expect(page.locator(".stage")).to_be_focused()


def test_failed_version_shows_its_reason_and_keeps_the_picture(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    job = submit_photo(visitor, photos.smiling, **{"metadata.studio": "5" * 32})
    answer = visitor.client.post(
        f"/v1/jobs/{job['id']}/derive",
        json={"recipe": {"background": "url:http://127.0.0.1:9/none.jpg"}},
    )
    failed = visitor.ended(answer.json())
    assert failed["state"] == "failed", failed

    page.goto(f"{page.url.partition('#')[0]}#/photo/{'5' * 32}")

    expect(page.get_by_alt_text("The finished picture")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text(failed["error"]["title"])
    page.get_by_role("button", name="Keep the previous picture").click()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_photo_after_its_retention_leaves_the_result(
    page: Page, visitor: Visitor, photos: Photos, page_errors: PageErrors
) -> None:
    page_errors.expect("410")
    visitor.change_settings(keep_input_seconds=0)
    job = submit_photo(visitor, photos.smiling)
    wait_until(
        page, lambda: visitor.client.get(job["links"]["photo"]).status_code == httpx.codes.GONE
    )

    open_photo(page, job)

    expect(page.get_by_alt_text("The finished picture")).to_be_visible()
    expect(page.get_by_text("There is nothing to compare with")).to_be_visible()
    select_mode(page, "Photo")
    expect(page.get_by_role("alert")).to_have_text(re.compile("^The photo has expired"))
