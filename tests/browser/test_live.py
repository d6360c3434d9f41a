"""The live page: the camera on another background, and automatic photos."""

import io
import time
from urllib.parse import urlsplit

import numpy as np
from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect

from browser.accessibility import assert_accessible
from smart_filter_tests.browsing import camera
from smart_filter_tests.browsing.page_errors import PageErrors
from smart_filter_tests.browsing.pixels import mean_color, screenshot
from smart_filter_tests.browsing.screens import DESKTOP, PHONE_DARK, on_screens
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.waits import wait_until
from smart_filter_tests.full_stack import RunningStack

# The film smiles once in this many seconds; the two transitions take 0.4 s each.
_FILM_SECONDS = camera.SERIOUS_SECONDS + camera.SMILING_SECONDS + 0.8
_BLUE = (20, 60, 240)
# A corner of the stage, and the middle of it, in shares of its width and height.
_CORNER, _FACE = (0.03, 0.35), (0.5, 0.45)


def _open(page: Page) -> None:
    page.get_by_role("link", name="Live").click()
    page.get_by_role("button", name="Start the camera").click()
    expect(page.locator(".live-stage")).to_have_attribute("data-state", "on")
    expect(page.locator(".live-stage > canvas")).to_be_visible()


def _choose_color(page: Page, color: str) -> None:
    page.get_by_role("radio", name="Color").check(force=True)
    page.locator("input[type=color]").fill(color)


def _at(page: Page, place: tuple[float, float]) -> tuple[float, float, float]:
    """Return the mean color of a few pixels of the stage."""
    shown = screenshot(page.locator(".live-stage > canvas"))
    height, width, _ = shown.shape
    x, y = round(place[0] * width), round(place[1] * height)
    return mean_color(shown[y : y + 12, x : x + 12])


def _is_blue(color: tuple[float, float, float]) -> bool:
    return bool(np.abs(np.subtract(color, _BLUE)).max() < 30)


@on_screens(DESKTOP, PHONE_DARK)
def test_camera_is_shown_on_another_background(page: Page) -> None:
    _open(page)

    _choose_color(page, "#143cf0")

    wait_until(page, lambda: _is_blue(_at(page, _CORNER)))
    assert not _is_blue(_at(page, _FACE))
    expect(page.locator(".face")).to_have_count(1)
    expect(page.locator(".meter")).to_be_visible()
    assert_accessible(page)


def test_photo_is_taken_by_hand_at_full_size(page: Page, visitor: Visitor) -> None:
    _open(page)
    _choose_color(page, "#143cf0")
    wait_until(page, lambda: _is_blue(_at(page, _CORNER)))

    page.locator("main").focus()
    page.keyboard.press("Space")

    shots = page.get_by_role("list", name="Photos you took")
    expect(shots.get_by_role("link", name="Ready")).to_have_count(1)
    (job,) = visitor.jobs()
    assert job["recipe"]["background"] == "color:#143cf0"
    with Image.open(io.BytesIO(visitor.client.get(job["outputs"]["image"]).content)) as image:
        assert image.size == camera.SIZE
        assert _is_blue(mean_color(np.asarray(image.convert("RGB"))[120:132, 16:28]))


def test_each_smile_becomes_one_photo(page: Page, visitor: Visitor) -> None:
    _open(page)
    _choose_color(page, "#143cf0")
    began_at = time.monotonic()
    page.get_by_role("button", name="Smile shutter").click()

    wait_until(page, lambda: len(visitor.jobs()) >= 2)

    taken = visitor.jobs()
    smiles = (time.monotonic() - began_at) / _FILM_SECONDS + 1
    assert len(taken) <= smiles
    assert {job["recipe"]["background"] for job in taken} == {"color:#143cf0"}


def test_dead_live_worker_is_waited_for(
    page: Page, stack: RunningStack, page_errors: PageErrors
) -> None:
    page_errors.expect("WebSocket connection")
    _open(page)
    stage = page.locator(".live-stage")

    stack.stack.kill("live")
    expect(stage).to_have_attribute("data-state", "lost")
    expect(page.get_by_role("alert")).to_contain_text("reconnects automatically")
    stack.until(lambda: stack.stack.pid("live") is not None)

    expect(stage).to_have_attribute("data-state", "on")
    expect(page.get_by_role("alert")).to_have_count(0)


@on_screens(PHONE_DARK)
def test_denied_camera_can_be_requested_again(page: Page, context: BrowserContext) -> None:
    context.clear_permissions()
    page.get_by_role("link", name="Live").click()
    page.get_by_role("button", name="Start the camera").click()
    expect(page.get_by_role("alert")).to_contain_text("may not use the camera")
    assert_accessible(page)

    context.grant_permissions(["camera"])
    page.get_by_role("button", name="Try again").click()

    expect(page.locator(".live-stage")).to_have_attribute("data-state", "on")


def test_page_can_reach_the_live_worker_and_no_other_host(visitor: Visitor) -> None:
    live = urlsplit(visitor.client.post("/v1/live", json={}).json()["url"])

    policy = visitor.client.get("/").headers["Content-Security-Policy"]

    assert f"connect-src 'self' {live.scheme}://{live.netloc};" in policy
