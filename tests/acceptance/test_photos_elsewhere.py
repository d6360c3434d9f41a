"""Photos that a job names, at an address or put into storage, through the running stack."""

import hashlib
import io
import uuid
from typing import Any

import httpx
import pytest
from PIL import Image
from sqlalchemy import create_engine, text

from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_tests.bench import settings_of
from smart_filter_tests.running import PHOTO, Running
from smart_filter_tests.web import a_site, answer, ok, redirect


def a_picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (900, 300), (20, 160, 60)).save(file, "JPEG")
    return file.getvalue()


def submitted(stack: Running, **wish: object) -> str:
    wish.setdefault("recipe", {"background": "keep"})
    answered = stack.client.post("/v1/jobs", json=wish)
    assert answered.status_code == 202, answered.text
    return str(answered.json()["id"])


def an_upload(stack: Running, photo: bytes, type_: str) -> dict[str, Any]:
    """Put a photo into storage."""
    wish = {"content_type": type_, "bytes": len(photo)}
    upload: dict[str, Any] = stack.client.post("/v1/uploads", json=wish).json()
    put = httpx.put(upload["put_url"], content=photo, headers=upload["headers"], timeout=30)
    assert put.status_code == 200, put.text
    return upload


def row(stack: Running, job_id: str) -> Any:  # noqa: ANN401 - a row of named columns
    """Return what the table has of a job's photo."""
    engine = create_engine(settings_of(stack.stack.addresses).database.url.get_secret_value())
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT photo_key, photo_digest, photo_url, megapixels FROM jobs WHERE id = :id"),
            {"id": uuid.UUID(job_id)},
        ).one()
    engine.dispose()
    return found


def objects(stack: Running, job_id: str) -> set[str]:
    """Return the keys of a job's objects."""
    store = ObjectStore(settings_of(stack.stack.addresses).storage, connections=1)
    return {stored.key for stored in store.stored() if job_id in stored.key}


def test_photo_at_an_address_is_fetched_once_and_kept(running_stack: Running) -> None:
    said = {
        # What a server calls its file does not count; the link is a presigned one's.
        "/a?signature=x": ok(PHOTO.read_bytes(), content__type="text/plain"),
        "/": redirect("/a?signature=x"),
    }
    with a_site(said) as site:
        job_id = submitted(running_stack, photo_url=f"{site.url}/", recipe={"background": "auto"})
        job = running_stack.wait(job_id)

    assert job["state"] == "succeeded", job["error"]
    upright = {"width": 512, "height": 512, "format": "png", "quarter_turns": 0}
    assert job["photo"] == upright
    assert len(site.requests) == 2
    kept = row(running_stack, job_id)
    assert kept.photo_digest == hashlib.sha256(PHOTO.read_bytes()).hexdigest()
    assert (kept.photo_url, round(kept.megapixels, 6)) == (None, 0.262144)
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
)
def test_photo_that_cannot_be_had_fails_its_job_at_once(
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
    # What was fetched in vain is not left lying about.
    assert objects(running_stack, job_id) == set()


def test_photo_whose_server_is_away_is_tried_thrice_and_redriven(running_stack: Running) -> None:
    with a_site({"/": answer(503, content__length="0")}) as site:
        job_id = submitted(running_stack, photo_url=f"{site.url}/")
        failed = running_stack.wait(job_id)
        asked = len(site.requests)
        site.answers["/"] = ok(a_picture())
        redriven = running_stack.client.post(f"/v1/jobs/{job_id}/redrive")
        job = running_stack.wait(job_id)

    assert (failed["state"], failed["error"]["code"], asked) == ("failed", "photo_unreachable", 3)
    assert redriven.status_code == 202
    assert (job["state"], job["photo"]["width"]) == ("succeeded", 900)


def test_photo_put_into_storage_goes_all_the_way(running_stack: Running) -> None:
    upload = an_upload(running_stack, PHOTO.read_bytes(), "image/png")

    job_ids = [submitted(running_stack, upload_id=upload["upload_id"]) for _ in range(2)]
    jobs = [running_stack.wait(job_id) for job_id in job_ids]

    assert [job["state"] for job in jobs] == ["succeeded"] * 2
    assert [row(running_stack, one).photo_digest for one in job_ids] == [
        hashlib.sha256(PHOTO.read_bytes()).hexdigest()
    ] * 2
    running_stack.client.delete(f"/v1/jobs/{job_ids[0]}")
    assert objects(running_stack, job_ids[0]) == set()
    assert row(running_stack, job_ids[1]).photo_key in objects(running_stack, job_ids[1])
    assert objects(running_stack, upload["upload_id"]) != set()
    running_stack.client.delete(f"/v1/jobs/{job_ids[1]}")
    assert objects(running_stack, upload["upload_id"]) == set()


def test_photo_that_was_put_again_is_refused(running_stack: Running) -> None:
    photo = a_picture()
    upload = an_upload(running_stack, photo, "image/jpeg")
    # Run only when the other photo is there.
    recipe = {"background": "keep", "run_at": "2999-01-01T00:00:00Z"}
    job_id = submitted(running_stack, upload_id=upload["upload_id"], recipe=recipe)
    other = photo[:-1] + bytes([photo[-1] ^ 1])

    httpx.put(upload["put_url"], content=other, headers=upload["headers"], timeout=30)
    engine = create_engine(
        settings_of(running_stack.stack.addresses).database.url.get_secret_value()
    )
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE stages SET not_before = now() WHERE job_id = :id AND stage = 'prepare'"),
            {"id": uuid.UUID(job_id)},
        )
    engine.dispose()
    job = running_stack.wait(job_id)

    assert (job["state"], job["error"]["code"]) == ("failed", "inputs_expired")
    assert job["error"]["stage"] == "prepare"
    assert "something else was put into upload" in job["error"]["detail"]
