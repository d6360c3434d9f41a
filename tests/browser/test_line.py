"""The line between browser and service: what it does to uploads, and that sessions hold over it."""

from playwright.sync_api import Page

from smart_filter_tests.browsing.patience import until
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.witness import LINE_CUT, Witness
from smart_filter_tests.proxy import Mode, Proxy

# What any page of the service can do, without the studio's own scripts.
_UPLOADING = """
async (input) => {
  const { csrf_token } = await (await fetch("/v1/session")).json();
  const form = new FormData();
  form.append("photo", input.files[0]);
  const upload = new XMLHttpRequest();
  window.told = { sent: 0, status: null };
  upload.upload.onprogress = (event) => { window.told.sent = event.loaded / event.total; };
  upload.onloadend = () => { window.told.status = upload.status; };
  upload.open("POST", "/v1/jobs");
  upload.setRequestHeader("X-CSRF-Token", csrf_token);
  upload.send(form);
}
"""


def _upload(page: Page, photos: Photos) -> None:
    picker = page.locator("input[type=file]").first
    picker.evaluate("picker => { document.body.append(picker.cloneNode()); }")
    ours = page.locator("body > input")
    ours.set_input_files(photos.large)
    ours.evaluate(_UPLOADING)


def test_held_upload_stays_where_it_is_and_goes_on(
    page: Page, visitor: Visitor, line: Proxy, photos: Photos
) -> None:
    line.hold_after(2_000_000)
    _upload(page, photos)

    until(page, lambda: page.evaluate("told.sent") > 0.2)
    page.wait_for_timeout(300)
    assert page.evaluate("told.sent") < 0.95
    assert visitor.jobs() == []

    line.release()
    until(page, lambda: page.evaluate("told.status") == 202)
    assert len(visitor.jobs()) == 1


def test_upload_is_cut_in_its_middle_and_the_service_comes_back(
    page: Page, visitor: Visitor, line: Proxy, photos: Photos, witness: Witness
) -> None:
    witness.expect(LINE_CUT)
    line.hold_after(2_000_000)
    _upload(page, photos)
    until(page, lambda: page.evaluate("told.sent") > 0.2)

    line.mode = Mode.RESET
    line.cut()

    until(page, lambda: page.evaluate("told.status") == 0)
    line.mode = Mode.PASS
    assert page.evaluate("fetch('/v1/session').then((answer) => answer.status)") == 200
    assert visitor.jobs() == []
