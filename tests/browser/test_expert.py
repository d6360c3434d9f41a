"""The expert panel: set model parameters, compare two recipes, copy code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from browser.accessibility import assert_accessible
from smart_filter_tests.browsing.page_errors import PageErrors
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.pixels import screenshot
from smart_filter_tests.browsing.screens import DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK, on_screens
from smart_filter_tests.browsing.viewer import open_photo
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.waits import wait_until

# Chromium's console message about an answer with this status.
_REFUSED: Final = "status of 422"
_OUTPUTS: Final = "image,cutout,matte,thumbnail"
# Quotes of both kinds, a shell expansion, and a second line.
_ODD: Final = 'It\'s "5 $HOME" `x` \\ ;@<\nline two'


@pytest.fixture
def panel(page: Page, visitor: Visitor, photos: Photos) -> Locator:
    """The expert panel of a finished photo."""
    return _panel(page, _a_job(visitor, photos))


@on_screens(DESKTOP, PHONE_DARK)
def test_every_model_of_a_task_is_listed(page: Page, visitor: Visitor, panel: Locator) -> None:
    cards = visitor.client.get("/v1/models", params={"all": True}).json()["items"]

    part = _open(panel, "Cutting out")
    part.get_by_text("Not available here").click()

    for card in (card for card in cards if card["task"] == "segmentation"):
        if card["offered"]:
            expect(part.get_by_role("radio", name=re.compile(f"^{card['name']} "))).to_be_enabled()
        else:
            expect(part.get_by_text(card["fault"])).to_be_visible()
    assert_accessible(page)


def test_model_runs_with_its_parameters_and_shows_its_steps(
    page: Page, visitor: Visitor, panel: Locator
) -> None:
    part = _open(panel, "Cutting out")
    part.get_by_role("radio", name=re.compile("^classical ")).check()
    part.get_by_label("min_area", exact=True).fill("0.02")
    _open(panel, "Picture").get_by_label("debug").check()

    _apply(panel)

    steps = panel.get_by_role("img", name=re.compile("^The model's intermediate steps"))
    expect(steps).to_be_visible()
    made = visitor.newest()
    assert made["recipe"]["segmentation"] == {"model": "classical", "params": {"min_area": 0.02}}
    expect(panel.get_by_role("row", name=re.compile("^Cutting out classical"))).to_be_visible()
    wait_until(page, lambda: steps.evaluate("image => image.naturalWidth > 200"))
    assert screenshot(steps).std() > 20


def test_documents_are_listed(panel: Locator) -> None:
    names = _open(panel, "Frame").locator("[data-name=document] option")

    assert {"us", "badge"} <= set(names.evaluate_all("options => options.map(it => it.value)"))


@on_screens(DESKTOP, PHONE)
def test_wrong_value_is_reported_at_its_field(
    visitor: Visitor, panel: Locator, page_errors: PageErrors
) -> None:
    page_errors.expect(_REFUSED)
    part = _open(panel, "Cutting out")
    part.get_by_role("radio", name=re.compile("^classical ")).check()
    blur = part.get_by_label("blur", exact=True)
    blur.fill("500")

    panel.get_by_role("button", name="Apply").click()

    expect(blur).to_have_accessible_description(re.compile("not an integer from 1 to 101"))
    expect(blur).to_be_focused()
    expect(blur).to_have_value("500")
    assert len(visitor.jobs()) == 1
    blur.fill("51")
    _apply(panel)
    assert visitor.newest()["recipe"]["segmentation"]["params"] == {"blur": 51}


@on_screens(DESKTOP_DARK, PHONE)
def test_comparison_of_two_recipes_shows_their_differences(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    job = _a_job(visitor, photos)
    _panel(page, job).get_by_role("link", name="Compare two recipes").click()
    second = page.get_by_role("region", name="Recipe B")
    second.get_by_text("Recipe B", exact=True).click()
    _open(second, "Cutting out").get_by_role("radio", name=re.compile("^classical ")).check()

    second.get_by_role("button", name="Try it in B").click()

    table = page.get_by_role("table", name="Figures")
    expect(table.get_by_role("row", name="segmentation.model default classical")).to_be_visible()
    expect(second.get_by_role("img", name="The finished picture")).to_be_visible()
    wait_until(page, lambda: visitor.newest()["state"] == "succeeded")
    page.get_by_text("Difference", exact=True).click()
    shown = page.get_by_role("img", name=re.compile("of the pixels differ"))
    expect(shown).to_be_visible()
    apart = screenshot(shown)
    assert 0.02 < (apart.max(axis=2) > 64).mean() < 0.9
    # Both cut the face out alike.
    height, width = apart.shape[:2]
    assert np.median(apart[height // 4 : height // 3, width * 2 // 5 : width // 2]) < 64
    assert_accessible(page)

    # A version that was only tried becomes the photo's picture after confirmation.
    page.get_by_role("link", name="Back to the photo").click()
    page.get_by_role("tab", name="Expert").click()
    expect(page.get_by_role("row", name=re.compile("^Cutting out people"))).to_be_visible()
    page.go_back()
    page.get_by_role("region", name="Recipe B").get_by_role("button", name="Use this one").click()
    page.get_by_role("tab", name="Expert").click()
    expect(page.get_by_role("row", name=re.compile("^Cutting out classical"))).to_be_visible()


@pytest.mark.parametrize("language", ["curl", "Python"])
def test_copied_code_sends_the_same_request(
    page: Page, visitor: Visitor, photos: Photos, tmp_path: Path, language: str
) -> None:
    fields = {
        "filters": "caption,hat",
        "filters.caption.text": _ODD,
        "filters.hat.kind": "santa",
        "segmentation.model": "classical",
        "segmentation.params.blur": "31",
        "margin": "10%",
        "crop": "true",
        "background": "color:#fa0",
        "metadata.name": 'my "own"; $photo, it\'s.png',
    }
    job = _a_job(visitor, photos, **fields)
    code = _code(page, job, language)
    (tmp_path / fields["metadata.name"]).write_bytes(photos.smiling.read_bytes())

    command = ["sh", "-c", code] if language == "curl" else [sys.executable, "-c", code]
    environment = {
        **os.environ,
        "SMART_FILTER_URL": str(visitor.client.base_url).rstrip("/"),
        "SMART_FILTER_API_KEY": visitor.key,
    }
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stderr
    assert visitor.key not in code
    made = visitor.newest()
    assert made["id"] != job["id"]
    assert (made["recipe"], made["seed"]) == (job["recipe"], job["seed"])


def test_copied_json_is_pasted_to_another_photo(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    fields = {"segmentation.model": "classical", "segmentation.params.blur": "31", "quality": "40"}
    code = _code(page, _a_job(visitor, photos, **fields), "JSON")
    plain = _a_job(visitor, photos)
    page.keyboard.press("Escape")
    panel = _panel(page, plain)

    panel.get_by_role("button", name="Paste a recipe").click()
    dialog = page.get_by_role("dialog", name="Paste a recipe")
    dialog.get_by_label("Recipe as JSON").fill("{'quality': 40}")
    dialog.get_by_role("button", name="Load").click()
    expect(dialog.get_by_role("alert")).to_contain_text("This is not JSON")
    dialog.get_by_label("Recipe as JSON").fill(json.dumps({**json.loads(code), "colour": "red"}))
    dialog.get_by_role("button", name="Load").click()
    expect(page.get_by_text("without colour, which this service does not know")).to_be_visible()
    _apply(panel)

    recipe = visitor.newest()["recipe"]
    assert recipe["quality"] == 40
    assert recipe["segmentation"] == {"model": "classical", "params": {"blur": 31}}


def _a_job(visitor: Visitor, photos: Photos, **fields: str) -> dict[str, Any]:
    """Return a finished job of the smiling woman."""
    asked = {"outputs": _OUTPUTS, "background": "color:teal", **fields}
    return visitor.succeed(photos.smiling, **asked)


def _panel(page: Page, job: dict[str, Any]) -> Locator:
    """Open the expert panel of a job's photo, and return it."""
    open_photo(page, job)
    page.get_by_role("tab", name="Expert").click()
    panel = page.get_by_role("tabpanel", name="Expert")
    expect(panel.get_by_role("heading", name="Cutting out")).to_be_visible()
    return panel


def _open(panel: Locator, title: str) -> Locator:
    """Open a part of the form, and return it."""
    part = panel.locator("details.group").filter(
        has=panel.page.get_by_role("heading", name=title, exact=True)
    )
    part.locator("summary").first.click()
    return part


def _apply(panel: Locator) -> None:
    """Make the picture, and wait until the page knows that it is made."""
    panel.get_by_role("button", name="Apply").click()
    expect(panel.get_by_role("button", name="Discard")).to_have_count(0)
    expect(panel.page.get_by_text(re.compile("^(Working on|Waiting in)"))).to_have_count(0)


def _code(page: Page, job: dict[str, Any], language: str) -> str:
    """Return the code that the page shows for a job's recipe."""
    _panel(page, job).get_by_role("button", name="Copy as code").click()
    page.get_by_role("dialog").get_by_text(language, exact=True).click()
    return page.get_by_role("textbox", name=f"The recipe as {language}").input_value()
