"""Settings of tenants: default recipes, retention, limits, and the callers who may set them."""

import base64
from typing import Any

import httpx
import pytest

from smart_filter_api.keys import Scope
from smart_filter_shared.cards import Offer, TaskName
from smart_filter_shared.ids import OPERATOR, Tenant
from smart_filter_shared.jobs import models
from smart_filter_tests.bench import TENANT
from smart_filter_tests.serving import Api, Clock, a_card, a_photo

OTHER = Tenant("other")


def change(api: Api, tenant: Tenant = TENANT, **said: object) -> httpx.Response:
    return api.client.patch(f"/v1/tenants/{tenant}", json=said)


def submitted(api: Api, **fields: str) -> dict[str, Any]:
    """Return the recipe of a job that is submitted with these fields."""
    recipe: dict[str, Any] = api.job(api.submit(**fields))["recipe"]
    return recipe


def test_tenant_has_no_settings_at_first(api: Api) -> None:
    answer = api.client.get(f"/v1/tenants/{TENANT}")

    assert answer.json() == {
        "tenant": TENANT,
        "requests_per_minute": None,
        "jobs_waiting": None,
        "megapixels_per_day": None,
        "keep_input_seconds": None,
        "keep_result_seconds": None,
        "keep_nothing": False,
        "recipe": {},
    }


def test_setting_left_out_stays_and_null_takes_it_back(api: Api) -> None:
    change(api, keep_input_seconds=60, keep_result_seconds=3600, keep_nothing=True)
    change(api, recipe={"crop": True})

    answer = change(api, keep_result_seconds=None)

    assert answer.status_code == 200
    assert answer.json() == api.client.get(f"/v1/tenants/{TENANT}").json()
    told = {name: value for name, value in answer.json().items() if value is not None}
    assert told == {
        "tenant": TENANT,
        "keep_input_seconds": 60,
        "keep_nothing": True,
        "recipe": {"crop": True},
    }


def test_request_goes_before_the_defaults(api: Api) -> None:
    change(api, recipe={"background": "color:red", "crop": True, "margin": "10%", "quality": 70})

    recipe = submitted(api, background="color:blue", quality="80")

    assert (recipe["background"], recipe["quality"]) == ("color:blue", 80)
    assert (recipe["crop"], recipe["margin"]) == ("true", "10% 10% 10% 10%")


def test_metadata_of_defaults_and_request_are_merged(api: Api) -> None:
    change(api, recipe={"background": "color:red", "metadata": {"app": "one", "place": "here"}})
    photo = base64.b64encode(a_photo()).decode()
    body = {"photo_base64": photo, "recipe": {"metadata": {"app": "two"}}}

    in_json = api.client.post("/v1/jobs", json=body)
    in_form = api.client.post("/v1/jobs", files={"photo": a_photo()}, data={"metadata.app": "two"})

    for answer in (in_json, in_form):
        assert answer.json()["metadata"] == {"app": "two", "place": "here"}
        assert answer.json()["recipe"]["background"] == "color:red"


def test_defaults_hold_for_their_tenant_until_they_are_emptied(api: Api) -> None:
    change(api, recipe={"crop": True})
    headers = api.headers(*Scope, tenant=OTHER)

    answer = api.client.post("/v1/jobs", files={"photo": a_photo()}, headers=headers)

    assert answer.json()["recipe"]["crop"] == "false"
    for nothing in ({}, None):
        change(api, recipe={"crop": True})
        assert change(api, recipe=nothing).json()["recipe"] == {}
        assert submitted(api)["crop"] == "false"


def test_default_that_contradicts_a_request_gives_way(api: Api) -> None:
    change(api, recipe={"crop": True, "margin": "10%", "format": "jpg", "filters": ["grade"]})

    transparent = submitted(api, background="transparent")
    uncropped = submitted(api, crop="false")
    faces = submitted(api, outputs="faces")

    assert (transparent["format"], transparent["crop"]) == ("auto", "true")
    assert uncropped["margin"] == "0px 0px 0px 0px"
    assert faces["filters"] == []
    refused = api.post(a_photo(), {"background": "transparent", "format": "jpg"})
    assert (refused.status_code, refused.json()["code"]) == (422, "contradiction")


def test_filters_of_a_request_put_aside_all_that_defaults_say_of_them(api: Api) -> None:
    change(api, recipe={"filters": ["hat"], "filters.hat.kind": "santa"})

    assert submitted(api)["filters"][0]["params"]["kind"] == "santa"
    assert [one["name"] for one in submitted(api, filters="grade")["filters"]] == ["grade"]


def test_model_of_a_request_puts_aside_the_defaults_parameters(api: Api) -> None:
    api.bench.do(models.publish, [Offer(a_card(TaskName.SMILE, "other"))])
    change(api, recipe={"smile": {"model": "no-smile"}})

    recipe = submitted(api, outputs="rating", smile__model="other")

    assert recipe["smile"]["model"] == "other"


def test_background_that_comes_along_puts_aside_the_default(api: Api) -> None:
    change(api, recipe={"background": "color:red"})

    answer = api.client.post(
        "/v1/jobs", files={"photo": a_photo(), "background_file": a_photo("PNG")}
    )

    assert answer.status_code == 202, answer.text
    assert answer.json()["recipe"]["background"] == "file"


def test_default_that_is_not_served_any_more_is_named_as_a_default(api: Api, clock: Clock) -> None:
    api.bench.do(models.publish, [Offer(a_card(TaskName.SMILE, "passing"))])
    change(api, recipe={"smile": {"model": "passing"}, "outputs": ["rating"]})
    with api.bench.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM models WHERE name = 'passing'")

    clock.make_old()  # models are remembered for a second
    answer = api.post(a_photo())

    assert answer.status_code == 422
    (wrong,) = answer.json()["errors"]
    assert wrong["pointer"] == "/smile/model"
    assert "a default of yours" in wrong["detail"]


@pytest.mark.parametrize(
    ("recipe", "code", "pointer"),
    [
        ({"color": "red"}, "invalid_recipe", "/recipe/color"),
        ({"quality": {"deep": [1]}}, "invalid_recipe", "/recipe/quality/deep"),
        ({"run_at": "2030-01-01T00:00:00Z"}, "invalid_recipe", "/recipe/run_at"),
        ({"background": "file"}, "invalid_recipe", "/recipe/background_file"),
        ({"background": "preset:tenant/none"}, "invalid_recipe", "/recipe/background"),
        ({"segmentation": {"model": "none"}}, "invalid_recipe", "/recipe/segmentation/model"),
        ({"metadata": {"a": "\0"}}, "invalid_recipe", "/recipe"),
        ({"margin": "10%"}, "contradiction", "/recipe/margin"),
    ],
)
def test_recipe_that_cannot_be_served_is_refused_as_a_default(
    api: Api, recipe: object, code: str, pointer: str
) -> None:
    answer = change(api, recipe=recipe)

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert pointer in [one["pointer"] for one in answer.json()["errors"]]
    assert api.client.get(f"/v1/tenants/{TENANT}").json()["recipe"] == {}


@pytest.mark.parametrize(
    "theirs",
    [
        {"requests_per_minute": 0},
        {"jobs_waiting": None},
        {"megapixels_per_day": 1e9},
        {"keep_input_seconds": 24 * 3600 + 1},
        {"keep_result_seconds": 8 * 24 * 3600},
    ],
)
def test_some_settings_only_the_operator_changes(api: Api, theirs: dict[str, object]) -> None:
    operator = api.headers(Scope.ADMIN, tenant=OPERATOR)

    refused = change(api, **theirs)
    done = api.client.patch(f"/v1/tenants/{TENANT}", json=theirs, headers=operator)

    assert (refused.status_code, refused.json()["code"]) == (403, "scope")
    assert next(iter(theirs)) in refused.json()["detail"]
    assert done.status_code == 200
    assert {name: done.json()[name] for name in theirs} == theirs


def test_operator_sees_any_tenant_that_exists(api: Api) -> None:
    operator = api.headers(Scope.ADMIN, tenant=OPERATOR)
    api.key(Scope.SUBMIT, tenant=Tenant("new"))
    api.client.patch("/v1/tenants/named", json={"keep_nothing": True}, headers=operator)

    found = [
        api.client.get(f"/v1/tenants/{name}", headers=operator).status_code
        for name in ("new", "named", "nosuch", "~odd")
    ]

    assert found == [200, 200, 404, 404]
