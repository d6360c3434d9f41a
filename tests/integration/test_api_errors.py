"""Errors that tell the next step, beyond the table of malformed requests."""

import httpx
import pytest

from smart_filter_tests import batches
from smart_filter_tests.serving import Api, a_photo


def test_used_up_device_token_has_its_own_code(api: Api) -> None:
    token = api.client.post("/v1/tokens", json={"max_jobs": 1}).json()["key"]
    headers = {"Authorization": f"Bearer {token}"}
    form = {"files": {"photo": a_photo()}, "data": {"background": "keep"}, "headers": headers}
    first = api.client.post("/v1/jobs", **form)

    second = api.client.post("/v1/jobs", **form)

    assert first.status_code == 202, first.text
    assert (second.status_code, second.json()["code"]) == (403, "token_used_up")
    assert "POST /v1/tokens" in second.json()["remedy"]


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1.0/account", "/livez"])
def test_two_authorization_headers_are_refused(api: Api, path: str) -> None:
    good = api.client.headers["Authorization"]

    answer = httpx.get(
        api.url + path,
        headers=[("Authorization", good), ("Authorization", "Bearer other")],
        timeout=60,
    )

    assert answer.status_code == 400
    assert '"code":"malformed_request"' in answer.text


def test_jpeg_is_another_name_of_jpg(api: Api) -> None:
    answer = api.post(a_photo(), {"background": "keep", "format": "jpeg"})

    assert answer.status_code == 202, answer.text
    assert answer.json()["recipe"]["format"] == "jpg"


def test_upload_of_image_jpg_is_of_image_jpeg(api: Api) -> None:
    photo = a_photo()
    wish = {"content_type": "image/jpg", "bytes": len(photo)}

    upload = api.client.post("/v1/uploads", json=wish).json()

    assert upload["headers"] == {"Content-Type": "image/jpeg"}
    put = httpx.put(upload["put_url"], content=photo, headers=upload["headers"], timeout=60)
    assert put.status_code == 200
    body = {"upload_id": upload["upload_id"], "recipe": {"background": "keep"}}
    submitted = api.client.post("/v1/jobs", json=body)
    assert submitted.status_code == 202, submitted.text


def test_errors_have_their_field_as_subject(api: Api) -> None:
    parameter = api.client.get("/v1/jobs", params={"limit": "500"}).json()
    field = api.client.post("/v1/tokens", json={"max_jobs": 0}).json()
    missing = api.client.post("/v1/keys", json={}).json()

    assert [one["detail"] for one in parameter["errors"]] == ["limit is 500; the maximum is 200"]
    assert [one["detail"] for one in field["errors"]] == ["max_jobs is 0; the minimum is 1"]
    assert [one["detail"] for one in missing["errors"]] == ["scopes is missing"]


def test_misspelled_values_of_documents_name_the_nearest(api: Api) -> None:
    scope = api.client.post("/v1/keys", json={"scopes": ["sumbit"]}).json()
    event = api.client.post(
        "/v1/webhooks", json={"url": "https://example.org/", "events": ["job.sucess"]}
    ).json()
    name = api.client.post("/v1/tokens", json={"max_job": 1}).json()

    assert scope["errors"][0]["detail"].endswith("; did you mean submit?")
    assert event["errors"][0]["detail"].endswith("; did you mean job.succeeded?")
    assert name["errors"][0]["detail"].endswith("; did you mean max_jobs?")


def test_errors_of_an_item_point_into_the_batch(api: Api) -> None:
    wrong = {**batches.items(1)[0], "recipe": {"backgroud": "keep"}}

    batch = batches.submit(api, {"items": [*batches.items(1), wrong], "recipe": batches.KEEP})

    (error,) = batch["items"][1]["error"]["errors"]
    assert error["pointer"] == "/items/1/backgroud"
    assert error["detail"].endswith("; did you mean background?")
