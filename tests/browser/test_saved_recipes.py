"""Saved recipes in the studio: what new photos get."""

import dataclasses

from playwright.sync_api import Locator, Page, expect

from browser.accessibility import assert_accessible
from smart_filter_tests.browsing.page_errors import PageErrors
from smart_filter_tests.browsing.photos import Photos
from smart_filter_tests.browsing.screens import DESKTOP, PHONE_DARK, on_screens
from smart_filter_tests.browsing.visitors import Visitor
from smart_filter_tests.browsing.waits import wait_until
from smart_filter_tests.full_stack import RunningStack


def _open_form(page: Page) -> Locator:
    page.get_by_role("button", name="Shape and format").click()
    return page.get_by_role("dialog", name="Shape, size and format")


def _add(page: Page, visitor: Visitor, photos: Photos) -> dict[str, str]:
    page.locator("[data-way=pick]").set_input_files(photos.smiling)
    wait_until(page, lambda: len(visitor.jobs()) == 1)
    recipe: dict[str, str] = visitor.newest()["recipe"]
    return recipe


def _save(visitor: Visitor, name: str, **fields: object) -> None:
    visitor.client.put(f"/v1/recipes/{name}", json={"recipe": fields}).raise_for_status()


@on_screens(DESKTOP, PHONE_DARK)
def test_new_photos_get_a_saved_recipe_which_the_browser_keeps(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    _save(visitor, "our-brand", background="color:teal", crop=True)
    page.reload()
    page.get_by_label("Saved recipe").select_option("our-brand")
    # What the recipe says is not asked again.
    expect(page.get_by_label("New photos get")).to_have_value("our-brand")
    dialog = _open_form(page)
    expect(dialog.get_by_label("Framing")).to_have_count(0)
    dialog.get_by_label("Shape and size").select_option("1080x1350")
    assert_accessible(page)
    dialog.get_by_role("button", name="Done").click()
    page.reload()

    recipe = _add(page, visitor, photos)

    assert (recipe["background"], recipe["crop"], recipe["size"]) == (
        "color:teal",
        "true",
        "1080x1350",
    )


def test_choice_is_saved_as_a_recipe_replaced_and_deleted(page: Page, visitor: Visitor) -> None:
    page.get_by_label("New photos get").select_option("color")
    page.get_by_label("Color", exact=True).fill("#336699")
    dialog = _open_form(page)
    dialog.get_by_label("Format").select_option("webp")
    dialog.get_by_label("Save this choice as a recipe").fill("Spring Söhne!")
    expect(dialog.get_by_text("Its name: spring-sohne")).to_be_visible()
    dialog.get_by_role("button", name="Save recipe").click()
    expect(page.get_by_text("Saved as spring-sohne")).to_be_visible()

    saved = visitor.client.get("/v1/recipes/spring-sohne").json()["recipe"]
    assert saved == {"background": "color:#336699", "format": "webp"}

    dialog.get_by_label("Shape and size").select_option("1080x1080")
    dialog.get_by_label("Save this choice as a recipe").fill("spring-sohne")
    dialog.get_by_role("button", name="Replace spring-sohne").click()
    wait_until(
        page, lambda: "size" in visitor.client.get("/v1/recipes/spring-sohne").json()["recipe"]
    )
    dialog.get_by_role("button", name="Delete spring-sohne").click()
    expect(page.get_by_text("Deleted the recipe spring-sohne")).to_be_visible()
    assert visitor.client.get("/v1/recipes/spring-sohne").status_code == 404
    dialog.get_by_role("button", name="Done").click()
    expect(page.get_by_label("Saved recipe")).to_have_value("")


def test_recipe_that_was_deleted_elsewhere_is_not_used(
    page: Page, visitor: Visitor, photos: Photos
) -> None:
    _save(visitor, "our-brand", background="color:teal")
    page.reload()
    page.get_by_label("Saved recipe").select_option("our-brand")
    visitor.client.delete("/v1/recipes/our-brand").raise_for_status()
    page.reload()
    expect(page.get_by_label("New photos get")).to_have_value("auto")

    recipe = _add(page, visitor, photos)

    assert recipe["background"] == "auto"


def test_user_without_the_right_to_save_sees_why(
    anonymous_page: Page, visitor: Visitor, stack: RunningStack, page_errors: PageErrors
) -> None:
    page_errors.expect("status of 403")
    key = visitor.client.post("/v1/keys", json={"scopes": ["read", "submit"]}).json()["key"]
    url = str(stack.client.base_url).rstrip("/")
    dataclasses.replace(visitor, key=key).sign_in(anonymous_page.context, url)
    anonymous_page.goto(url)
    dialog = _open_form(anonymous_page)
    dialog.get_by_label("Save this choice as a recipe").fill("shop")
    dialog.get_by_role("button", name="Save recipe").click()

    expect(dialog.get_by_role("alert")).to_contain_text("the key lacks the scope admin")
