"""The picture at large: before and after, zoom to pixels, matte and cut-out, and its panels."""

import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from smart_filter_tests.browsing.accessibility import axe
from smart_filter_tests.browsing.looks import DESKTOP, PHONE, PHONE_DARK, seen_on
from smart_filter_tests.browsing.patience import until
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.pixels import Pixels, mean_colour, picture, pixels
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.witness import Witness

# What decoders of JPEG differ by, in levels of 255.
_SAME = 1.5
_OUTPUTS = "image,cutout,matte,thumbnail,faces,rating,printability"


def test_slider_parts_photo_and_result(page: Page, visitor: Visitor, photos: Photos) -> None:
    job = _shown(page, visitor, photos.smiling, background="color:#2060c0")
    page.keyboard.press("1")
    slider = page.get_by_role("slider", name="Photo and result")

    slider.press("Home")
    for _ in range(15):
        slider.press("ArrowRight")

    expect(slider).to_have_attribute("aria-valuenow", "30")
    seen = _seen(page)
    line = round(0.3 * seen.shape[1])
    photo, result = _photo(visitor, job), _output(visitor, job, "image")
    assert _apart(seen[:, : line - 24], photo[:, : line - 24]) < _SAME
    assert _apart(seen[:, line + 24 :], result[:, line + 24 :]) < _SAME


def test_slider_follows_the_pointer(page: Page, visitor: Visitor, photos: Photos) -> None:
    _shown(page, visitor, photos.smiling)
    slider = page.get_by_role("slider", name="Photo and result")
    left, top, width, height = _place(page)

    page.mouse.move(left + width / 2, top + height / 2)
    page.mouse.down()
    page.mouse.move(left + 0.8 * width, top + 20, steps=4)
    page.mouse.up()

    expect(slider).to_have_attribute("aria-valuenow", "80")
    page.mouse.click(left + 0.1 * width, top + 0.2 * height)
    expect(slider).to_have_attribute("aria-valuetext", "10 % photo, 90 % result")


def test_photo_and_result_lie_on_each_other_when_cropped(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    job = _shown(
        page, visitor, photos.serious, background="color:#00ff00", crop="faces", size="480x600"
    )
    slider = page.get_by_role("slider", name="Photo and result")
    page.keyboard.press("1")

    slider.press("Home")
    result = _seen(page)[:, 40:]
    slider.press("End")
    photo = _seen(page)[:, :-40]

    people = _output(visitor, job, "matte")[:, 40:-40, 0] > 250
    result, photo = result[:, :-40], photo[:, 40:]
    there = _apart(photo[people], result[people])
    moved = [
        _apart(np.roll(photo, step, axis=axis)[people], result[people])
        for axis in (0, 1)
        for step in (-2, 2)
    ]
    assert there < 0.6 * min(moved)


def test_zoom_goes_to_pixels(page: Page, visitor: Visitor, photos: Photos) -> None:
    job = _shown(page, visitor, photos.smiling)
    _look_at(page, "Result")
    stage = page.locator(".stage")

    stage.focus()
    for key in ("1", "+", "+", "+"):
        page.keyboard.press(key)

    expect(page.get_by_role("group", name="Zoom", exact=True)).to_contain_text("800 %")
    left, top, *_ = _place(page)
    box = _box(stage)
    # Of a pixel that begins somewhere in the middle of the stage.
    column, row = (round((box[0] + 400 - left) / 8), round((box[1] + 200 - top) / 8))
    clip = (round(left + 8 * column), round(top + 8 * row), 80, 80)
    squares = pixels(page, clip).reshape(10, 8, 10, 8, 3).astype(int)
    assert np.ptp(squares, axis=(1, 3)).max() == 0
    image = _output(visitor, job, "image")[row : row + 10, column : column + 10]
    assert _apart(squares[:, 0, :, 0], image) < _SAME

    page.keyboard.press("0")
    assert _place(page)[3] == pytest.approx(box[3] - 24, abs=2)


def test_wheel_zooms_about_the_pointer_and_drags_pan(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    _shown(page, visitor, photos.smiling)
    _look_at(page, "Result")
    left, top, width, height = _place(page)
    at = (left + 0.3 * width, top + 0.4 * height)

    page.mouse.move(*at)
    page.mouse.wheel(0, -600)
    page.wait_for_timeout(100)

    near = _place(page)
    assert near[2] > 2 * width
    assert (at[0] - near[0]) / near[2] == pytest.approx(0.3, abs=0.005)
    assert (at[1] - near[1]) / near[3] == pytest.approx(0.4, abs=0.005)
    page.mouse.down()
    page.mouse.move(at[0] + 50, at[1] - 30)
    page.mouse.up()
    moved = _place(page)
    assert (moved[0] - near[0], moved[1] - near[1]) == pytest.approx((50, -30), abs=1)


@seen_on(PHONE)
def test_two_fingers_zoom_and_one_slides(page: Page, visitor: Visitor, photos: Photos) -> None:
    _shown(page, visitor, photos.smiling)
    left, top, width, height = _place(page)
    middle, row = left + width / 2, top + 0.3 * height
    touch = page.context.new_cdp_session(page)

    def fingers(kind: str, *points: tuple[float, float]) -> None:
        told = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": told})

    fingers("touchStart", (left + 0.2 * width, row))
    fingers("touchMove", (left + 0.4 * width, row))
    fingers("touchMove", (left + 0.7 * width, row))
    fingers("touchEnd")
    slider = page.get_by_role("slider", name="Photo and result")
    expect(slider).to_have_attribute("aria-valuenow", "70")

    fingers("touchStart", (middle - 40, row), (middle + 40, row))
    for apart in (60, 80, 100, 120):
        fingers("touchMove", (middle - apart, row), (middle + apart, row))
    fingers("touchEnd")
    assert _place(page)[2] == pytest.approx(3 * width, rel=0.1)
    expect(slider).to_have_attribute("aria-valuenow", "70")


def test_matte_and_cutout_are_shown_as_they_are(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    job = _shown(page, visitor, photos.smiling)
    page.keyboard.press("1")
    matte = _output(visitor, job, "matte")

    _look_at(page, "Matte")
    until(page, lambda: _apart(_seen(page), matte) < _SAME)
    _look_at(page, "Cut-out")
    nobody = (slice(0, 60), slice(0, 60))
    until(page, lambda: len(np.unique(_seen(page)[nobody][:, :, 0])) == 2)  # a checkerboard
    people = matte[..., 0] == 255
    assert (
        _apart(
            _seen(page)[300:400][people[300:400]], _photo(visitor, job)[300:400][people[300:400]]
        )
        < 4
    )
    for ground, colour in (("white", (255, 255, 255)), ("black", (0, 0, 0))):
        page.get_by_role("radio", name=f"On {ground}").check()
        assert mean_colour(_seen(page)[nobody]) == colour


def test_faces_are_outlined_where_they_are(page: Page, visitor: Visitor, photos: Photos) -> None:
    job = _shown(page, visitor, photos.group, crop="true")
    left, top, width, _ = _place(page)
    frame, faces = job["frame"], job["faces"]
    zoom = width / frame["width"]

    page.get_by_role("button", name="Person 2: show in the picture").hover()

    outlines = page.locator(".faces .outline")
    expect(outlines).to_have_count(len(faces))
    for index, face in enumerate(faces):
        x, y, across, down = face["box"]
        assert _box(outlines.nth(index)) == pytest.approx(
            (
                left + zoom * (frame["left"] + frame["scale"] * x),
                top + zoom * (frame["top"] + frame["scale"] * y),
                zoom * frame["scale"] * across,
                zoom * frame["scale"] * down,
            ),
            abs=2,  # half of the line
        )
    expect(page.locator(".faces .marked")).to_have_count(1)
    x, y, across, down = _box(outlines.nth(2))
    page.mouse.move(x + across / 2, y + down / 2)
    expect(page.get_by_role("listitem").filter(has_text="Person 3")).to_have_class(
        re.compile("marked")
    )


def test_people_are_told_in_words_and_the_rating_adds_up(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    job = _shown(page, visitor, photos.smiling)
    rating = job["rating"]

    person = page.get_by_role("listitem").filter(has_text="Person 1")
    expect(person).to_contain_text(f"Big smile {job['faces'][0]['smile']['score']:.2f}")
    expect(person).to_contain_text("Both eyes open")
    expect(person).to_contain_text("Happy")
    page.get_by_text("How it is counted").click()
    smiles, eyes = rating["avg_smiling_score"], rating["open_eye_ratio"]
    expect(page.get_by_role("region", name="Rating")).to_contain_text(
        re.compile(rf"0\.8 × {smiles:.2f} \+ 0\.2 × {eyes:.2f} =\s+{rating['score']:.2f}")
    )


def test_prints_are_drawn_to_scale(page: Page, visitor: Visitor, photos: Photos) -> None:
    job = _shown(page, visitor, photos.smiling)
    told = job["printability"]

    page.get_by_role("tab", name="Print").click()

    for print_ in told["size"]["prints"]:
        words = f"{print_['width_cm']} × {print_['height_cm']} cm"
        expect(page.get_by_role("tabpanel")).to_contain_text(words)
        drawn = _box(page.locator(f".sizes svg .dpi-{print_['dpi']} rect"))
        card = _box(page.locator(".sizes svg .card rect"))
        assert drawn[2] / card[2] == pytest.approx(print_["width_cm"] / 8.56, rel=0.02)
    for name in ("size", "sharpness", "exposure", "noise", "head_room", "looks"):
        expect(page.get_by_role("tabpanel")).to_contain_text(told[name]["text"])


def test_what_is_saved_is_what_the_service_has(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    job = _shown(page, visitor, photos.smiling)
    page.get_by_role("tab", name="Save").click()

    for title, output in (("Finished picture", "image"), ("Cut-out", "cutout"), ("Matte", "matte")):
        with page.expect_download() as taken:
            page.get_by_role("button", name=f"Save: {title}").click()
        assert Path(taken.value.path()).read_bytes() == _bytes(visitor, job["outputs"][output])
    with page.expect_download() as taken:
        page.get_by_role("button", name="Save", exact=True).click()
    assert taken.value.suggested_filename == "astronaut.smart-filter.jpg"


def test_story_is_made_saved_and_shown(page: Page, visitor: Visitor, photos: Photos) -> None:
    _shown(page, visitor, photos.smiling)
    page.get_by_role("tab", name="Save").click()
    page.get_by_label("Shape and size").select_option(label="Story 9:16, 1080 × 1920")
    page.get_by_label("Format", exact=True).select_option(label="WebP")

    with page.expect_download() as taken:
        page.get_by_role("button", name="Make and save").click()

    with Image.open(taken.value.path()) as story:
        assert (story.format, story.size) == ("WEBP", (1080, 1920))
    until(page, lambda: _shape(page) == pytest.approx(9 / 16, rel=0.01))
    page.get_by_role("button", name="Show the former picture").click()
    until(page, lambda: _shape(page) == pytest.approx(1, rel=0.01))


def test_what_was_not_asked_for_is_made_on_the_spot(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    job = _shown(page, visitor, photos.smiling, outputs="image")

    _look_at(page, "Matte")
    expect(page.get_by_text("The matte was not asked for")).to_be_visible()
    page.get_by_role("button", name="Make it now").click()

    expect(page.get_by_alt_text("The matte: people are white")).to_be_visible()
    (made, _) = visitor.jobs()
    assert (made["parent_id"], made["recipe"]["outputs"]) == (job["id"], ["image", "matte"])
    expect(page.locator(".stage")).to_be_focused()


def test_version_that_fails_says_why_and_keeps_the_picture(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    job = _submitted(visitor, photos.smiling, **{"metadata.studio": "s" * 32})
    answer = visitor.client.post(
        f"/v1/jobs/{job['id']}/derive",
        json={"recipe": {"background": "url:http://127.0.0.1:9/none.jpg"}},
        headers={"Prefer": "wait=30"},
    )
    assert answer.json()["state"] == "failed", answer.text

    page.goto(f"{page.url.partition('#')[0]}#/photo/{'s' * 32}")

    expect(page.get_by_alt_text("The finished picture")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text(answer.json()["error"]["title"])
    page.get_by_role("button", name="Keep the picture as it was").click()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_photo_that_is_not_kept_leaves_the_result(
    page: Page, visitor: Visitor, photos: Photos, witness: Witness
) -> None:
    witness.expect("410")
    visitor.say(keep_input_seconds=0)
    job = _submitted(visitor, photos.smiling)
    until(page, lambda: visitor.client.get(job["links"]["photo"]).status_code == httpx.codes.GONE)

    _open(page, job)

    expect(page.get_by_alt_text("The finished picture")).to_be_visible()
    expect(page.get_by_text("There is nothing to compare with")).to_be_visible()
    _look_at(page, "Photo")
    expect(page.get_by_role("alert")).to_be_visible()


def test_photo_that_was_deleted_elsewhere_is_told_of(
    page: Page, visitor: Visitor, photos: Photos, witness: Witness
) -> None:
    witness.expect("410")
    job = _submitted(visitor, photos.smiling)
    visitor.client.delete(job["links"]["self"])

    _open(page, job)

    expect(page.get_by_role("alert")).to_contain_text("not here any more")
    page.get_by_role("link", name="Back to all photos").click()
    expect(page.get_by_role("button", name="Choose photos")).to_be_visible()


def test_arrows_leaf_and_delete_asks_first(page: Page, visitor: Visitor, photos: Photos) -> None:
    first = _submitted(visitor, photos.serious)
    second = _submitted(visitor, photos.smiling)
    page.reload()
    _open(page, second)
    expect(page.get_by_role("heading", name="astronaut.png")).to_be_visible()

    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name="grace_hopper.jpg")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("heading", name="astronaut.png")).to_be_visible()
    delete = page.get_by_role("button", name="Delete")
    delete.click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert len(visitor.jobs()) == 2
    delete.click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page).to_have_url(re.compile("#/$"))
    assert [job["id"] for job in visitor.jobs()] == [first["id"]]


@seen_on(DESKTOP, PHONE_DARK)
def test_photo_can_be_used_by_everybody(page: Page, visitor: Visitor, photos: Photos) -> None:
    _shown(page, visitor, photos.group)

    for tab in ("People", "Print", "Save"):
        page.get_by_role("tab", name=tab).click()
        axe(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    _look_at(page, "Cut-out")
    axe(page)


def _submitted(visitor: Visitor, photo: Path, **fields: str) -> dict[str, Any]:
    """Return the job of a photo, succeeded, as the studio itself would have asked for it."""
    with photo.open("rb") as file:
        answer = visitor.client.post(
            "/v1/jobs",
            data={"seed": "1", "outputs": _OUTPUTS, "metadata.name": photo.name, **fields},
            files={"photo": file},
            headers={"Prefer": "wait=30"},
        )
    job: dict[str, Any] = answer.json()
    assert job["state"] == "succeeded", answer.text
    return job


def _shown(page: Page, visitor: Visitor, photo: Path, **fields: str) -> dict[str, Any]:
    job = _submitted(visitor, photo, **fields)
    _open(page, job)
    expect(page.get_by_alt_text("The finished picture")).to_be_visible()
    page.locator(".stage").focus()
    return job


def _open(page: Page, job: dict[str, Any]) -> None:
    page.goto(f"{page.url.partition('#')[0]}#/photo/{job['id']}")


def _look_at(page: Page, mode: str) -> None:
    page.get_by_role("radio", name=mode, exact=True).check()
    page.mouse.move(0, 0)


def _box(element: Locator) -> tuple[float, float, float, float]:
    box = element.bounding_box()
    assert box is not None
    return box["x"], box["y"], box["width"], box["height"]


def _place(page: Page) -> tuple[float, float, float, float]:
    """Return where the whole picture lies in the window: x, y, width, height."""
    return _box(page.locator(".plane"))


def _shape(page: Page) -> float:
    """Return how wide the whole picture is for its height."""
    _, _, width, height = _place(page)
    return width / height


def _seen(page: Page) -> Pixels:
    """Return the picture as the page shows it, all of it being in sight."""
    x, y, width, height = _place(page)
    return pixels(page, (round(x), round(y), round(width), round(height)))


def _photo(visitor: Visitor, job: dict[str, Any]) -> Pixels:
    return picture(_bytes(visitor, job["links"]["photo"]))


def _output(visitor: Visitor, job: dict[str, Any], name: str) -> Pixels:
    return picture(_bytes(visitor, job["outputs"][name]))


def _bytes(visitor: Visitor, path: str) -> bytes:
    answer = visitor.client.get(path)
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.content


def _apart(one: Pixels, other: Pixels) -> float:
    """Return by how many levels of 255 two pictures differ on average."""
    return float(np.abs(one.astype(float) - other).mean())
