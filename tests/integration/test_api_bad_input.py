"""Whatever is noticed at the door: told plainly, and nothing of it is left behind."""

import io
import socket
import struct
import zipfile
from urllib.parse import urlsplit

import pytest

from smart_filter_api.multipart import MAX_PARTS, MAX_PHOTO_BYTES, MAX_VALUE_BYTES
from smart_filter_tests.serving import Api, a_photo

PROBLEM = "application/problem+json"


def png(width: int, height: int) -> bytes:
    """Return the header of a PNG; no pixels follow."""
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)


def a_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("photo.jpg", a_photo())
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("photo", "status", "code"),
    [
        pytest.param(b"", 415, "unsupported_media", id="empty"),
        pytest.param(b"Dear Sir or Madam,", 415, "unsupported_media", id="text"),
        pytest.param(
            b'<svg xmlns="http://www.w3.org/2000/svg"/>', 415, "unsupported_media", id="svg"
        ),
        pytest.param(
            b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
            415,
            "unsupported_media",
            id="svg-as-xml",
        ),
        pytest.param(b"%PDF-1.7\n%\xe2\xe3", 415, "unsupported_media", id="pdf"),
        pytest.param(a_zip(), 415, "unsupported_media", id="zip"),
        pytest.param(a_photo("GIF"), 415, "unsupported_media", id="gif"),
        pytest.param(a_photo("TIFF"), 415, "unsupported_media", id="tiff"),
        pytest.param(a_photo("BMP"), 415, "unsupported_media", id="bmp"),
        pytest.param(a_photo("AVIF")[:120], 415, "unsupported_media", id="avif-cut-in-its-header"),
        pytest.param(a_photo()[:10], 415, "unsupported_media", id="jpeg-cut-in-its-header"),
        pytest.param(png(0, 0), 415, "unsupported_media", id="0x0"),
        pytest.param(png(0, 4000), 415, "unsupported_media", id="no-width"),
        pytest.param(png(10_000, 5_001), 413, "photo_too_large", id="over-50-megapixels"),
        pytest.param(png(2**31 - 1, 2**31 - 1), 413, "photo_too_large", id="bomb-by-header"),
        pytest.param(
            a_photo() + bytes(MAX_PHOTO_BYTES), 413, "photo_too_large", id="over-40-megabytes"
        ),
    ],
)
def test_photo_that_cannot_enter_is_refused(api: Api, photo: bytes, status: int, code: str) -> None:
    answer = api.post(photo)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == PROBLEM
    assert api.leftovers() == {}


def test_refused_format_is_told_what_is_accepted(api: Api) -> None:
    answer = api.post(a_photo("GIF"))

    told = answer.json()["detail"]
    assert told == "the photo is a GIF; accepted are JPEG, PNG, WebP, AVIF and HEIC"


@pytest.mark.parametrize(
    ("fields", "code", "pointers"),
    [
        pytest.param({"colour": "red"}, "invalid_recipe", ["/colour"], id="unknown-name"),
        pytest.param(
            {"background": "disco", "quality": "0", "seed": "x", "format": "gif"},
            "invalid_recipe",
            ["/background", "/format", "/quality", "/seed"],
            id="every-wrong-field",
        ),
        pytest.param(
            {"face.model": "mirror"}, "invalid_recipe", ["/face/model"], id="unknown-model"
        ),
        pytest.param({"quality": ["80", "90"]}, "invalid_recipe", ["/quality"], id="twice"),
        pytest.param(
            {"background": "transparent", "format": "jpg"},
            "contradiction",
            ["/background", "/format"],
            id="jpg-cannot-be-transparent",
        ),
        pytest.param({"deadline_ms": "0"}, "invalid_recipe", ["/deadline_ms"], id="no-time"),
        pytest.param(
            {"deadline_ms": "1000", "run_at": "2999-01-01T00:00:00Z"},
            "contradiction",
            ["/deadline_ms", "/run_at"],
            id="over-before-it-may-run",
        ),
        pytest.param(
            {"background": "url:file:///etc/passwd"},
            "invalid_recipe",
            ["/background"],
            id="address-of-no-web",
        ),
        pytest.param(
            {"background": "url:https://user:secret@example.org/a.jpg"},
            "invalid_recipe",
            ["/background"],
            id="address-with-a-password",
        ),
        pytest.param(
            {"segmentation.params.size": "1"},
            "invalid_recipe",
            ["/segmentation/params/size"],
            id="parameter",
        ),
    ],
)
def test_recipe_that_cannot_be_served_names_every_wrong_field(
    api: Api, fields: dict[str, str | list[str]], code: str, pointers: list[str]
) -> None:
    answer = api.post(a_photo(), fields)

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert sorted(error["pointer"] for error in answer.json()["errors"]) == pointers
    assert api.leftovers() == {}


@pytest.mark.parametrize("background", ["auto", "keep", "blur:0.5", "color:red"])
def test_background_that_contradicts_its_file_is_refused(api: Api, background: str) -> None:
    files = {"photo": ("p", a_photo()), "background_file": ("b", a_photo())}

    answer = api.client.post("/v1/jobs", files=files, data={"background": background})

    assert (answer.status_code, answer.json()["code"]) == (422, "contradiction")
    assert [error["pointer"] for error in answer.json()["errors"]] == [
        "/background",
        "/background_file",
    ]
    assert api.leftovers() == {}


def test_background_file_that_did_not_come_is_named_with_every_other_fault(api: Api) -> None:
    answer = api.post(a_photo(), {"background": "file", "quality": "0"})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_recipe")
    assert {error["pointer"] for error in answer.json()["errors"]} == {
        "/background_file",
        "/quality",
    }
    assert api.leftovers() == {}


@pytest.mark.parametrize(
    ("background", "status", "code"),
    [
        pytest.param(b"", 415, "unsupported_media", id="empty"),
        pytest.param(a_photo("GIF"), 415, "unsupported_media", id="gif"),
        pytest.param(png(10_000, 5_001), 413, "photo_too_large", id="over-50-megapixels"),
        pytest.param(bytes(MAX_PHOTO_BYTES + 1), 413, "photo_too_large", id="over-40-megabytes"),
    ],
)
def test_background_that_cannot_enter_is_refused_by_its_name(
    api: Api, background: bytes, status: int, code: str
) -> None:
    files = {"photo": ("p", a_photo()), "background_file": ("b", background)}

    answer = api.client.post("/v1/jobs", files=files)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["detail"].startswith("the background is ")
    assert api.leftovers() == {}


def test_job_that_cannot_be_written_leaves_no_picture_behind(api: Api) -> None:
    files = {"photo": ("p", a_photo()), "background_file": ("b", a_photo())}
    with api.bench.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE jobs ADD CONSTRAINT none CHECK (false) NOT VALID")

    answer = api.client.post("/v1/jobs", files=files)

    with api.bench.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE jobs DROP CONSTRAINT none")
    assert answer.status_code == 500
    assert api.leftovers() == {}


def part(name: str, content: bytes, *, filename: str = "") -> bytes:
    more = f'; filename="{filename}"' if filename else ""
    head = f'--cut\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return head.encode() + content + b"\r\n"


PHOTO_PART = part("photo", a_photo(), filename="a.jpg")
END = b"--cut--\r\n"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(END, id="no-parts"),
        pytest.param(part("quality", b"90") + END, id="no-photo"),
        pytest.param(PHOTO_PART + PHOTO_PART + END, id="two-photos"),
        pytest.param(PHOTO_PART, id="no-end"),
        pytest.param(PHOTO_PART[:200], id="cut-in-the-photo"),
        pytest.param(PHOTO_PART.replace(b"--cut", b"--other") + END, id="other-boundary"),
        pytest.param(b"--cut\r\nno header\r\n\r\nx\r\n" + END, id="no-headers"),
        pytest.param(b"--cut\r\nA: b\r\n\r\nx\r\n" + END, id="no-disposition"),
        pytest.param(PHOTO_PART + part("metadata.a", b"\xff\xfe") + END, id="value-not-utf-8"),
        pytest.param(
            PHOTO_PART + b'--cut\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n' + END,
            id="name-not-utf-8",
        ),
        pytest.param(
            PHOTO_PART + part("metadata.a", b"x" * (MAX_VALUE_BYTES + 1)) + END, id="long-value"
        ),
        pytest.param(PHOTO_PART + part("n" * 300, b"x") + END, id="long-name"),
        pytest.param(PHOTO_PART + part("a", b"x") * MAX_PARTS + END, id="many-parts"),
    ],
)
def test_broken_form_is_a_malformed_request(api: Api, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=cut"}

    answer = api.client.post("/v1/jobs", content=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert api.leftovers() == {}


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "image/jpeg",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        f"multipart/form-data; boundary={'x' * 500}",
    ],
)
def test_body_that_is_no_form_is_a_malformed_request(api: Api, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}

    answer = api.client.post("/v1/jobs", content=PHOTO_PART + END, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert api.leftovers() == {}


def test_declared_type_of_the_photo_is_not_trusted(api: Api) -> None:
    files = {"photo": ("a.jpg", b"#!/bin/sh", "image/jpeg")}

    answer = api.client.post("/v1/jobs", files=files)

    assert answer.json()["code"] == "unsupported_media"
    assert api.leftovers() == {}


def test_photo_over_the_limit_is_refused_before_it_has_all_arrived(api: Api) -> None:
    address = urlsplit(api.url)
    assert address.hostname is not None
    head = (
        "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n"
        f"Authorization: {api.client.headers['Authorization']}\r\n"
        "Content-Type: multipart/form-data; boundary=cut\r\n\r\n"
    )

    with socket.create_connection((address.hostname, address.port or 80), timeout=10) as client:
        client.sendall(head.encode())
        answer = client.recv(4096)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert api.leftovers() == {}


def test_client_that_leaves_in_the_middle_leaves_nothing(api: Api) -> None:
    address = urlsplit(api.url)
    assert address.hostname is not None
    head = (
        "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n"
        f"Authorization: {api.client.headers['Authorization']}\r\n"
        "Content-Type: multipart/form-data; boundary=cut\r\n\r\n"
    )

    with socket.create_connection((address.hostname, address.port or 80), timeout=10) as client:
        client.sendall(head.encode() + PHOTO_PART[:-2] + bytes(2_000_000))

    assert api.client.get("/livez").status_code == 200
    assert api.leftovers() == {}
