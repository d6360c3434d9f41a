"""The background is changed, and changed back."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Locator, Page, expect

from browser.accessibility import assert_accessible
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.pixels import read_picture, screenshot
from smart_filter_tests.browsing.screens import DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK, on_screens
from smart_filter_tests.browsing.viewer import open_photo, output_of, submit_photo
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.waits import wait_until

# JPEG loss at quality 90 on a plain color.
_JPEG_LEVELS = 6
_ALL_LOADED = "[...document.querySelectorAll('.versions img')].every((image) => image.complete)"
_GREEN = (18, 171, 52)


@pytest.fixture
def photo(page: Page, visitor: Visitor, photos: Photos) -> dict[str, Any]:
    """A photo of the visitor's, open, with its automatic background."""
    job = _submitted(visitor, photos.smiling)
    _open(page, job)
    return job


@on_screens(DESKTOP, PHONE_DARK)
@pytest.mark.usefixtures("photo")
def test_color_is_drawn_behind_the_people(page: Page, visitor: Visitor) -> None:
    _kind(page, "Color").click()
    field = page.get_by_label("Any color")
    field.fill("no colour")
    page.get_by_role("button", name="Use", exact=True).click()
    expect(field).to_have_attribute("aria-invalid", "true")

    field.fill("rgb(18 171 52)")
    field.press("Enter")

    _made(page, "Color rgb(18 171 52)")
    image = output_of(visitor, visitor.newest(), "image")
    assert np.abs(image[:40, :40].astype(int) - _GREEN).max() <= _JPEG_LEVELS
    wait_until(page, lambda: _share(screenshot(page.locator(".viewer").first), _GREEN) > 0.05)
    assert_accessible(page)


@on_screens(DESKTOP_DARK, PHONE)
def test_design_changes_only_the_background(page: Page, visitor: Visitor, photos: Photos) -> None:
    plain = {"harmonize": "0", "light_wrap": "0", "shadow": "none", "format": "png"}
    photo = _submitted(visitor, photos.smiling, background="color:white", **plain)
    _open(page, photo)
    _kind(page, "Designs").click()
    page.get_by_label("Find").fill("sunri")
    expect(_designs(page)).to_have_count(1)

    page.get_by_role("option", name="Sunrise", exact=True).click()

    _made(page, "Sunrise")
    job = visitor.newest()
    assert (job["recipe"]["background"], job["parent_id"]) == ("preset:sunrise", photo["id"])
    before, after = (output_of(visitor, shown, "image").astype(int) for shown in (photo, job))
    matte = output_of(visitor, photo, "matte")[..., 0]
    assert np.array_equal(before[matte == 255], after[matte == 255])
    assert (np.abs(after - before).max(axis=2)[matte == 0] > 8).mean() > 0.9
    page.get_by_label("Printed on").select_option("linen")
    _made(page, "Sunrise on linen")
    assert_accessible(page)


def test_choice_is_explained_and_can_be_changed_with_a_click(
    page: Page, visitor: Visitor, photo: dict[str, Any]
) -> None:
    _made(page, "Chosen for you")
    expect(page.locator(".background-shown")).to_contain_text("smiling")
    candidates = page.locator(".candidate")
    expect(candidates).to_have_count(5)

    candidates.nth(1).click()

    second = photo["background"]["candidates"][1]["name"]
    expect(candidates.nth(1)).to_have_attribute("aria-pressed", "true")
    designs = visitor.client.get("/v1/backgrounds").json()["items"]
    _made(page, next(design["title"] for design in designs if design["name"] == second))
    assert visitor.newest()["recipe"]["background"] == f"preset:{second}"
    expect(candidates).to_have_count(5)


@pytest.mark.usefixtures("photo")
def test_words_find_a_background_and_unknown_ones_are_named(page: Page, visitor: Visitor) -> None:
    _kind(page, "In words").click()
    field = page.get_by_role("combobox")
    field.press_sequentially("sunse")
    expect(page.get_by_role("option").first).to_be_visible()
    assert_accessible(page)
    field.press("ArrowDown")
    field.press("Enter")
    _made(page, "“sunset”: ")

    field.press_sequentially("flubber,")

    _made(page, "“sunset, flubber”: ")
    expect(page.locator(".background-shown")).to_contain_text('unknown: "flubber"')
    page.get_by_role("button", name="Remove flubber").press("Enter")
    expect(field).to_be_focused()
    _made(page, "“sunset”: ")
    assert visitor.newest()["recipe"]["background"] == "keywords:sunset"


@pytest.mark.usefixtures("photo")
def test_own_picture_is_drawn_behind_the_people(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    _kind(page, "My picture").click()

    page.locator("input[type=file][aria-label]").set_input_files(photos.sunset)

    _made(page, "Your picture")
    image = output_of(visitor, visitor.newest(), "image")
    top_left = read_picture(photos.sunset)[:20, 150:170].reshape(-1, 3).mean(axis=0)
    assert np.abs(image[:10, :10].reshape(-1, 3).mean(axis=0) - top_left).max() < 12


@pytest.mark.usefixtures("photo")
def test_undo_and_redo_restore_the_exact_pictures(page: Page, visitor: Visitor) -> None:
    _kind(page, "Color").click()
    for color in ("#ffffff", "#000000"):
        page.get_by_role("button", name=color, exact=True).first.click()
        _made(page, f"Color {color}")

    page.keyboard.press("Control+z")

    _made(page, "Color #ffffff")
    page.reload()
    _made(page, "Color #ffffff")
    viewer = page.locator(".viewer").first
    wait_until(page, lambda: _share(screenshot(viewer), (255, 255, 255)) > 0.05)
    page.keyboard.press("Control+Shift+Z")
    _made(page, "Color #000000")
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Undo").click()
    _made(page, "Chosen for you")
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    expect(page.get_by_role("button", name="Undo")).to_have_attribute("aria-disabled", "true")
    page.get_by_role("button", name="Redo").click()
    _made(page, "Color #ffffff")
    field = page.get_by_label("Any color")
    field.press("Control+z")
    _made(page, "Color #ffffff")
    assert len(visitor.jobs()) == 3


@pytest.mark.usefixtures("photo")
def test_last_of_many_clicks_counts_and_leaves_no_other_pictures(
    page: Page, visitor: Visitor
) -> None:
    _kind(page, "Designs").click()
    expect(_designs(page)).not_to_have_count(0)
    names = [_designs(page).nth(index).get_attribute("aria-label") for index in range(8)]

    for index in range(8):
        _designs(page).nth(index).click(no_wait_after=True)

    _made(page, str(names[-1]))
    strip = page.locator(".versions button")

    def are_all_shown() -> bool:
        jobs = visitor.jobs()
        return {job["state"] for job in jobs} == {"succeeded"} and strip.count() == len(jobs)

    wait_until(page, are_all_shown)
    expect(strip.last).to_have_attribute("aria-current", "true")


def test_caption_is_drawn_once_it_has_text(
    page: Page, visitor: Visitor, photo: dict[str, Any]
) -> None:
    page.locator(".look > summary").click()
    page.get_by_text("A line or a few of text").click()
    words = page.get_by_label("Text", exact=True)
    expect(words).to_be_visible()
    assert len(visitor.jobs()) == 1

    words.fill("Hello there")
    words.press("Enter")

    wait_until(page, lambda: len(visitor.jobs()) == 2)
    wait_until(page, lambda: visitor.newest()["state"] == "succeeded")
    (caption,) = visitor.newest()["filters"]
    assert (caption["name"], caption["applied"]) == ("caption", True)
    before, after = (output_of(visitor, job, "image")[-150:] for job in (photo, visitor.newest()))
    assert (np.abs(before.astype(int) - after).max(axis=2) > 40).mean() > 0.02
    assert_accessible(page)


def _submitted(visitor: Visitor, photo: Path, **fields: str) -> dict[str, Any]:
    """Return the job of a photo, succeeded, with an automatic background."""
    return submit_photo(visitor, photo, **{"background": "auto", "seed": "7", **fields})


def _open(page: Page, photo: dict[str, Any]) -> None:
    open_photo(page, photo)
    page.get_by_role("tab", name="Background").click()
    expect(_kind(page, "Color")).to_be_visible()


def _kind(page: Page, title: str) -> Locator:
    return page.locator(".kind").filter(has_text=title)


def _designs(page: Page) -> Locator:
    return page.get_by_role("listbox", name="Designs").get_by_role("option")


def _made(page: Page, name: str) -> None:
    """Wait until the shown picture is the one with this name in the panel."""
    expect(page.locator(".background-shown strong")).to_have_text(
        re.compile(rf"^{re.escape(name)}")
    )
    expect(page.locator(".background-shown .busy")).to_have_count(0)
    wait_until(page, lambda: page.evaluate(_ALL_LOADED))


def _share(shown: npt.NDArray[np.uint8], color: tuple[int, int, int]) -> float:
    """Return the share of pixels with this color, within the loss of scaling and coding."""
    return float((np.abs(shown.astype(int) - color).max(axis=2) <= _JPEG_LEVELS).mean())
