"""The live page: a camera before another background."""

from typing import Final

from playwright.sync_api import expect

from smart_filter_tests.browsing.looks import DESKTOP, PHONE_DARK
from smart_filter_tests.browsing.shots.shot import Scene, Shot


def _live(scene: Scene) -> None:
    page = scene.page
    page.get_by_role("link", name="Live").click()
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator(".live-stage > canvas")).to_be_visible()
    page.get_by_role("radio", name="Designs").check(force=True)
    page.get_by_role("option", name="Candy", exact=True).click()
    expect(page.locator('.face[data-level="huge"]')).to_be_visible()


SHOTS: Final = (Shot("live", _live, (DESKTOP, PHONE_DARK)),)
