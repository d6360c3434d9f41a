"""Settings of tenants, the isolation between them, their limits and their usage."""

import base64
import datetime as dt
import re
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from integration import batches
from smart_filter_api.auth.api_keys import Scope
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.catalog.model_card import Offer
from smart_filter_shared.errors import RateLimited
from smart_filter_shared.ids import OPERATOR, JobId, Tenant
from smart_filter_shared.model_registry import published_models
from smart_filter_shared.operations import settlement
from smart_filter_shared.pipeline import StageName, TaskName
from smart_filter_shared.queue.states import JobState
from smart_filter_shared.recipe import Background, BackgroundKind, Recipe
from smart_filter_shared.tenants import quotas
from smart_filter_shared.tenants.quotas import Limits
from smart_filter_tests.bench import TENANT, Bench, settings_of
from smart_filter_tests.serving import (
    Api,
    Clock,
    a_card,
    a_photo,
    an_api_with,
    refusal_of,
    serve_with,
)
from smart_filter_tests.stored_results import run_stages

OTHER = Tenant("other")
STRANGER = Tenant("stranger")
# Path parameters that belong to no tenant, and names of recipes and pictures: see their tests.
COMMON: Mapping[str, str] = {
    "name": "image",
    "code": "not_found",
    "recipe_name": "story",
    "picture_name": "wall",
}
# Bodies of requests that would otherwise be refused before the look-up.
CHANGE: Mapping[str, object] = {"PATCH": {"enabled": False}}
PHOTO = a_photo(size=(1000, 100))  # a tenth of a megapixel
KEEP = Recipe(background=Background(BackgroundKind.KEEP))
FAIL_RESERVATIONS = """
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'cannot reserve' USING ERRCODE = 'serialization_failure'; END
    $$;
    CREATE TRIGGER fail BEFORE UPDATE OF finish ON tenants EXECUTE FUNCTION fail();
"""


def change(api: Api, tenant: Tenant = TENANT, **said: object) -> httpx.Response:
    return api.client.patch(f"/v1/tenants/{tenant}", json=said)


def test_omitted_setting_stays_and_null_resets_it(api: Api) -> None:
    change(api, keep_input_seconds=60, keep_result_seconds=3600, keep_nothing=True)
    change(api, recipe={"crop": True})

    answer = change(api, keep_result_seconds=None, keep_nothing=None)

    assert answer.status_code == 200
    assert answer.json() == api.read(f"/v1/tenants/{TENANT}")
    content_of = {name: value for name, value in answer.json().items() if value is not None}
    assert content_of == {
        "tenant": TENANT,
        "keep_input_seconds": 60,
        "keep_nothing": False,
        "recipe": {"crop": True},
    }


def test_null_parameter_of_a_filter_counts_as_absent(api: Api) -> None:
    hat = {"name": "hat", "params": {"kind": None}}
    body = {"photo_base64": base64.b64encode(PHOTO).decode(), "recipe": {"filters": [hat]}}

    answer = api.client.post("/v1/jobs", json=body)

    assert (answer.status_code, answer.json()["recipe"]["filters"]) == (
        202,
        [{"name": "hat", "params": {}}],
    )


@pytest.mark.parametrize(
    ("text", "code"), [("C:\\u0000", 200), ("\\\\u0000", 200), ("a\0b", 422), ("\\\0", 422)]
)
def test_defaults_hold_no_nul_and_any_backslash(api: Api, text: str, code: int) -> None:
    assert change(api, recipe={"metadata": {"place": text}}).status_code == code


def test_request_overrides_the_defaults_and_metadata_is_merged(api: Api) -> None:
    metadata = {"app": "one", "place": "here"}
    change(api, recipe={"background": "color:red", "quality": 70, "metadata": metadata})
    photo = base64.b64encode(a_photo()).decode()
    body = {"photo_base64": photo, "recipe": {"quality": 80, "metadata": {"app": "two"}}}
    form = {"quality": "80", "metadata.app": "two"}

    in_json = api.client.post("/v1/jobs", json=body)
    in_form = api.post(fields=form)

    for answer in (in_json, in_form):
        recipe = answer.json()["recipe"]
        assert (recipe["background"], recipe["quality"]) == ("color:red", 80)
        assert answer.json()["metadata"] == {"app": "two", "place": "here"}


def test_defaults_apply_to_their_tenant_until_they_are_emptied(api: Api) -> None:
    change(api, recipe={"crop": True})
    headers = api.headers(*Scope, tenant=OTHER)

    answer = api.post(headers=headers)

    assert answer.json()["recipe"]["crop"] == "false"
    for nothing in ({}, None):
        change(api, recipe={"crop": True})
        assert change(api, recipe=nothing).json()["recipe"] == {}
        assert api.recipe_of()["crop"] == "false"


def test_default_that_is_no_longer_served_is_named_as_a_default(api: Api, clock: Clock) -> None:
    api.bench.do(published_models.publish, [Offer(a_card(TaskName.SMILE, "passing"))])
    change(api, recipe={"smile": {"model": "passing"}, "outputs": ["rating"]})
    api.bench.execute("DELETE FROM models WHERE name = 'passing'")

    clock.expire_caches()  # models are cached for a second
    answer = api.post(a_photo())

    assert answer.status_code == 422
    (wrong,) = answer.json()["errors"]
    assert wrong["pointer"] == "/smile/model"
    assert "one of your tenant's defaults" in wrong["detail"]


@pytest.mark.parametrize(
    ("recipe", "code", "pointer"),
    [
        ({"segmentation": {"model": "none"}}, "invalid_recipe", "/recipe/segmentation/model"),
        ({"margin": "10%"}, "contradiction", "/recipe/margin"),
    ],
)
def test_recipe_that_cannot_be_served_is_refused_as_a_default(
    api: Api, recipe: object, code: str, pointer: str
) -> None:
    answer = change(api, recipe=recipe)

    assert refusal_of(answer) == (422, code)
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert api.read(f"/v1/tenants/{TENANT}")["recipe"] == {}


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
def test_some_settings_can_be_changed_by_the_operator_alone(
    api: Api, theirs: dict[str, object]
) -> None:
    operator = api.headers(Scope.ADMIN, tenant=OPERATOR)

    refused = change(api, **theirs)
    done = api.client.patch(f"/v1/tenants/{TENANT}", json=theirs, headers=operator)

    assert refusal_of(refused) == (403, "scope")
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
        return str(api.create(path, json=body)[name])

    job_id = api.submit(background="keep")
    run_stages(api, StageName.PREPARE, StageName.COMPOSITE)
    photo = base64.b64encode(a_photo()).decode()
    upload = {"content_type": "image/jpeg", "bytes": 1000}
    webhook_id = made("/v1/webhooks", "id", {"url": "https://example.com/told"})
    api.client.patch(f"/v1/tenants/{TENANT}", json={"recipe": {"crop": True}})
    with httpx.Client(base_url=api.url, headers={"Origin": api.url}, timeout=60) as browser:
        assert browser.post("/v1/session", json={"key": api.key(Scope.READ)}).status_code == 201
        session_id = browser.get("/v1/sessions").json()["items"][0]["session_id"]
    return {
        "job_id": job_id,
        "batch_id": made("/v1/batches", "id", {"items": [{"photo_base64": photo}]}),
        "choice_id": made("/v1/choices", "id", {"all": True}),
        "upload_id": made("/v1/uploads", "upload_id", upload),
        "key_id": made("/v1/keys", "key_id", {"scopes": ["read"]}),
        "webhook_id": webhook_id,
        "session_id": session_id,
        "delivery_id": made(f"/v1/webhooks/{webhook_id}/test", "id"),
        "tenant": TENANT,
    }


def operations(api: Api) -> list[tuple[str, str]]:
    """Return every operation whose path holds an id, the deleting ones last."""
    document: dict[str, Any] = api.read("/openapi.json")
    found = [
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        # The operator sees all tenants there: see test_operating.py.
        if not path.startswith("/v1/operator/")
        if set(re.findall(r"{(\w+)}", path)) - set(COMMON)
    ]
    return sorted(found, key=lambda one: (one[0] == "DELETE", one))


def content_of(answer: httpx.Response, *names: str) -> tuple[int, str, dict[str, Any], list[str]]:
    """Return everything in an answer except the requested names and its own."""
    body = answer.text
    for name in names:
        body = body.replace(name, "ID")
    document: dict[str, Any] = httpx.Response(200, text=body).json() if body else {}
    document.pop("instance", None)
    headers = sorted(set(answer.headers) - {"ratelimit", "ratelimit-policy"})
    return answer.status_code, answer.headers.get("content-type", ""), document, headers


def test_foreign_id_is_answered_like_an_unknown_one(api: Api) -> None:
    headers = api.headers(*Scope, tenant=STRANGER)
    own = all_made(api)
    unknown = {name: str(uuid.uuid4()) for name in own}

    tried = operations(api)
    answers = {
        (method, path): [
            content_of(
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
    listed = api.read("/v1/keys")["items"]
    assert [key["revoked_at"] for key in listed if key["key_id"] == own["key_id"]] == [None]
    assert api.read(f"/v1/webhooks/{own['webhook_id']}")["enabled"] is True


def test_lists_contain_only_the_tenants_own(api: Api) -> None:
    own = all_made(api)
    headers = api.headers(*Scope, tenant=STRANGER)

    for name in ("jobs", "batches", "keys", "usage", "backgrounds", "webhooks", "recipes"):
        answer = api.client.get(f"/v1/{name}", headers=headers)

        assert answer.status_code == 200
        assert [made for made in own.values() if made in answer.text] == []
        assert "tests" not in answer.text


def test_foreign_cursor_leads_to_the_tenants_own_jobs(api: Api) -> None:
    for _ in range(2):
        api.submit(background="keep")
    cursor = api.read("/v1/jobs", params={"limit": 1})["next_cursor"]
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


def test_tenant_above_its_rate_limit_gets_retry_after(api: Api) -> None:
    api.limit(requests_per_minute=1)
    other = api.headers(*Scope, tenant=Tenant("other"))

    answers = [api.client.get("/v1/jobs") for _ in range(5)]

    refused = next(answer for answer in answers if answer.status_code != 200)
    assert answers[0].status_code == 200
    assert refusal_of(refused) == (429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit"].startswith('"requests";r=0;t=')
    assert refused.headers["RateLimit-Policy"] == '"requests";q=1;w=60'
    assert refused.headers["content-type"] == "application/problem+json"
    assert api.client.get("/v1/jobs", headers=other).status_code == 200


def test_operator_tenant_has_no_bounds(api: Api) -> None:
    api.limit(OPERATOR, requests_per_minute=1, jobs_waiting=1, megapixels_per_day=0.001)
    own = api.headers(*Scope, tenant=OPERATOR)

    answers = [submitted(api, own) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202] * 3
    assert "RateLimit" not in answers[0].headers


def test_limit_of_waiting_jobs_holds(api: Api) -> None:
    api.limit(jobs_waiting=2)
    key = {"Idempotency-Key": "again"}

    first, second, refused = submitted(api), submitted(api), submitted(api, key)

    assert [first.status_code, second.status_code] == [202, 202]
    assert refusal_of(refused) == (429, "queue_full")
    assert int(refused.headers["Retry-After"]) >= 1
    assert api.leftovers()["jobs"] == api.leftovers()["objects"] == 2
    api.client.post(f"/v1/jobs/{first.json()['id']}/cancel")
    # There is room, also under the key of the refused request.
    assert submitted(api, key).status_code == 202


def test_limit_is_exact_for_simultaneous_requests_to_two_processes(api: Api) -> None:
    api.limit(jobs_waiting=100)

    with serve_with(api.bench) as site, httpx.Client(timeout=60) as other:
        other.base_url, other.headers = httpx.URL(site.url), api.client.headers
        clients = [api.client, other] * 55
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(submitted_by, clients))

    assert sorted(answer.status_code for answer in answers) == [202] * 100 + [429] * 10
    assert api.leftovers()["jobs"] == api.leftovers()["objects"] == 100


def test_batches_that_fit_one_by_one_are_serialized(bench: Bench) -> None:
    bound = Limits(jobs_waiting=1000)
    is_free = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")

    with bench.transaction() as first, bench.transaction() as second:
        quotas.check_queue_quota(first, TENANT, bound, exactly=True, jobs=400)
        may_go_on = second.execute(is_free, {"name": f"jobs_waiting {TENANT}"}).scalar_one()

    assert not may_go_on


def test_daily_megapixel_limit_holds(api: Api) -> None:
    api.limit(megapixels_per_day=0.25)

    answers = [submitted(api) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[2].json()["code"] == "rate_limited"
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 24 * 3600
    assert api.leftovers()["jobs"] == 2
    api.bench.execute("UPDATE tenants SET spent_on = spent_on - 1")
    assert submitted(api).status_code == 202


def test_daily_megapixel_limit_is_exact_for_simultaneous_photos(api: Api) -> None:
    bound = Limits(megapixels_per_day=10.0)

    def spend(_: int) -> bool:
        try:
            api.bench.do(quotas.charge, TENANT, 1.0, bound)
        except RateLimited:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        admitted = sum(pool.map(spend, range(40)))

    assert admitted == 10
    assert api.bench.do(quotas.read_charged_today, TENANT) == 10.0


def test_photo_refused_for_its_queue_costs_no_megapixels(api: Api) -> None:
    api.limit(jobs_waiting=1, megapixels_per_day=10)

    for _ in range(3):
        submitted(api)

    spent = api.bench.scalar("SELECT spent_megapixels FROM tenants")
    assert spent == pytest.approx(0.1)


def test_photo_whose_place_cannot_be_reserved_costs_no_megapixels(api: Api) -> None:
    api.limit(megapixels_per_day=10)
    api.bench.execute(FAIL_RESERVATIONS)

    try:
        answers = [submitted(api), batches.post(api, {"items": batches.items(2)})]
    finally:
        api.bench.execute("DROP FUNCTION fail() CASCADE")

    assert [answer.status_code for answer in answers] == [503, 503]
    assert api.bench.do(quotas.read_charged_today, TENANT) == pytest.approx(0)


def test_full_service_accepts_jobs_of_the_operator_alone(servers: Stack, bench: Bench) -> None:
    settings = settings_of(servers.addresses, SMART_FILTER_LIMIT_JOBS_IN_ALL="2")
    for _ in range(2):
        bench.submit(KEEP, tenant=Tenant("another"))

    with an_api_with(bench, settings) as api:
        refused = submitted(api)
        operators = submitted(api, api.headers(*Scope, tenant=OPERATOR))

    assert refusal_of(refused) == (503, "unavailable")
    assert int(refused.headers["Retry-After"]) >= 1
    assert operators.status_code == 202


def submitted(api: Api, headers: dict[str, str] | None = None) -> httpx.Response:
    return submitted_by(api.client, headers)


def submitted_by(client: httpx.Client, headers: dict[str, str] | None = None) -> httpx.Response:
    return client.post(
        "/v1/jobs", files={"photo": ("photo", PHOTO)}, data={"background": "keep"}, headers=headers
    )


def submit(api: Api) -> str:
    answer = api.post(PHOTO, {"background": "keep"})
    assert answer.status_code == 202
    return str(answer.json()["id"])


def finish(api: Api) -> None:
    """Complete a job: each of its two stages takes a tenth of a second."""
    api.bench.advance(StageName.PREPARE, StageName.COMPOSITE)


def settle(api: Api) -> None:
    api.bench.work(settlement.settle)


def used(api: Api, **between: str) -> list[dict[str, Any]]:
    return api.read("/v1/usage", params=between)["items"]


def test_jobs_are_counted_once_by_their_outcome_even_when_deleted(api: Api) -> None:
    ended, unfinished = submit(api), submit(api)
    finish(api)
    settle(api)
    api.bench.advance(StageName.PREPARE)
    api.client.post(f"/v1/jobs/{submit(api)}/cancel")
    submit(api)  # and stays unfinished

    for job_id in (ended, unfinished):
        api.client.delete(f"/v1/jobs/{job_id}")
    for _ in range(2):
        settle(api)

    (day,) = used(api)
    assert day["day"] == api.bench.now().astimezone(dt.UTC).date().isoformat()
    assert (day["jobs"], day["megapixels"], day["model_seconds"]) == pytest.approx((3, 0.3, 0.3))
    counted = {
        state: (one["jobs"], one["megapixels"], one["model_seconds"])
        for state, one in day["by_state"].items()
    }
    assert counted == {
        "succeeded": pytest.approx((1, 0.1, 0.2)),
        "canceled": pytest.approx((2, 0.2, 0.1)),
    }


def test_days_are_filtered_and_sorted_with_exact_sums(api: Api) -> None:
    api.bench.execute("""
        INSERT INTO usage (tenant, day, state, jobs, megapixels, model_seconds)
        SELECT 'tests', day, state, 1, megapixels, 0 FROM unnest(
            ARRAY['2026-03-03', '2026-03-01', '2026-03-02', '2026-03-04']::date[]
        ) AS day, (VALUES ('succeeded', 0.1), ('failed', 0.2)) AS of(state, megapixels)
    """)

    days = used(api, **{"from": "2026-03-02", "to": "2026-03-03"})

    assert [day["day"] for day in days] == ["2026-03-02", "2026-03-03"]
    assert [day["megapixels"] for day in days] == [0.3] * 2  # 0.1 + 0.2 is 0.30000000000000004
    assert [used(api, to=day) for day in ("0001-01-01", "9999-12-31")] == [[], []]


def test_device_leaves_its_tenant_requests(api: Api) -> None:
    api.limit(requests_per_minute=8)
    asked = {"scopes": ["submit"], "ttl_seconds": 60, "max_jobs": 1}
    device = {"Authorization": f"Bearer {api.create('/v1/tokens', json=asked)['key']}"}

    answers = [api.client.get("/v1/jobs", headers=device) for _ in range(30)]

    assert [answer.status_code for answer in answers[:2]] == [403, 403]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["RateLimit-Policy"] == '"requests";q=2;w=60'
    assert api.client.get("/v1/jobs").status_code == 200


def test_key_that_cannot_read_derives_no_job(api: Api) -> None:
    job_id = api.submit(background="keep")
    headers = api.headers(Scope.SUBMIT)

    answer = api.client.post(f"/v1/jobs/{job_id}/derive", json={"recipe": {}}, headers=headers)

    assert refusal_of(answer) == (403, "scope")
    assert "scope read" in answer.json()["detail"]
