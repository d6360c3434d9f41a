"""The photo screen: people, print quality, saving, and its neighbors."""

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from browser.accessibility import assert_accessible
from smart_filter_tests.browsing.page_errors import PageErrors
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.screens import DESKTOP, PHONE_DARK, on_screens
from smart_filter_tests.browsing.viewer import (
    box_of,
    bytes_of,
    open_photo,
    open_result,
    select_mode,
    shape_of,
    submit_photo,
)
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.waits import wait_until


@pytest.fixture
def job(page: Page, visitor: Visitor, photos: Photos) -> dict[str, Any]:
    """The job of a photo, whose finished picture is shown."""
    return open_result(page, visitor, photos.smiling)


def test_people_are_described_in_words_and_the_rating_adds_up(
    page: Page, job: dict[str, Any]
) -> None:
    rating = job["rating"]
    page.get_by_role("tab", name="People").click()

    person = page.get_by_role("listitem").filter(has_text="Person 1")
    expect(person).to_contain_text(f"Big smile {job['faces'][0]['smile']['score']:.2f}")
    expect(person).to_contain_text("Both eyes open")
    expect(person).to_contain_text("Happy")
    page.get_by_text("How it is calculated").click()
    smiles, eyes = rating["avg_smiling_score"], rating["open_eye_ratio"]
    expect(page.get_by_role("region", name="Rating")).to_contain_text(
        re.compile(rf"0\.8 × {smiles:.2f} \+ 0\.2 × {eyes:.2f} =\s+{rating['points'] / 100:.2f}")
    )


def test_prints_are_drawn_to_scale(page: Page, job: dict[str, Any]) -> None:
    printability = job["printability"]

    page.get_by_role("tab", name="Print").click()

    for print_ in printability["size"]["prints"]:
        words = f"{print_['width_cm']} × {print_['height_cm']} cm"
        expect(page.get_by_role("tabpanel")).to_contain_text(words)
        drawn = box_of(page.locator(f".sizes svg .dpi-{print_['dpi']} rect"))
        card = box_of(page.locator(".sizes svg .card rect"))
        assert drawn[2] / card[2] == pytest.approx(print_["width_cm"] / 8.56, rel=0.02)
    for name in ("size", "sharpness", "exposure", "noise", "head_room", "looks"):
        expect(page.get_by_role("tabpanel")).to_contain_text(printability[name]["text"])


def test_document_has_its_checks_with_the_faults_first(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    open_result(page, visitor, photos.smiling, document="uk")
    checks = visitor.newest()["document_report"]["checks"]
    mouth = next(check for check in checks if check["name"] == "mouth")

    page.get_by_role("tab", name="Print").click()

    panel = page.get_by_role("tabpanel")
    expect(panel.get_by_role("heading", name="United Kingdom passport: fail")).to_be_visible()
    row = panel.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Mouth"))
    for text in (mouth["verdict"], mouth["measured"], mouth["limit"], mouth["remedy"]):
        expect(row).to_contain_text(text)
    shown = panel.locator("ul.verdicts").first.locator(".tag").all_inner_texts()
    assert shown == sorted(shown, key=["fail", "unsure", "ask", "pass"].index)
    assert {"fail", "ask", "pass"} <= set(shown)
    assert_accessible(page)


def test_refused_document_has_its_checks_without_a_picture(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    job = visitor.ended(
        visitor.submit(photos.smiling, document="uk", require="pass", outputs="image")
    )
    card = page.locator(f".card[data-id='{job['id']}']")

    expect(card.locator("code", has_text="require=pass")).to_be_visible()
    open_photo(page, job)
    page.get_by_role("tab", name="Print").click()

    panel = page.get_by_role("tabpanel")
    expect(panel.get_by_role("heading", name="United Kingdom passport: fail")).to_be_visible()
    expect(panel).not_to_contain_text("Available when the picture is finished")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)


def test_document_has_its_checks_without_printability(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    open_result(page, visitor, photos.smiling, document="uk", outputs="image,thumbnail")

    page.get_by_role("tab", name="Print").click()

    panel = page.get_by_role("tabpanel")
    expect(panel.get_by_role("heading", name="United Kingdom passport: fail")).to_be_visible()
    expect(panel).to_contain_text("The printability was not requested")


def test_saved_files_equal_those_of_the_service(
    page: Page, visitor: Visitor, job: dict[str, Any]
) -> None:
    page.get_by_role("tab", name="Save").click()

    for title, output in (("Finished picture", "image"), ("Cutout", "cutout"), ("Matte", "matte")):
        with page.expect_download() as taken:
            page.get_by_role("button", name=f"Save: {title}").click()
        assert Path(taken.value.path()).read_bytes() == bytes_of(visitor, job["outputs"][output])
    with page.expect_download() as taken:
        page.get_by_role("button", name="Download", exact=True).click()
    assert taken.value.suggested_filename == "astronaut.jpg"


@pytest.mark.usefixtures("job")
def test_story_is_made_saved_and_shown(page: Page) -> None:
    page.get_by_role("tab", name="Save").click()
    page.get_by_label("Shape and size").select_option(label="Story 9:16, 1080 × 1920")
    page.get_by_label("Format", exact=True).select_option(label="WebP")

    with page.expect_download() as taken:
        page.get_by_role("button", name="Make and save").click()

    with Image.open(taken.value.path()) as story:
        assert (story.format, story.size) == ("WEBP", (1080, 1920))
    wait_until(page, lambda: shape_of(page) == pytest.approx(9 / 16, rel=0.01))
    page.get_by_role("button", name="Show the previous picture").click()
    wait_until(page, lambda: shape_of(page) == pytest.approx(1, rel=0.01))


@pytest.mark.parametrize("address", ["photo/nope", "compare/nope"])
def test_address_of_an_unknown_photo_opens_the_overview(
    page: Page, url: str, page_errors: PageErrors, address: str
) -> None:
    page_errors.expect("404")

    page.goto(f"{url}/#/{address}")

    expect(page.get_by_role("alert")).to_contain_text("no longer exists")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    page.get_by_role("link", name="Back to all photos").click()
    expect(page.get_by_role("button", name="Choose photos")).to_be_visible()


def test_arrow_keys_switch_photos_and_delete_asks_first(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    first = submit_photo(visitor, photos.serious)
    second = submit_photo(visitor, photos.smiling)
    page.reload()
    open_photo(page, second)
    expect(page.get_by_role("heading", name="astronaut.png")).to_be_visible()
    expect(page.get_by_role("button", name="Next photo")).to_be_enabled()

    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name="grace_hopper.jpg")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("heading", name="astronaut.png")).to_be_visible()
    delete = page.get_by_role("button", name="Delete")
    delete.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert len(visitor.jobs()) == 2
    delete.click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page).to_have_url(re.compile("#/$"))
    wait_until(page, lambda: [job["id"] for job in visitor.jobs()] == [first["id"]])


@on_screens(DESKTOP, PHONE_DARK)
def test_photo_screen_is_accessible(page: Page, visitor: Visitor, photos: Photos) -> None:
    open_result(page, visitor, photos.group)

    for tab in ("People", "Print", "Save"):
        page.get_by_role("tab", name=tab).click()
        assert_accessible(page)
    select_mode(page, "Alone")
    assert_accessible(page)
