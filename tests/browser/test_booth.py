"""The photo booth: one recipe, no choices, and back again by itself."""

import pytest
from playwright.sync_api import Page, expect

from browser.accessibility import assert_accessible
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.pixels import mean_color
from smart_filter_tests.browsing.screens import DESKTOP, PHONE_DARK, on_screens
from smart_filter_tests.browsing.viewer import output_of
from smart_filter_tests.browsing.visitors import Visitor


@pytest.fixture
def booth(page: Page, visitor: Visitor) -> Page:
    """The booth of a recipe with a teal background."""
    fields = {"background": "color:#008080"}
    visitor.client.put("/v1/recipes/party", json={"recipe": fields}).raise_for_status()
    page.goto(f"{page.url.partition('#')[0]}#/booth?recipe=party")
    return page


@on_screens(DESKTOP, PHONE_DARK)
def test_photo_of_the_camera_gets_the_recipe(booth: Page, visitor: Visitor) -> None:
    shutter = booth.get_by_role("button", name="Take a photo")
    expect(shutter).to_be_focused()
    assert_accessible(booth)
    booth.keyboard.press("Enter")

    expect(booth.get_by_alt_text("Your picture")).to_be_visible()
    job = visitor.newest()
    red, green, blue = mean_color(output_of(visitor, job, "image")[:20, :20])
    assert (red < 10, green > 100, blue > 100) == (True, True, True)
    assert (job["recipe"]["edge"], job["recipe"]["priority"]) == ("fast", "interactive")
    assert set(job["outputs"]) == {"image", "thumbnail"}
    assert_accessible(booth)
    booth.get_by_role("button", name="Next photo").click()
    expect(shutter).to_be_focused()


def test_booth_goes_back_by_itself(booth: Page, photos: Photos) -> None:
    booth.goto(f"{booth.url}&seconds=5")
    booth.locator("[data-way=pick]").set_input_files(photos.smiling)
    picture = booth.get_by_alt_text("Your picture")
    expect(picture).to_be_visible()

    expect(picture).to_be_hidden()
    expect(booth.get_by_role("button", name="Take a photo")).to_be_visible()


def test_picture_is_saved(booth: Page, photos: Photos) -> None:
    booth.locator("[data-way=pick]").set_input_files(photos.smiling)

    with booth.expect_download() as taken:
        booth.get_by_role("button", name="Save picture").click()

    assert taken.value.suggested_filename == "astronaut.jpg"


def test_file_that_is_no_photo_is_refused_in_words(booth: Page, photos: Photos) -> None:
    booth.locator("[data-way=pick]").set_input_files(photos.text)

    expect(booth.get_by_role("alert")).to_contain_text("not a readable photo")
    booth.get_by_role("button", name="Next photo").click()
    expect(booth.get_by_role("button", name="Take a photo")).to_be_visible()


def test_address_without_a_known_recipe_offers_the_saved_ones(booth: Page) -> None:
    booth.goto(f"{booth.url.partition('#')[0]}#/booth?recipe=partei")

    expect(booth.get_by_role("alert")).to_contain_text("There is no recipe partei")
    booth.get_by_role("link", name="party").click()
    expect(booth.get_by_role("button", name="Take a photo")).to_be_visible()
