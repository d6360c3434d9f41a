"""Saved recipes: their storage, who may use them, and what a submission makes of them."""

import base64
import uuid

import httpx
import pytest

from smart_filter_api.auth.api_keys import Scope
from smart_filter_shared import stock
from smart_filter_shared.ids import Tenant
from smart_filter_shared.stock import Picture
from smart_filter_shared.tenants import saved_recipes
from smart_filter_tests.bench import TENANT, Bench
from smart_filter_tests.serving import Api, a_photo, refusal_of
from smart_filter_tests.stored_results import derive, run_whole_job

OTHER = Tenant("other")
SHOP = {"background": "color:teal", "quality": 70, "size": "640x800"}


def keep_logo(bench: Bench, tenant: Tenant, name: str) -> None:
    with bench.transaction() as connection:
        picture = Picture(
            *(tenant, name, name, (), (), ("#ffffff",), 0.5, "", f"backgrounds/{uuid.uuid4()}"),
            *("0" * 64, 40, 20, 1000),
            is_logo=True,
        )
        assert stock.add(connection, picture)


def save(
    api: Api, name: str, headers: dict[str, str] | None = None, **fields: object
) -> httpx.Response:
    return api.client.put(f"/v1/recipes/{name}", json={"recipe": fields}, headers=headers)


def errors_of(answer: httpx.Response) -> dict[str, str]:
    return {error["pointer"]: error["detail"] for error in answer.json()["errors"]}


def test_saved_recipe_is_listed_before_the_built_in_ones_until_it_is_deleted(api: Api) -> None:
    assert save(api, "shop", **SHOP).status_code == 200

    listed = api.read("/v1/recipes")["items"]
    shop = api.read("/v1/recipes/shop")
    assert (listed[0], shop["recipe"], shop["built_in"]) == (shop, SHOP, False)
    assert {item["name"] for item in listed[1:]} >= {"instagram-portrait", "amazon-main"}
    assert all(item["source"] and item["checked"] for item in listed[1:])
    assert api.client.delete("/v1/recipes/shop").status_code == 204
    assert api.client.get("/v1/recipes/shop").status_code == 404
    assert api.client.delete("/v1/recipes/shop").status_code == 404


def test_request_overrides_the_saved_recipe_which_overrides_the_defaults(api: Api) -> None:
    defaults = {"quality": 60, "edge": "best", "background": "color:red"}
    api.client.patch(f"/v1/tenants/{TENANT}", json={"recipe": defaults}).raise_for_status()
    save(api, "shop", **SHOP)

    recipe = api.recipe_of(recipe="shop", size="320x400")

    asked = {name: recipe[name] for name in ("background", "quality", "size", "edge")}
    assert asked == {"background": "color:teal", "quality": 70, "size": "320x400", "edge": "best"}


def test_json_names_a_recipe_and_a_later_one_takes_precedence(api: Api) -> None:
    save(api, "shop", **SHOP)
    photo = base64.b64encode(a_photo()).decode()
    body = {"photo_base64": photo, "recipe": {"recipe": ["shop", "story"], "quality": 95}}

    answer = api.create("/v1/jobs", json=body)["recipe"]

    assert (answer["background"], answer["size"], answer["quality"]) == (
        "color:teal",
        "1080x1920",
        95,
    )
    assert "recipe" not in answer


def test_tenants_recipe_takes_precedence_over_a_built_in_one(api: Api) -> None:
    save(api, "story", size="100x100")

    assert api.recipe_of(recipe="story")["size"] == "100x100"
    names = [item["name"] for item in api.read("/v1/recipes")["items"]]
    assert names.count("story") == 1


def test_changed_recipe_applies_to_the_next_job_and_to_no_earlier_one(api: Api) -> None:
    save(api, "shop", **SHOP)
    earlier = api.submit(recipe="shop")

    save(api, "shop", quality=40)

    assert api.recipe_of(recipe="shop")["quality"] == 40
    assert api.job(earlier)["recipe"]["quality"] == 70


def test_items_of_a_batch_name_recipes(api: Api) -> None:
    save(api, "shop", **SHOP)
    photo = {"photo_base64": base64.b64encode(a_photo()).decode()}
    items = [photo, {**photo, "recipe": {"recipe": "story"}}]
    body = {"items": items, "recipe": {"recipe": "shop"}}

    batch = api.create("/v1/batches", json=body)

    made = api.read(f"/v1/batches/{batch['id']}")["items"]
    sizes = [api.job(item["job_id"])["recipe"]["size"] for item in made]
    assert sizes == ["640x800", "1080x1920"]


def test_unknown_name_is_refused_with_the_nearest_one(api: Api) -> None:
    save(api, "spring-shop", **SHOP)

    answer = api.post(fields={"recipe": "spring-shpo"})

    assert refusal_of(answer) == (422, "invalid_recipe")
    assert errors_of(answer)["/recipe"].endswith("did you mean spring-shop?")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"quality": 1000, "edge": "x"}, "/recipe/edge"),
        ({"background": "file"}, "/recipe/background"),
        ({"recipe": "shop"}, "/recipe"),
        ({"recipe": ["shop"]}, "/recipe"),
        ({"filename": True}, "/recipe/filename"),
        ({"filename": ["a"]}, "/recipe/filename"),
        ({"run_at": "2030-01-31T12:00:00Z"}, "/recipe/run_at"),
        ({"run_at": {}}, "/recipe/run_at"),
        ({"format": "jpg", "background": "transparent"}, "/recipe/format"),
        ({"metadata": {str(index): "x" * 250 for index in range(17)}}, "/recipe/metadata"),
        ({"metadata": {"place": "a\0b"}}, "/recipe"),
    ],
)
def test_recipe_is_checked_when_it_is_saved(
    api: Api, fields: dict[str, object], pointer: str
) -> None:
    answer = api.client.put("/v1/recipes/shop", json={"recipe": fields})

    assert answer.status_code == 422
    assert pointer in errors_of(answer)
    assert api.client.get("/v1/recipes/shop").status_code == 404


@pytest.mark.parametrize("name", ["Shop", "a--b", "-a", "a b", "x" * 65, "ü", "%2e%2e"])
def test_recipe_needs_a_plain_name(api: Api, name: str) -> None:
    answer = api.client.put(f"/v1/recipes/{name}", json={"recipe": SHOP})

    assert refusal_of(answer) == (422, "invalid_request")
    assert "/name" in errors_of(answer)


def test_tenant_has_a_bounded_number_of_recipes(api: Api, bench: Bench) -> None:
    with bench.transaction() as connection:
        for index in range(saved_recipes.MAX_RECIPES):
            saved_recipes.write_recipe(connection, TENANT, f"r{index}", {})

    assert save(api, "r0", **SHOP).status_code == 200
    answer = api.client.put("/v1/recipes/one-more", json={"recipe": SHOP})

    assert answer.status_code == 422
    assert "delete one" in errors_of(answer)["/name"]


def test_recipes_of_other_tenants_are_unknown(api: Api) -> None:
    save(api, "my-brand", **SHOP)
    stranger = api.headers(*Scope, tenant=OTHER)

    seen = api.client.get("/v1/recipes/my-brand", headers=stranger)
    deleted = api.client.delete("/v1/recipes/my-brand", headers=stranger)
    used = api.post(fields={"recipe": "my-brand"}, headers=stranger)

    assert (seen.status_code, deleted.status_code, used.status_code) == (404, 404, 422)
    assert "did you mean" not in errors_of(used)["/recipe"]
    assert save(api, "my-brand", stranger, quality=10).status_code == 200
    assert api.recipe_of(recipe="my-brand")["quality"] == 70


def test_device_key_uses_saved_recipes(api: Api) -> None:
    save(api, "shop", background="url:https://pictures.example.com/wall.jpg")
    key = api.issue(path="/v1/tokens", scopes=["submit"], ttl_seconds=60, max_jobs=1)["key"]

    answer = api.post(fields={"recipe": "shop"}, headers={"Authorization": f"Bearer {key}"})

    assert answer.status_code == 202


def test_saved_recipe_overrides_the_job_that_another_derives_from(api: Api) -> None:
    save(api, "portrait", background="transparent", aspect="4:5")
    parent = run_whole_job(api, format="jpg", size="100x100", quality="33")

    derived = derive(api, parent, recipe={"recipe": "portrait", "edge": "best"})

    recipe = derived["recipe"]
    asked = {name: recipe[name] for name in ("background", "aspect", "edge", "quality")}
    # Of the parent, the format and size contradict the saved recipe.
    assert asked == {"background": "transparent", "aspect": "4:5", "edge": "best", "quality": 33}
    assert (recipe["format"], recipe["size"]) == ("auto", "full")


def test_logo_of_the_tenant_is_listed_and_used(api: Api, bench: Bench) -> None:
    keep_logo(bench, TENANT, "acme")
    keep_logo(bench, OTHER, "theirs")

    assert save(api, "shop", logo="tenant/acme", logo_place="top-left").status_code == 200
    recipe = api.recipe_of(recipe="shop", logo_size="20%")

    asked = {name: recipe[name] for name in recipe if name.startswith("logo")}
    assert asked == {
        "logo": "tenant/acme",
        "logo_place": "top-left",
        "logo_size": "20%",
        "logo_margin": "4%",
    }
    assert api.read("/v1/recipes")["logos"] == ["tenant/acme"]
    names = [item["name"] for item in api.read("/v1/backgrounds")["items"]]
    assert "tenant/acme" not in names
    assert api.recipe_of(recipe="shop", logo="none")["logo"] == "none"


@pytest.mark.parametrize(
    ("fields", "pointers"),
    [
        ({"logo": "tenant/theirs"}, {"/recipe/logo"}),
        ({"logo": "https://example.org/logo.png"}, {"/recipe/logo"}),
        ({"logo": "x" * 300}, {"/recipe/logo"}),
        ({"logo": "tenant/acme", "logo_size": "0%"}, {"/recipe/logo_size"}),
        ({"logo": "tenant/acme", "logo_size": "20000%"}, {"/recipe/logo_size"}),
        ({"logo": "tenant/acme", "logo_margin": "51%"}, {"/recipe/logo_margin"}),
        ({"logo": "tenant/acme", "logo_place": "middle"}, {"/recipe/logo_place"}),
        ({"logo": "tenant/acme", "outputs": ["matte"]}, {"/recipe/logo", "/recipe/outputs"}),
    ],
)
def test_wrong_logo_is_refused(
    api: Api, bench: Bench, fields: dict[str, object], pointers: set[str]
) -> None:
    keep_logo(bench, TENANT, "acme")
    keep_logo(bench, OTHER, "theirs")

    answer = save(api, "shop", **fields)

    assert answer.status_code == 422
    assert errors_of(answer).keys() == pointers


def test_recipe_whose_pictures_were_removed_says_so(api: Api, bench: Bench) -> None:
    keep_logo(bench, TENANT, "acme")
    save(api, "shop", logo="tenant/acme").raise_for_status()
    bench.execute("DELETE FROM backgrounds")

    answer = api.post(a_photo(), {"recipe": "shop"})

    assert answer.status_code == 422
    detail = errors_of(answer)["/logo"]
    assert "is not a logo" in detail
    assert detail.endswith("(this is from the saved recipe shop)")
