"""Sessions as a person meets them: a key, a wrong one, and the end."""

from playwright.sync_api import Page, expect

from smart_filter_tests.browsing.accessibility import axe
from smart_filter_tests.browsing.looks import DESKTOP, PHONE_DARK, seen_on
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.witness import Witness


@seen_on(DESKTOP, PHONE_DARK)
def test_key_signs_in_and_a_wrong_one_is_told(
    stranger: Page, visitor: Visitor, url: str, witness: Witness
) -> None:
    witness.expect("status of 401")
    stranger.goto(url)

    stranger.get_by_label("Key").fill("sf_live_wrong")
    stranger.get_by_role("button", name="Sign in").click()
    expect(stranger.get_by_role("alert")).to_be_visible()
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
