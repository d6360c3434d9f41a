"""The live page: the camera before another background, and photos that take themselves."""

import io
import time
from urllib.parse import urlsplit

import numpy as np
from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect

from smart_filter_tests.browsing import camera
from smart_filter_tests.browsing.accessibility import axe
from smart_filter_tests.browsing.looks import DESKTOP, PHONE_DARK, seen_on
from smart_filter_tests.browsing.patience import until
from smart_filter_tests.browsing.pixels import mean_colour, pixels
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.witness import Witness
from smart_filter_tests.running import Running

# The film smiles once in so many seconds; the two crossings take 0.4 s each.
_FILM_SECONDS = camera.SERIOUS_SECONDS + camera.SMILING_SECONDS + 0.8
_BLUE = (20, 60, 240)
# A corner of the stage, and the middle of it, in shares of its width and height.
_CORNER, _FACE = (0.03, 0.35), (0.5, 0.45)


def _open(page: Page) -> None:
    page.get_by_role("link", name="Live").click()
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator(".live-stage")).to_have_attribute("data-state", "on")
    expect(page.locator(".live-stage > canvas")).to_be_visible()


def _colour(page: Page, colour: str) -> None:
    page.get_by_role("radio", name="Colour").check(force=True)
    page.locator("input[type=color]").fill(colour)


def _at(page: Page, place: tuple[float, float]) -> tuple[float, float, float]:
    """Return the mean colour of a few pixels of what is on the stage."""
    shown = pixels(page.locator(".live-stage > canvas"))
    height, width, _ = shown.shape
    x, y = round(place[0] * width), round(place[1] * height)
    return mean_colour(shown[y : y + 12, x : x + 12])


def _is_blue(colour: tuple[float, float, float]) -> bool:
    return bool(np.abs(np.subtract(colour, _BLUE)).max() < 30)


@seen_on(DESKTOP, PHONE_DARK)
def test_camera_stands_before_another_background(page: Page) -> None:
    _open(page)

    _colour(page, "#143cf0")

    until(page, lambda: _is_blue(_at(page, _CORNER)))
    assert not _is_blue(_at(page, _FACE))
    expect(page.locator(".face")).to_have_count(1)
    expect(page.locator(".meter")).to_be_visible()
    axe(page)


def test_photo_is_taken_by_hand_at_full_size(page: Page, visitor: Visitor) -> None:
    _open(page)
    _colour(page, "#143cf0")
    until(page, lambda: _is_blue(_at(page, _CORNER)))

    page.locator("main").focus()
    page.keyboard.press("Space")

    shots = page.get_by_role("list", name="Photos you took")
    expect(shots.get_by_role("link", name="Ready")).to_have_count(1)
    (job,) = visitor.jobs()
    assert job["recipe"]["background"] == "color:#143cf0"
    with Image.open(io.BytesIO(visitor.client.get(job["outputs"]["image"]).content)) as image:
        assert image.size == camera.SIZE
        assert _is_blue(mean_colour(np.asarray(image.convert("RGB"))[120:132, 16:28]))


def test_smiles_become_photos_one_each(page: Page, visitor: Visitor) -> None:
    _open(page)
    _colour(page, "#143cf0")
    began_at = time.monotonic()
    page.get_by_role("button", name="Smile shutter").click()

    until(page, lambda: len(visitor.jobs()) >= 2)

    smiles = (time.monotonic() - began_at) / _FILM_SECONDS + 1
    taken = visitor.jobs()
    assert len(taken) <= smiles
    assert {job["recipe"]["background"] for job in taken} == {"color:#143cf0"}


def test_live_worker_that_dies_is_waited_for(page: Page, stack: Running, witness: Witness) -> None:
    witness.expect("WebSocket connection")
    _open(page)
    stage = page.locator(".live-stage")

    stack.stack.kill("live")
    expect(stage).to_have_attribute("data-state", "lost")
    expect(page.get_by_role("alert")).to_contain_text("connects again by itself")
    stack.until(lambda: stack.stack.pid("live") is not None)

    expect(stage).to_have_attribute("data-state", "on")
    expect(page.get_by_role("alert")).to_have_count(0)


@seen_on(PHONE_DARK)
def test_camera_that_is_not_lent_is_asked_for_again(page: Page, context: BrowserContext) -> None:
    context.clear_permissions()
    page.get_by_role("link", name="Live").click()
    page.get_by_role("button", name="Start the camera").click()
    expect(page.get_by_role("alert")).to_contain_text("may not use the camera")
    axe(page)

    context.grant_permissions(["camera"])
    page.get_by_role("button", name="Try again").click()

    expect(page.locator(".live-stage")).to_have_attribute("data-state", "on")


def test_page_may_reach_the_live_worker_and_nobody_else(visitor: Visitor) -> None:
    live = urlsplit(visitor.client.post("/v1/live", json={}).json()["url"])

    policy = visitor.client.get("/").headers["Content-Security-Policy"]

    assert f"connect-src 'self' {live.scheme}://{live.netloc};" in policy
