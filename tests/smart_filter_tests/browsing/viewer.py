"""The viewer of a picture in a browser: open it, change its mode, measure it."""

from pathlib import Path
from typing import Any

import httpx
import numpy as np
from playwright.sync_api import Locator, Page, expect

from smart_filter_tests.browsing.pixels import read_picture, screenshot
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_workers.results import Bytes

# The outputs that the studio requests.
OUTPUTS = "image,cutout,matte,regions,thumbnail,faces,rating,printability"


def submit_photo(visitor: Visitor, photo: Path, **fields: str) -> dict[str, Any]:
    """Submit a photo with the studio's outputs; return its job, succeeded."""
    asked = {"seed": "1", "outputs": OUTPUTS, "metadata.name": photo.name}
    return visitor.succeed(photo, **asked | fields)


def open_result(page: Page, visitor: Visitor, photo: Path, **fields: str) -> dict[str, Any]:
    """Open a photo and wait for the finished picture; return its job."""
    job = submit_photo(visitor, photo, **fields)
    open_photo(page, job)
    expect(page.get_by_alt_text("The finished picture")).to_be_visible()
    page.locator(".stage").focus()
    return job


def open_photo(page: Page, job: dict[str, Any]) -> None:
    page.goto(f"{page.url.partition('#')[0]}#/photo/{job['id']}")


def select_mode(page: Page, mode: str) -> None:
    page.get_by_role("radio", name=mode, exact=True).check()
    page.mouse.move(0, 0)


def move_fingers(
    page: Page, starts: list[tuple[float, float]], ends: list[tuple[float, float]]
) -> None:
    """Move fingers over the screen, each from its start to its end."""
    session = page.context.new_cdp_session(page)

    def send(kind: str, places: list[tuple[float, float]]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    for number in range(1, len(starts) + 1):
        send("touchStart", starts[:number])
    for share in np.linspace(0.1, 1, 10):
        send(
            "touchMove",
            [
                (x + share * (to_x - x), y + share * (to_y - y))
                for (x, y), (to_x, to_y) in zip(starts, ends, strict=True)
            ],
        )
    send("touchEnd", [])
    session.detach()


def box_of(element: Locator) -> tuple[float, float, float, float]:
    """Return an element's place in the window: x, y, width, height."""
    box = element.bounding_box()
    assert box is not None
    return box["x"], box["y"], box["width"], box["height"]


def place_of(page: Page) -> tuple[float, float, float, float]:
    """Return the place of the whole picture in the window: x, y, width, height."""
    return box_of(page.locator(".plane"))


def shape_of(page: Page) -> float:
    """Return the ratio of the whole picture's width to its height."""
    _, _, width, height = place_of(page)
    return width / height


def picture_pixels(page: Page) -> Bytes:
    """Return the picture as the page shows it; all of it must be visible."""
    x, y, width, height = place_of(page)
    return screenshot(page, (round(x), round(y), round(width), round(height)))


def photo_of(visitor: Visitor, job: dict[str, Any]) -> Bytes:
    return read_picture(bytes_of(visitor, job["links"]["photo"]))


def output_of(visitor: Visitor, job: dict[str, Any], name: str) -> Bytes:
    return read_picture(bytes_of(visitor, job["outputs"][name]))


def bytes_of(visitor: Visitor, path: str) -> bytes:
    answer = visitor.client.get(path)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.content


def mean_difference(pixels: Bytes, other: Bytes) -> float:
    """Return the mean difference of two pictures, in levels of 255."""
    return float(np.abs(pixels.astype(float) - other).mean())
