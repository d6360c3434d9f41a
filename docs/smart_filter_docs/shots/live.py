"""The live page: a camera before another background."""

from typing import Final

from playwright.sync_api import Page, expect

from smart_filter_docs.shots.shot import Scene, Shot
from smart_filter_tests.browsing.screens import DESKTOP, PHONE_DARK
from smart_filter_tests.browsing.waits import wait_until

# At least three seconds of frames: the shown rate is a mean over about the last ten.
_FRAMES: Final = 90
_NEWEST_FRAME: Final = """async () =>
    (await import(new URL("state/live.js", document.scripts[1].src))).seen.value.frame
"""


def _live(scene: Scene) -> None:
    page = scene.page
    page.get_by_role("link", name="Live").click()
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator(".live-stage > canvas")).to_be_visible()
    page.get_by_role("radio", name="Designs").check(force=True)
    page.get_by_role("option", name="Candy", exact=True).click()
    _let_frames_come(page)
    expect(page.locator('.face[data-level="huge"]')).to_be_visible()


def _let_frames_come(page: Page) -> None:
    """Wait until the shown rate is a mean of many frames, as the first frame is slow."""
    begun_at = page.evaluate(_NEWEST_FRAME)
    wait_until(page, lambda: page.evaluate(_NEWEST_FRAME) > begun_at + _FRAMES, seconds=120)


SHOTS: Final = (Shot("live", _live, (DESKTOP, PHONE_DARK)),)
