"""The studio is opened: with the address that `up` shows, with a session, with neither."""

import re

import httpx
from playwright.sync_api import BrowserContext, Page, expect

from smart_filter_tests.browsing.accessibility import axe
from smart_filter_tests.browsing.looks import DESKTOP, DESKTOP_DARK, LOOKS, Look, Scheme, seen_on
from smart_filter_tests.browsing.patience import until
from smart_filter_tests.browsing.pixels import mean_colour, pixels
from smart_filter_tests.browsing.visitors import Visitor, a_code
from smart_filter_tests.running import Running


@seen_on(*LOOKS)
def test_studio_is_accessible(page: Page) -> None:
    expect(page).to_have_title(re.compile("Smart Filter$"))
    expect(page.get_by_role("heading", level=1)).to_be_visible()

    axe(page)


@seen_on(DESKTOP, DESKTOP_DARK)
def test_studio_is_as_bright_as_the_person_prefers(page: Page, look: Look) -> None:
    expect(page.get_by_role("heading", level=1)).to_be_visible()

    ground = mean_colour(pixels(page, (2, 780, 20, 18)))

    if look.scheme == Scheme.DARK:
        assert max(ground) < 60
    else:
        assert min(ground) > 200


def test_code_signs_in_and_leaves_the_address(
    stranger: Page, stack: Running, visitor: Visitor, url: str
) -> None:
    stranger.goto(f"{url}/#code={a_code(stack, visitor)}")

    expect(stranger).to_have_url(re.compile(rf"^{url}/(#(?!.*code).*)?$"))
    until(stranger, lambda: _tenant_of(stranger.context, url) == visitor.tenant)


def test_page_lets_nothing_in_from_elsewhere(stack: Running) -> None:
    answer = httpx.get(stack.client.base_url)

    policy = {
        name: sources.split()
        for name, _, sources in (
            part.strip().partition(" ")
            for part in answer.headers["Content-Security-Policy"].split(";")
        )
    }
    assert policy["default-src"] in (["'none'"], ["'self'"])
    assert policy["frame-ancestors"] == ["'none'"]
    loose = {"*", "'unsafe-inline'", "'unsafe-eval'", "http:", "https:"}
    assert {name for name, sources in policy.items() if loose & set(sources)} == set()


def _tenant_of(context: BrowserContext, url: str) -> str | None:
    told = context.request.get(f"{url}/v1/session", headers={"Origin": url})
    return told.json().get("tenant")
