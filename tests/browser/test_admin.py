"""The admin page: how the service stands, and what whoever runs it does there."""

from playwright.sync_api import Page, expect

from smart_filter_tests.browsing.accessibility import axe
from smart_filter_tests.browsing.looks import DESKTOP, PHONE_DARK, seen_on
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.witness import Witness
from smart_filter_tests.running import KEY, Running

QUEUE = "segmentation.people"


def sign_in(page: Page, url: str, witness: Witness) -> None:
    witness.expect("status of 401")
    page.goto(f"{url}/admin")
    page.get_by_label("Key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Queues")).to_be_visible()


@seen_on(DESKTOP, PHONE_DARK)
def test_queue_is_paused_seen_first_and_resumed(
    stranger: Page, stack: Running, url: str, witness: Witness
) -> None:
    # Whoever has made a photo has a queue that is shown.
    stack.wait(stack.submit(background="keep", outputs="cutout"))
    sign_in(stranger, url, witness)
    for folded in stranger.locator("details.folded > summary").all():
        folded.click()

    stranger.get_by_role("button", name=f"Pause {QUEUE}").click()
    expect(stranger.get_by_role("list", name="What is not well")).to_contain_text(
        f"{QUEUE} is paused"
    )
    axe(stranger)
    stranger.get_by_role("button", name=f"Resume {QUEUE}").click()

    expect(stranger.get_by_text(f"{QUEUE} is paused")).to_have_count(0)


def test_key_of_a_tenant_is_refused_with_the_reason(page: Page, url: str) -> None:
    page.goto(f"{url}/admin")

    expect(page.get_by_role("alert")).to_contain_text("for whoever runs the service")
    expect(page.get_by_role("heading", name="Queues")).to_have_count(0)
    axe(page)


def test_jobs_of_a_tenant_are_canceled_after_they_are_counted(
    stranger: Page, visitor: Visitor, photos: Photos, url: str, witness: Witness
) -> None:
    for _ in range(2):
        visitor.submit(photos.smiling, run_at="2100-01-01T00:00:00Z")
    sign_in(stranger, url, witness)
    stranger.get_by_label("Another tenant").fill(visitor.tenant)
    stranger.get_by_role("button", name="Cancel…", exact=True).last.click()

    dialog = stranger.get_by_role("dialog")
    expect(dialog).to_contain_text(f"2 jobs of {visitor.tenant}")
    axe(stranger)
    dialog.get_by_role("button", name="Cancel 2 jobs").click()

    expect(stranger.get_by_text(f"2 jobs of {visitor.tenant} canceled.")).to_be_visible()
    assert {job["state"] for job in visitor.jobs()} == {"canceled"}
