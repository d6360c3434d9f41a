"""The expert tab: parameters of the models, and two recipes side by side."""

import re
from typing import Final

from playwright.sync_api import Locator, expect

from smart_filter_docs.shots.shot import Scene, Shot
from smart_filter_tests.browsing.screens import DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK
from smart_filter_tests.browsing.viewer import OUTPUTS, open_photo


def _expert(scene: Scene) -> None:
    panel = _panel(scene)
    _cutting(panel).get_by_role("radio", name=re.compile("^classical ")).check()
    panel.get_by_label("blur", exact=True).fill("31")
    panel.get_by_label("min_area", exact=True).fill("0.02")
    panel.get_by_label("canny_high", exact=True).evaluate("it => it.scrollIntoView({block: 'end'})")


def _compare(scene: Scene) -> None:
    _two(scene)


def _difference(scene: Scene) -> None:
    _two(scene)
    scene.page.get_by_text("Difference", exact=True).click()
    expect(scene.page.get_by_role("img", name=re.compile("of the pixels differ"))).to_be_visible()


def _code(scene: Scene) -> None:
    _panel(scene).get_by_role("button", name="Copy as code").click()
    expect(scene.page.get_by_role("dialog")).to_be_visible()


def _two(scene: Scene) -> None:
    _panel(scene).get_by_role("link", name="Compare two recipes").click()
    second = scene.page.get_by_role("region", name="Recipe B")
    second.get_by_text("Recipe B", exact=True).click()
    _cutting(second).get_by_role("radio", name=re.compile("^classical ")).check()
    second.get_by_role("button", name="Try it in B").click()
    table = scene.page.get_by_role("table", name="Figures")
    expect(table.get_by_role("row", name="segmentation.model default classical")).to_be_visible()
    expect(scene.page.get_by_text(re.compile("^(Working on|Waiting in)"))).to_have_count(0)
    second.get_by_text("Recipe B", exact=True).click()
    scene.page.evaluate("scrollTo(0, 0)")


def _panel(scene: Scene) -> Locator:
    asked = {"outputs": OUTPUTS, "background": "preset:rainbow", "metadata.name": "eileen.png"}
    open_photo(scene.page, scene.visitor.succeed(scene.photos.smiling, **asked))
    scene.page.get_by_role("tab", name="Expert").click()
    panel = scene.page.get_by_role("tabpanel", name="Expert")
    expect(panel.get_by_role("heading", name="Cutting out")).to_be_visible()
    expect(scene.page.get_by_role("img", name="The finished picture")).to_be_visible()
    return panel


def _cutting(panel: Locator) -> Locator:
    part = panel.locator("details.group").first
    part.locator("summary").first.click()
    return part


SHOTS: Final = (
    Shot("expert", _expert, (DESKTOP, DESKTOP_DARK, PHONE)),
    Shot("two-recipes", _compare, (DESKTOP, PHONE_DARK)),
    Shot("difference", _difference, (DESKTOP_DARK,)),
    Shot("code", _code, (DESKTOP,)),
)
