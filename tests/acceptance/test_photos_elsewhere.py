"""Photos that a job names, at an address or put into storage, through the running stack."""

import hashlib
import uuid
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import namedtuple_row

from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_tests.bench import settings_of
from smart_filter_tests.pictures import plain
from smart_filter_tests.running import PHOTO, Running
from smart_filter_tests.web import a_site, answer, ok, redirect

A_PICTURE = plain(900, 300, (20, 160, 60), "JPEG")
DIGEST = hashlib.sha256(PHOTO.read_bytes()).hexdigest()


def submitted(stack: Running, **wish: object) -> str:
    wish.setdefault("recipe", {"background": "keep"})
    answered = stack.client.post("/v1/jobs", json=wish)
    assert answered.status_code == 202, answered.text
    return str(answered.json()["id"])


def an_upload(stack: Running, photo: bytes, type_: str) -> dict[str, Any]:
    """Put a photo into storage."""
    wish = {"content_type": type_, "bytes": len(photo)}
    upload: dict[str, Any] = stack.client.post("/v1/uploads", json=wish).json()
    put(upload, photo)
    return upload


def put(upload: dict[str, Any], photo: bytes) -> None:
    httpx.put(
        upload["put_url"], content=photo, headers=upload["headers"], timeout=30
    ).raise_for_status()


def executed(stack: Running, statement: str, job_id: str) -> Any:  # noqa: ANN401 - a cursor
    """Run a statement about a job on the stack's database."""
    url = stack.stack.addresses.database_url.replace("+psycopg", "")
    with psycopg.connect(url, row_factory=namedtuple_row) as connection:
        cursor = connection.execute(statement, {"id": uuid.UUID(job_id)})
        return cursor.fetchone() if cursor.description else None


def row(stack: Running, job_id: str) -> Any:  # noqa: ANN401 - a row of named columns
    """Return what the table has of a job's photo."""
    columns = "photo_key, photo_digest, photo_url, megapixels"
    return executed(stack, f"SELECT {columns} FROM jobs WHERE id = %(id)s", job_id)


def objects(stack: Running, name: str) -> set[str]:
    """Return the keys of the objects of a job or an upload."""
    store = ObjectStore(settings_of(stack.stack.addresses).storage, connections=1)
    return {stored.key for stored in store.stored() if name in stored.key}


def test_photo_at_an_address_is_fetched_once_and_kept(running_stack: Running) -> None:
    said = {
        # The media type that a server names does not count; the link is a presigned one.
        "/a?signature=x": ok(PHOTO.read_bytes(), content__type="text/plain"),
        "/": redirect("/a?signature=x"),
    }
    with a_site(said) as site:
        job_id = submitted(running_stack, photo_url=f"{site.url}/", recipe={"background": "auto"})
        job = running_stack.wait(job_id)

    assert job["state"] == "succeeded", job["error"]
    assert job["photo"] == {"width": 512, "height": 512, "format": "png", "quarter_turns": 0}
    assert len(site.requests) == 2
    kept = row(running_stack, job_id)
    assert (kept.photo_digest, kept.photo_url) == (DIGEST, None)
    assert round(kept.megapixels, 6) == 0.262144
    assert kept.photo_key in objects(running_stack, job_id)
    running_stack.client.delete(f"/v1/jobs/{job_id}")
    assert objects(running_stack, job_id) == set()


@pytest.mark.parametrize(
    ("url", "code", "detail"),
    [
        ("http://169.254.169.254/a", "photo_unreachable", "not found on the public internet"),
        ("{site}/gone?signature=x", "photo_unreachable", "answers 404"),
        ("{site}/page?signature=x", "image_unreadable", "JPEG"),
        ("{site}/large", "image_too_large", "more than 40000000 bytes"),
    ],
    ids=["private", "gone", "no picture", "too large"],
)
def test_photo_that_an_address_does_not_give_fails_its_job_at_once(
    running_stack: Running, url: str, code: str, detail: str
) -> None:
    said = {
        "/page?signature=x": ok(b"<html>", content__type="image/jpeg"),
        "/large": answer(200, content__length="40000001"),
    }
    with a_site(said) as site:
        job_id = submitted(running_stack, photo_url=url.format(site=site.url))
        job = running_stack.wait(job_id)

    assert (job["state"], job["error"]["code"]) == ("failed", code)
    assert job["error"]["stage"] == "prepare"
    assert detail in job["error"]["detail"]
    assert not any(part in job["error"]["detail"] for part in ("signature", "169.254"))
    assert job["stages"][0]["attempt"] == 1
    assert objects(running_stack, job_id) == set()


@pytest.mark.slow
def test_photo_whose_server_is_away_is_tried_thrice_and_redriven(running_stack: Running) -> None:
    with a_site({"/": answer(503, content__length="0")}) as site:
        job_id = submitted(running_stack, photo_url=f"{site.url}/")
        failed = running_stack.wait(job_id)
        asked = len(site.requests)
        site.answers["/"] = ok(A_PICTURE)
        redriven = running_stack.client.post(f"/v1/jobs/{job_id}/redrive")
        job = running_stack.wait(job_id)

    assert (failed["state"], failed["error"]["code"], asked) == ("failed", "photo_unreachable", 3)
    assert redriven.status_code == 202
    assert (job["state"], job["photo"]["width"]) == ("succeeded", 900)


def test_photo_put_into_storage_goes_all_the_way(running_stack: Running) -> None:
    upload = an_upload(running_stack, PHOTO.read_bytes(), "image/png")["upload_id"]

    first, second = (submitted(running_stack, upload_id=upload) for _ in range(2))
    states = [running_stack.wait(job_id)["state"] for job_id in (first, second)]

    assert states == ["succeeded"] * 2
    assert [row(running_stack, one).photo_digest for one in (first, second)] == [DIGEST] * 2
    running_stack.client.delete(f"/v1/jobs/{first}")
    assert objects(running_stack, first) == set()
    assert row(running_stack, second).photo_key in objects(running_stack, second)
    assert objects(running_stack, upload) != set()
    running_stack.client.delete(f"/v1/jobs/{second}")
    assert objects(running_stack, upload) == set()


def test_photo_that_was_put_again_is_refused(running_stack: Running) -> None:
    upload = an_upload(running_stack, A_PICTURE, "image/jpeg")
    # Run only when the other photo is there.
    recipe = {"background": "keep", "run_at": "2999-01-01T00:00:00Z"}
    job_id = submitted(running_stack, upload_id=upload["upload_id"], recipe=recipe)

    put(upload, A_PICTURE[:-1] + bytes([A_PICTURE[-1] ^ 1]))
    executed(
        running_stack,
        "UPDATE stages SET not_before = now() WHERE job_id = %(id)s AND stage = 'prepare'",
        job_id,
    )
    job = running_stack.wait(job_id)

    assert (job["state"], job["error"]["code"]) == ("failed", "inputs_expired")
    assert job["error"]["stage"] == "prepare"
    assert "something else was put into upload" in job["error"]["detail"]
