"""Hands on the panel that corrects the cut-out, and eyes for what becomes of it."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from playwright.sync_api import Page, expect

from smart_filter_tests.browsing.pixels import Pixels, mean_colour, pixels
from smart_filter_tests.browsing.viewing import open_photo, place_of, submitted
from smart_filter_tests.browsing.visitors import Visitor

# What stands behind the people.
BLUE: Final = (32, 96, 192)
# What JPEG makes of one colour beside others, in levels.
SAME: Final = 12.0
_BACKGROUND = "color:#2060c0"
_OUTPUTS = "image,cutout,matte,thumbnail"


def open_panel(page: Page, visitor: Visitor, photo: Path, **fields: str) -> dict[str, Any]:
    """Return the job of a photo, succeeded, and open its panel."""
    asked = {"background": _BACKGROUND, "outputs": _OUTPUTS, **fields}
    job = submitted(visitor, photo, **asked)
    open_photo(page, job)
    page.get_by_role("tab", name="Cut-out").click()
    return job


def correct(page: Page, visitor: Visitor, photo: Path, **fields: str) -> dict[str, Any]:
    """Return the job of a photo, succeeded; it is shown with what is kept of it."""
    job = open_panel(page, visitor, photo, **fields)
    expect(page.get_by_role("checkbox", name="Show on the photo what is kept")).to_be_checked()
    expect(page.locator("canvas.film")).to_be_visible()
    return job


def come_back(page: Page) -> None:
    """Load the page again, and the panel."""
    # A journey that ends while pictures come would cut the line to them.
    page.reload(wait_until="networkidle")
    page.get_by_role("tab", name="Cut-out").click()
    expect(page.locator("canvas.film")).to_be_visible()


def take(page: Page, tool: str) -> None:
    """Take a tool."""
    page.get_by_role("group", name="What a click on the picture does").get_by_text(
        tool, exact=True
    ).click()


def paint(page: Page, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Draw a line from one point of the photo to another."""
    page.mouse.move(*at(page, *start))
    page.mouse.down()
    page.mouse.move(*at(page, *end), steps=6)
    page.mouse.up()
    page.mouse.move(0, 0)


def apply(page: Page) -> None:
    """Press Apply, and wait for the picture."""
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("group", name="What you painted")).to_have_count(0)


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


def at(page: Page, x: float, y: float) -> tuple[float, float]:
    """Return where in the window a point of the photo is, which is shown whole."""
    left, top, width, _ = place_of(page)
    scale = width / float(page.locator(".plane").evaluate("plane => plane.offsetWidth"))
    return left + scale * x, top + scale * y


def window(page: Page, x: float, y: float, reach: int = 4) -> tuple[int, int, int, int]:
    """Return some pixels of the window around a point of the photo."""
    across, down = at(page, x, y)
    return round(across) - reach, round(down) - reach, 2 * reach, 2 * reach


def brightness(page: Page, point: tuple[int, int]) -> float:
    """Return how bright the window is around a point of the photo, 0..255."""
    return max(mean_colour(pixels(page, window(page, *point, reach=40))))


def brush_width(page: Page) -> float:
    """Return how wide the brush is, in pixels of the photo, as the panel says."""
    return float(page.locator("output").filter(has_text="px").inner_text().removesuffix(" px"))


def around(shown: Pixels, x: int, y: int, reach: int = 4) -> Pixels:
    """Return what a picture shows around a place."""
    return shown[y - reach : y + reach, x - reach : x + reach]


def middle(box: list[float]) -> tuple[int, int]:
    """Return the middle of a box."""
    x, y, width, height = box
    return round(x + width / 2), round(y + height / 2)


def away_from(region: Pixels, colour: tuple[float, float, float]) -> float:
    """Return by how many levels the mean of pixels is away from a colour."""
    return max(abs(a - b) for a, b in zip(mean_colour(region), colour, strict=True))


def newest(visitor: Visitor) -> dict[str, Any]:
    """Return their newest job."""
    return visitor.jobs()[0]


def is_made(visitor: Visitor, count: int) -> bool:
    """Whether they have so many jobs, the newest of which has succeeded."""
    jobs = visitor.jobs()
    return len(jobs) == count and jobs[0]["state"] == "succeeded"


def corrections(visitor: Visitor, job: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the corrections of a job."""
    answer = visitor.client.get(f"/v1/jobs/{job['id']}/corrections")
    found: list[dict[str, Any]] = answer.json()["items"]
    return found
