"""Correcting the cut-out: by brush, by keys, by fingers; and what becomes of it."""

import httpx
from playwright.sync_api import Page, expect

from smart_filter_tests.browsing.accessibility import axe
from smart_filter_tests.browsing.correcting import (
    BLUE,
    SAME,
    apply,
    around,
    at,
    away_from,
    brush_width,
    come_back,
    correct,
    corrections,
    is_made,
    move_fingers,
    newest,
    open_panel,
    paint,
    take,
    window,
)
from smart_filter_tests.browsing.looks import DESKTOP_DARK, PHONE, PHONE_DARK, seen_on
from smart_filter_tests.browsing.patience import until
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.pixels import mean_colour, picture, pixels, share_changed
from smart_filter_tests.browsing.viewing import output_of, place_of
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.witness import LINE_CUT, Witness
from smart_filter_tests.proxy import Mode, Proxy

# Within the helmet that the astronaut holds, and on the flag behind her; 512×512.
_HELMET = ((350, 450), (410, 450))
_FLAG = ((40, 30), (40, 90))


def test_what_the_brush_removes_is_background(page: Page, visitor: Visitor, photos: Photos) -> None:
    job = correct(page, visitor, photos.smiling)
    before = output_of(visitor, job, "image")

    take(page, "Remove")
    paint(page, *_HELMET)
    apply(page)

    after = output_of(visitor, newest(visitor), "image")
    assert away_from(around(after, 380, 450), BLUE) < SAME
    assert share_changed(before[:, :300], after[:, :300]) < 0.001
    assert share_changed(before[:400], after[:400]) < 0.001
    expect(page.get_by_role("radio", name="Result")).to_be_checked()
    assert away_from(pixels(page, window(page, 380, 450)), BLUE) < SAME
    (correction,) = corrections(visitor, job)
    assert (correction["consent"], correction["form"]) == (False, "strokes")
    assert correction["expires_at"] is not None


def test_what_the_brush_keeps_stays(page: Page, visitor: Visitor, photos: Photos) -> None:
    job = correct(page, visitor, photos.smiling)
    photo, before = picture(photos.smiling), output_of(visitor, job, "image")
    assert away_from(around(before, 40, 60), BLUE) < SAME

    take(page, "Keep")
    paint(page, *_FLAG)
    apply(page)
    take(page, "Remove")
    paint(page, *_HELMET)
    apply(page)

    after = output_of(visitor, newest(visitor), "image")
    assert away_from(around(after, 40, 60), mean_colour(around(photo, 40, 60))) < SAME
    assert away_from(around(after, 380, 450), BLUE) < SAME


def test_strokes_are_seen_at_once_and_stepped_back(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    correct(page, visitor, photos.smiling)
    take(page, "Remove")
    bare = pixels(page, window(page, 380, 450))

    paint(page, *_HELMET)
    take(page, "Keep")
    paint(page, *_FLAG)

    expect(page.get_by_text("2 strokes")).to_be_visible()
    red, green, blue = mean_colour(pixels(page, window(page, 380, 450)))
    assert red > green + 60
    assert red > blue + 60
    red, green, blue = mean_colour(pixels(page, window(page, 40, 60)))
    assert green > red + 30
    come_back(page)
    expect(page.get_by_text("2 strokes")).to_be_visible()
    take(page, "Remove")
    page.keyboard.press("Control+z")
    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()
    page.get_by_role("button", name="Clear all strokes").click()
    assert share_changed(bare, pixels(page, window(page, 380, 450))) == 0
    page.get_by_role("status").get_by_role("button", name="Undo").click()
    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()
    page.get_by_role("button", name="Undo the last stroke").click()
    expect(page.get_by_role("group", name="What you painted")).to_have_count(0)
    assert len(visitor.jobs()) == 1


def test_models_learn_only_from_what_somebody_agrees_to(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    job = correct(page, visitor, photos.smiling)
    agreed = page.get_by_role("checkbox", name="Let the models learn")
    expect(agreed).not_to_be_checked()

    agreed.check()
    take(page, "Remove")
    paint(page, *_HELMET)
    apply(page)

    (correction,) = corrections(visitor, job)
    assert (correction["consent"], correction["expires_at"]) == (True, None)
    page.get_by_role("button", name="See what was given").click()
    expect(page.get_by_role("dialog").get_by_text("Kept to learn from")).to_be_visible()
    page.keyboard.press("Escape")
    come_back(page)
    expect(agreed).not_to_be_checked()


def test_everything_is_done_by_keys(page: Page, visitor: Visitor, photos: Photos) -> None:
    job = correct(page, visitor, photos.smiling)
    before = output_of(visitor, job, "image")
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

    until(page, lambda: is_made(visitor, 2))
    after = output_of(visitor, newest(visitor), "image")
    width = brush_width(page)
    dot = (256, round(256 + 4 * width))
    assert away_from(around(after, *dot), BLUE) < SAME
    assert share_changed(before[:200], after[:200]) < 0.001
    expect(page.get_by_role("group", name="What you painted")).to_have_count(0)
    expect(page.locator(".stage")).to_be_focused()


@seen_on(PHONE)
def test_one_finger_paints_and_two_zoom(page: Page, visitor: Visitor, photos: Photos) -> None:
    correct(page, visitor, photos.smiling)
    take(page, "Remove")
    (start, end) = [at(page, *point) for point in _HELMET]

    move_fingers(page, [start], [end])
    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()
    narrow = place_of(page)[2]
    (x, y) = at(page, 256, 256)
    move_fingers(page, [(x - 20, y), (x + 20, y)], [(x - 60, y), (x + 60, y)])

    assert place_of(page)[2] > 2 * narrow
    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()
    assert page.evaluate("scrollY") == 0
    apply(page)
    after = output_of(visitor, newest(visitor), "image")
    assert away_from(around(after, 380, 450), BLUE) < SAME


def test_strokes_stay_when_the_service_is_away(
    page: Page, visitor: Visitor, photos: Photos, line: Proxy, witness: Witness
) -> None:
    witness.expect(LINE_CUT)
    job = correct(page, visitor, photos.smiling)
    take(page, "Remove")
    paint(page, *_HELMET)
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
    after = output_of(visitor, newest(visitor), "image")
    assert away_from(around(after, 380, 450), BLUE) < SAME
    assert len(corrections(visitor, job)) == 1


def test_limit_of_corrections_is_told_in_words(
    page: Page, visitor: Visitor, photos: Photos, witness: Witness
) -> None:
    witness.expect("422")
    job = correct(page, visitor, photos.smiling)
    dot = {"points": [[20, 20]], "width": 4, "keep": False}
    asked = {"kind": "matte", "stage": "segmentation", "strokes": [dot], "consent": False}
    for _ in range(20):
        answer = visitor.client.post(f"/v1/jobs/{job['id']}/corrections", json=asked)
        assert answer.status_code == httpx.codes.CREATED, answer.text
    take(page, "Remove")
    paint(page, *_HELMET)

    page.get_by_role("button", name="Apply").click()

    expect(page.get_by_role("alert")).to_contain_text("corrected 20 times")
    page.get_by_role("button", name="Leave it").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()


def test_edge_is_chosen_with_the_cut_out_and_nowhere_else(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    correct(page, visitor, photos.smiling)
    edge = page.get_by_role("group", name="Edge of the people")

    edge.get_by_text("Each hair").click()

    until(page, lambda: is_made(visitor, 2))
    assert newest(visitor)["recipe"]["edge"] == "best"
    page.get_by_role("tab", name="Background").click()
    page.get_by_role("heading", name="Look", exact=True).click()
    expect(page.get_by_role("combobox", name="Shadow")).to_be_visible()
    expect(edge).to_have_count(0)


def test_comparing_tells_what_was_corrected(page: Page, visitor: Visitor, photos: Photos) -> None:
    correct(page, visitor, photos.smiling)
    for start, end in (_HELMET, _FLAG):
        take(page, "Remove")
        paint(page, start, end)
        apply(page)

    page.get_by_role("tab", name="Expert").click()
    page.get_by_role("link", name="Compare two recipes").click()

    figures = page.get_by_role("table", name="Figures")
    expect(figures.get_by_role("row", name="Corrected by hand once 2 times")).to_be_visible()


def test_photo_with_its_own_background_has_no_cut_out(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    open_panel(page, visitor, photos.smiling, background="keep", outputs="image")

    expect(page.get_by_text("nothing is cut out")).to_be_visible()


@seen_on(DESKTOP_DARK, PHONE_DARK)
def test_cut_out_can_be_corrected_by_everybody(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    correct(page, visitor, photos.pair)
    axe(page)

    take(page, "Remove")
    paint(page, (300, 300), (400, 300))
    expect(page.get_by_text("1 stroke", exact=True)).to_be_visible()
    axe(page)
    page.get_by_role("button", name="See what was given").click()
    expect(page.get_by_role("dialog").get_by_text("None so far")).to_be_visible()
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.evaluate("innerWidth")
