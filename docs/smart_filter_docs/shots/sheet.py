"""The contact sheet with finished photos, and the camera of a computer."""

from typing import Final

from playwright.sync_api import expect

from smart_filter_docs.shots.shot import Scene, Shot
from smart_filter_tests.browsing.cards import add, card, expect_finished
from smart_filter_tests.browsing.screens import DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK


def _sheet(scene: Scene) -> None:
    photos = scene.photos
    # One after the other, so their order is the same each time.
    for photo in (photos.text, photos.sunset, photos.serious, photos.group, photos.smiling):
        add(scene.page, photo)
        if photo != photos.text:
            expect_finished(scene.page, photo.name)
    expect(card(scene.page, photos.text.name)).to_contain_text("Not an accepted picture")


def _camera(scene: Scene) -> None:
    scene.page.get_by_role("button", name="Take one").click()
    scene.page.get_by_role("button", name="Take it").click()
    expect(scene.page.get_by_role("img", name="The photo you took")).to_be_visible()


SHOTS: Final = (
    Shot("camera", _camera, (DESKTOP,)),
    Shot("sheet", _sheet, (DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK)),
)
