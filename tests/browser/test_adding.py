"""Photos come in every way that there is, and become pictures on the contact sheet."""

import shutil
from pathlib import Path

from playwright.sync_api import Page, expect

from smart_filter_tests.browsing.accessibility import axe
from smart_filter_tests.browsing.cards import add, card, drop, expect_finished, expect_state
from smart_filter_tests.browsing.looks import DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK, seen_on
from smart_filter_tests.browsing.patience import until
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.pixels import mean_colour, picture, pixels, share_changed
from smart_filter_tests.browsing.visitors import Visitor

_PASTE = """
async (url) => {
  const blob = await (await fetch(url)).blob();
  const transfer = new DataTransfer();
  transfer.items.add(new File([blob], "image.png", { type: "image/png" }));
  dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer }));
}
"""
_TOO_FAST_MS = 250


@seen_on(DESKTOP, PHONE_DARK)
def test_several_photos_become_pictures_with_what_is_worth_knowing(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    add(page, photos.smiling, photos.serious, photos.nobody)

    expect_finished(page, "astronaut.png", "grace_hopper.jpg", "sunset.jpg")
    smiling = card(page, "astronaut.png")
    expect(smiling.get_by_text("Big smile")).to_be_visible()
    expect(smiling.get_by_text("1.00")).to_be_visible()
    expect(card(page, "sunset.jpg").get_by_text("Nobody found")).to_be_visible()
    (job,) = (job for job in visitor.jobs() if job["metadata"]["name"] == "astronaut.png")
    picture_shown = smiling.get_by_role("img")
    picture_shown.evaluate("image => image.scrollIntoView({ block: 'center' })")
    shown = pixels(picture_shown)
    stored = visitor.client.get(job["outputs"]["thumbnail"]).content
    height, width, _ = shown.shape
    # Chromium and Pillow scale differently along edges, and the card's corners are round.
    assert share_changed(shown, picture(stored, (width, height)), levels=32) < 0.1
    axe(page)


def test_files_and_folders_are_dropped_anywhere(page: Page, photos: Photos, tmp_path: Path) -> None:
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    folder = tmp_path / "party"
    (folder / "later").mkdir(parents=True)
    shutil.copy(photos.smiling, folder / "first.png")
    shutil.copy(photos.serious, folder / "later" / "second.jpg")
    (folder / "notes.txt").write_text("Buy milk.\n")

    drop(page, folder, photos.nobody)

    # What else is in a folder is not meant.
    expect(page.get_by_role("listitem")).to_have_count(3)
    expect_finished(page, "first.png", "second.jpg", "sunset.jpg")


def test_pasted_photo_is_called_by_its_time(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_be_visible()

    page.evaluate(_PASTE, "/studio/icon.svg")

    # An icon is no photo: what matters is that it has come, under a name that tells it apart.
    expect(page.get_by_role("heading", name="Pasted at")).to_be_visible()


def test_camera_takes_a_photo_that_is_looked_at_first(page: Page, visitor: Visitor) -> None:
    page.get_by_role("button", name="Take one").click()
    dialog = page.get_by_role("dialog", name="Take a photo")
    dialog.get_by_role("button", name="Take it").click()
    expect(dialog.get_by_role("img", name="The photo that was taken")).to_be_visible()
    dialog.get_by_role("button", name="Again").click()
    dialog.get_by_role("button", name="Take it").click()
    dialog.get_by_role("button", name="Use it").click()

    expect(dialog).to_have_count(0)
    taken = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Taken at"))
    expect_state(taken, "succeeded")
    (job,) = visitor.jobs()
    assert job["metadata"]["name"].startswith("Taken at")
    assert job["people"] == 1


def test_camera_that_is_refused_is_told_in_words(page: Page) -> None:
    page.context.clear_permissions()

    page.get_by_role("button", name="Take one").click()

    expect(page.get_by_role("alert")).to_contain_text("This page may not use the camera")
    axe(page)


@seen_on(PHONE)
def test_phone_is_asked_for_its_camera_app(page: Page) -> None:
    with page.expect_file_chooser() as chosen:
        page.get_by_role("button", name="Take one").click()

    assert chosen.value.element.get_attribute("capture") == "user"


@seen_on(DESKTOP_DARK)
def test_new_photos_get_what_was_chosen_and_the_browser_remembers(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    page.get_by_label("New photos get").select_option("color")
    page.get_by_label("Colour", exact=True).fill("#3060c0")
    page.reload()
    add(page, photos.smiling)

    expect_finished(page, "astronaut.png")
    (job,) = visitor.jobs()
    assert job["recipe"]["background"] == "color:#3060c0"
    corner = pixels(card(page, "astronaut.png").get_by_role("img"))[4:14, 4:14]
    # The thumbnail is a JPEG.
    assert max(abs(a - b) for a, b in zip(mean_colour(corner), (48, 96, 192), strict=True)) < 6


@seen_on(DESKTOP)
def test_transparent_picture_lies_on_a_checkerboard(page: Page, photos: Photos) -> None:
    page.get_by_label("New photos get").select_option("transparent")
    add(page, photos.smiling)
    expect_finished(page, "astronaut.png")

    shown = card(page, "astronaut.png").get_by_role("img")
    until(page, lambda: shown.evaluate("image => image.complete"))
    page.wait_for_timeout(_TOO_FAST_MS)

    # Nothing but the two greys of the board, as the tokens name them.
    corner = {tuple(colour) for colour in pixels(shown)[2:30, 2:30].reshape(-1, 3).tolist()}
    assert {(255, 255, 255), (217, 212, 205)} <= corner
