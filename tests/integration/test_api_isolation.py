"""What is another tenant's is as if it were not there: no answer tells it from nothing."""

import base64
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from smart_filter_api.keys import Scope
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.bench import TENANT
from smart_filter_tests.serving import Api, a_photo

STRANGER = Tenant("stranger")


def a_finished_job(api: Api, _: Mapping[str, str]) -> str:
    job_id = api.submit(background="keep")
    api.bench.advance(StageName.PREPARE)
    files = {"image": {"key": f"of/{job_id}", "format": "image/jpeg", "width": 4, "height": 4}}
    api.finish(StageName.COMPOSITE, {"files": files, "background": None})
    return job_id


def a_batch(api: Api, _: Mapping[str, str]) -> str:
    items = [{"photo_base64": base64.b64encode(a_photo()).decode()}]
    answer = api.client.post("/v1/batches", json={"items": items})
    return str(answer.json()["id"])


def an_upload(api: Api, _: Mapping[str, str]) -> str:
    wish = {"content_type": "image/jpeg", "bytes": 1000}
    return str(api.client.post("/v1/uploads", json=wish).json()["upload_id"])


def a_key(api: Api, _: Mapping[str, str]) -> str:
    return str(api.client.post("/v1/keys", json={"scopes": ["read"]}).json()["key_id"])


def a_webhook(api: Api, _: Mapping[str, str]) -> str:
    wish = {"url": "https://example.com/told"}
    return str(api.client.post("/v1/webhooks", json=wish).json()["id"])


def a_delivery(api: Api, before: Mapping[str, str]) -> str:
    return str(api.client.post(f"/v1/webhooks/{before['webhook_id']}/test").json()["id"])


def a_tenant(api: Api, _: Mapping[str, str]) -> str:
    api.client.patch(f"/v1/tenants/{TENANT}", json={"recipe": {"crop": True}})
    return TENANT


# What there is of a tenant's under each name of a path; a new name must be added here.
MADE: Mapping[str, Callable[[Api, Mapping[str, str]], str]] = {
    "job_id": a_finished_job,
    "batch_id": a_batch,
    "upload_id": an_upload,
    "key_id": a_key,
    "webhook_id": a_webhook,
    "delivery_id": a_delivery,
    "tenant": a_tenant,
}
# Named by paths, but nobody's own.
COMMON: Mapping[str, str] = {"name": "image", "code": "not_found"}
# Bodies without which a request would be refused before anything is looked for.
CHANGE: Mapping[str, object] = {"PATCH": {"enabled": False}}


def all_made(api: Api) -> dict[str, str]:
    """Return what the client's tenant has by now of everything, by its name in paths."""
    made: dict[str, str] = {}
    for name, make in MADE.items():
        made[name] = make(api, made)
    return made


def operations(api: Api) -> list[tuple[str, str]]:
    """Return every operation whose path holds an id, the deleting ones last."""
    document: dict[str, Any] = api.client.get("/openapi.json").json()
    found = [
        (method.upper(), path)
        for path, methods in document["paths"].items()
        for method in methods
        # Whoever runs the service sees all tenants there: see test_operating_api.py.
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


def test_foreign_job_that_was_deleted_is_unknown_too(api: Api) -> None:
    job_id = api.submit(background="keep")
    api.client.delete(f"/v1/jobs/{job_id}")
    headers = api.headers(*Scope, tenant=STRANGER)

    foreign = api.client.get(f"/v1/jobs/{job_id}", headers=headers)

    assert api.client.get(f"/v1/jobs/{job_id}").status_code == 410
    assert foreign.status_code == 404


@pytest.mark.parametrize(
    "path", ["/v1/jobs", "/v1/batches", "/v1/keys", "/v1/usage", "/v1/backgrounds", "/v1/webhooks"]
)
def test_lists_hold_ones_own(api: Api, path: str) -> None:
    own = all_made(api)
    headers = api.headers(*Scope, tenant=STRANGER)

    answer = api.client.get(path, headers=headers)

    assert answer.status_code == 200
    assert [made for made in own.values() if made in answer.text] == []
    assert "tests" not in answer.text


def test_foreign_cursor_leads_to_ones_own(api: Api) -> None:
    for _ in range(2):
        api.submit(background="keep")
    cursor = api.client.get("/v1/jobs", params={"limit": 1}).json()["next_cursor"]
    headers = api.headers(*Scope, tenant=STRANGER)

    answer = api.client.get("/v1/jobs", params={"cursor": cursor}, headers=headers)

    assert answer.json() == {"items": [], "next_cursor": None}


def test_same_idempotency_key_tells_nothing_of_another_tenant(api: Api) -> None:
    photo = {"photo": ("photo", a_photo())}
    key = {"Idempotency-Key": "common"}
    first = api.client.post("/v1/jobs", files=photo, headers=key)
    headers = api.headers(*Scope, tenant=STRANGER) | key

    answer = api.client.post("/v1/jobs", files=photo, headers=headers)

    assert answer.status_code == 202
    assert answer.json()["id"] != first.json()["id"]
    assert "Idempotency-Replayed" not in answer.headers
