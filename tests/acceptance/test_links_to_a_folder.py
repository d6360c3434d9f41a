"""Links of a stack that stores objects in a folder: they lead to the API, and need no key."""

import datetime as dt
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import text

from smart_filter_shared.db import sessions
from smart_filter_tests.bench import settings_of
from smart_filter_tests.full_stack import PHOTO, RunningStack
from smart_filter_tests.serving import refusal_of

CONTENT = PHOTO.read_bytes()


def create_upload(stack: RunningStack) -> dict[str, Any]:
    return stack.create("/v1/uploads", json={"content_type": "image/png", "bytes": len(CONTENT)})


def put(upload: dict[str, Any], content: bytes = CONTENT, **headers: str) -> httpx.Response:
    return httpx.put(
        upload["put_url"], content=content, headers={**upload["headers"], **headers}, timeout=60
    )


def test_photo_is_put_to_its_link_and_used(running_stack: RunningStack) -> None:
    upload = create_upload(running_stack)

    stored = put(upload)
    named = {"upload_id": upload["upload_id"], "recipe": {"background": "keep"}}
    job = running_stack.client.post("/v1/jobs", json=named).json()

    assert urlsplit(upload["put_url"]).netloc == running_stack.client.base_url.netloc.decode()
    assert (stored.status_code, stored.content) == (200, b"")
    assert running_stack.wait(job["id"])["state"] == "succeeded"


@pytest.mark.parametrize(
    ("content", "headers"),
    [(CONTENT + b"\0", {}), (CONTENT[:-1], {}), (CONTENT, {"Content-Type": "text/html"})],
    ids=["longer", "shorter", "another type"],
)
def test_link_accepts_only_what_was_announced(
    running_stack: RunningStack, content: bytes, headers: dict[str, str]
) -> None:
    upload = create_upload(running_stack)

    refused = put(upload, content, **headers)
    missing = running_stack.client.post("/v1/jobs", json={"upload_id": upload["upload_id"]})

    assert refusal_of(refused) == (403, "link_invalid")
    assert missing.json()["code"] == "upload_missing"


def test_link_opens_no_other_upload(running_stack: RunningStack) -> None:
    upload, other = (create_upload(running_stack) for _ in range(2))
    url = httpx.URL(upload["put_url"])
    expires, signature = url.params["expires"], url.params["signature"]
    later = str(int(expires) + 1)

    refused = [
        put({**upload, "put_url": str(one)})
        for one in (
            url.copy_with(path=f"/v1/uploads/{other['upload_id']}"),
            url.copy_with(path="/v1/uploads/none"),
            url.copy_set_param("expires", later),
            url.copy_set_param("signature", signature[::-1]),
            url.copy_remove_param("signature"),
        )
    ]
    without_link = put({**upload, "put_url": str(url.copy_with(query=None))})

    assert [refusal_of(one) for one in refused] == [(403, "link_invalid")] * len(refused)
    assert without_link.status_code == 401


def test_chunked_body_and_expired_upload_are_refused(running_stack: RunningStack) -> None:
    upload = create_upload(running_stack)

    chunked = httpx.put(
        upload["put_url"], content=iter([CONTENT]), headers=upload["headers"], timeout=60
    )
    expire_uploads(running_stack)
    late = put(upload)

    assert refusal_of(chunked) == (403, "link_invalid")
    assert refusal_of(late) == (404, "not_found")


def expire_uploads(stack: RunningStack) -> None:
    engine = sessions.open_engine(settings_of(stack.stack.addresses).database, connections=1)
    with sessions.transaction(engine) as connection:
        connection.execute(text("UPDATE uploads SET expires_at = now()"))
    engine.dispose()


@pytest.mark.slow
def test_same_bytes_may_be_put_again_before_they_are_imported(running_stack: RunningStack) -> None:
    upload = create_upload(running_stack)
    put(upload)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2)
    named = {"upload_id": upload["upload_id"], "recipe": {"run_at": later.isoformat()}}
    job = running_stack.client.post("/v1/jobs", json=named).json()

    put(upload)

    assert running_stack.wait(job["id"])["state"] == "succeeded"


def test_redirect_leads_to_a_link_without_a_key(running_stack: RunningStack) -> None:
    job = running_stack.run(background="keep")
    path = f"/v1/jobs/{job['id']}/outputs/image"

    redirect = running_stack.client.get(path, params={"redirect": "1", "download": "a.jpg"})
    link = redirect.headers["location"]
    followed = httpx.get(link, timeout=60)

    assert redirect.status_code == 307
    assert urlsplit(link).netloc == running_stack.client.base_url.netloc.decode()
    assert followed.content == running_stack.output(job["id"], "image")
    assert 'filename="a.jpg"' in followed.headers["content-disposition"]
    assert httpx.get(link.replace("/image", "/matte"), timeout=60).status_code == 403
