"""The admin page: a service with finished jobs and a paused queue."""

from typing import Final

from playwright.sync_api import expect

from smart_filter_docs.shots.shot import Scene, Shot
from smart_filter_tests.browsing.screens import DESKTOP, PHONE_DARK
from smart_filter_tests.browsing.waits import wait_until

_PAUSED: Final = "segmentation.people"
_TWO_MINUTES: Final = 120_000


def _admin(scene: Scene) -> None:
    photos, visitor, page = scene.photos, scene.visitor, scene.page
    for photo in (photos.smiling, photos.group, photos.serious):
        visitor.succeed(photo)
    # This photo shows no person, so it fails. Two more wait while the queue is paused.
    visitor.submit(photos.sunset, require_person="true")
    wait_until(page, lambda: visitor.newest()["state"] == "failed")
    path = f"/v1/operator/queues/{_PAUSED}/pause"
    visitor.operator.put(path).raise_for_status()
    try:
        # New photos: results of earlier ones are reused, so those would not wait.
        visitor.submit(photos.pair)
        visitor.submit(photos.large)
        key = visitor.operator.headers["Authorization"].removeprefix("Bearer ")
        url = str(visitor.operator.base_url).rstrip("/")
        page.context.request.post(f"{url}/v1/session", data={"key": key}, headers={"Origin": url})
        page.goto(f"{url}/admin")
        expect(page.get_by_text("2 photos wait until it is resumed.")).to_be_visible()
        # History is written once a minute.
        finished = page.locator(".tile").filter(has_text="Finished").locator(".figures")
        expect(finished).not_to_have_text("0", timeout=_TWO_MINUTES)
        # The page keeps its state after the queue is resumed for the next screenshot.
        page.route("**/v1/operator/**", lambda _: None)
    finally:
        visitor.operator.delete(path).raise_for_status()


SHOTS: Final = (Shot("admin", _admin, (DESKTOP, PHONE_DARK)),)
