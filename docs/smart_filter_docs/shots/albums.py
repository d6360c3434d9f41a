"""A ranked album, and the list of albums."""

import re
from typing import Final

from playwright.sync_api import expect

from smart_filter_docs.shots.shot import Scene, Shot
from smart_filter_tests.browsing.screens import DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK


def _album(scene: Scene) -> None:
    page = scene.page
    page.get_by_role("link", name="Albums").click()
    page.get_by_role("link", name="New album").click()
    page.locator("input[data-way=album]").set_input_files(scene.photos.album[:5])
    page.get_by_label("Name").fill("Open day")
    page.get_by_label("Winners", exact=True).fill("2")
    page.get_by_role("button", name="Find the best of 5").click()
    expect(page.get_by_role("button", name=re.compile("as zip$"))).to_be_visible()


def _albums(scene: Scene) -> None:
    _album(scene)
    scene.page.get_by_role("link", name="Albums").first.click()
    expect(scene.page.locator(".covers img")).to_have_count(3)


SHOTS: Final = (
    Shot("album", _album, (DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK)),
    Shot("albums", _albums),
)
