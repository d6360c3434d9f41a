"""Things of another tenant are answered as if they did not exist."""

import base64
import re
import uuid
from collections.abc import Mapping
from typing import Any

import httpx

from smart_filter_api.keys import Scope
from smart_filter_shared.ids import JobId, Tenant
from smart_filter_shared.jobs.states import JobState
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.bench import TENANT
from smart_filter_tests.serving import Api, a_photo

STRANGER = Tenant("stranger")


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


# Named by paths, but of no tenant.
COMMON: Mapping[str, str] = {"name": "image", "code": "not_found"}
# Bodies without which a request would be refused before anything is looked for.
CHANGE: Mapping[str, object] = {"PATCH": {"enabled": False}}


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


def test_foreign_job_that_was_deleted_is_unknown_too(api: Api) -> None:
    job_id = api.submit(background="keep")
    api.client.delete(f"/v1/jobs/{job_id}")
    headers = api.headers(*Scope, tenant=STRANGER)

    foreign = api.client.get(f"/v1/jobs/{job_id}", headers=headers)

    assert api.client.get(f"/v1/jobs/{job_id}").status_code == 410
    assert foreign.status_code == 404


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
