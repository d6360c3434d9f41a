"""Webhooks as their owners see them: made, changed, rotated, deleted, and hidden from others."""

import base64
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from smart_filter_api.keys import Scope
from smart_filter_tests.serving import Api

URL = "https://example.com/hooks"


def made(api: Api, **fields: object) -> dict[str, Any]:
    answer = api.client.post("/v1/webhooks", json={"url": URL, **fields})
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def test_new_webhook_shows_its_secret_once(api: Api) -> None:
    shown = made(api, events=["job.succeeded"])

    assert set(shown) == {"id", "url", "events", "secret"}
    assert len(base64.b64decode(shown["secret"].removeprefix("whsec_"))) == 32
    again = api.client.get(f"/v1/webhooks/{shown['id']}").json()
    assert "secret" not in again
    assert (again["url"], again["events"], again["enabled"]) == (URL, ["job.succeeded"], True)
    assert api.client.get("/v1/webhooks").json() == {"items": [again], "next_cursor": None}


def test_no_secret_lies_open_in_the_database(api: Api) -> None:
    shown = api.client.post(
        "/v1/webhooks", json={"url": URL}, headers={"Idempotency-Key": "one"}
    ).json()
    key = base64.b64decode(shown["secret"].removeprefix("whsec_"))

    stored = [
        api.bench.scalar("SELECT sealed FROM webhook_secrets"),
        api.bench.scalar("SELECT convert_to(body, 'UTF8') FROM requests"),
    ]

    assert not any(key in one or shown["secret"].encode() in one for one in stored)


def test_webhook_made_again_under_its_key_is_one_and_shows_the_same_secret(api: Api) -> None:
    headers = {"Idempotency-Key": "one"}

    first, again = (
        api.client.post("/v1/webhooks", json={"url": URL}, headers=headers) for _ in range(2)
    )

    assert first.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(api.client.get("/v1/webhooks").json()["items"]) == 1


def test_webhook_is_changed_in_what_is_given(api: Api) -> None:
    webhook = made(api, events=["job.failed"])
    path = f"/v1/webhooks/{webhook['id']}"

    paused = api.client.patch(path, json={"enabled": False}).json()
    moved = api.client.patch(path, json={"url": "https://example.org/", "enabled": True}).json()

    assert (paused["enabled"], paused["disabled"], paused["url"]) == (False, "paused", URL)
    assert (moved["enabled"], moved["disabled"]) == (True, None)
    assert (moved["url"], moved["events"]) == ("https://example.org/", ["job.failed"])


def test_rotating_shows_another_secret(api: Api) -> None:
    webhook = made(api)

    rotated = api.client.post(f"/v1/webhooks/{webhook['id']}/rotate").json()
    default = api.client.post("/v1/webhooks/default/rotate").json()

    assert rotated["id"] == webhook["id"]
    assert rotated["former_until"] is not None
    assert (default["id"], default["former_until"]) == ("default", None)
    secrets = {one["secret"] for one in (webhook, rotated, default)}
    assert len(secrets) == 3
    assert all(secret.startswith("whsec_") for secret in secrets)


def test_of_many_at_once_fifty_webhooks_are_made(api: Api) -> None:
    def make(_: int) -> httpx.Response:
        return api.client.post("/v1/webhooks", json={"url": URL})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(make, range(58)))

    assert Counter(answer.status_code for answer in answers) == {201: 50, 422: 8}
    assert all("50" in one.json()["detail"] for one in answers if one.status_code == 422)


def test_null_changes_no_field_of_a_webhook(api: Api) -> None:
    path = f"/v1/webhooks/{made(api)['id']}"

    for name in ("url", "events", "enabled"):
        answer = api.client.patch(path, json={name: None})

        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert [one["pointer"] for one in answer.json()["errors"]] == [f"/{name}"]


_CHANGES: list[tuple[str, str, dict[str, object] | None]] = [
    ("PATCH", "", {"enabled": False}),
    ("POST", "/rotate", None),
    ("POST", "/test", None),
    ("POST", "/deliveries/replay", None),
    ("POST", f"/deliveries/{uuid.UUID(int=1)}/replay", None),
    ("DELETE", "", None),
]


@pytest.mark.parametrize("scope", [Scope.SUBMIT, Scope.READ])
def test_key_without_the_scope_changes_nothing(api: Api, scope: Scope) -> None:
    path = f"/v1/webhooks/{made(api)['id']}"
    headers = api.headers(scope)

    answers = [
        api.client.request(method, f"{path}{rest}", json=body, headers=headers)
        for method, rest, body in _CHANGES
    ]

    assert {answer.status_code for answer in answers} == {403}
