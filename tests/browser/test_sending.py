"""Photos on their way: adding, progress on the page, and faults."""

import re
import shutil
from base64 import b64encode
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Page, expect

from browser.accessibility import assert_accessible
from smart_filter_tests.browsing.cards import (
    add,
    card,
    drop,
    expect_accepted,
    expect_finished,
    expect_state,
)
from smart_filter_tests.browsing.page_errors import LINE_CUT, SIGNED_OUT, PageErrors
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.pixels import changed_share, mean_color, read_picture, screenshot
from smart_filter_tests.browsing.screens import DESKTOP, DESKTOP_DARK, PHONE, PHONE_DARK, on_screens
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.waits import wait_until
from smart_filter_tests.http_server import Reply, serve
from smart_filter_tests.pictures import encode
from smart_filter_tests.proxy import Mode, Proxy

_HELD_AFTER = 2_000_000
# The number of photos that the browser keeps over a reload.
_KEPT = """() => new Promise((resolve) => {
  const opening = indexedDB.open("smart-filter");
  opening.onsuccess = () => {
    const counting = opening.result.transaction("photos").objectStore("photos").count();
    counting.onsuccess = () => {
      opening.result.close();
      resolve(counting.result);
    };
  };
})"""
_REFUSED = "status of 4(13|15|29)"


def _held(page: Page, line: Proxy, photos: Photos) -> None:
    """Stop the upload of a photo of 12 MB in the middle."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    line.hold_after(_HELD_AFTER)
    add(page, photos.large)
    wait_until(page, lambda: _share_sent(page) > 0)
    wait_until(page, lambda: page.evaluate(_KEPT) == 1)


def _share_sent(page: Page) -> int:
    bar = card(page, "large.jpg").get_by_role("progressbar", name="Sending large.jpg")
    return int(bar.get_attribute("aria-valuenow") or 0) if bar.count() else 0


def test_upload_shows_its_progress_and_leaves_nothing_once_it_is_stopped(
    page: Page, visitor: Visitor, line: Proxy, photos: Photos
) -> None:
    _held(page, line, photos)
    assert 0 < _share_sent(page) < 100
    expect(card(page, "large.jpg").get_by_text(" of 1")).to_contain_text("MB")

    card(page, "large.jpg").get_by_role("button", name="Stop").click()

    expect(card(page, "large.jpg")).to_have_count(0)
    line.release()
    page.reload()
    expect(page.get_by_role("heading", name="Drop photos")).to_be_visible()
    assert visitor.jobs() == []


def test_outage_during_an_upload_is_waited_for(
    page: Page, visitor: Visitor, line: Proxy, photos: Photos, page_errors: PageErrors
) -> None:
    page_errors.expect(LINE_CUT)
    _held(page, line, photos)

    line.mode = Mode.RESET
    line.cut()
    expect(page.get_by_text("The service cannot be reached.")).to_be_visible()
    expect(card(page, "large.jpg").get_by_text("Waiting for the service.")).to_be_visible()
    line.mode = Mode.PASS

    expect_accepted(card(page, "large.jpg"))
    expect(page.get_by_text("The service cannot be reached.")).to_have_count(0)
    assert len(visitor.jobs()) == 1


def test_photo_that_was_not_accepted_survives_a_reload(
    page: Page, visitor: Visitor, line: Proxy, photos: Photos
) -> None:
    page.get_by_label("New photos get").select_option("keep")
    _held(page, line, photos)

    page.reload()
    expect(card(page, "large.jpg")).to_be_visible()
    line.release()

    expect_accepted(card(page, "large.jpg"))
    page.reload()
    expect_accepted(card(page, "large.jpg"))
    (job,) = visitor.jobs()
    assert job["recipe"]["background"] == "keep"


def test_two_tabs_send_a_photo_once(
    page: Page, visitor: Visitor, line: Proxy, photos: Photos, url: str
) -> None:
    _held(page, line, photos)

    other = page.context.new_page()
    other.goto(url)
    expect(other.get_by_role("heading", level=1)).to_be_visible()
    other.wait_for_timeout(500)
    assert card(other, "large.jpg").count() == 0
    line.release()

    expect_accepted(card(page, "large.jpg"))
    expect_accepted(card(other, "large.jpg"))
    assert len(visitor.jobs()) == 1


def test_unusable_files_are_rejected_before_they_are_sent(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    add(page, photos.oversized, photos.text, photos.smiling)

    expect(card(page, "oversized.jpg")).to_contain_text("The photo is too large")
    expect(card(page, "oversized.jpg")).to_contain_text("at most 40 MB are accepted")
    expect(card(page, "notes.jpg")).to_contain_text("Not an accepted picture")
    expect_finished(page, "astronaut.png")
    assert len(visitor.jobs()) == 1
    for name in ("oversized.jpg", "notes.jpg"):
        card(page, name).get_by_role("button", name="Remove").click()
        expect(card(page, name)).to_have_count(0)


def test_refusal_by_the_service_is_shown_in_its_words(
    page: Page, photos: Photos, page_errors: PageErrors, tmp_path: Path
) -> None:
    page_errors.expect(_REFUSED)
    huge = tmp_path / "huge.png"
    # A small file: its size in pixels is known only after its header is read.
    huge.write_bytes(encode(Image.new("1", (10_000, 5_001)), "PNG"))

    add(page, huge, photos.smiling)

    expect(card(page, "huge.png")).to_contain_text("at most 50 megapixels are accepted")
    expect_finished(page, "astronaut.png")


def test_daily_limit_is_waited_for_and_can_be_retried(
    page: Page, visitor: Visitor, photos: Photos, page_errors: PageErrors
) -> None:
    page_errors.expect(_REFUSED)
    visitor.change_settings(megapixels_per_day=0.3)
    add(page, photos.smiling)
    expect_finished(page, "astronaut.png")

    add(page, photos.serious)
    waiting = card(page, "grace_hopper.jpg")
    expect(waiting).to_contain_text("Continues automatically")
    expect(waiting).to_contain_text("megapixels per day are allowed, and today's are used up")
    wait_until(page, lambda: page.evaluate(_KEPT) == 1)
    page.reload()
    expect(waiting).to_contain_text("Continues automatically")

    visitor.change_settings(megapixels_per_day=100)
    waiting.get_by_role("button", name="Try now").click()
    expect_finished(page, "grace_hopper.jpg")


def test_ended_session_loses_no_photo(
    page: Page, visitor: Visitor, line: Proxy, photos: Photos, page_errors: PageErrors
) -> None:
    page_errors.expect("status of 401")
    page_errors.expect(LINE_CUT)
    (mine,) = visitor.client.get("/v1/keys").json()["items"]
    fresh = visitor.client.post("/v1/keys", json={"scopes": ["read", "submit"]}).json()["key"]
    _held(page, line, photos)
    answer = visitor.client.delete(f"/v1/keys/{mine['key_id']}")
    assert answer.status_code == httpx.codes.NO_CONTENT
    line.cut()

    expect(page.get_by_text("Your session has ended.")).to_be_visible()
    page.get_by_label("Key").fill(fresh)
    page.get_by_role("button", name="Sign in").click()

    expect_accepted(card(page, "large.jpg"))


def test_sign_out_asks_when_photos_would_be_lost(
    page: Page, line: Proxy, photos: Photos, page_errors: PageErrors
) -> None:
    page_errors.expect(SIGNED_OUT)
    _held(page, line, photos)

    page.get_by_role("button", name="Sign out").click()
    dialog = page.get_by_role("dialog", name="Sign out now?")
    expect(dialog).to_contain_text("1 photo has not been sent yet")
    dialog.get_by_role("button", name="Stay").click()
    expect_state(card(page, "large.jpg"), "sending")
    page.get_by_role("button", name="Sign out").click()
    dialog.get_by_role("button", name="Sign out").click()

    expect(page.get_by_label("Key")).to_be_visible()


def test_object_is_cut_out_on_request_and_counted(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    visitor.succeed(photos.mug, metadata__name="mug.png")
    page.reload()

    card(page, "mug.png").get_by_role("button", name="Cut out the object").click()

    expect(card(page, "mug.png").get_by_text("1 object")).to_be_visible()
    expect(card(page, "mug.png").get_by_text("No person found")).not_to_be_attached()


_PASTE = """
async (url) => {
  const blob = await (await fetch(url)).blob();
  const transfer = new DataTransfer();
  transfer.items.add(new File([blob], "image.png", { type: "image/png" }));
  dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer }));
}
"""


@on_screens(DESKTOP, PHONE_DARK)
def test_several_photos_become_pictures_with_their_notes(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    add(page, photos.smiling, photos.serious, photos.sunset)

    expect_finished(page, "astronaut.png", "grace_hopper.jpg", "sunset.jpg")
    smiling = card(page, "astronaut.png")
    expect(smiling.get_by_text("Big smile")).to_be_visible()
    expect(smiling.get_by_text("100", exact=True)).to_be_visible()
    # The picture is small, so it prints poorly too, which is not said twice.
    expect(smiling.get_by_text(re.compile("^Check|^Prints"))).to_have_text("Check the size")
    expect(card(page, "sunset.jpg").get_by_text("No person found")).to_be_visible()
    (job,) = (job for job in visitor.jobs() if job["metadata"]["name"] == "astronaut.png")
    picture_shown = smiling.get_by_role("img")
    picture_shown.evaluate("image => image.scrollIntoView({ block: 'center' })")
    stored = visitor.client.get(job["outputs"]["thumbnail"]).content

    def is_thumbnail() -> bool:
        shown = screenshot(picture_shown)
        height, width, _ = shown.shape
        # Chromium and Pillow scale differently along edges, and the card's corners are round.
        return changed_share(shown, read_picture(stored, (width, height)), levels=32) < 0.1

    wait_until(page, is_thumbnail)
    assert_accessible(page)


def test_files_and_folders_can_be_dropped_anywhere(
    page: Page, visitor: Visitor, photos: Photos, tmp_path: Path
) -> None:
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    folder = tmp_path / "party"
    (folder / "later").mkdir(parents=True)
    shutil.copy(photos.smiling, folder / "first.png")
    shutil.copy(photos.serious, folder / "later" / "second.jpg")
    (folder / "notes.txt").write_text("Buy milk.\n")

    drop(page, folder, photos.sunset)

    expect_finished(page, "first.png", "second.jpg", "sunset.jpg")
    # Other files of a folder are ignored. A finished card has list items of its own.
    expect(page.get_by_role("heading", level=3)).to_have_count(3)
    folders = {job["metadata"]["name"]: job["metadata"].get("folder") for job in visitor.jobs()}
    assert folders == {"first.png": "party", "second.jpg": "party/later", "sunset.jpg": None}


def test_pasted_photo_is_named_after_its_time(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_be_visible()

    page.evaluate(_PASTE, "/studio/icon.svg")

    # An icon is no photo: the test checks that it was added, under a unique name.
    expect(page.get_by_role("heading", name="Pasted at")).to_be_visible()


def test_camera_photo_is_previewed_first(page: Page, visitor: Visitor) -> None:
    page.get_by_role("button", name="Take one").click()
    dialog = page.get_by_role("dialog", name="Take a photo")
    dialog.get_by_role("button", name="Take it").click()
    expect(dialog.get_by_role("img", name="The photo you took")).to_be_visible()
    dialog.get_by_role("button", name="Again").click()
    dialog.get_by_role("button", name="Take it").click()
    dialog.get_by_role("button", name="Use it").click()

    expect(dialog).to_have_count(0)
    taken = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Taken at"))
    expect_state(taken, "succeeded")
    (job,) = visitor.jobs()
    assert job["metadata"]["name"].startswith("Taken at")
    assert job["people"] == 1


@on_screens(PHONE)
def test_phone_opens_its_camera_app(page: Page) -> None:
    with page.expect_file_chooser() as chosen:
        page.get_by_role("button", name="Take one").click()

    assert chosen.value.element.get_attribute("capture") == "user"


@on_screens(DESKTOP_DARK)
def test_new_photos_get_the_last_choices_which_the_browser_keeps(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    page.get_by_label("New photos get").select_option("color")
    page.get_by_label("Color", exact=True).fill("#3060c0")
    page.reload()
    add(page, photos.smiling)

    expect_finished(page, "astronaut.png")
    (job,) = visitor.jobs()
    assert job["recipe"]["background"] == "color:#3060c0"
    shown = card(page, "astronaut.png").get_by_role("img")

    def is_chosen_color() -> bool:
        corner = mean_color(screenshot(shown)[4:14, 4:14])
        # The thumbnail is a JPEG.
        return max(abs(a - b) for a, b in zip(corner, (48, 96, 192), strict=True)) < 6

    wait_until(page, is_chosen_color)


def _drag_from_elsewhere(page: Page, data: dict[str, str]) -> None:
    """Drop what a browser hands over for a picture that is dragged from another page."""
    page.evaluate(
        """(data) => {
          const transfer = new DataTransfer();
          for (const [type, text] of Object.entries(data)) transfer.setData(type, text);
          const about = { dataTransfer: transfer, bubbles: true, cancelable: true };
          for (const name of ["dragover", "drop"]) {
            document.querySelector("h1").dispatchEvent(new DragEvent(name, about));
          }
        }""",
        data,
    )


def test_picture_of_another_page_is_fetched_or_taken_from_its_address(
    page: Page, photos: Photos
) -> None:
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    picture = photos.serious.read_bytes()
    with serve(lambda _: Reply(200, picture, {"Content-Type": "image/jpeg"})) as address:
        image = f'<a><img src="{address}/serious.jpg"></a>'
        _drag_from_elsewhere(page, {"text/uri-list": f"{address}/page", "text/html": image})
        expect_finished(page, "serious.jpg")
    encoded = b64encode(picture).decode()
    _drag_from_elsewhere(page, {"text/uri-list": f"data:image/jpeg;base64,{encoded}"})
    expect(page.get_by_role("listitem").filter(has_text="Dropped at")).to_have_count(1)

    _drag_from_elsewhere(page, {"text/uri-list": "blob:https://example.com/1"})

    expect(page.get_by_role("status").get_by_text("Save it as a file")).to_be_visible()
    _drag_from_elsewhere(page, {"text/uri-list": page.url})
    expect(page.locator(".card")).to_have_count(2)
