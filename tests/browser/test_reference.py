"""The reference at /docs: a request of the page reaches this server, and no other."""

from playwright.sync_api import Page, expect

from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.visitors import Visitor


def open_reference(page: Page, url: str, key: str) -> None:
    page.goto(f"{url}/docs")
    authorize = page.get_by_role("button", name="Authorize").first
    expect(authorize).to_be_visible()
    authorize.click()
    page.get_by_label("auth-bearer-value").fill(key)
    page.get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close").first.click()


# Requests to other machines and violations of the Content-Security-Policy fail it too.
def test_photo_is_submitted_from_the_reference(
    anonymous_page: Page, visitor: Visitor, photos: Photos, url: str
) -> None:
    open_reference(anonymous_page, url, visitor.key)
    submission = anonymous_page.locator("#operations-jobs-submitJob")
    submission.locator(".opblock-summary-control").click()
    submission.locator("input[type=file]").first.set_input_files(photos.smiling)
    submission.get_by_role("button", name="Execute").click()

    expect(submission.locator(".live-responses-table")).to_contain_text('"state": "queued"')
    (job,) = visitor.client.get("/v1/jobs").json()["items"]
    assert job["recipe"]["background"] == "keywords:sunset"


def test_example_without_a_photo_is_not_sent(
    anonymous_page: Page, visitor: Visitor, url: str
) -> None:
    open_reference(anonymous_page, url, visitor.key)
    submission = anonymous_page.locator("#operations-jobs-submitJob")
    submission.locator(".opblock-summary-control").click()
    submission.get_by_role("button", name="Execute").click()

    photo = submission.locator("tr").filter(has=anonymous_page.locator("input[type=file]")).first
    expect(photo).to_contain_text("photo *")
    expect(submission.locator(".live-responses-table")).to_have_count(0)


def test_key_is_not_stored_by_the_reference(
    anonymous_page: Page, visitor: Visitor, url: str
) -> None:
    open_reference(anonymous_page, url, visitor.key)

    stored = anonymous_page.evaluate(
        "JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])"
    )

    assert visitor.key not in stored
