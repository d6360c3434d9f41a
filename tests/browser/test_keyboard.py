"""The keyboard reaches each control of a screen once, in order, and each has a name."""

import pytest
from playwright.sync_api import Page, expect

from browser.accessibility import assert_accessible, walk_focus
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.viewer import open_result
from smart_filter_tests.browsing.visitors import Visitor

_TABS = ("Background", "Cutout", "People", "Print", "Save")


def _expect_all_reached(page: Page, walked: list[tuple[str, str]]) -> None:
    """Compare with the controls that are shown; a group of radios or tabs is one stop."""
    stops = page.evaluate(
        """() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary")]
          .filter((it) => it.checkVisibility({ visibilityProperty: true, opacityProperty: false }))
          .filter((it) => it.tabIndex >= 0 && !it.disabled && !it.closest("[inert]"))
          .filter((it) => it.type !== "radio").length"""
    )
    focusable = [role for role, _ in walked if role != "radio"]
    assert len(focusable) >= stops, (stops, walked)


@pytest.mark.parametrize(
    ("place", "control"),
    [("#/", "Open astronaut.png"), ("#/albums", "New album"), ("#/live", "Start the camera")],
)
def test_focus_visits_each_control_of_a_screen_once(
    page: Page, visitor: Visitor, photos: Photos, place: str, control: str
) -> None:
    visitor.succeed(photos.smiling, metadata__name="astronaut.png")
    page.goto(page.url.partition("#")[0] + place)
    page.reload()
    shown = page.get_by_role("link", name=control).or_(page.get_by_role("button", name=control))
    expect(shown).to_be_visible()
    page.wait_for_load_state("networkidle")

    walked = walk_focus(page)

    _expect_all_reached(page, walked)
    assert_accessible(page)


def test_focus_visits_each_control_of_each_panel_of_a_photo(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    open_result(page, visitor, photos.smiling)

    for tab in _TABS:
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("tabpanel")).to_be_visible()
        walked = walk_focus(page)
        assert ("tab", tab) in walked
        assert_accessible(page)


def test_dialog_keeps_the_focus_and_gives_it_back(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    visitor.succeed(photos.smiling, metadata__name="astronaut.png")
    page.reload()
    opener = page.get_by_role("button", name="Delete astronaut.png")
    opener.focus()

    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    inside = set()
    for _ in range(6):
        page.keyboard.press("Tab")
        inside.add(page.evaluate("document.activeElement.closest('dialog, body').tagName"))
    assert_accessible(page)
    page.keyboard.press("Escape")

    assert "DIALOG" in inside
    expect(dialog).not_to_be_visible()
    expect(opener).to_be_focused()
