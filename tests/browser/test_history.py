"""The history: followed to the end of jobs, kept over a reload, deleted; and file names."""

import shutil
import uuid
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

from browser.accessibility import assert_accessible
from smart_filter_tests.browsing.cards import add, card, expect_finished, expect_state
from smart_filter_tests.browsing.page_errors import LINE_CUT, PageErrors
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.screens import PHONE, on_screens
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.waits import wait_until
from smart_filter_tests.full_stack import RunningStack
from smart_filter_tests.later import next_week
from smart_filter_tests.proxy import Mode, Proxy

_MANY = 70
# The number of jobs that the sheet reads at once.
_PAGE = 40
# The page's action when its tab becomes visible again.
_TURN_BACK = "document.dispatchEvent(new Event('visibilitychange'))"


def _submit(visitor: Visitor, photos: Photos, name: str, **fields: str) -> str:
    """Submit a photo as a program does; return its job's id."""
    return str(visitor.submit(photos.smiling, photo_name=name, **fields)["id"])


def _status(visitor: Visitor, job_id: str) -> int:
    return visitor.client.get(f"/v1/jobs/{job_id}").status_code


def test_job_of_a_program_is_shown_and_canceled(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    expect(page.get_by_role("heading", name="Drop photos")).to_be_visible()
    job_id = _submit(visitor, photos, "by-program.png", run_at=next_week())

    page.evaluate(_TURN_BACK)
    waiting = card(page, "by-program.png")
    expect(waiting.get_by_role("progressbar", name="Steps")).to_be_visible()
    expect(waiting.get_by_text("Starts at ")).to_be_visible()
    waiting.get_by_role("button", name="Cancel").click()

    expect_state(waiting, "canceled")
    assert visitor.client.get(f"/v1/jobs/{job_id}").json()["state"] == "canceled"
    waiting.get_by_role("button", name="Start again").click()
    expect_finished(page, "by-program.png")


def test_failed_job_shows_its_reason_and_can_be_retried(
    page: Page, visitor: Visitor, photos: Photos, stack: RunningStack
) -> None:
    with stack.arm("raises"):
        job_id = _submit(visitor, photos, "unlucky.png", segmentation__model="raises")
        wait_until(page, lambda: visitor.newest()["state"] == "failed")
        page.reload()
        failed = card(page, "unlucky.png")
        expect_state(failed, "failed")
        expect(failed).to_contain_text("Try again.")

    failed.get_by_role("button", name="Try again").click()

    expect_finished(page, "unlucky.png")
    assert visitor.client.get(f"/v1/jobs/{job_id}").json()["state"] == "succeeded"


@on_screens(PHONE)
def test_photo_without_people_is_finished_too(page: Page, visitor: Visitor, photos: Photos) -> None:
    visitor.change_settings(recipe={"require_person": True})
    add(page, photos.sunset)
    failed = card(page, "sunset.jpg")
    expect_state(failed, "failed")
    assert_accessible(page)

    failed.get_by_role("button", name="Process it anyway").click()

    expect_finished(page, "sunset.jpg")


def test_interrupted_stream_and_an_outage_lose_no_end(
    page: Page, visitor: Visitor, photos: Photos, line: Proxy, page_errors: PageErrors
) -> None:
    page_errors.expect(LINE_CUT)
    add(page, photos.smiling, photos.serious)
    wait_until(page, lambda: len(visitor.jobs()) == 2)

    line.mode = Mode.RESET
    line.cut()
    expect(page.get_by_text("The service cannot be reached.")).to_be_visible()
    wait_until(page, lambda: all(job["state"] == "succeeded" for job in visitor.jobs()))
    line.mode = Mode.PASS

    expect_finished(page, "astronaut.png", "grace_hopper.jpg")


def test_picture_that_could_not_be_loaded_is_loaded_again(
    page: Page, photos: Photos, page_errors: PageErrors
) -> None:
    page_errors.expect(LINE_CUT)
    page.route("**/outputs/thumbnail", lambda route: route.abort("connectionreset"))
    add(page, photos.smiling)
    smiling = card(page, "astronaut.png")
    expect(smiling.get_by_text("The picture cannot be shown")).to_be_visible()

    page.unroute("**/outputs/thumbnail")

    expect_finished(page, "astronaut.png")


def test_one_is_deleted_on_the_service_too(page: Page, visitor: Visitor, photos: Photos) -> None:
    add(page, photos.smiling, photos.serious)
    expect_finished(page, "astronaut.png", "grace_hopper.jpg")
    (gone,) = (job["id"] for job in visitor.jobs() if job["metadata"]["name"] == "astronaut.png")

    card(page, "astronaut.png").get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog", name="Delete “astronaut.png”?")
    expect(dialog).to_contain_text("1 photo is deleted from the service")
    dialog.get_by_role("button", name="Keep").click()
    assert _status(visitor, gone) == httpx.codes.OK
    card(page, "astronaut.png").get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()

    expect(page.get_by_text("1 photo deleted from the service.")).to_be_visible()
    expect(card(page, "astronaut.png")).to_have_count(0)
    assert _status(visitor, gone) == httpx.codes.GONE
    page.reload()
    expect_finished(page, "grace_hopper.jpg")
    expect(card(page, "astronaut.png")).to_have_count(0)


def _scroll_to(page: Page, last: str) -> None:
    """Scroll to the end, which older photos move, until the last card is drawn."""

    def is_drawn() -> bool:
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        return card(page, last).count() == 1

    wait_until(page, is_drawn)


def test_older_ones_are_loaded_by_scrolling_and_all_are_deleted(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    first = _submit(visitor, photos, "number 0", run_at=next_week())
    for number in range(1, _MANY):
        _submit(visitor, photos, f"number {number}", run_at=next_week())
    page.reload()
    expect(card(page, f"number {_MANY - 1}")).to_be_visible()
    assert card(page, "number 0").count() == 0

    _scroll_to(page, "number 0")
    page.get_by_label("Search by name").fill("number 6")
    expect(page.get_by_role("listitem")).to_have_count(11)

    page.get_by_label("Search by name").fill("")
    page.get_by_role("button", name="Delete all").click()
    dialog = page.get_by_role("dialog", name="Delete all of these photos?")
    expect(dialog).to_contain_text(f"{_MANY} photos")
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_text(f"{_MANY} photos deleted from the service.")).to_be_visible()
    assert visitor.jobs() == []
    assert _status(visitor, first) == httpx.codes.GONE


# Only cards near the window have elements.
_NAMES_FROM_TOP_TO_BOTTOM = """async () => {
  const names = new Set();
  const drawn = () => new Promise((done) => setTimeout(() => requestAnimationFrame(done), 60));
  scrollTo(0, 0);
  for (;;) {
    await drawn();
    for (const heading of document.querySelectorAll(".card h3")) names.add(heading.textContent);
    if (scrollY + innerHeight >= document.body.scrollHeight - 2) return [...names];
    scrollBy(0, innerHeight / 2);
  }
}"""


def test_only_cards_near_the_window_have_elements_and_jobs(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    for number in range(_MANY):
        job_id = _submit(visitor, photos, f"number {number}", run_at=next_week())
        visitor.client.post(f"/v1/jobs/{job_id}/cancel")
    page.reload()
    newest = card(page, f"number {_MANY - 1}")
    expect(newest).to_contain_text("Canceled.")

    _scroll_to(page, "number 0")
    expect(newest).to_have_count(0)
    with page.expect_request(f"**/v1/jobs/{job_id}"):
        page.evaluate("scrollTo(0, 0)")

    expect(newest).to_contain_text("Canceled.")
    expect(card(page, "number 0")).to_have_count(0)


def test_cards_keep_the_order_in_which_their_photos_were_chosen(
    page: Page, visitor: Visitor, photos: Photos, tmp_path: Path
) -> None:
    def shown() -> list[str]:
        names: list[str] = page.evaluate(_NAMES_FROM_TOP_TO_BOTTOM)
        return names

    page.get_by_label("New photos get").select_option("keep")
    chosen = [tmp_path / f"chosen {number}.png" for number in range(4)]
    for place in chosen:
        shutil.copy(photos.smiling, place)
    names = [place.name for place in chosen]
    add(page, *chosen)
    wait_until(page, lambda: shown() == names)
    expect_finished(page, *names)
    assert shown() == names

    jobs = {job["metadata"]["name"]: job for job in visitor.jobs()}
    later = [f"later {number}" for number in range(_PAGE)]
    for name in reversed(later):
        _submit(visitor, photos, name, run_at=next_week())
    # Versions are made in another order, and are on another page than their photos.
    for name in names[:0:-1]:
        change = {"recipe": {"background": "color:#336699", "run_at": next_week()}}
        answer = visitor.client.post(f"/v1/jobs/{jobs[name]['id']}/derive", json=change)
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    wait_until(page, lambda: shown() == later + names)
    page.reload()

    wait_until(page, lambda: shown() == later + names)


def test_interrupted_deletion_continues(
    page: Page, visitor: Visitor, photos: Photos, line: Proxy, page_errors: PageErrors
) -> None:
    page_errors.expect(LINE_CUT)
    for name in "abc":
        _submit(visitor, photos, f"{name}.png", run_at=next_week())
    page.reload()
    page.get_by_role("button", name="Delete all").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("3 photos")

    line.mode = Mode.RESET
    line.cut()
    dialog.get_by_role("button", name="Delete").click()
    bar = page.get_by_role("region", name="Action on many photos")
    expect(bar).to_contain_text("Waiting for the service.")
    line.mode = Mode.PASS

    expect(page.get_by_text("3 photos deleted from the service.")).to_be_visible()
    assert visitor.jobs() == []


# Returns the results of a studio module's function for each value.
_CALL = """async ([module, name, given]) => {
  const { [name]: asked } = await import(new URL(module, document.scripts[1].src));
  return given.map((one) => asked(one));
}"""
_PHOTO_IDS = """async (lists) => {
  const { photoIds } = await import(new URL("state/origins.js", document.scripts[1].src));
  return lists.map((jobs) => Object.fromEntries(photoIds(jobs)));
}"""
_MARK = "5" * 32


def _job(number: int, parent: int | None, mark: str | None) -> dict[str, object]:
    return {
        "id": _id(number),
        "parent_id": None if parent is None else _id(parent),
        "metadata": {} if mark is None else {"studio": mark},
    }


def _id(number: int) -> str:
    return str(uuid.UUID(int=number))


def test_name_of_a_photo_becomes_a_safe_file_name(page: Page) -> None:
    expected = {
        "me at home.jpg": ("me at home", "me at home.jpg"),
        "../../.ssh/id_rsa": ("ssh.id_rsa", "id_rsa"),
        "C:\\photos\\me.png": ("C..photos.me", "me.png"),
        "me\u202egpj.exe\n": ("megpj", "megpj.exe"),
        "-o.jpg": ("o", "./-o.jpg"),
        "\u2066-K.jpg": ("K", "./-K.jpg"),
        "...": ("photo", "photo.jpg"),
        "a/..": ("a", "photo.jpg"),
        "": ("photo", "photo.jpg"),
        "12:30 \u5bb6\u65cf.heic": ("12.30 \u5bb6\u65cf", "12:30 \u5bb6\u65cf.heic"),
    }
    names = list(expected)

    stems, paths = (
        page.evaluate(_CALL, ["service/file-names.js", function, names])
        for function in ("stemOf", "pathOf")
    )

    assert dict(zip(names, zip(stems, paths, strict=True), strict=True)) == expected


def test_mark_of_another_photo_is_ignored(page: Page) -> None:
    cases: list[tuple[list[tuple[int, int | None, str | None]], list[str]]] = [
        # A photo of the studio and its versions, whose first one may not be known.
        ([(1, None, _MARK), (2, 1, _MARK), (3, 2, _MARK)], [_MARK] * 3),
        ([(3, 2, _MARK)], [_MARK]),
        # A photo submitted by another program, and its versions made in the studio.
        ([(1, None, None), (2, 1, _id(1))], [_id(1)] * 2),
        ([(1, None, None), (2, 1, None), (3, 2, _id(2))], [_id(1), _id(2), _id(2)]),
        # Another tenant's photo with the mark of an earlier one, in any order.
        ([(4, None, _MARK), (5, 4, _MARK), (1, None, _MARK)], [_id(4), _id(4), _MARK]),
        ([(1, None, None), (2, None, _id(1))], [_id(1), _id(2)]),
        ([(1, None, _MARK), (2, None, None), (3, 2, _MARK)], [_MARK, _id(2), _id(2)]),
        # Malformed marks.
        ([(1, None, "../albums"), (2, 1, "x")], [_id(1), _id(2)]),
    ]

    photo_ids = page.evaluate(_PHOTO_IDS, [[_job(*job) for job in jobs] for jobs, _ in cases])

    assert photo_ids == [
        {_id(number): photo for (number, *_), photo in zip(jobs, photos, strict=True)}
        for jobs, photos in cases
    ]
