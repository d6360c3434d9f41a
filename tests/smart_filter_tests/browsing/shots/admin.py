"""The admin page: a service that has worked, and a queue that somebody paused."""

from typing import Final

from playwright.sync_api import expect

from smart_filter_tests.browsing.looks import DESKTOP, PHONE_DARK
from smart_filter_tests.browsing.shots.shot import Scene, Shot

_PAUSED: Final = "segmentation.people"
_TWO_MINUTES: Final = 120_000


def _admin(scene: Scene) -> None:
    photos, visitor, page = scene.photos, scene.visitor, scene.page
    for photo in (photos.smiling, photos.group, photos.serious):
        _submit(scene, photo.read_bytes(), wait=True)
    # Nobody is on it, so it fails; a few more than wait while the queue is paused.
    _submit(scene, photos.nobody.read_bytes(), wait=True, require_person="true")
    path = f"/v1/operator/queues/{_PAUSED}/pause"
    visitor.operator.put(path).raise_for_status()
    try:
        # A photo that has not been there: of others it is remembered who is on them.
        _submit(scene, photos.pair.read_bytes())
        _submit(scene, photos.large.read_bytes())
        key = visitor.operator.headers["Authorization"].removeprefix("Bearer ")
        url = str(visitor.operator.base_url).rstrip("/")
        proof = {"data": {"key": key}, "headers": {"Origin": url}}
        page.context.request.post(f"{url}/v1/session", **proof)
        page.goto(f"{url}/admin")
        expect(page.get_by_text("2 photos wait until it is resumed.")).to_be_visible()
        # History is written once a minute.
        finished = page.locator(".tile").filter(has_text="Finished").locator(".figures")
        expect(finished).not_to_have_text("0", timeout=_TWO_MINUTES)
        # What is seen stays, though the queue is resumed for the next picture.
        page.route("**/v1/operator/**", lambda _: None)
    finally:
        visitor.operator.delete(path).raise_for_status()


def _submit(scene: Scene, photo: bytes, *, wait: bool = False, **fields: str) -> None:
    answer = scene.visitor.client.post(
        "/v1/jobs",
        files={"photo": photo},
        data=fields,
        headers={"Prefer": "wait=30"} if wait else {},
        timeout=60,
    )
    answer.raise_for_status()


SHOTS: Final = (Shot("admin", _admin, (DESKTOP, PHONE_DARK)),)
