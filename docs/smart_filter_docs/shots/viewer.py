"""The viewer: a large picture, and its tabs."""

from pathlib import Path
from typing import Final

from playwright.sync_api import expect

from smart_filter_docs.shots.shot import Scene, Shot
from smart_filter_tests.browsing.screens import DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK


def _compare(scene: Scene) -> None:
    _open(scene, scene.photos.smiling)


def _people(scene: Scene) -> None:
    _open(scene, scene.photos.group)
    scene.page.get_by_role("tab", name="People").click()
    scene.page.get_by_role("button", name="Person 1: show in the picture").focus()


def _cutout(scene: Scene) -> None:
    _open(scene, scene.photos.smiling)
    scene.page.get_by_role("radio", name="Alone").check()
    expect(scene.page.get_by_alt_text("The people, cut out")).to_be_visible()


def _print(scene: Scene) -> None:
    _open(scene, scene.photos.group)
    scene.page.get_by_role("tab", name="Print").click()
    expect(scene.page.locator(".sizes image").first).to_be_visible()


def _save(scene: Scene) -> None:
    _open(scene, scene.photos.smiling)
    scene.page.get_by_role("tab", name="Save").click()
    expect(scene.page.get_by_text("kB").first).to_be_visible()


def _open(scene: Scene, photo: Path) -> None:
    """Upload a photo and open its result."""
    scene.page.locator("input[type=file]").first.set_input_files(photo)
    scene.page.get_by_alt_text("finished").click()
    expect(scene.page.get_by_alt_text("The finished picture")).to_be_visible()
    scene.page.mouse.move(0, 0)


SHOTS: Final = (
    Shot("compare", _compare, (DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK)),
    Shot("people", _people, (DESKTOP, PHONE_DARK)),
    Shot("cutout", _cutout, (DESKTOP_DARK, PHONE)),
    Shot("print", _print, (DESKTOP,)),
    Shot("save", _save, (DESKTOP_DARK,)),
)
