"""Many photos at once: selecting them, and one action on all."""

import io
import re
import zipfile
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

from browser.accessibility import assert_accessible
from smart_filter_tests.browsing.cards import card, expect_finished, expect_state
from smart_filter_tests.browsing.page_errors import LINE_CUT, PageErrors
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.screens import DESKTOP, PHONE, PHONE_DARK, on_screens
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.waits import wait_until
from smart_filter_tests.full_stack import RunningStack
from smart_filter_tests.later import next_week
from smart_filter_tests.proxy import Mode, Proxy

_OUTPUTS = "image,cutout,thumbnail"
_LONG_PRESS_MS = 700
# The sheet reads 40 jobs at once.
_MORE_THAN_A_PAGE = 43


def _wait_in_queue(visitor: Visitor, photos: Photos, count: int) -> None:
    """Submit photos that stay in the queue; the sheet shows `count`.png first, 1.png last."""
    for number in range(1, count + 1):
        visitor.submit(photos.smiling, metadata__name=f"{number}.png", run_at=next_week())


def _finish(visitor: Visitor, photos: Photos, *names: str) -> None:
    for name in names:
        visitor.succeed(
            photos.smiling, metadata__name=name, background="color:#336699", outputs=_OUTPUTS
        )


def _chosen(page: Page) -> set[str]:
    boxes = page.locator(".choose:checked").all()
    return {(box.get_attribute("aria-label") or "").removeprefix("Choose ") for box in boxes}


def _expect_chosen(page: Page, *names: str) -> None:
    wait_until(page, lambda: _chosen(page) == set(names))


def _act(page: Page, name: str) -> Locator:
    """Open the dialog of an action on all photos."""
    page.keyboard.press("Control+a")
    page.get_by_role("toolbar").get_by_role("button", name=name).click()
    return page.get_by_role("dialog")


def _pick_first_design(dialog: Locator) -> None:
    dialog.get_by_role("listbox", name="Designs").get_by_role("option").first.click()


def _bar(page: Page) -> Locator:
    return page.get_by_role("region", name="Action on many photos")


def _backgrounds(visitor: Visitor) -> dict[str, set[str]]:
    """The backgrounds of all versions, by name of the photo."""
    backgrounds: dict[str, set[str]] = {}
    for job in visitor.jobs():
        backgrounds.setdefault(job["metadata"]["name"], set()).add(job["recipe"]["background"])
    return backgrounds


def test_cards_are_selected_by_click_shift_and_lasso(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    _wait_in_queue(visitor, photos, 5)
    page.reload()

    card(page, "5.png").hover()
    card(page, "5.png").get_by_role("checkbox").check()
    _expect_chosen(page, "5.png")
    card(page, "3.png").click(modifiers=["Shift"])
    _expect_chosen(page, "5.png", "4.png", "3.png")
    card(page, "4.png").click()
    _expect_chosen(page, "5.png", "3.png")
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("toolbar")).to_have_count(0)

    first, second = (card(page, name).bounding_box() for name in ("5.png", "4.png"))
    assert first is not None
    assert second is not None
    page.mouse.move(first["x"] - 10, first["y"] + first["height"] + 12)
    page.mouse.down()
    page.mouse.move(first["x"] + 40, first["y"] + 60, steps=4)
    _expect_chosen(page, "5.png")
    page.mouse.move(second["x"] + 40, second["y"] + 60, steps=4)
    page.mouse.up()
    _expect_chosen(page, "5.png", "4.png")


def test_cards_are_selected_by_keyboard(page: Page, visitor: Visitor, photos: Photos) -> None:
    _finish(visitor, photos, "b.png", "a.png")
    page.reload()

    card(page, "a.png").get_by_role("link", name="Open").focus()
    page.keyboard.press("ArrowRight")
    expect(card(page, "b.png").get_by_role("link", name="Open")).to_be_focused()
    page.keyboard.press("Space")
    _expect_chosen(page, "b.png")
    expect(card(page, "b.png").get_by_role("checkbox")).to_be_focused()
    page.keyboard.press("Shift+ArrowLeft")
    _expect_chosen(page, "a.png", "b.png")
    expect(card(page, "a.png").get_by_role("checkbox")).to_be_focused()
    page.keyboard.press("Space")
    _expect_chosen(page, "b.png")
    page.keyboard.press("Control+a")
    _expect_chosen(page, "a.png", "b.png")
    page.keyboard.press("Escape")
    expect(page.get_by_role("toolbar")).to_have_count(0)


@on_screens(PHONE)
def test_long_press_selects_on_a_phone(page: Page, visitor: Visitor, photos: Photos) -> None:
    _finish(visitor, photos, "b.png", "a.png")
    page.reload()
    box = card(page, "a.png").get_by_role("img").bounding_box()
    assert box is not None
    touch = [{"x": box["x"] + 50, "y": box["y"] + 50}]
    devtools = page.context.new_cdp_session(page)

    devtools.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": touch})
    page.wait_for_timeout(_LONG_PRESS_MS)
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    _expect_chosen(page, "a.png")
    card(page, "b.png").tap()
    _expect_chosen(page, "a.png", "b.png")
    assert_accessible(page)


@on_screens(DESKTOP, PHONE_DARK)
def test_all_get_a_design_and_its_failures_are_listed(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    _finish(visitor, photos, "b.png", "a.png")
    visitor.submit(photos.smiling, metadata__name="later.png", run_at=next_week())
    page.reload()
    expect(card(page, "a.png")).to_be_visible()

    dialog = _act(page, "Background")
    dialog.get_by_label("Find").fill("linen")
    _pick_first_design(dialog)
    assert_accessible(page)
    dialog.get_by_role("button", name="Change all 3").click()

    expect(_bar(page)).to_contain_text("2 of 3 photos done, 1 failed")
    expect(_bar(page)).to_contain_text("later.png: Job has not finished")
    assert_accessible(page)
    backgrounds = _backgrounds(visitor)
    assert {len(backgrounds[name]) for name in ("a.png", "b.png")} == {2}
    assert all(
        any(background.startswith("preset:") for background in backgrounds[name])
        for name in ("a.png", "b.png")
    )
    assert len(backgrounds["later.png"]) == 1
    _bar(page).get_by_role("button", name="Dismiss").click()
    expect(_bar(page)).to_have_count(0)


def test_all_are_saved_in_another_size_as_one_zip(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    _finish(visitor, photos, "a.png", "a.png")
    page.reload()
    expect(page.get_by_role("heading", name="a.png")).to_have_count(2)

    dialog = _act(page, "Save as")
    dialog.get_by_label("Shape and size").select_option("1080x1080")
    dialog.get_by_label("Format").select_option("webp")
    assert_accessible(page)
    with page.expect_download() as begun:
        dialog.get_by_role("button", name="As one zip").click()

    with zipfile.ZipFile(io.BytesIO(Path(begun.value.path()).read_bytes())) as opened:
        names = sorted(opened.namelist())
        assert names == ["a-2.webp", "a.webp"]
        sizes = {Image.open(io.BytesIO(opened.read(name))).size for name in names}
    assert sizes == {(1080, 1080)}
    expect(_bar(page)).to_contain_text("Finished: 2 of 2 photos done")


def test_card_shows_the_previous_picture_until_the_new_one_is_there(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    _finish(visitor, photos, "a.png")
    page.reload()
    expect_finished(page, "a.png")
    picture = card(page, "a.png").locator(".picture img").get_attribute("src")

    job_id = visitor.newest()["id"]
    change = {"size": "108x108", "run_at": next_week(), "metadata": {"studio": job_id}}
    answer = visitor.client.post(f"/v1/jobs/{job_id}/derive", json={"recipe": change})

    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    expect_state(card(page, "a.png"), "queued")
    assert card(page, "a.png").locator(".picture img").get_attribute("src") == picture
    expect(card(page, "a.png").get_by_role("link", name="Open a.png")).to_be_visible()


def test_zip_has_the_pictures_alone_in_the_order_of_the_sheet_and_named_by_a_pattern(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    _finish(visitor, photos, "a.png", "b.png", "c.png")
    visitor.submit(photos.smiling, metadata__name="later.png", run_at=next_week())
    page.reload()
    expect(card(page, "c.png")).to_be_visible()

    dialog = _act(page, "Download")
    expect(dialog).to_contain_text("Download 3 pictures")
    expect(dialog).to_contain_text("1 photo without a finished picture is left out.")
    expect(dialog.locator("[data-example]")).to_contain_text("c.jpg, b.jpg, a.jpg")
    dialog.get_by_label("Names").fill("{n} of {colors}")
    expect(dialog).to_contain_text("Only {name}, {n} and {background} can stand in braces.")
    dialog.get_by_label("Names").fill("shop-{n}-{name}")
    expect(dialog.locator("[data-example]")).to_contain_text("shop-1-c.jpg")
    assert_accessible(page)
    with page.expect_download() as begun:
        dialog.get_by_role("button", name="As one zip").click()

    with zipfile.ZipFile(begun.value.path()) as opened:
        assert opened.namelist() == ["shop-1-c.jpg", "shop-2-b.jpg", "shop-3-a.jpg"]


def test_choose_all_means_photos_that_the_page_has_not_read(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    _wait_in_queue(visitor, photos, _MORE_THAN_A_PAGE)
    page.reload()
    expect(card(page, f"{_MORE_THAN_A_PAGE}.png")).to_be_visible()

    page.keyboard.press("Control+a")
    toolbar = page.get_by_role("toolbar")
    expect(toolbar).to_contain_text(f"{_MORE_THAN_A_PAGE} chosen")
    card(page, f"{_MORE_THAN_A_PAGE}.png").click()
    expect(toolbar).to_contain_text(f"{_MORE_THAN_A_PAGE - 1} chosen")
    toolbar.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"{_MORE_THAN_A_PAGE - 1} photos are deleted")
    assert_accessible(page)
    dialog.get_by_role("button", name="Delete").click()
    expect(page.get_by_text(f"{_MORE_THAN_A_PAGE - 1} photos deleted")).to_be_visible()
    assert [job["metadata"]["name"] for job in visitor.jobs()] == [f"{_MORE_THAN_A_PAGE}.png"]

    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("The photos are back.")).to_be_visible()
    expect(card(page, f"{_MORE_THAN_A_PAGE - 1}.png")).to_be_visible()
    assert len(visitor.jobs()) == _MORE_THAN_A_PAGE


def test_unfinished_photos_of_a_choice_are_canceled(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    _wait_in_queue(visitor, photos, 2)
    _finish(visitor, photos, "a.png")
    page.reload()
    expect(card(page, "a.png")).to_be_visible()

    dialog = _act(page, "Retry")
    assert_accessible(page)
    dialog.get_by_role("button", name="Cancel 2 photos").click()

    expect(_bar(page)).to_contain_text("Finished: 2 of 2 photos done")
    expect_state(card(page, "1.png"), "canceled")
    expect_state(card(page, "a.png"), "succeeded")


# A folder in the browser's own storage, in place of the one that the user would choose.
_FOLDER = "() => { globalThis.showDirectoryPicker = () => navigator.storage.getDirectory(); }"
_FILES = """async () => {
  const folder = await navigator.storage.getDirectory();
  const found = [];
  for await (const [name, handle] of folder) found.push([name, (await handle.getFile()).size]);
  return found.sort();
}"""


def test_pictures_are_written_into_a_folder_and_replace_no_file(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    page.add_init_script(f"({_FOLDER})()")
    _finish(visitor, photos, "b.png", "a.png")
    page.reload()
    expect(card(page, "a.png")).to_be_visible()

    for _ in range(2):
        _act(page, "Download").get_by_role("button", name="Into a folder").click()
        expect(_bar(page)).to_contain_text("Finished: 2 of 2 pictures done")
        _bar(page).get_by_role("button", name="Dismiss").click()

    bytes_of = {job["metadata"]["name"][0]: job["image"]["bytes"] for job in visitor.jobs()}
    stems = [("a", ""), ("a", "-2"), ("b", ""), ("b", "-2")]
    expected = [[f"{name}{more}.jpg", bytes_of[name]] for name, more in stems]
    assert page.evaluate(_FILES) == sorted(expected)


def test_recipe_of_one_is_copied_to_the_others(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    _finish(visitor, photos, "b.png", "a.png")
    visitor.succeed(
        photos.smiling,
        metadata__name="source.png",
        background="color:#aa2211",
        crop="faces",
        format="webp",
        outputs=_OUTPUTS,
    )
    page.reload()
    expect(card(page, "source.png")).to_be_visible()

    dialog = _act(page, "Copy a recipe")
    dialog.get_by_role("option", name="source.png").click()
    expect(dialog).to_contain_text("Color #aa2211")
    assert_accessible(page)
    dialog.get_by_role("button", name="Redo 2 photos").click()

    expect(_bar(page)).to_contain_text("Finished: 2 of 2 photos done")
    recipes = [job["recipe"] for job in visitor.jobs() if job["parent_id"] is not None]
    fields = ("background", "crop", "format")
    assert [tuple(recipe[name] for name in fields) for recipe in recipes] == [
        ("color:#aa2211", "faces", "webp")
    ] * 2


def test_action_waits_for_the_service_and_stops_on_demand(
    page: Page, visitor: Visitor, photos: Photos, line: Proxy, page_errors: PageErrors
) -> None:
    page_errors.expect(LINE_CUT)
    _finish(visitor, photos, "b.png", "a.png")
    page.reload()
    expect(card(page, "a.png")).to_be_visible()

    dialog = _act(page, "Background")
    dialog.get_by_label("Background", exact=True).select_option("color")
    line.mode = Mode.RESET
    line.cut()
    dialog.get_by_role("button", name="Change all 2").click()
    expect(_bar(page)).to_contain_text("Waiting for the service.")
    line.mode = Mode.PASS
    expect(_bar(page)).to_contain_text("Finished: 2 of 2 photos done")
    _bar(page).get_by_role("button", name="Dismiss").click()

    dialog = _act(page, "Background")
    dialog.get_by_label("Background", exact=True).select_option("blur")
    line.mode = Mode.RESET
    line.cut()
    dialog.get_by_role("button", name="Change all 2").click()
    expect(_bar(page)).to_contain_text("Waiting for the service.")
    _bar(page).get_by_role("button", name="Stop").click()
    expect(_bar(page)).to_contain_text("Stopped: Counting the photos")
    line.mode = Mode.PASS

    assert not any("blur:0.5" in background for background in _backgrounds(visitor).values())


def test_action_pauses_when_the_service_asks_for_it(
    page: Page, visitor: Visitor, photos: Photos, page_errors: PageErrors
) -> None:
    page_errors.expect("status of 429")
    _finish(visitor, photos, "b.png", "a.png")
    page.reload()
    expect(card(page, "a.png")).to_be_visible()
    refused: list[str] = []

    def refuse_once(route: Route) -> None:
        if route.request.url in refused:
            route.fallback()
            return
        refused.append(route.request.url)
        route.fulfill(status=429, headers={"Retry-After": "1"}, json={"title": "Too many requests"})

    page.route("**/derive?*", refuse_once)

    dialog = _act(page, "Background")
    dialog.get_by_label("Background", exact=True).select_option("color")
    dialog.get_by_role("button", name="Change all 2").click()

    expect(_bar(page)).to_contain_text("Finished: 2 of 2 photos done")
    assert len(refused) == 1


def test_stopped_action_leaves_no_unfinished_version(
    page: Page, visitor: Visitor, photos: Photos, stack: RunningStack, page_errors: PageErrors
) -> None:
    # The page may be looking at the version that the service deletes.
    page_errors.expect("status of 410")
    _finish(visitor, photos, "a.png")
    visitor.succeed(photos.serious, metadata__name="source.png", segmentation__model="hangs")
    page.reload()
    expect(card(page, "a.png")).to_be_visible()

    with stack.arm("hangs"):
        dialog = _act(page, "Copy a recipe")
        dialog.get_by_role("option", name="source.png").click()
        dialog.get_by_role("button", name="Redo 1 photo").click()
        expect(_bar(page)).to_contain_text("0 of 1 photo done")
        wait_until(page, lambda: len(visitor.jobs()) == 3)
        _bar(page).get_by_role("button", name="Stop").click()
        expect(_bar(page)).to_contain_text("Stopped: 0 of 1 photo done")

    wait_until(page, lambda: len(visitor.jobs()) == 2)
    expect_finished(page, "a.png")


def test_new_photos_get_a_design_a_crop_a_size_and_a_format(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    page.get_by_label("New photos get").select_option("design")
    page.get_by_role("button", name="Choose a design").click()
    _pick_first_design(page.get_by_role("dialog"))
    page.get_by_role("button", name="Shape and format").click()
    dialog = page.get_by_role("dialog", name="Shape, size and format")
    dialog.get_by_label("Shape and size").select_option("1080x1350")
    dialog.get_by_label("Framing").select_option("true")
    dialog.get_by_label("Format").select_option("webp")
    assert_accessible(page)
    dialog.get_by_role("button", name="Done").click()
    page.reload()
    page.locator("[data-way=pick]").set_input_files(photos.smiling)

    wait_until(page, lambda: len(visitor.jobs()) == 1)
    recipe = visitor.newest()["recipe"]
    assert (recipe["size"], recipe["crop"], recipe["format"]) == ("1080x1350", "true", "webp")
    assert re.match("preset:", recipe["background"])


_PICTURES_KEPT = """() => new Promise((resolve) => {
  const opening = indexedDB.open("smart-filter");
  opening.onsuccess = () => {
    const counting = opening.result.transaction("pictures").objectStore("pictures").count();
    counting.onsuccess = () => {
      opening.result.close();
      resolve(counting.result);
    };
  };
})"""


def test_new_photos_get_an_own_picture_which_the_browser_keeps(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    page.get_by_label("New photos get").select_option("file")
    page.locator("input[type=file][aria-label='Picture for the background']").set_input_files(
        photos.sunset
    )
    expect(page.get_by_role("button", name="sunset.jpg")).to_be_visible()
    wait_until(page, lambda: page.evaluate(_PICTURES_KEPT) == 1)
    page.reload()
    expect(page.get_by_role("button", name="sunset.jpg")).to_be_visible()
    page.locator("[data-way=pick]").set_input_files(photos.smiling)

    wait_until(page, lambda: len(visitor.jobs()) == 1)
    assert visitor.newest()["recipe"]["background"] == "file"
