"""The admin page: state of the service, and operator actions."""

from playwright.sync_api import Page, expect

from browser.accessibility import assert_accessible
from smart_filter_tests.browsing.page_errors import PageErrors
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.screens import DESKTOP, PHONE_DARK, on_screens
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.full_stack import KEY, RunningStack
from smart_filter_tests.later import next_week

QUEUE = "segmentation.people"


def sign_in(page: Page, operators_url: str, page_errors: PageErrors) -> None:
    page_errors.expect("status of 401")
    page.goto(f"{operators_url}/admin")
    page.get_by_label("Key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Queues")).to_be_visible()


@on_screens(DESKTOP, PHONE_DARK)
def test_queue_is_paused_listed_first_and_resumed(
    anonymous_page: Page, stack: RunningStack, operators_url: str, page_errors: PageErrors
) -> None:
    # A tenant that has submitted a photo has a visible queue.
    stack.wait(stack.submit(background="keep", outputs="cutout"))
    sign_in(anonymous_page, operators_url, page_errors)
    for folded in anonymous_page.locator("details.folded > summary").all():
        folded.click()

    anonymous_page.get_by_role("button", name=f"Pause {QUEUE}").click()
    expect(anonymous_page.get_by_role("list", name="Concerns")).to_contain_text(
        f"{QUEUE} is paused"
    )
    assert_accessible(anonymous_page)
    anonymous_page.get_by_role("button", name=f"Resume {QUEUE}").click()

    expect(anonymous_page.get_by_text(f"{QUEUE} is paused")).to_have_count(0)


def test_tenant_key_is_refused_with_the_reason(page: Page, operators_url: str) -> None:
    page.goto(f"{operators_url}/admin")

    expect(page.get_by_role("alert")).to_contain_text("for the service's operator")
    expect(page.get_by_role("heading", name="Queues")).to_have_count(0)
    assert_accessible(page)


def test_jobs_of_a_tenant_are_canceled_after_they_are_counted(
    anonymous_page: Page,
    visitor: Visitor,
    photos: Photos,
    operators_url: str,
    page_errors: PageErrors,
) -> None:
    for _ in range(2):
        visitor.submit(photos.smiling, run_at=next_week())
    sign_in(anonymous_page, operators_url, page_errors)
    anonymous_page.get_by_label("Another tenant").fill(visitor.tenant)
    anonymous_page.get_by_role("button", name="Cancel…", exact=True).last.click()

    dialog = anonymous_page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"2 jobs of {visitor.tenant}")
    assert_accessible(anonymous_page)
    dialog.get_by_role("button", name="Cancel 2 jobs").click()

    expect(anonymous_page.get_by_text(f"2 jobs of {visitor.tenant} canceled.")).to_be_visible()
    assert {job["state"] for job in visitor.jobs()} == {"canceled"}
