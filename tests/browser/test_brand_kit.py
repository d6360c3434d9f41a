"""A brand kit in the studio: own background and logo, in a saved recipe."""

import dataclasses
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Locator, Page, expect

from browser.accessibility import assert_accessible
from smart_filter_tests.browsing.page_errors import PageErrors
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.screens import DESKTOP, PHONE_DARK, on_screens
from smart_filter_tests.browsing.viewer import open_result
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.waits import wait_until
from smart_filter_tests.full_stack import RunningStack
from smart_filter_tests.pictures import encode


@pytest.fixture
def wall(tmp_path: Path) -> Path:
    """A backdrop: two colors of a brand."""
    picture = Image.new("RGB", (1500, 1000), "#1f4f4a")
    ImageDraw.Draw(picture).rectangle((0, 700, 1500, 1000), fill="#e8d9b0")
    picture.save(tmp_path / "Our wall.png")
    return tmp_path / "Our wall.png"


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A logo with transparency."""
    picture = Image.new("RGBA", (400, 200), (0, 0, 0, 0))
    ImageDraw.Draw(picture).ellipse((10, 10, 390, 190), fill="#d9482b")
    picture.save(tmp_path / "mark.png")
    return tmp_path / "mark.png"


def _open_designs(page: Page) -> Locator:
    page.get_by_label("New photos get").select_option("design")
    page.get_by_role("button", name="Choose a design").click()
    return page.get_by_role("dialog", name="Choose a design")


@on_screens(DESKTOP, PHONE_DARK)
def test_shop_makes_its_brand_kit_and_photos_get_it(
    page: Page, visitor: Visitor, photos: Photos, wall: Path, mark: Path
) -> None:
    designs = _open_designs(page)
    designs.get_by_label("Picture to add").set_input_files(wall)
    expect(page.get_by_text("Our wall is one of your pictures now.")).to_be_visible()
    page.get_by_role("button", name="Our wall").click()
    expect(designs.get_by_role("option", name="Our wall")).to_have_attribute(
        "aria-selected", "true"
    )
    designs.get_by_text("Your pictures, 1").click()
    assert_accessible(page)
    designs.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Shape and format").click()
    dialog = page.get_by_role("dialog", name="Shape, size and format")
    dialog.get_by_label("Logo to add").set_input_files(mark)
    expect(dialog.get_by_label("Logo", exact=True)).to_have_value("tenant/mark")
    dialog.get_by_label("Place of the logo").select_option("top-left")
    assert_accessible(page)
    dialog.get_by_label("Save this choice as a recipe").fill("our-brand")
    dialog.get_by_role("button", name="Save recipe").click()
    expect(page.get_by_text("Saved as our-brand")).to_be_visible()
    dialog.get_by_role("button", name="Done").click()

    page.locator("[data-way=pick]").set_input_files(photos.smiling)
    wait_until(page, lambda: [job["state"] for job in visitor.jobs()] == ["succeeded"])

    recipe = visitor.newest()["recipe"]
    assert (recipe["background"], recipe["logo"]) == ("preset:tenant/our-wall", "tenant/mark")
    assert recipe["logo_place"] == "top-left"


def test_deleted_picture_is_no_longer_the_choice(page: Page, visitor: Visitor, wall: Path) -> None:
    designs = _open_designs(page)
    designs.get_by_label("Picture to add").set_input_files(wall)
    page.get_by_role("button", name="Our wall").click()
    designs.get_by_text("Your pictures, 1").click()
    designs.get_by_role("button", name="Delete Our wall").press("Enter")
    page.get_by_role("dialog", name="Delete “Our wall”?").get_by_role(
        "button", name="Delete"
    ).press("Enter")

    expect(page.get_by_text("Our wall is deleted.")).to_be_visible()
    expect(designs.get_by_role("option", name="Our wall")).to_have_count(0)
    assert visitor.client.get("/v1/backgrounds/tenant").json()["items"] == []
    designs.get_by_role("button", name="Close").click()
    expect(page.get_by_role("button", name="Choose a design")).to_be_visible()


def test_picture_that_cannot_be_read_is_refused_in_words(
    page: Page, visitor: Visitor, page_errors: PageErrors
) -> None:
    page_errors.expect("status of 415")
    designs = _open_designs(page)
    for name, content, words in (
        ("torn.png", encode(Image.new("RGB", (300, 200)), "PNG")[:90], "torn.png cannot be used"),
        ("notes.png", b"only words", "Unsupported media type"),
    ):
        upload = {"name": name, "mimeType": "image/png", "buffer": content}
        designs.get_by_label("Picture to add").set_input_files(upload)  # type: ignore[arg-type]  # a FilePayload
        expect(designs.get_by_role("alert")).to_contain_text(words)
        expect(designs.get_by_role("alert")).not_to_contain_text("application/json")

    assert visitor.client.get("/v1/backgrounds/tenant").json()["items"] == []


def test_version_of_a_photo_whose_background_was_deleted_asks_for_another(
    page: Page, visitor: Visitor, photos: Photos, page_errors: PageErrors, wall: Path
) -> None:
    page_errors.expect("status of 422")
    designs = _open_designs(page)
    designs.get_by_label("Picture to add").set_input_files(wall)
    expect(page.get_by_text("Our wall is one of your pictures now.")).to_be_visible()
    open_result(page, visitor, photos.smiling, background="preset:tenant/our-wall")
    visitor.client.delete("/v1/backgrounds/tenant/our-wall").raise_for_status()
    page.get_by_role("tab", name="Save").click()
    page.get_by_role("button", name="Make and save").click()

    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Its background was deleted: choose another one")
    expect(alert).not_to_contain_text("openapi.json")


def test_user_without_the_right_to_add_is_not_offered_it(
    anonymous_page: Page, visitor: Visitor, stack: RunningStack
) -> None:
    key = visitor.client.post("/v1/keys", json={"scopes": ["read", "submit"]}).json()["key"]
    url = str(stack.client.base_url).rstrip("/")
    dataclasses.replace(visitor, key=key).sign_in(anonymous_page.context, url)
    anonymous_page.goto(url)

    designs = _open_designs(anonymous_page)

    expect(designs.get_by_role("option", name="Sunrise", exact=True)).to_be_visible()
    expect(designs.get_by_role("button", name="Add a picture")).to_have_count(0)
