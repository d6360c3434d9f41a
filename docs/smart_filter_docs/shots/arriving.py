"""The first pages of the studio: the start page and the sign-in."""

from typing import Final

from playwright.sync_api import expect

from smart_filter_docs.shots.shot import Scene, Shot
from smart_filter_tests.browsing.screens import DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK


def _start(scene: Scene) -> None:
    expect(scene.page.get_by_role("heading", level=1)).to_be_visible()


def _sign_in(scene: Scene) -> None:
    scene.page.get_by_role("button", name="Sign out").click()
    expect(scene.page.get_by_label("Key")).to_be_visible()


SHOTS: Final = (
    Shot("start", _start, (DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK)),
    Shot("sign-in", _sign_in),
)
