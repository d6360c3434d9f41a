"""Faults that the API notices before it accepts a photo: each is answered, and leaves nothing."""

import io
import socket
import struct
import zipfile
from urllib.parse import urlsplit

import pytest

from smart_filter_api.multipart import MAX_PHOTO_BYTES
from smart_filter_tests.serving import Api, a_photo


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
        pytest.param(b"Dear Sir or Madam,", 415, "unsupported_media", id="text"),
        pytest.param(b"%PDF-1.7\n%\xe2\xe3", 415, "unsupported_media", id="pdf"),
        pytest.param(a_zip(), 415, "unsupported_media", id="zip"),
        pytest.param(a_photo("TIFF"), 415, "unsupported_media", id="tiff"),
        pytest.param(a_photo("BMP"), 415, "unsupported_media", id="bmp"),
        pytest.param(
            b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
            *(415, "unsupported_media"),
            id="svg",
        ),
        pytest.param(a_photo("AVIF")[:120], 415, "unsupported_media", id="avif-cut-in-its-header"),
        pytest.param(a_photo()[:10], 415, "unsupported_media", id="jpeg-cut-in-its-header"),
        pytest.param(png(0, 4000), 415, "unsupported_media", id="no-width"),
        pytest.param(png(10_000, 5_001), 413, "photo_too_large", id="over-50-megapixels"),
        pytest.param(png(2**31 - 1, 2**31 - 1), 413, "photo_too_large", id="bomb-by-header"),
        pytest.param(
            a_photo() + bytes(MAX_PHOTO_BYTES), 413, "photo_too_large", id="over-40-megabytes"
        ),
    ],
)
def test_photo_that_cannot_enter_is_refused(api: Api, photo: bytes, status: int, code: str) -> None:
    # The declared type is not trusted.
    answer = api.client.post("/v1/jobs", files={"photo": ("a.jpg", photo, "image/jpeg")})

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert api.leftovers() == {}


@pytest.mark.parametrize(
    ("background", "status", "code"),
    [
        pytest.param(b"", 415, "unsupported_media", id="empty"),
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


def begun(api: Api, *, length: int) -> socket.socket:
    """Send the head of a form and where its photo begins; return the open connection."""
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
    with begun(api, length=1_000_000_000) as client:
        answer = client.recv(4096)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert api.leftovers() == {}


def test_client_that_leaves_in_the_middle_leaves_nothing(api: Api) -> None:
    with begun(api, length=3_000_000) as client:
        client.sendall(a_photo() + bytes(2_000_000))

    assert api.client.get("/livez").status_code == 200
    assert api.leftovers() == {}
