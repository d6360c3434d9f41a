"""Settings of tenants: default recipes, retention, limits, and the callers who may set them."""

import base64
import re
import uuid
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from smart_filter_api.keys import Scope
from smart_filter_shared.cards import Offer, TaskName
from smart_filter_shared.ids import OPERATOR, JobId, Tenant
from smart_filter_shared.jobs import models
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.bench import TENANT
from smart_filter_tests.serving import Api, Clock, a_card, a_photo

OTHER = Tenant("other")
STRANGER = Tenant("stranger")
# Named by paths, but of no tenant.
COMMON: Mapping[str, str] = {"name": "image", "code": "not_found"}
# Bodies without which a request would be refused before anything is looked for.
CHANGE: Mapping[str, object] = {"PATCH": {"enabled": False}}


def change(api: Api, tenant: Tenant = TENANT, **said: object) -> httpx.Response:
    return api.client.patch(f"/v1/tenants/{tenant}", json=said)


def submitted(api: Api, **fields: str) -> dict[str, Any]:
    """Return the recipe of a job that is submitted with these fields."""
    recipe: dict[str, Any] = api.job(api.submit(**fields))["recipe"]
    return recipe


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


def test_request_goes_before_the_defaults_and_metadata_is_merged(api: Api) -> None:
    metadata = {"app": "one", "place": "here"}
    change(api, recipe={"background": "color:red", "quality": 70, "metadata": metadata})
    photo = base64.b64encode(a_photo()).decode()
    body = {"photo_base64": photo, "recipe": {"quality": 80, "metadata": {"app": "two"}}}
    form = {"quality": "80", "metadata.app": "two"}

    in_json = api.client.post("/v1/jobs", json=body)
    in_form = api.client.post("/v1/jobs", files={"photo": a_photo()}, data=form)

    for answer in (in_json, in_form):
        recipe = answer.json()["recipe"]
        assert (recipe["background"], recipe["quality"]) == ("color:red", 80)
        assert answer.json()["metadata"] == {"app": "two", "place": "here"}


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


def all_made(api: Api) -> dict[str, str]:
    """Make one of everything that a tenant can have; return the ids by their names in paths.

    An operation whose path has a new name needs it here.
    """

    def made(path: str, name: str, body: object = None) -> str:
        return str(api.client.post(path, json=body).json()[name])

    job_id = api.submit(background="keep")
    api.bench.advance(StageName.PREPARE)
    files = {"image": {"key": f"of/{job_id}", "format": "image/jpeg", "width": 4, "height": 4}}
    api.finish(StageName.COMPOSITE, {"files": files, "background": None})
    photo = base64.b64encode(a_photo()).decode()
    upload = {"content_type": "image/jpeg", "bytes": 1000}
    webhook_id = made("/v1/webhooks", "id", {"url": "https://example.com/told"})
    api.client.patch(f"/v1/tenants/{TENANT}", json={"recipe": {"crop": True}})
    return {
        "job_id": job_id,
        "batch_id": made("/v1/batches", "id", {"items": [{"photo_base64": photo}]}),
        "upload_id": made("/v1/uploads", "upload_id", upload),
        "key_id": made("/v1/keys", "key_id", {"scopes": ["read"]}),
        "webhook_id": webhook_id,
        "delivery_id": made(f"/v1/webhooks/{webhook_id}/test", "id"),
        "tenant": TENANT,
    }


def operations(api: Api) -> list[tuple[str, str]]:
    """Return every operation whose path holds an id, the deleting ones last."""
    document: dict[str, Any] = api.client.get("/openapi.json").json()
    found = [
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        # The operator sees all tenants there: see test_operating_api.py.
        if not path.startswith("/v1/operator/")
        if set(re.findall(r"{(\w+)}", path)) - set(COMMON)
    ]
    return sorted(found, key=lambda one: (one[0] == "DELETE", one))


def told(answer: httpx.Response, *names: str) -> tuple[int, str, dict[str, Any], list[str]]:
    """Return all that an answer tells but the names that were asked for and its own."""
    body = answer.text
    for name in names:
        body = body.replace(name, "ID")
    document: dict[str, Any] = httpx.Response(200, text=body).json() if body else {}
    document.pop("instance", None)
    headers = sorted(set(answer.headers) - {"ratelimit", "ratelimit-policy"})
    return answer.status_code, answer.headers.get("content-type", ""), document, headers


def test_foreign_id_is_answered_as_an_unknown_one(api: Api) -> None:
    headers = api.headers(*Scope, tenant=STRANGER)
    own = all_made(api)
    unknown = {name: str(uuid.uuid4()) for name in own}

    tried = operations(api)
    answers = {
        (method, path): [
            told(
                api.client.request(
                    method, path.format(**names, **COMMON), headers=headers, json=CHANGE.get(method)
                ),
                *names.values(),
            )
            for names in (own, unknown)
        ]
        for method, path in tried
    }

    assert len(tried) >= 15
    assert {one: both for one, both in answers.items() if both[0] != both[1]} == {}
    assert {both[0][0] for both in answers.values()} == {404}
    assert api.bench.job(JobId(uuid.UUID(own["job_id"]))).state == JobState.SUCCEEDED
    listed = api.client.get("/v1/keys").json()["items"]
    assert [key["revoked_at"] for key in listed if key["key_id"] == own["key_id"]] == [None]
    assert api.client.get(f"/v1/webhooks/{own['webhook_id']}").json()["enabled"] is True


def test_lists_hold_the_tenants_own(api: Api) -> None:
    own = all_made(api)
    headers = api.headers(*Scope, tenant=STRANGER)

    for name in ("jobs", "batches", "keys", "usage", "backgrounds", "webhooks"):
        answer = api.client.get(f"/v1/{name}", headers=headers)

        assert answer.status_code == 200
        assert [made for made in own.values() if made in answer.text] == []
        assert "tests" not in answer.text


def test_foreign_cursor_leads_to_the_tenants_own_jobs(api: Api) -> None:
    for _ in range(2):
        api.submit(background="keep")
    cursor = api.client.get("/v1/jobs", params={"limit": 1}).json()["next_cursor"]
    headers = api.headers(*Scope, tenant=STRANGER)

    answer = api.client.get("/v1/jobs", params={"cursor": cursor}, headers=headers)

    assert answer.json() == {"items": [], "next_cursor": None}


def test_idempotency_keys_belong_to_their_tenant(api: Api) -> None:
    photo = {"photo": ("photo", a_photo())}
    key = {"Idempotency-Key": "common"}
    first = api.client.post("/v1/jobs", files=photo, headers=key)
    headers = api.headers(*Scope, tenant=STRANGER) | key

    answer = api.client.post("/v1/jobs", files=photo, headers=headers)

    assert answer.status_code == 202
    assert answer.json()["id"] != first.json()["id"]
    assert "Idempotency-Replayed" not in answer.headers
