"""The background panel: the chosen background, all designs, and colors."""

from typing import Final

from playwright.sync_api import expect

from smart_filter_docs.shots.shot import Scene, Shot
from smart_filter_tests.browsing.screens import DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK
from smart_filter_tests.browsing.viewer import OUTPUTS


def _chosen(scene: Scene) -> None:
    _open(scene)
    expect(scene.page.locator(".candidate")).to_have_count(5)
    _in_sight(scene)


def _designs(scene: Scene) -> None:
    _open(scene)
    _kind(scene, "Designs")
    scene.page.get_by_role("option", name="Sunrise", exact=True).click()
    _made(scene, "Sunrise")
    _in_sight(scene)


def _color(scene: Scene) -> None:
    _open(scene)
    _kind(scene, "Color")
    scene.page.get_by_role("button", name="#c8d8c4").click()
    _made(scene, "Color #c8d8c4")
    _in_sight(scene)


def _open(scene: Scene) -> None:
    photo = scene.photos.smiling
    job = scene.visitor.succeed(photo, outputs=OUTPUTS, metadata__name=photo.name)
    scene.page.evaluate("id => { location.hash = `#/photo/${id}`; }", job["id"])
    scene.page.get_by_role("tab", name="Background").click()
    _made(scene, "Chosen for you")


def _kind(scene: Scene, title: str) -> None:
    scene.page.locator(".kind").filter(has_text=title).click()


def _made(scene: Scene, name: str) -> None:
    expect(scene.page.locator(".background-shown strong")).to_contain_text(name)
    expect(scene.page.locator(".background-shown .busy")).to_have_count(0)


def _in_sight(scene: Scene) -> None:
    """Show the panel with its pictures loaded; on a phone it is below the photo."""
    panel = scene.page.locator(".background-panel")
    if scene.page.viewport_size == {"width": PHONE.size[0], "height": PHONE.size[1]}:
        panel.evaluate("panel => panel.scrollIntoView()")
    scene.page.wait_for_load_state("networkidle")


SHOTS: Final = (
    Shot("background-chosen", _chosen, (DESKTOP, PHONE_DARK)),
    Shot("background-designs", _designs, (DESKTOP_DARK, PHONE)),
    Shot("background-colour", _color, (DESKTOP,)),
)
