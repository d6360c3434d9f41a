"""Sessions as a person meets them: a key, a wrong one, and the end."""

from playwright.sync_api import Page, Route, expect

from smart_filter_tests.browsing.accessibility import axe
from smart_filter_tests.browsing.cards import card
from smart_filter_tests.browsing.looks import DESKTOP, PHONE_DARK, seen_on
from smart_filter_tests.browsing.patience import until
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.visitors import Visitor, a_visitor
from smart_filter_tests.browsing.witness import Witness

_LATER = "2100-01-01T00:00:00Z"
_TENANT = "async () => (await import('/studio/state/session.js')).session.value.tenant"
# From the window's left edge to the brand, and to what the screen shows.
_EDGES = """() => [".topbar > .brand", ".screen > :first-child"].map(
  (chosen) => document.querySelector(chosen).getBoundingClientRect().left,
)"""


@seen_on(DESKTOP, PHONE_DARK)
def test_key_signs_in_and_a_wrong_one_is_told(
    stranger: Page, visitor: Visitor, url: str, witness: Witness
) -> None:
    witness.expect("status of 401")
    stranger.goto(url)

    stranger.get_by_label("Key").fill("sf_live_wrong")
    stranger.get_by_role("button", name="Sign in").click()
    expect(stranger.get_by_role("alert")).to_contain_text("This key is not valid")
    expect(stranger.get_by_role("alert")).not_to_contain_text("Bearer")
    axe(stranger)
    stranger.get_by_label("Key").fill(visitor.key)
    stranger.get_by_role("button", name="Sign in").click()

    expect(stranger.get_by_role("heading", name="Drop photos of people here")).to_be_visible()


def test_address_that_was_used_before_leads_to_its_session(
    page: Page, url: str, witness: Witness
) -> None:
    witness.expect("status of 401")
    page.goto(f"{url}/#code=used-before")

    expect(page).to_have_url(f"{url}/#/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_signing_out_ends_the_session(page: Page, witness: Witness) -> None:
    witness.expect("status of 401")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Key")).to_be_visible()

    page.reload()

    expect(page.get_by_label("Key")).to_be_visible()


def test_tab_says_when_somebody_else_has_signed_in(
    page: Page, visitor: Visitor, photos: Photos, url: str, witness: Witness
) -> None:
    witness.expect("status of 403")
    for name in ("mine.png", "mine-too.png"):
        visitor.submit(photos.smiling, metadata__name=name, run_at=_LATER)
    page.reload()
    expect(card(page, "mine-too.png")).to_be_visible()
    another = a_visitor(visitor.operator)
    another.sign_in(page.context, url)

    card(page, "mine.png").get_by_role("button", name="Cancel").click()

    expect(page.get_by_text(f"You are now signed in as {another.tenant}.")).to_be_visible()
    expect(card(page, "mine-too.png")).to_have_count(0)
    expect(page.get_by_role("heading", name="Drop photos of people here")).to_be_visible()
    assert {job["state"] for job in visitor.jobs()} == {"queued"}
    another.client.close()


def test_tabs_follow_when_somebody_signs_out_and_another_in(
    page: Page, visitor: Visitor, photos: Photos, url: str, witness: Witness
) -> None:
    witness.expect("status of 401")
    visitor.submit(photos.smiling, metadata__name="mine.png", run_at=_LATER)
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
    expect(page.get_by_role("heading", name="Drop photos of people here")).to_be_visible()
    assert page.evaluate(_TENANT) == another.tenant
    another.client.close()


def test_refusal_that_comes_late_leaves_the_session_of_now(
    page: Page, visitor: Visitor, url: str, witness: Witness
) -> None:
    witness.expect("status of 401")
    late: list[Route] = []
    page.route("**/v1/jobs?*", lambda route: route.continue_() if late else late.append(route))
    page.reload()
    until(page, lambda: bool(late))
    other = page.context.new_page()
    other.goto(url)
    other.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Key")).to_be_visible()
    other.get_by_label("Key").fill(visitor.key)
    other.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Drop photos of people here")).to_be_visible()

    with page.expect_response("**/v1/jobs?*") as answered:
        late[0].fulfill(status=401, json={"code": "unauthorized", "title": "Not signed in"})
    answered.value.finished()
    page.evaluate("new Promise((resolve) => setTimeout(resolve, 200))")

    expect(page.get_by_label("Key")).to_have_count(0)
    expect(page.get_by_role("heading", name="Drop photos of people here")).to_be_visible()


def test_bar_ends_where_the_screen_does(page: Page) -> None:
    expect(page.get_by_role("heading", name="Drop photos of people here")).to_be_visible()

    for width in (1280, 2560):
        page.set_viewport_size({"width": width, "height": 800})

        bar, screen = page.evaluate(_EDGES)

        assert bar == screen, width
