"""Correction of the cutout: people to keep, and a brush for errors of the models."""

from pathlib import Path
from typing import Final

from playwright.sync_api import Page, expect

from smart_filter_docs.shots.shot import Scene, Shot
from smart_filter_tests.browsing.screens import DESKTOP, DESKTOP_DARK, PHONE


def _people(scene: Scene) -> None:
    _open(scene, scene.photos.pair)
    # The picture is dimmed again when the new matte has been loaded.
    with scene.page.expect_response("**/outputs/matte"):
        scene.page.get_by_role("checkbox", name="Person 1, kept").click()
    expect(scene.page.get_by_role("checkbox", name="Person 1, dropped")).to_be_visible()
    scene.page.wait_for_timeout(500)


def _brush(scene: Scene) -> None:
    _open(scene, scene.photos.smiling)
    _stroke(scene.page, "Remove", (0.72, 0.78), (0.82, 0.95))
    _stroke(scene.page, "Keep", (0.1, 0.2), (0.12, 0.42))
    expect(scene.page.get_by_text("2 strokes")).to_be_visible()


def _open(scene: Scene, photo: Path) -> None:
    """Upload a photo and open its cutout tab."""
    scene.page.locator("input[type=file]").first.set_input_files(photo)
    scene.page.get_by_alt_text("finished").click()
    scene.page.get_by_role("tab", name="Cutout").click()
    expect(scene.page.locator("canvas.film:visible, canvas.result:visible")).to_be_visible()


def _stroke(page: Page, tool: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Paint a line between two places, in shares of the picture."""
    page.get_by_role("group", name="Tool").get_by_text(tool, exact=True).click()
    box = page.locator(".plane").bounding_box()
    assert box is not None
    at = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in (start, end)]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=8)
    page.mouse.up()


SHOTS: Final = (
    Shot("correct-people", _people, (DESKTOP, DESKTOP_DARK)),
    Shot("correct-brush", _brush, (DESKTOP, DESKTOP_DARK, PHONE)),
)
