"""Photos from storage or requests, and requests that are not HTTP."""

import datetime as dt
import json
import os
import socket
import struct
import uuid
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest

from smart_filter_api.auth.api_keys import Scope
from smart_filter_api.intake import body
from smart_filter_shared.ids import JobId, Tenant, UploadId
from smart_filter_shared.storage import keys
from smart_filter_tests.bench import TENANT
from smart_filter_tests.maintenance import collector
from smart_filter_tests.serving import Api, a_photo, refusal_of

PHOTO = a_photo()
STRANGER = Tenant("stranger")


def create_upload(api: Api, photo: bytes = PHOTO, type_: str = "image/jpeg") -> dict[str, Any]:
    return api.create("/v1/uploads", json={"content_type": type_, "bytes": len(photo)})


def put(upload: dict[str, Any], photo: bytes = PHOTO) -> int:
    """Put a photo as an upload describes; return the storage's status."""
    return httpx.put(
        upload["put_url"], content=photo, headers=upload["headers"], timeout=60
    ).status_code


def key_of(upload: dict[str, Any]) -> str:
    return keys.upload(TENANT, UploadId(uuid.UUID(upload["upload_id"])))


def name(api: Api, upload: dict[str, Any], **headers: str) -> httpx.Response:
    wish = {"upload_id": upload["upload_id"]}
    return api.client.post("/v1/jobs", json=wish, headers=headers)


def age(api: Api, *, seconds: float) -> None:
    api.bench.execute(
        "UPDATE uploads SET expires_at = expires_at - make_interval(secs => :seconds)",
        seconds=seconds,
    )


def sweep(api: Api) -> set[str]:
    """Let retention remove expired objects; return the keys that are left."""
    collector(api.bench).remove_expired()
    return {stored.key for stored in api.bench.store.stored()}


def test_uploaded_photo_is_used_by_jobs(api: Api) -> None:
    upload = create_upload(api)

    assert put(upload) == 200
    first, second = name(api, upload), name(api, upload)
    form = {"upload_id": (None, upload["upload_id"]), "background": (None, "keep")}
    third = api.client.post("/v1/jobs", files=form)

    assert [one.status_code for one in (first, second, third)] == [202] * 3
    assert first.json()["photo"] is None
    assert third.json()["recipe"]["background"] == "keep"
    job = api.bench.job(JobId(uuid.UUID(first.json()["id"])))
    assert (job.photo_key, str(job.upload and job.upload.id)) == (None, upload["upload_id"])
    assert len(list(api.bench.store.stored())) == 1


def test_photo_is_uploaded_through_the_service_until_the_upload_expires(api: Api) -> None:
    upload = create_upload(api)
    path = f"/v1/uploads/{upload['upload_id']}"

    assert api.client.put(path, content=PHOTO).status_code == 204
    assert api.bench.read(key_of(upload)) == PHOTO
    assert name(api, upload).status_code == 202
    age(api, seconds=3601)
    assert api.client.put(path, content=PHOTO).status_code == 404


@pytest.mark.parametrize(
    ("photo", "type_"),
    [(PHOTO + b"\0", "image/jpeg"), (PHOTO[:-1], "image/jpeg"), (PHOTO, "text/html")],
    ids=["longer", "shorter", "other-type"],
)
def test_link_accepts_no_other_length_and_type(api: Api, photo: bytes, type_: str) -> None:
    upload = create_upload(api) | {"headers": {"Content-Type": type_}}

    assert put(upload, photo) == 403
    assert api.leftovers() == {"uploads": 1}


def test_empty_upload_waits_for_its_photo(api: Api) -> None:
    upload = create_upload(api)
    token = api.create("/v1/tokens", json={})["key"]

    early = name(api, upload, **{"Idempotency-Key": "a"})
    put(upload)
    again = name(api, upload, **{"Idempotency-Key": "a"})

    assert refusal_of(early) == (409, "upload_missing")
    assert early.headers["Retry-After"] == "1"
    assert "put_url" in early.json()["detail"]
    assert (again.status_code, "Idempotency-Replayed" in again.headers) == (202, False)
    assert name(api, upload, Authorization=f"Bearer {token}").status_code == 202


def test_unusable_uploads_are_answered_alike(api: Api) -> None:
    foreign = create_upload(api)
    put(foreign)
    headers = api.headers(*Scope, tenant=STRANGER)
    answers = [
        api.client.post("/v1/jobs", json={"upload_id": named}, headers=headers)
        for named in (foreign["upload_id"], str(uuid.uuid4()), "a", "")
    ]
    age(api, seconds=3600)
    answers.append(name(api, foreign))

    assert {answer.status_code for answer in answers} == {422}
    problems = [answer.json() for answer in answers]
    assert [problem.pop("instance") for problem in problems]
    assert all(problem == problems[0] for problem in problems)
    assert problems[0]["errors"][0]["pointer"] == "/upload_id"
    assert "POST /v1/uploads" in problems[0]["detail"]


@pytest.mark.parametrize(
    ("photo", "status", "code"),
    [
        pytest.param(a_photo("PNG"), 415, "unsupported_media", id="other-type-than-announced"),
        pytest.param(PHOTO[:30], 415, "unsupported_media", id="cut-off"),
        pytest.param(b"\xff\xd8\xff\xe1\xff\xff", 415, "unsupported_media", id="beyond-the-end"),
        pytest.param(
            a_photo("PNG").replace(struct.pack(">II", 48, 32), struct.pack(">II", 10_000, 5_001)),
            *(413, "photo_too_large"),
            id="too-many-pixels",
        ),
    ],
)
def test_unusable_photo_is_refused_by_its_header(
    api: Api, photo: bytes, status: int, code: str
) -> None:
    upload = create_upload(api, photo)
    put(upload, photo)

    answer = name(api, upload)

    assert refusal_of(answer) == (status, code)
    assert api.leftovers() == {"uploads": 1, "objects": 1}


def test_header_after_many_other_segments_is_found(api: Api) -> None:
    # Phones write depth maps: hundreds of segments before the picture's own.
    segment = b"\xff\xe1\xff\xff" + b"\0" * 65533
    photo = PHOTO[:2] + segment * 100 + PHOTO[2:]
    upload = create_upload(api, photo)
    put(upload, photo)

    assert name(api, upload).status_code == 202


@pytest.mark.parametrize(("length", "remains"), [(5000, 0), (5, 1)])
def test_object_of_another_length_than_announced_is_refused(
    api: Api, length: int, remains: int
) -> None:
    upload = create_upload(api)
    # Storage that does not enforce the signed length.
    api.bench.store.put(key_of(upload), b"\0" * length, length=length, media_type="image/jpeg")

    answer = name(api, upload)

    assert refusal_of(answer) == (422, "invalid_request")
    assert f"has {length} bytes, but {len(PHOTO)} were announced" in answer.json()["detail"]
    assert len(sweep(api)) == remains


def test_unused_upload_is_removed_after_it_has_expired(api: Api) -> None:
    upload = create_upload(api)
    put(upload)
    create_upload(api)  # without a photo

    assert sweep(api) == {key_of(upload)}
    age(api, seconds=3600 + 120)

    assert sweep(api) == set()
    assert api.leftovers() == {}


def test_upload_of_a_waiting_job_is_kept_and_not_an_orphan(api: Api) -> None:
    upload = create_upload(api)
    put(upload)
    retention = collector(api.bench)
    retention.clear_unreferenced(older_than=dt.timedelta(seconds=-60))
    job_id = name(api, upload).json()["id"]
    age(api, seconds=10 * 3600)

    assert sweep(api) == {key_of(upload)}
    api.client.post(f"/v1/jobs/{job_id}/cancel")
    age(api, seconds=3600)
    assert sweep(api) == set()


def test_photo_address_is_neither_fetched_nor_shown_on_submission(api: Api) -> None:
    wish = {"photo_url": "HTTPS://Example.com/a.jpg?signature=x"}

    answer = api.client.post("/v1/jobs", json=wish)

    assert (answer.status_code, answer.json()["photo"]) == (202, None)
    assert "signature" not in answer.text
    job = api.bench.job(JobId(uuid.UUID(answer.json()["id"])))
    assert (job.photo_key, job.photo_url) == (None, "https://example.com/a.jpg?signature=x")
    assert "objects" not in api.leftovers()


def test_photo_of_unknown_size_needs_room_in_the_daily_limit(api: Api) -> None:
    api.limit(megapixels_per_day=0.0016)  # one photo of 48 × 32 pixels, and a bit
    wish = {"photo_url": "https://example.com/a.jpg"}

    before = api.client.post("/v1/jobs", json=wish)
    api.post(PHOTO)
    api.bench.execute("UPDATE tenants SET spent_megapixels = megapixels_per_day")
    after = api.client.post("/v1/jobs", json=wish)

    assert (before.status_code, after.status_code) == (202, 429)


def test_job_that_cannot_be_written_leaves_no_picture_behind(api: Api) -> None:
    files = {"photo": ("p", a_photo()), "background_file": ("b", a_photo())}
    api.bench.execute("ALTER TABLE jobs ADD CONSTRAINT none CHECK (false) NOT VALID")

    answer = api.client.post("/v1/jobs", files=files)

    api.bench.execute("ALTER TABLE jobs DROP CONSTRAINT none")
    assert answer.status_code == 500
    assert api.leftovers() == {}


def begin_form(api: Api, *, length: int) -> socket.socket:
    """Send the head of a form and the beginning of its photo; return the open connection."""
    address = urlsplit(api.url)
    client = socket.create_connection((address.hostname, address.port or 80), timeout=60)
    client.sendall(
        (
            f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n"
            f"Authorization: {api.client.headers['Authorization']}\r\n"
            "Content-Type: multipart/form-data; boundary=cut\r\n\r\n"
            '--cut\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n'
        ).encode()
    )
    return client


def test_photo_over_the_limit_is_refused_before_it_has_all_arrived(api: Api) -> None:
    with begin_form(api, length=1_000_000_000) as client:
        answer = client.recv(4096)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert api.leftovers() == {}


def test_client_that_disconnects_in_the_middle_leaves_nothing(api: Api) -> None:
    with begin_form(api, length=3_000_000) as client:
        client.sendall(a_photo() + bytes(2_000_000))

    assert api.client.get("/livez").status_code == 200
    assert api.leftovers() == {}


def test_head_of_a_request_is_bounded(api: Api) -> None:
    address = urlsplit(api.url)
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 70_000)
        answer = connection.recv(4096)

    assert answer.startswith(b"HTTP/1.1 400")


HOST = b"Host: x\r\n"


def send_raw(api: Api, raw: bytes) -> tuple[bytes, dict[str, Any]]:
    """Send bytes; return the head of the answer and its document."""
    address = urlsplit(api.url)
    with socket.create_connection((address.hostname, address.port or 80), timeout=60) as client:
        client.sendall(raw)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, json.loads(body)


GET, POST = b"GET /livez HTTP/1.1\r\n", b"POST /v1/jobs HTTP/1.1\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"photo please\r\n", id="text"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", id="tls"),
        pytest.param(GET + HOST + HOST, id="two-hosts"),
        pytest.param("GET /\xe9 HTTP/1.1\r\n".encode() + HOST, id="path-beyond-ascii"),
        pytest.param(GET + HOST + b"A: x\0y\r\n", id="nul-in-a-header"),
        pytest.param(POST + HOST + b"Content-Length: -1\r\n", id="length-below-0"),
        pytest.param(POST + HOST + b"Content-Length: 1, 2\r\n", id="two-lengths"),
        pytest.param(POST + HOST + b"Transfer-Encoding: gzip\r\n", id="unknown-coding"),
    ],
)
def test_request_that_is_not_http_is_answered_with_a_problem(api: Api, raw: bytes) -> None:
    head, problem = send_raw(api, raw + b"\r\n")

    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in head
    assert (problem["status"], problem["code"]) == (400, "malformed_request")
    assert problem["errors"][0]["pointer"] == ""
    assert b"frame-ancestors 'none'" in head
    assert api.leftovers() == {}


@pytest.mark.parametrize(
    "lengths", [[], [1], [2] * 2_500, [600_000] * 5, [1_000_000, 1], [3_000_000, 7]]
)
def test_received_bytes_are_the_same_in_memory_and_on_disk(lengths: list[int]) -> None:
    pieces = [os.urandom(length) for length in lengths]

    async def receive() -> tuple[bytes, bytes]:
        with ExitStack() as open_files:
            spool = body.open_spool(open_files)
            for piece in pieces:
                await spool.take(piece)
            return spool.content(), (await spool.complete()).read()

    assert anyio.run(receive) == (b"".join(pieces),) * 2
