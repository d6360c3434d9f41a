"""Correcting the cut-out: by brush, by click, by keys, by fingers; and what becomes of it."""

from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Locator, Page, expect

from smart_filter_tests.browsing.accessibility import axe
from smart_filter_tests.browsing.looks import DESKTOP_DARK, PHONE, PHONE_DARK, seen_on
from smart_filter_tests.browsing.patience import until
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.pixels import (
    Pixels,
    mean_colour,
    picture,
    pixels,
    share_changed,
)
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.witness import LINE_CUT, Witness
from smart_filter_tests.proxy import Mode, Proxy

_BLUE = (32, 96, 192)
_BACKGROUND = "color:#2060c0"
_OUTPUTS = "image,cutout,matte,thumbnail"
# Within the helmet that the astronaut holds, and on the flag behind her; 512×512.
_HELMET = ((350, 450), (410, 450))
_FLAG = ((40, 30), (40, 90))
# What JPEG makes of one colour beside others, in levels.
_SAME = 12.0


def test_what_the_brush_removes_is_background(page: Page, visitor: Visitor, photos: Photos) -> None:
    job = _correcting(page, visitor, photos.smiling)
    before = _output(visitor, job, "image")

    _take(page, "Remove")
    _paint(page, *_HELMET)
    _apply(page)

    after = _output(visitor, _newest(visitor), "image")
    assert _apart(_around(after, 380, 450), _BLUE) < _SAME
    assert share_changed(before[:, :300], after[:, :300]) < 0.001
    assert share_changed(before[:400], after[:400]) < 0.001
    expect(page.get_by_role("radio", name="Result")).to_be_checked()
    assert _apart(pixels(page, _window(page, 380, 450)), _BLUE) < _SAME
    (correction,) = _corrections(visitor, job)
    assert (correction["consent"], correction["form"]) == (False, "strokes")
    assert correction["expires_at"] is not None


def test_what_the_brush_keeps_stays(page: Page, visitor: Visitor, photos: Photos) -> None:
    job = _correcting(page, visitor, photos.smiling)
    photo, before = picture(photos.smiling), _output(visitor, job, "image")
    assert _apart(_around(before, 40, 60), _BLUE) < _SAME

    _take(page, "Keep")
    _paint(page, *_FLAG)
    _apply(page)
    _take(page, "Remove")
    _paint(page, *_HELMET)
    _apply(page)

    after = _output(visitor, _newest(visitor), "image")
    assert _apart(_around(after, 40, 60), mean_colour(_around(photo, 40, 60))) < _SAME
    assert _apart(_around(after, 380, 450), _BLUE) < _SAME


def test_strokes_are_seen_at_once_and_stepped_back(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    _correcting(page, visitor, photos.smiling)
    _take(page, "Remove")
    bare = pixels(page, _window(page, 380, 450))

    _paint(page, *_HELMET)
    _take(page, "Keep")
    _paint(page, *_FLAG)

    expect(page.get_by_text("2 strokes")).to_be_visible()
    red, green, blue = mean_colour(pixels(page, _window(page, 380, 450)))
    assert red > green + 60
    assert red > blue + 60
    red, green, blue = mean_colour(pixels(page, _window(page, 40, 60)))
    assert green > red + 30
    _reload(page)
    expect(page.get_by_text("2 strokes")).to_be_visible()
    _take(page, "Remove")
    page.keyboard.press("Control+z")
    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()
    page.get_by_role("button", name="Clear all strokes").click()
    assert share_changed(bare, pixels(page, _window(page, 380, 450))) == 0
    page.get_by_role("status").get_by_role("button", name="Undo").click()
    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()
    page.get_by_role("button", name="Undo the last stroke").click()
    expect(page.get_by_role("group", name="What you painted")).to_have_count(0)
    assert len(visitor.jobs()) == 1


def test_models_learn_only_from_what_somebody_agrees_to(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    job = _correcting(page, visitor, photos.smiling)
    agreed = page.get_by_role("checkbox", name="Let the models learn")
    expect(agreed).not_to_be_checked()

    agreed.check()
    _take(page, "Remove")
    _paint(page, *_HELMET)
    _apply(page)

    (correction,) = _corrections(visitor, job)
    assert (correction["consent"], correction["expires_at"]) == (True, None)
    page.get_by_role("button", name="See what was given").click()
    expect(page.get_by_role("dialog").get_by_text("Kept to learn from")).to_be_visible()
    page.keyboard.press("Escape")
    _reload(page)
    expect(agreed).not_to_be_checked()


def test_person_who_is_clicked_goes_and_comes_back(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    job = _correcting(page, visitor, photos.pair)
    (left, right) = [_middle(person["box"]) for person in job["persons"]]
    before = _output(visitor, job, "image")
    lit = [_brightness(page, person) for person in (left, right)]

    page.mouse.click(*_at(page, *left))

    expect(page.get_by_role("checkbox", name="Person 1, dropped")).not_to_be_checked()
    until(page, lambda: _is_made(visitor, 2))
    without = _output(visitor, _newest(visitor), "image")
    assert _apart(_around(without, *left), _BLUE) < _SAME
    # The edge is found anew, for one person in place of two.
    assert share_changed(_around(before, *right, 40), _around(without, *right, 40)) < 0.02
    until(page, lambda: _brightness(page, left) < 0.6 * lit[0])
    assert abs(_brightness(page, right) - lit[1]) < _SAME
    expect(page.get_by_text("Somebody has to stay")).to_be_visible()
    # It says that it cannot be changed; a click tries it all the same.
    page.get_by_role("checkbox", name="Person 2, kept").click(force=True)
    expect(page.get_by_role("checkbox", name="Person 2, kept")).to_be_checked()
    page.get_by_role("checkbox", name="Person 1, dropped").focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("checkbox", name="Person 1, kept")).to_be_checked()
    until(page, lambda: _is_made(visitor, 3))
    assert _newest(visitor)["recipe"]["persons"] == "all"


def test_only_the_largest_stays_when_asked(page: Page, visitor: Visitor, photos: Photos) -> None:
    _correcting(page, visitor, photos.pair)

    page.get_by_role("button", name="Only the largest").click()

    until(page, lambda: _is_made(visitor, 2))
    assert [person["kept"] for person in _newest(visitor)["persons"]].count(True) == 1
    expect(page.get_by_role("checkbox", name="dropped")).to_have_count(1)


def test_everything_is_done_by_keys(page: Page, visitor: Visitor, photos: Photos) -> None:
    job = _correcting(page, visitor, photos.smiling)
    before = _output(visitor, job, "image")
    page.get_by_role("button", name="Paint by keyboard").focus()

    page.keyboard.press("Enter")
    expect(page.get_by_role("application", name="Brush for the keyboard")).to_be_focused()
    for _ in range(4):
        page.keyboard.press("Shift+ArrowDown")
    expect(page.get_by_role("status").filter(has_text="this stays")).to_have_count(1)
    page.keyboard.press("Backspace")
    expect(page.get_by_role("status").filter(has_text="Removes a dot here")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Paint by keyboard")).to_be_focused()
    page.get_by_role("button", name="Apply").press("Enter")

    until(page, lambda: _is_made(visitor, 2))
    after = _output(visitor, _newest(visitor), "image")
    width = _brush_width(page)
    dot = (256, round(256 + 4 * width))
    assert _apart(_around(after, *dot), _BLUE) < _SAME
    assert share_changed(before[:200], after[:200]) < 0.001
    expect(page.get_by_role("group", name="What you painted")).to_have_count(0)
    expect(page.locator(".stage")).to_be_focused()


@seen_on(PHONE)
def test_one_finger_paints_and_two_zoom(page: Page, visitor: Visitor, photos: Photos) -> None:
    _correcting(page, visitor, photos.smiling)
    _take(page, "Remove")
    (start, end) = [_at(page, *point) for point in _HELMET]

    _fingers(page, [start], [end])
    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()
    narrow = _box(page.locator(".plane"))[2]
    (x, y) = _at(page, 256, 256)
    _fingers(page, [(x - 20, y), (x + 20, y)], [(x - 60, y), (x + 60, y)])

    assert _box(page.locator(".plane"))[2] > 2 * narrow
    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()
    assert page.evaluate("scrollY") == 0
    _apply(page)
    after = _output(visitor, _newest(visitor), "image")
    assert _apart(_around(after, 380, 450), _BLUE) < _SAME


def test_strokes_stay_when_the_service_is_away(
    page: Page, visitor: Visitor, photos: Photos, line: Proxy, witness: Witness
) -> None:
    witness.expect(LINE_CUT)
    job = _correcting(page, visitor, photos.smiling)
    _take(page, "Remove")
    _paint(page, *_HELMET)
    page.route("**/derive", lambda route: route.abort())

    page.get_by_role("button", name="Apply").click()

    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()
    page.unroute("**/derive")
    line.mode = Mode.RESET
    line.cut()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    line.mode = Mode.PASS
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("group", name="What you painted")).to_have_count(0)
    after = _output(visitor, _newest(visitor), "image")
    assert _apart(_around(after, 380, 450), _BLUE) < _SAME
    assert len(_corrections(visitor, job)) == 1


def test_where_nobody_is_told_apart_the_brush_is_offered(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    _correcting(page, visitor, photos.smiling, **{"segmentation.model": "selfie"})

    _take(page, "People")

    expect(page.get_by_text("sees people as a whole")).to_be_visible()


def test_photo_with_its_own_background_has_no_cut_out(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    _opened(page, visitor, photos.smiling, background="keep", outputs="image")

    expect(page.get_by_text("nothing is cut out")).to_be_visible()


@seen_on(DESKTOP_DARK, PHONE_DARK)
def test_cut_out_can_be_corrected_by_everybody(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    _correcting(page, visitor, photos.pair)
    axe(page)

    _take(page, "Remove")
    _paint(page, (300, 300), (400, 300))
    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()
    axe(page)
    page.get_by_role("button", name="See what was given").click()
    expect(page.get_by_role("dialog").get_by_text("None so far")).to_be_visible()
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def _opened(page: Page, visitor: Visitor, photo: Path, **fields: str) -> dict[str, Any]:
    """Return the job of a photo, succeeded, and open its panel."""
    asked = {"background": _BACKGROUND, "outputs": _OUTPUTS, "seed": "1", **fields}
    with photo.open("rb") as file:
        answer = visitor.client.post(
            "/v1/jobs", data=asked, files={"photo": file}, headers={"Prefer": "wait=30"}
        )
    job: dict[str, Any] = answer.json()
    assert job["state"] == "succeeded", answer.text
    page.goto(f"{page.url.partition('#')[0]}#/photo/{job['id']}")
    page.get_by_role("tab", name="Cut-out").click()
    return job


def _correcting(page: Page, visitor: Visitor, photo: Path, **fields: str) -> dict[str, Any]:
    """Return the job of a photo, succeeded; it is shown with what is kept of it."""
    job = _opened(page, visitor, photo, **fields)
    expect(page.get_by_role("checkbox", name="Show on the photo what is kept")).to_be_checked()
    expect(page.locator("canvas.film")).to_be_visible()
    return job


def _reload(page: Page) -> None:
    # A journey that ends while pictures come would cut the line to them.
    page.reload(wait_until="networkidle")
    page.get_by_role("tab", name="Cut-out").click()
    expect(page.locator("canvas.film")).to_be_visible()


def _take(page: Page, tool: str) -> None:
    page.get_by_role("group", name="What a click on the picture does").get_by_text(
        tool, exact=True
    ).click()


def _paint(page: Page, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Draw a line from one point of the photo to another."""
    page.mouse.move(*_at(page, *start))
    page.mouse.down()
    page.mouse.move(*_at(page, *end), steps=6)
    page.mouse.up()
    page.mouse.move(0, 0)


def _apply(page: Page) -> None:
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("group", name="What you painted")).to_have_count(0)


def _fingers(
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


def _at(page: Page, x: float, y: float) -> tuple[float, float]:
    """Return where in the window a point of the photo is, which is shown whole."""
    left, top, width, _ = _box(page.locator(".plane"))
    scale = width / float(page.locator(".plane").evaluate("plane => plane.offsetWidth"))
    return left + scale * x, top + scale * y


def _window(page: Page, x: float, y: float, reach: int = 4) -> tuple[int, int, int, int]:
    """Return some pixels of the window around a point of the photo."""
    across, down = _at(page, x, y)
    return round(across) - reach, round(down) - reach, 2 * reach, 2 * reach


def _box(element: Locator) -> tuple[float, float, float, float]:
    box = element.bounding_box()
    assert box is not None
    return box["x"], box["y"], box["width"], box["height"]


def _brightness(page: Page, point: tuple[int, int]) -> float:
    return max(mean_colour(pixels(page, _window(page, *point, reach=40))))


def _brush_width(page: Page) -> float:
    return float(page.locator("output").filter(has_text="px").inner_text().removesuffix(" px"))


def _around(shown: Pixels, x: int, y: int, reach: int = 4) -> Pixels:
    return shown[y - reach : y + reach, x - reach : x + reach]


def _middle(box: list[float]) -> tuple[int, int]:
    x, y, width, height = box
    return round(x + width / 2), round(y + height / 2)


def _apart(region: Pixels, colour: tuple[float, float, float]) -> float:
    return max(abs(a - b) for a, b in zip(mean_colour(region), colour, strict=True))


def _newest(visitor: Visitor) -> dict[str, Any]:
    return visitor.jobs()[0]


def _is_made(visitor: Visitor, count: int) -> bool:
    jobs = visitor.jobs()
    return len(jobs) == count and jobs[0]["state"] == "succeeded"


def _corrections(visitor: Visitor, job: dict[str, Any]) -> list[dict[str, Any]]:
    answer = visitor.client.get(f"/v1/jobs/{job['id']}/corrections")
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def _output(visitor: Visitor, job: dict[str, Any], name: str) -> Pixels:
    return picture(visitor.client.get(job["outputs"][name]).content)
