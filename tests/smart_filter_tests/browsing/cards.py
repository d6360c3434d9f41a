"""The contact sheet in a journey: add photos and read their cards."""

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from smart_filter_tests.browsing.waits import wait_until

_FALLING_MS = 300
_ACCEPTED = re.compile("queued|running|succeeded")


def add(page: Page, *photos: Path) -> None:
    page.locator("[data-way=pick]").set_input_files(photos)


def drop(page: Page, *paths: Path) -> None:
    """Drop files or folders onto the middle of the page."""
    devtools = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}

    def drag(step: str) -> None:
        devtools.send("Input.dispatchDragEvent", {"type": step, "x": 400, "y": 400, "data": data})

    def let_go() -> bool:
        for step in ("dragEnter", "dragOver", "dragOver"):
            drag(step)
        expect(hint).to_be_visible()
        drag("drop")
        page.wait_for_timeout(_FALLING_MS)
        return hint.count() == 0

    hint = page.get_by_text("Drop to add")
    # Chromium occasionally loses a synthetic drop before it reaches the page.
    wait_until(page, let_go)


def card(page: Page, name: str) -> Locator:
    heading = page.get_by_role("heading", name=name, exact=True)
    return page.get_by_role("listitem").filter(has=heading)


def expect_state(shown: Locator, state: str) -> None:
    """Wait until a card is in a state: a job's, or that of a photo that is not sent yet."""
    expect(shown).to_have_attribute("data-state", state)


def expect_accepted(shown: Locator) -> None:
    """Wait until the service has accepted a card's photo."""
    expect(shown).to_have_attribute("data-state", _ACCEPTED)


def expect_finished(page: Page, *names: str) -> None:
    """Wait until photos are finished and their pictures are loaded."""
    for name in names:
        expect_state(card(page, name), "succeeded")
        expect(card(page, name).get_by_role("img", name=f"{name}, finished")).to_be_visible()
