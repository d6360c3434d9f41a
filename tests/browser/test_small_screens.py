"""Phones and narrow windows: nothing scrolls sideways, and nothing is covered."""

from typing import Final

import pytest
from playwright.sync_api import Page, expect

from browser.accessibility import assert_accessible
from smart_filter_tests.browsing.cards import add, card, expect_finished
from smart_filter_tests.browsing.page_errors import PageErrors
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.screens import DESKTOP, PHONE, Scheme, Screen, on_screens
from smart_filter_tests.browsing.viewer import box_of, open_result
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.waits import wait_until

_NARROW: Final = Screen("phone", (320, 568), Scheme.LIGHT, touch=True)
# Visible controls that a toast covers, by their text.
_COVERED: Final = """() => {
  const toasts = Array.from(document.querySelectorAll(".toast"))
    .map((toast) => toast.getBoundingClientRect());
  const controls = Array.from(document.querySelectorAll("a, button, input, select, summary"));
  return controls.filter((control) => {
    const box = control.getBoundingClientRect();
    const isOne = !control.closest(".toasts") && box.height <= 120 && control.checkVisibility();
    return isOne && toasts.some((toast) => box.top < toast.bottom && box.bottom > toast.top
      && box.left < toast.right && box.right > toast.left);
  }).map((control) => control.ariaLabel ?? control.textContent);
}"""
# What makes the page wider than its window.
_WIDER: Final = """() => document.documentElement.scrollWidth <= innerWidth ? []
  : Array.from(document.querySelectorAll("body *"))
    .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > innerWidth)
    .map((one) => one.outerHTML.slice(0, 80))"""


@on_screens(_NARROW)
def test_no_screen_scrolls_sideways_at_320_px(
    page: Page, visitor: Visitor, photos: Photos, page_errors: PageErrors, url: str
) -> None:
    page_errors.expect("status of 4")
    open_result(page, visitor, photos.serious)
    for tab in ("Background", "Cutout", "People", "Print", "Save", "Expert"):
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("tabpanel", name=tab)).to_be_visible()
        assert (tab, page.evaluate(_WIDER)) == (tab, [])
    for place in ("", "albums", "albums/new", "albums/x", "live", "booth", "compare/x"):
        page.goto(f"{url}/#/{place}")
        expect(page.get_by_role("heading", level=1)).to_be_attached()
        assert (place, page.evaluate(_WIDER)) == (place, [])
        assert_accessible(page)


@on_screens(PHONE, _NARROW)
def test_first_picture_is_on_the_first_screen_of_a_phone(
    page: Page, photos: Photos, screen: Screen
) -> None:
    add(page, photos.serious)
    expect_finished(page, photos.serious.name)

    picture = card(page, photos.serious.name).locator(".picture")

    def is_on_the_first_screen() -> bool:
        _, y, _, height = box_of(picture)
        return y + height / 2 < screen.size[1]

    wait_until(page, is_on_the_first_screen)
    page.get_by_text("Settings of new photos").click()
    expect(page.get_by_label("New photos get")).to_be_visible()


@on_screens(DESKTOP, PHONE)
@pytest.mark.parametrize("place", ["sheet", "photo"])
def test_toast_covers_no_control(
    page: Page, visitor: Visitor, photos: Photos, place: str, url: str
) -> None:
    open_result(page, visitor, photos.serious)
    if place == "sheet":
        page.goto(f"{url}/#/")
        expect_finished(page, photos.serious.name)

    page.evaluate(
        "import(document.scripts[1].src.replace('main.js', 'controls/notices.js'))"
        ".then(({ say }) => say('The picture is finished, and this is a longer text.'))"
    )

    expect(page.locator(".toast")).to_be_visible()
    assert page.evaluate(_COVERED) == []
