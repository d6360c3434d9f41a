"""Correct the cutout by click, by brush, by keys, by fingers; and the results of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from browser.accessibility import assert_accessible
from smart_filter_tests.browsing.page_errors import LINE_CUT, PageErrors
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.pixels import (
    changed_share,
    mean_color,
    read_picture,
    screenshot,
)
from smart_filter_tests.browsing.screens import DESKTOP_DARK, PHONE, PHONE_DARK, on_screens
from smart_filter_tests.browsing.viewer import (
    move_fingers,
    open_photo,
    output_of,
    place_of,
    submit_photo,
)
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.waits import wait_until
from smart_filter_tests.pictures import encode
from smart_filter_tests.proxy import Mode, Proxy
from smart_filter_workers.results import Bytes

# Behind the people.
BLUE = (32, 96, 192)
# JPEG loss next to other colors, in levels.
SAME = 12.0
_BACKGROUND = "color:#2060c0"
_OUTPUTS = "image,cutout,matte,regions,thumbnail"
# Within the helmet that the astronaut holds, and on the flag behind her; 512×512.
_HELMET = ((350, 450), (410, 450))
_FLAG = ((40, 30), (40, 90))
_LISTS = "**/v1/jobs?*"
_NAMES_OF_CONTROLS = """
() => [...document.querySelectorAll("button, a[href], input, select, textarea, [role=tab]")]
  .filter((one) => one.checkVisibility({ visibilityProperty: true }))
  .map((one) => one.getAttribute("aria-label") ?? one.labels?.[0]?.innerText ?? one.innerText)
  .map((name) => name.trim().split("\\n")[0])
  .filter((name) => name !== "")
"""


@pytest.fixture
def job(page: Page, visitor: Visitor, photos: Photos) -> dict[str, Any]:
    """The job of a photo, succeeded; its cutout panel is open."""
    return _correct(page, visitor, photos.smiling)


def test_brush_keeps_a_part_of_the_background_and_removes_one_of_the_people(
    page: Page, visitor: Visitor, photos: Photos, job: dict[str, Any]
) -> None:
    photo, before = read_picture(photos.smiling), output_of(visitor, job, "image")
    assert _away_from(_around(before, 40, 60), BLUE) < SAME

    _take(page, "Keep")
    _paint(page, *_FLAG)
    _apply(page)
    (correction,) = _corrections(visitor, job)
    _remove_helmet(page)
    _apply(page)

    assert (correction["consent"], correction["form"]) == (False, "strokes")
    assert correction["expires_at"] is not None
    expect(page.get_by_role("radio", name="Result")).to_be_checked()
    _expect_color(page, (380, 450), BLUE)
    after = output_of(visitor, visitor.newest(), "image")
    assert changed_share(before[150:400, :300], after[150:400, :300]) < 0.001
    assert _away_from(_around(after, 40, 60), mean_color(_around(photo, 40, 60))) < SAME
    assert _away_from(_around(after, 380, 450), BLUE) < SAME


@pytest.mark.usefixtures("job")
def test_strokes_show_their_result_at_once_and_are_undone_in_steps(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    _take(page, "Remove")
    bare = screenshot(page, _window(page, 380, 450))

    _paint(page, *_HELMET)
    _take(page, "Keep")
    _paint(page, *_FLAG)

    expect(page.get_by_text("2 strokes")).to_be_visible()
    _expect_color(page, (380, 450), BLUE)
    flag = mean_color(_around(read_picture(photos.smiling), 40, 60))
    _expect_color(page, (40, 60), flag)
    page.get_by_role("checkbox", name="Show the mask on the photo").check()
    expect(page.locator("canvas.film")).to_be_visible()
    wait_until(page, lambda: _redness(page, 380, 450) > 60)
    _come_back(page)
    expect(page.get_by_text("2 strokes")).to_be_visible()
    _take(page, "Remove")
    page.keyboard.press("Control+z")
    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()
    page.get_by_role("button", name="Clear all strokes").click()
    _expect_pixels(page, (380, 450), bare)
    page.get_by_role("status").get_by_role("button", name="Undo").click()
    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()
    page.get_by_role("button", name="Undo the last stroke").click()
    expect(page.get_by_text("0 strokes")).to_be_visible()
    assert len(visitor.jobs()) == 1


def test_click_shows_and_makes_the_part_below_it_go_and_come(
    page: Page, visitor: Visitor, photos: Photos, job: dict[str, Any]
) -> None:
    photo = read_picture(photos.smiling)
    _take(page, "Touch up")

    page.mouse.click(*_at(page, 380, 450))
    page.mouse.click(*_at(page, 40, 60))

    expect(page.get_by_text("2 strokes")).to_be_visible()
    page.mouse.move(0, 0)
    _expect_color(page, (380, 450), BLUE)
    _apply(page)
    after = output_of(visitor, visitor.newest(), "image")
    assert _away_from(_around(after, 380, 450), BLUE) < SAME
    assert _away_from(_around(after, 40, 60), mean_color(_around(photo, 40, 60))) < SAME
    (correction,) = _corrections(visitor, job)
    assert correction["form"] == "strokes"


@pytest.mark.usefixtures("job")
def test_clicks_are_undone_and_redone_by_keys(page: Page) -> None:
    _take(page, "Touch up")
    bare = screenshot(page, _window(page, 380, 450))
    page.mouse.click(*_at(page, 380, 450))
    page.mouse.move(0, 0)
    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()
    _expect_color(page, (380, 450), BLUE)
    marked = screenshot(page, _window(page, 380, 450))

    page.keyboard.press("Control+z")
    expect(page.get_by_text("0 strokes")).to_be_visible()
    _expect_pixels(page, (380, 450), bare)
    page.keyboard.press("Control+Shift+z")

    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()
    _expect_pixels(page, (380, 450), marked)
    page.get_by_role("button", name="Undo the last stroke").click()
    page.get_by_role("button", name="Redo the last stroke").click()
    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()


@pytest.mark.usefixtures("job")
def test_line_follows_edges_within_its_width_unless_it_shall_not(page: Page) -> None:
    _take(page, "Remove")

    _paint(page, *_HELMET)
    page.get_by_role("checkbox", name="Follow the edges in the photo").uncheck()
    _paint(page, *_HELMET)
    with page.expect_request("**/corrections") as sent:
        _apply(page)

    following, plain = sent.value.post_data_json["strokes"]
    assert following == {**plain, "snap": "region"}
    assert len(plain["points"]) == 2


@pytest.mark.usefixtures("job")
def test_next_click_at_a_place_and_the_wheel_take_more_of_it(page: Page) -> None:
    _take(page, "Remove")
    place = _at(page, 380, 450)

    page.mouse.click(*place)
    page.mouse.click(*place)
    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()
    page.keyboard.press("Control+z")
    with page.expect_request("**/corrections") as small:
        _apply(page)
    page.keyboard.press("Control+Shift+z")
    page.mouse.move(*_at(page, 330, 460))
    page.keyboard.down("Shift")
    page.mouse.wheel(0, -120)
    page.keyboard.up("Shift")
    page.mouse.click(*_at(page, 330, 460))
    with page.expect_request("**/corrections") as large:
        _apply(page)

    (least,) = small.value.post_data_json["strokes"]
    more, also = large.value.post_data_json["strokes"]
    assert [one["snap"] for one in (least, more, also)] == ["part"] * 3
    assert least["width"] == pytest.approx(_brush_width(page), abs=0.5)
    assert min(one.get("width", 2000) for one in (more, also)) > 2 * least["width"]


@pytest.mark.usefixtures("job")
def test_exact_brush_is_suggested_where_the_area_is_much_larger_than_the_brush(page: Page) -> None:
    _take(page, "Remove")
    page.get_by_role("slider", name="Size").fill("0")

    page.mouse.click(*_at(page, 240, 430))
    page.get_by_role("button", name="Paint exactly").click()

    expect(page.get_by_role("checkbox", name="Follow the edges in the photo")).not_to_be_checked()
    expect(page.get_by_role("button", name="Paint exactly")).to_have_count(0)


def test_applied_strokes_are_undone_one_by_one(
    page: Page, visitor: Visitor, photos: Photos, job: dict[str, Any]
) -> None:
    flag = mean_color(_around(read_picture(photos.smiling), 40, 60))
    before = output_of(visitor, job, "image")
    _remove_helmet(page)
    _apply(page)
    _take(page, "Keep")
    _paint(page, *_FLAG)
    _apply(page)
    both = output_of(visitor, visitor.newest(), "image")
    assert _away_from(_around(both, 380, 450), BLUE) < SAME

    page.get_by_role("button", name="Undo the last stroke").click()

    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()
    wait_until(page, lambda: _is_made(visitor, 4))
    one = output_of(visitor, visitor.newest(), "image")
    assert _away_from(_around(both, 40, 60), flag) < SAME
    assert _away_from(_around(one, 40, 60), BLUE) < SAME
    assert _away_from(_around(one, 380, 450), BLUE) < SAME
    _come_back(page)
    page.get_by_role("button", name="Undo the last stroke").click()
    expect(page.get_by_text("0 strokes")).to_be_visible()
    wait_until(page, lambda: _is_made(visitor, 5))
    assert changed_share(before, output_of(visitor, visitor.newest(), "image")) < 0.001


def test_strokes_of_a_picture_that_ends_during_a_reload_are_undone(
    page: Page, visitor: Visitor, job: dict[str, Any]
) -> None:
    before = output_of(visitor, job, "image")
    _remove_helmet(page)
    is_held = [True]  # so the page does not learn that the picture is finished
    page.route(_LISTS, lambda route: None if is_held[0] else route.continue_())
    page.get_by_role("button", name="Apply").click()
    wait_until(page, lambda: _is_made(visitor, 2))
    page.goto("about:blank")
    is_held[0] = False
    page.go_back()
    _come_back(page)

    page.get_by_role("button", name="Undo the last stroke").click()

    wait_until(page, lambda: _is_made(visitor, 3))
    assert changed_share(before, output_of(visitor, visitor.newest(), "image")) < 0.001


def test_click_removes_what_is_half_seen(page: Page, visitor: Visitor, photos: Photos) -> None:
    photo = read_picture(photos.smiling)
    half = np.zeros(photo.shape[:2], np.uint8)
    half[100:400, 100:300] = 255
    half[200:300, 300:420] = 80
    pictures = {
        "photo": photos.smiling.read_bytes(),
        "mask_file": encode(Image.fromarray(half), "PNG"),
    }
    asked = {"background": _BACKGROUND, "outputs": _OUTPUTS}
    job = visitor.client.post("/v1/jobs", data=asked, files=pictures).json()
    open_photo(page, visitor.ended(job))
    page.get_by_role("tab", name="Cutout").click()
    _expect_ready(page)

    page.mouse.click(*_at(page, 360, 250))
    _apply(page)

    after = output_of(visitor, visitor.newest(), "image")
    assert _away_from(_around(after, 360, 250), BLUE) < SAME
    assert _away_from(_around(after, 280, 250), mean_color(_around(photo, 280, 250))) < SAME


@pytest.mark.parametrize("panel", ["Background", "Cutout", "People", "Print", "Save", "Expert"])
@pytest.mark.usefixtures("job")
def test_no_two_controls_of_a_screen_share_a_name(page: Page, panel: str) -> None:
    page.get_by_role("tab", name=panel).click()
    expect(page.get_by_role("tab", name=panel)).to_have_attribute("aria-selected", "true")

    names = page.evaluate(_NAMES_OF_CONTROLS)

    assert len(names) > 15
    assert sorted({name for name in names if names.count(name) > 1}) == []


@on_screens(PHONE)
@pytest.mark.usefixtures("job")
def test_tap_marks_a_part_on_a_phone(page: Page, visitor: Visitor) -> None:
    page.touchscreen.tap(*_at(page, 380, 450))

    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth")
    _apply(page)
    after = output_of(visitor, visitor.newest(), "image")
    assert _away_from(_around(after, 380, 450), BLUE) < SAME


def test_only_corrections_with_consent_are_collected_for_training(
    page: Page, visitor: Visitor, job: dict[str, Any]
) -> None:
    agreed = page.get_by_role("checkbox", name="Train models on this")
    expect(agreed).not_to_be_checked()

    agreed.check()
    _remove_helmet(page)
    _apply(page)

    (correction,) = _corrections(visitor, job)
    assert (correction["consent"], correction["expires_at"]) == (True, None)
    page.get_by_role("button", name="Show given corrections").click()
    expect(page.get_by_role("dialog").get_by_text("Used for training")).to_be_visible()
    page.keyboard.press("Escape")
    _come_back(page)
    expect(agreed).not_to_be_checked()


def test_every_tool_works_with_keys(page: Page, visitor: Visitor, job: dict[str, Any]) -> None:
    before = output_of(visitor, job, "image")
    page.get_by_role("checkbox", name="Follow the edges in the photo").press("Space")
    page.get_by_role("button", name="Paint by keyboard").focus()

    page.keyboard.press("Enter")
    expect(page.get_by_role("application", name="Brush for the keyboard")).to_be_focused()
    for _ in range(4):
        page.keyboard.press("Shift+ArrowDown")
    expect(page.get_by_role("status").filter(has_text="this is kept")).to_have_count(1)
    page.keyboard.press("Backspace")
    expect(page.get_by_role("status").filter(has_text="Removes a dot here")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Paint by keyboard")).to_be_focused()
    page.get_by_role("button", name="Apply").press("Enter")

    wait_until(page, lambda: _is_made(visitor, 2))
    after = output_of(visitor, visitor.newest(), "image")
    width = _brush_width(page)
    dot = (256, round(256 + 4 * width))
    assert _away_from(_around(after, *dot), BLUE) < SAME
    assert changed_share(before[:200], after[:200]) < 0.001
    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()


@on_screens(PHONE)
@pytest.mark.usefixtures("job")
def test_one_finger_paints_and_two_zoom(page: Page, visitor: Visitor) -> None:
    _take(page, "Remove")
    (start, end) = [_at(page, *point) for point in _HELMET]

    move_fingers(page, [start], [end])
    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()
    narrow = place_of(page)[2]
    (x, y) = _at(page, 256, 256)
    move_fingers(page, [(x - 20, y), (x + 20, y)], [(x - 60, y), (x + 60, y)])

    wait_until(page, lambda: place_of(page)[2] > 2 * narrow)
    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()
    assert page.evaluate("scrollY") == 0
    _apply(page)
    after = output_of(visitor, visitor.newest(), "image")
    assert _away_from(_around(after, 380, 450), BLUE) < SAME


def test_strokes_stay_when_the_service_is_away(
    page: Page, visitor: Visitor, line: Proxy, page_errors: PageErrors, job: dict[str, Any]
) -> None:
    page_errors.expect(LINE_CUT)
    _remove_helmet(page)
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
    _expect_applied(page)
    after = output_of(visitor, visitor.newest(), "image")
    assert _away_from(_around(after, 380, 450), BLUE) < SAME
    assert len(_corrections(visitor, job)) == 1


@on_screens(DESKTOP_DARK, PHONE_DARK)
def test_cutout_panel_is_accessible(page: Page, visitor: Visitor, photos: Photos) -> None:
    _correct(page, visitor, photos.pair)
    assert_accessible(page)

    _take(page, "Remove")
    _paint(page, (300, 300), (400, 300))
    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Show given corrections").click()
    expect(page.get_by_role("dialog").get_by_text("None so far")).to_be_visible()
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth")


def test_clicked_person_is_dropped_and_kept_again(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    job = _correct(page, visitor, photos.pair)
    (left, right) = [_middle(person["box"]) for person in job["persons"]]
    before = output_of(visitor, job, "image")
    lit = [_brightness(page, person) for person in (left, right)]

    page.mouse.click(*_at(page, *left))

    expect(page.get_by_role("checkbox", name="Person 1, dropped")).not_to_be_checked()
    wait_until(page, lambda: _is_made(visitor, 2))
    without = output_of(visitor, visitor.newest(), "image")
    assert _away_from(_around(without, *left), BLUE) < SAME
    # The edge is computed again, for one person in place of two.
    assert changed_share(_around(before, *right, 40), _around(without, *right, 40)) < 0.02
    wait_until(page, lambda: _brightness(page, left) < 0.6 * lit[0])
    wait_until(page, lambda: abs(_brightness(page, right) - lit[1]) < SAME)
    expect(page.get_by_text("At least one person must stay")).to_be_visible()
    # The control is disabled; the click tries it all the same.
    page.get_by_role("checkbox", name="Person 2, kept").click(force=True)
    expect(page.get_by_role("checkbox", name="Person 2, kept")).to_be_checked()
    page.get_by_role("checkbox", name="Person 1, dropped").focus()
    page.keyboard.press("Space")
    expect(page.get_by_role("checkbox", name="Person 1, kept")).to_be_checked()
    wait_until(page, lambda: _is_made(visitor, 3))
    assert visitor.newest()["recipe"]["persons"] == "all"


def test_possible_person_is_cut_out_after_a_click(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    job = _correct(page, visitor, photos.headless)
    (possible,) = job["persons"]
    assert (job["people"], possible["role"], possible["kept"]) == (0, "possible", False)
    assert "choose persons=1" in " ".join(job["warnings"])
    expect(page.get_by_text("Maybe a person · keep")).to_be_visible()

    page.mouse.click(*_at(page, *_middle(possible["box"])))

    expect(page.get_by_role("checkbox", name="Maybe a person: 1, kept")).to_be_checked()
    wait_until(page, lambda: _is_made(visitor, 2))
    assert visitor.newest()["recipe"]["persons"] == "1"
    assert visitor.newest()["people"] == 1
    around = _around(output_of(visitor, visitor.newest(), "image"), 12, 12, 8)
    assert _away_from(around, BLUE) < SAME, "the background is replaced"


def test_service_chooses_the_main_people(page: Page, visitor: Visitor, photos: Photos) -> None:
    _correct(page, visitor, photos.pair)
    button = page.get_by_role("button", name="Main people")

    button.click()

    expect(button).to_have_attribute("aria-pressed", "true")
    wait_until(page, lambda: _is_made(visitor, 2))
    assert visitor.newest()["recipe"]["persons"] == "main"
    for number in (1, 2):
        expect(page.get_by_role("checkbox", name=f"Person {number}, kept")).to_be_checked()


def _open_panel(page: Page, visitor: Visitor, photo: Path, **fields: str) -> dict[str, Any]:
    """Return the job of a photo, succeeded, and open its panel."""
    asked = {"background": _BACKGROUND, "outputs": _OUTPUTS, **fields}
    job = submit_photo(visitor, photo, **asked)
    open_photo(page, job)
    page.get_by_role("tab", name="Cutout").click()
    return job


def _correct(page: Page, visitor: Visitor, photo: Path, **fields: str) -> dict[str, Any]:
    """Return the job of a photo, succeeded, with its cutout panel open."""
    job = _open_panel(page, visitor, photo, **fields)
    _expect_ready(page)
    return job


def _come_back(page: Page) -> None:
    """Load the page again, and the panel."""
    # A journey that ends while pictures load would cut their connections.
    page.reload(wait_until="networkidle")
    page.get_by_role("tab", name="Cutout").click()
    _expect_ready(page)


def _expect_ready(page: Page) -> None:
    """Wait for the panel: a brush has the result before it, a choice of people the mask."""
    expect(page.locator("canvas.film:visible, canvas.result:visible")).to_have_count(1)
    expect(page.locator(".painting[data-regions=true]")).to_have_count(1)


def _take(page: Page, tool: str) -> None:
    page.get_by_role("group", name="Tool").get_by_text(tool, exact=True).click()


def _remove_helmet(page: Page) -> None:
    _take(page, "Remove")
    _paint(page, *_HELMET)


def _paint(page: Page, start: tuple[int, int], end: tuple[int, int]) -> None:
    page.mouse.move(*_at(page, *start))
    page.mouse.down()
    page.mouse.move(*_at(page, *end), steps=6)
    page.mouse.up()
    page.mouse.move(0, 0)


def _apply(page: Page) -> None:
    page.get_by_role("button", name="Apply").click()
    _expect_applied(page)


def _expect_applied(page: Page) -> None:
    expect(page.get_by_role("button", name="Apply")).to_have_attribute("aria-disabled", "true")
    # The picture is shown: strokes that it includes are not drawn.
    expect(page.locator(".at-work .tag")).to_have_count(0)


def _at(page: Page, x: float, y: float) -> tuple[float, float]:
    """Return the window position of a point of the photo, which is shown whole."""
    left, top, width, _ = place_of(page)
    scale = width / float(page.locator(".plane").evaluate("plane => plane.offsetWidth"))
    return left + scale * x, top + scale * y


def _window(page: Page, x: float, y: float, reach: int = 4) -> tuple[int, int, int, int]:
    """Return the window's pixels around a point of the photo."""
    across, down = _at(page, x, y)
    return round(across) - reach, round(down) - reach, 2 * reach, 2 * reach


def _expect_color(page: Page, point: tuple[int, int], color: tuple[float, float, float]) -> None:
    """Wait until the window shows a color at a point of the photo."""
    place = _window(page, *point)
    wait_until(page, lambda: _away_from(screenshot(page, place), color) < SAME)


def _expect_pixels(page: Page, point: tuple[int, int], pixels: Bytes) -> None:
    """Wait until the window shows these pixels around a point of the photo."""
    place = _window(page, *point)
    wait_until(page, lambda: changed_share(pixels, screenshot(page, place)) == 0)


def _redness(page: Page, x: int, y: int) -> float:
    """Return how much more red than green and blue the window shows at a point of the photo."""
    red, green, blue = mean_color(screenshot(page, _window(page, x, y)))
    return min(red - green, red - blue)


def _brightness(page: Page, point: tuple[int, int]) -> float:
    """Return the window's brightness around a point of the photo, 0..255."""
    return max(mean_color(screenshot(page, _window(page, *point, reach=40))))


def _brush_width(page: Page) -> float:
    """Return the brush's width in pixels of the photo, as the panel says."""
    return float(page.locator("output").filter(has_text="px").inner_text().removesuffix(" px"))


def _around(shown: Bytes, x: int, y: int, reach: int = 4) -> Bytes:
    """Return a picture's pixels around a place."""
    return shown[y - reach : y + reach, x - reach : x + reach]


def _middle(box: list[float]) -> tuple[int, int]:
    x, y, width, height = box
    return round(x + width / 2), round(y + height / 2)


def _away_from(region: Bytes, color: tuple[float, float, float]) -> float:
    """Return the difference of the pixels' mean from a color, in levels."""
    return max(abs(a - b) for a, b in zip(mean_color(region), color, strict=True))


def _is_made(visitor: Visitor, count: int) -> bool:
    """Return whether the visitor has `count` jobs and the newest has succeeded."""
    jobs = visitor.jobs()
    return len(jobs) == count and jobs[0]["state"] == "succeeded"


def _corrections(visitor: Visitor, job: dict[str, Any]) -> list[dict[str, Any]]:
    answer = visitor.client.get(f"/v1/jobs/{job['id']}/corrections")
    items: list[dict[str, Any]] = answer.json()["items"]
    return items
