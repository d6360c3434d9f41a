"""Albums: many photos in, the best ones out; and faults on the way."""

import base64
import io
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

from browser.accessibility import assert_accessible
from smart_filter_tests.browsing.cards import card
from smart_filter_tests.browsing.page_errors import LINE_CUT, PageErrors
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.screens import DESKTOP, PHONE_DARK, on_screens
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.waits import wait_until
from smart_filter_tests.proxy import Mode, Proxy

DATA = Path(__file__).parent.parent / "data"


def _begin(page: Page, files: Sequence[Path], *, best: int) -> None:
    """Begin an album called Open day."""
    page.get_by_role("link", name="Albums").click()
    page.get_by_role("link", name="New album").click()
    page.locator("input[data-way=album]").set_input_files(files)
    page.get_by_label("Name").fill("Open day")
    page.get_by_label("Winners", exact=True).fill(str(best))
    page.get_by_role("button", name=f"Find the best of {len(files)}").click()
    expect(page.get_by_role("heading", name="Open day")).to_be_visible()


def _zipped(page: Page, pictures: int) -> dict[str, bytes]:
    """Download the zip of the shown album of that number of pictures; return its content."""
    expect(_zip_button(page)).to_have_text(re.compile(f"Download {pictures} pictures as zip"))
    with page.expect_download() as begun:
        _zip_button(page).click()
    with zipfile.ZipFile(io.BytesIO(Path(begun.value.path()).read_bytes())) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


def _zip_button(page: Page) -> Locator:
    return page.get_by_role("button", name=re.compile("as zip$"))


@on_screens(DESKTOP, PHONE_DARK)
def test_best_of_an_album_are_composed_and_zipped(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    _begin(page, photos.album, best=2)

    expect(_zip_button(page)).to_have_text(re.compile("Download 2 pictures as zip"))
    (batch,) = visitor.client.get("/v1/batches").json()["items"]
    items = visitor.client.get(f"/v1/batches/{batch['id']}").json()["items"]
    assert [item["rank"] for item in items] == [1, 5, 3, 4, 2, None]
    best = page.get_by_role("region", name="Best shot")
    expect(best.get_by_role("heading")).to_have_text("smile.jpg")
    expect(best).to_contain_text("closed")
    shown = best.get_by_role("img", name="smile.jpg, the best shot")
    wait_until(page, lambda: shown.evaluate("image => image.complete && image.naturalWidth > 0"))
    expect(card(page, "smile-blurred.jpg")).to_contain_text("Same scene as smile.jpg")
    expect(card(page, "cut-off.jpg")).to_contain_text("truncated")
    assert_accessible(page)

    files = _zipped(page, 2)
    jobs = [visitor.client.get(f"/v1/jobs/{items[place]['job_id']}").json() for place in (0, 4)]
    made = [visitor.client.get(job["outputs"]["image"]).content for job in jobs]
    assert files == {"001 smile.jpg": made[0], "002 turned.jpg": made[1]}

    page.reload()

    expect(_zip_button(page)).to_have_text(re.compile("Download 2 pictures as zip"))
    expect(page.get_by_role("region", name="Best shot")).to_contain_text("smile.jpg")
    page.get_by_role("link", name="Albums").first.click()
    expect(page.get_by_role("link", name="Open Open day")).to_be_visible()
    assert_accessible(page)

    # The others have no picture: they live in the album.
    page.get_by_role("link", name="Studio").first.click()
    names = page.get_by_role("heading", level=3)
    wait_until(page, lambda: sorted(names.all_text_contents()) == ["smile.jpg", "turned.jpg"])
    page.reload()
    wait_until(page, lambda: sorted(names.all_text_contents()) == ["smile.jpg", "turned.jpg"])


def test_other_photo_is_composed_later_and_all_are_shown_large(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    _begin(page, photos.album[:3], best=1)
    expect(_zip_button(page)).to_have_text(re.compile("Download 1 picture as zip"))

    page.get_by_role("button", name="Give serious.jpg a background").click()

    expect(_zip_button(page)).to_have_text(re.compile("Download 2 pictures as zip"))
    derived = visitor.jobs()[0]
    assert derived["parent_id"] is not None
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    # The derived version is not known before this answer.
    page.route("**/v1/jobs?metadata.album=*", hold, times=1)
    page.reload()
    expect(page.get_by_role("button", name="Counting the pictures…")).to_be_disabled()
    wait_until(page, lambda: held)
    held[0].continue_()
    assert sorted(_zipped(page, 2)) == ["001 smile.jpg", "002 serious.jpg"]
    page.get_by_role("button", name="Show smile.jpg full screen").click()
    show = page.get_by_role("dialog", name="Photos of the album")
    expect(show).to_be_visible()
    page.keyboard.press("ArrowRight")
    large = show.get_by_role("img", name="serious.jpg")
    wait_until(page, lambda: large.evaluate("image => image.complete && image.naturalWidth > 0"))
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(show).to_be_hidden()


def _shots(folder: Path) -> list[Path]:
    """Return two photos of a woman and a man, between which the camera moved by some pixels."""
    woman, man = (Image.open(DATA / name) for name in ("astronaut.png", "grace_hopper.jpg"))
    couple = Image.new("RGB", (2 * woman.width, woman.height))
    couple.paste(woman.convert("RGB"))
    couple.paste(man.convert("RGB").resize(woman.size), (woman.width, 0))
    paths = [folder / name for name in ("first.jpg", "second.jpg")]
    for shift, path in enumerate(paths):
        couple.transform(
            couple.size, Image.Transform.AFFINE, (1, 0, 4 * shift, 0, 1, -3 * shift)
        ).save(path, quality=95)
    return paths


def test_faces_of_a_take_are_chosen(page: Page, visitor: Visitor, tmp_path: Path) -> None:
    page.get_by_role("link", name="Albums").click()
    page.get_by_role("link", name="New album").click()
    page.locator("input[data-way=album]").set_input_files(_shots(tmp_path))
    page.get_by_label("One picture with everyone's best face").check()
    page.get_by_role("button", name="Find the best of 2").click()
    take = page.get_by_role("region", name="Best take")
    person = take.get_by_role("group", name="Person 1")
    expect(person.get_by_role("radio")).to_have_count(2, timeout=60_000)
    (batch,) = visitor.client.get("/v1/batches").json()["items"]
    assert batch["album"]["best"] == "take"
    base = visitor.client.get(f"/v1/batches/{batch['id']}").json()["take"]["base"]
    other = ("second.jpg", "first.jpg")[base]
    assert_accessible(page)

    person.get_by_label(f"The face of {other}").check()

    expect(take).to_contain_text(f"Person 1 from {other}: it was chosen.", timeout=60_000)
    expect(person.get_by_label(f"The face of {other}")).to_be_checked()
    derived = visitor.jobs()[0]
    assert derived["take"]["swaps"] == [{"person": 1, "item": 1 - base, "reason": "it was chosen"}]
    shown = take.get_by_role("img", name="The best take")
    wait_until(page, lambda: shown.evaluate("image => image.complete && image.naturalWidth > 0"))


def test_album_of_another_client_is_read_in_pages(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    items = [
        {"photo_base64": base64.b64encode(photo.read_bytes()).decode()}
        for photo in photos.album[:3]
    ]
    answer = visitor.client.post("/v1/batches", json={"items": items, "album": {"best": 1}})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))

    page.get_by_role("link", name="Albums").click()
    page.locator(f"a[href$='{answer.json()['id']}']").first.click()

    expect(_zip_button(page)).to_be_visible()
    expect(page.locator(".album-member")).to_have_count(2)
    assert "/v1/jobs" in asked
    assert len([path for path in asked if re.fullmatch("/v1/jobs/[^/]+", path)]) <= 1


def test_deleted_album_is_removed_from_the_service(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    _begin(page, photos.album[:2], best=1)
    expect(_zip_button(page)).to_be_visible()
    (batch,) = visitor.client.get("/v1/batches").json()["items"]

    page.get_by_role("button", name="Delete this album").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()

    expect(page.get_by_role("heading", name="The best of many")).to_be_visible()
    gone = visitor.client.get(f"/v1/batches/{batch['id']}")
    assert gone.status_code == httpx.codes.GONE
    assert visitor.jobs() == []


def test_album_survives_an_outage_and_a_reload_while_it_is_sent(
    page: Page, visitor: Visitor, line: Proxy, photos: Photos, page_errors: PageErrors
) -> None:
    page_errors.expect(LINE_CUT)
    line.hold_after(2_000_000)
    _begin(page, [photos.album[0], photos.large, photos.text], best=1)
    expect(page.get_by_text("Uploading: 1 of 2 photos done")).to_be_visible()
    expect(page.get_by_text("notes.jpg")).to_be_visible()

    line.mode = Mode.RESET
    line.cut()
    expect(page.get_by_text("The upload continues when it is back")).to_be_visible()
    line.release()
    line.mode = Mode.PASS
    page.reload()

    expect(_zip_button(page)).to_be_visible(timeout=60_000)
    (batch,) = visitor.client.get("/v1/batches").json()["items"]
    assert (batch["total"], batch["succeeded"]) == (2, 2)
