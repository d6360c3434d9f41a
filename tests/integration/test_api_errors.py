"""Errors that tell the next step, beyond the table of malformed requests."""

from typing import Any, Final

import httpx
import pytest

from smart_filter_tests import heic
from smart_filter_tests.bench import TENANT
from smart_filter_tests.serving import Api, a_photo, refusal_of

HOST: Final = "https://example.org/picture.jpg"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"json": {"photo_url": HOST}}, "photo_url"),
        ({"files": {"photo": a_photo()}, "data": {"webhook_url": HOST}}, "webhook_url"),
        ({"files": {"photo": a_photo()}, "data": {"background": f"url:{HOST}"}}, "background_file"),
    ],
)
def test_device_token_cannot_name_an_address(api: Api, body: dict[str, Any], named: str) -> None:
    token = api.create("/v1/tokens", json={"max_jobs": 1})["key"]
    headers = {"Authorization": f"Bearer {token}"}

    refused = api.client.post("/v1/jobs", **body, headers=headers)
    accepted = api.client.post("/v1/jobs", **body)

    assert refusal_of(refused) == (403, "scope")
    assert named in refused.json()["detail"]
    assert accepted.status_code == 202, accepted.text


def test_device_token_uses_the_background_address_of_its_tenant(api: Api) -> None:
    defaults = {"recipe": {"background": f"url:{HOST}"}}
    assert api.client.patch(f"/v1/tenants/{TENANT}", json=defaults).status_code == 200
    token = api.create("/v1/tokens", json={"max_jobs": 1})["key"]
    headers = {"Authorization": f"Bearer {token}"}

    answer = api.post(headers=headers)

    assert answer.status_code == 202, answer.text
    assert answer.json()["recipe"]["background"] == f"url:{HOST}"


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1.0/account", "/livez"])
@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key", "Idempotency-Key"])
def test_header_of_a_key_is_sent_once(api: Api, header: str, path: str) -> None:
    good = api.client.headers["Authorization"]

    answer = httpx.get(api.url + path, headers=[(header, good), (header, "b")], timeout=60)

    assert answer.status_code == 400
    assert '"code":"malformed_request"' in answer.text
    assert f"there is more than one {header} header" in answer.text


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1.0/account"])
def test_key_in_two_headers_is_refused(api: Api, path: str) -> None:
    key = api.key()

    both = httpx.get(
        api.url + path, headers={"Authorization": f"Bearer {key}", "X-Api-Key": key}, timeout=60
    )

    assert both.status_code == 400
    assert "in X-Api-Key and Authorization" in both.text


def test_key_next_to_the_password_of_a_proxy_is_accepted(api: Api) -> None:
    headers = {"Authorization": "Basic dTpw", "X-Api-Key": api.key()}

    answer = httpx.get(f"{api.url}/v1.0/account", headers=headers, timeout=60)

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("name", "format_"),
    [("jpeg", "jpg"), ("image/jpg", "jpg"), ("image/webp", "webp")],
)
def test_format_has_other_names(api: Api, name: str, format_: str) -> None:
    answer = api.post(a_photo(), {"background": "keep", "format": name})

    assert answer.status_code == 202, answer.text
    assert answer.json()["recipe"]["format"] == format_


@pytest.mark.parametrize(
    ("content_type", "registered", "photo"),
    [
        *((name, "image/jpeg", a_photo()) for name in ("image/jpg", "jpeg", "jpg")),
        ("image/heif", "image/heic", heic.quarters()),
    ],
)
def test_upload_of_a_common_type_is_of_the_registered_one(
    api: Api, content_type: str, registered: str, photo: bytes
) -> None:
    wish = {"content_type": content_type, "bytes": len(photo)}

    upload = api.create("/v1/uploads", json=wish)

    assert upload["headers"] == {"Content-Type": registered}
    put = httpx.put(upload["put_url"], content=photo, headers=upload["headers"], timeout=60)
    assert put.status_code == 200
    body = {"upload_id": upload["upload_id"], "recipe": {"background": "keep"}}
    submitted = api.client.post("/v1/jobs", json=body)
    assert submitted.status_code == 202, submitted.text


@pytest.mark.parametrize(
    ("path", "document", "meant"),
    [
        ("keys", {"scopes": ["sumbit"]}, "submit"),
        ("webhooks", {"url": HOST, "events": ["job.sucess"]}, "job.succeeded"),
        ("tokens", {"max_job": 1}, "max_jobs"),
        ("tokens", {"ttl": 60}, "ttl_seconds"),
    ],
)
def test_misspelled_value_of_a_document_names_the_nearest(
    api: Api, path: str, document: object, meant: str
) -> None:
    answer = api.client.post(f"/v1/{path}", json=document).json()

    assert answer["errors"][0]["detail"].endswith(f"; did you mean {meant}?")


def test_hundreds_of_parameters_are_refused_unread(api: Api) -> None:
    refused = [
        api.client.get("/v1/jobs", params={f"a{number}": "" for number in range(count)}).json()
        for count in (100, 101)
    ]

    assert [len(one.get("errors", [])) for one in refused] == [20, 1]
    assert refused[1]["detail"] == "there are more than 100 query parameters"


@pytest.mark.parametrize("path", ["/v1/session", "/v1/jobs", "/v1.0/removebg"])
def test_long_content_type_is_refused_unread(api: Api, path: str) -> None:
    # The time to parse its parameters is quadratic.
    headers = {"Content-Type": "application/json" + ";" * 60_000}

    answer = httpx.post(api.url + path, content=b"{}", headers=headers, timeout=60)

    assert answer.status_code == 400
    assert "the Content-Type header has more than 1000 characters" in answer.text


def test_websocket_handshake_is_answered_as_any_request(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    handshake = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }

    answers = [one.get("/v1/nothing", headers=handshake) for one in (api.client, api.operators)]

    for answer in answers:
        assert refusal_of(answer) == (404, "not_found")
        assert answer.headers["X-Request-Id"]
    assert "pip install" not in caplog.text
