"""Opening the studio, and sessions: by a code, a key, a wrong one."""

import re

import httpx
from playwright.sync_api import BrowserContext, Page, expect

from browser.accessibility import assert_accessible
from smart_filter_tests.browsing.cards import add, card, expect_finished
from smart_filter_tests.browsing.page_errors import SIGNED_OUT, PageErrors
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.screens import ALL_SCREENS, DESKTOP, PHONE_DARK, Screen, on_screens
from smart_filter_tests.browsing.visitors import Visitor, a_code, a_visitor
from smart_filter_tests.browsing.waits import wait_until
from smart_filter_tests.full_stack import RunningStack
from smart_filter_tests.later import next_week

_HEADING = DESKTOP.invitation
_LISTS = "**/v1/jobs?*"
# The last list of a look.
_LOOKS = "**/v1/jobs?state=running*"
_STROKES = "smart-filter.strokes"
# As browsers do where a user blocks all data of a site.
_NO_STORAGE = """
  const refuse = () => { throw new DOMException("denied", "SecurityError"); };
  for (const name of ["localStorage", "sessionStorage"]) {
    Object.defineProperty(window, name, { get: refuse });
  }
  IDBFactory.prototype.open = refuse;
  window.BroadcastChannel = refuse;
"""
_TENANT = """async () =>
    (await import(new URL("state/session.js", document.scripts[1].src))).session.value.tenant
"""


@on_screens(*ALL_SCREENS)
def test_studio_is_accessible(page: Page) -> None:
    expect(page).to_have_title(re.compile("Smart Filter$"))
    expect(page.get_by_role("heading", level=1)).to_be_visible()

    assert_accessible(page)


def test_code_signs_in_and_is_removed_from_the_address(
    anonymous_page: Page, stack: RunningStack, visitor: Visitor, url: str
) -> None:
    anonymous_page.goto(f"{url}/#code={a_code(stack, visitor)}")

    expect(anonymous_page).to_have_url(re.compile(rf"^{url}/(#(?!.*code).*)?$"))
    wait_until(anonymous_page, lambda: _tenant_of(anonymous_page.context, url) == visitor.tenant)


@on_screens(DESKTOP, PHONE_DARK)
def test_key_signs_in_and_a_wrong_one_is_refused(
    anonymous_page: Page, visitor: Visitor, url: str, page_errors: PageErrors, screen: Screen
) -> None:
    page_errors.expect(SIGNED_OUT)
    anonymous_page.goto(url)

    expect(anonymous_page.get_by_label("Key")).to_be_focused()
    anonymous_page.get_by_label("Key").fill("sf_live_wrong")
    anonymous_page.get_by_role("button", name="Sign in").click()
    expect(anonymous_page.get_by_role("alert")).to_contain_text("This key is not valid")
    expect(anonymous_page.get_by_role("alert")).not_to_contain_text("Bearer")
    assert_accessible(anonymous_page)
    anonymous_page.get_by_label("Key").fill(visitor.key)
    anonymous_page.get_by_role("button", name="Sign in").click()

    expect(anonymous_page.get_by_role("heading", name=screen.invitation)).to_be_visible()


def test_strokes_are_removed_at_sign_out_though_no_photo_has_been_opened(
    page: Page, page_errors: PageErrors
) -> None:
    page_errors.expect(SIGNED_OUT)
    page.evaluate(f"sessionStorage.setItem('{_STROKES}', '[[\"a-photo\", []]]')")
    page.reload()

    page.get_by_role("button", name="Sign out").click()

    expect(page.get_by_label("Key")).to_be_visible()
    wait_until(page, lambda: page.evaluate(f"sessionStorage.getItem('{_STROKES}')") == "[]")


def test_studio_works_where_the_browser_stores_nothing(
    anonymous_page: Page, visitor: Visitor, photos: Photos, url: str
) -> None:
    anonymous_page.add_init_script(_NO_STORAGE)
    visitor.sign_in(anonymous_page.context, url)
    anonymous_page.goto(url)

    anonymous_page.get_by_role("button", name="Dark theme").click()
    add(anonymous_page, photos.serious)
    expect_finished(anonymous_page, photos.serious.name)
    card(anonymous_page, photos.serious.name).get_by_role("link").first.click()

    expect(anonymous_page.get_by_role("button", name="Light theme")).to_be_visible()
    expect(anonymous_page.get_by_role("tab", name="Cutout")).to_be_visible()


def test_used_code_opens_the_existing_session(
    page: Page, url: str, page_errors: PageErrors
) -> None:
    page_errors.expect(SIGNED_OUT)
    page.goto(f"{url}/#code=used-before")

    expect(page).to_have_url(f"{url}/#/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_signing_out_ends_the_session(page: Page, page_errors: PageErrors) -> None:
    page_errors.expect(SIGNED_OUT)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Key")).to_be_visible()

    page.reload()

    expect(page.get_by_label("Key")).to_be_visible()


@on_screens(DESKTOP, PHONE_DARK)
def test_session_of_another_browser_is_shown_and_ended(
    page: Page, visitor: Visitor, url: str
) -> None:
    with httpx.Client(base_url=url, timeout=60) as lost:
        lost.post("/v1/session", json={"key": visitor.key}).raise_for_status()
        page.get_by_role("button", name="Sessions").click()
        sessions = page.get_by_role("dialog").get_by_role("listitem")
        expect(sessions.filter(has_text="This browser")).to_have_count(1)
        assert_accessible(page)

        sessions.filter(has_text="Another browser").get_by_role("button", name="End").click()

        expect(sessions.filter(has_text="Another browser")).to_have_count(0)
        assert lost.get("/v1/session").status_code == 401


def test_tab_shows_that_another_user_has_signed_in(
    page: Page, visitor: Visitor, photos: Photos, url: str, page_errors: PageErrors
) -> None:
    page_errors.expect("status of 403")
    for name in ("mine.png", "mine-too.png"):
        visitor.submit(photos.smiling, metadata__name=name, run_at=next_week())
    page.reload()
    expect(card(page, "mine-too.png")).to_be_visible()
    another = a_visitor(visitor.operator)
    # A look under way while the cookie is replaced would be answered with 401.
    with page.expect_response(_LOOKS):
        pass
    page.route(_LISTS, lambda _: None)
    another.sign_in(page.context, url)
    page.unroute(_LISTS)

    card(page, "mine.png").get_by_role("button", name="Cancel").click()

    expect(page.get_by_text(f"You are now signed in as {another.tenant}.")).to_be_visible()
    expect(card(page, "mine-too.png")).to_have_count(0)
    expect(page.get_by_role("heading", name=_HEADING)).to_be_visible()
    assert {job["state"] for job in visitor.jobs()} == {"queued"}
    another.client.close()


def test_tabs_follow_a_sign_out_and_another_sign_in(
    page: Page, visitor: Visitor, photos: Photos, url: str, page_errors: PageErrors
) -> None:
    page_errors.expect(SIGNED_OUT)
    visitor.submit(photos.smiling, metadata__name="mine.png", run_at=next_week())
    page.reload()
    expect(card(page, "mine.png")).to_be_visible()
    other = page.context.new_page()
    other.goto(url)

    other.get_by_role("button", name="Sign out").click()

    expect(page.get_by_label("Key")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("signed out in another tab")
    expect(card(page, "mine.png")).to_have_count(0)
    another = a_visitor(visitor.operator)
    other.get_by_label("Key").fill(another.key)
    other.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name=_HEADING)).to_be_visible()
    wait_until(page, lambda: page.evaluate(_TENANT) == another.tenant)
    another.client.close()


def _tenant_of(context: BrowserContext, url: str) -> str | None:
    answer = context.request.get(f"{url}/v1/session", headers={"Origin": url})
    return answer.json().get("tenant")
