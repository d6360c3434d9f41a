"""Photos that cannot enter, and requests that are not HTTP."""

import json
import socket
import struct
from urllib.parse import urlsplit

import pytest

from smart_filter_api.multipart import MAX_PHOTO_BYTES
from smart_filter_tests.serving import Api, a_photo


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)


@pytest.mark.parametrize(
    ("photo", "status", "code"),
    [
        pytest.param(b"%PDF-1.7\n%\xe2\xe3", 415, "unsupported_media", id="pdf"),
        pytest.param(a_photo("TIFF"), 415, "unsupported_media", id="tiff"),
        pytest.param(
            b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
            *(415, "unsupported_media"),
            id="svg",
        ),
        pytest.param(a_photo("AVIF")[:120], 415, "unsupported_media", id="avif-cut-in-its-header"),
        pytest.param(png(0, 4000), 415, "unsupported_media", id="no-width"),
        pytest.param(png(10_000, 5_001), 413, "photo_too_large", id="over-50-megapixels"),
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


def test_background_that_cannot_enter_is_refused_by_its_name(api: Api) -> None:
    files = {"photo": ("p", a_photo()), "background_file": ("b", png(10_000, 5_001))}

    answer = api.client.post("/v1/jobs", files=files)

    assert (answer.status_code, answer.json()["code"]) == (413, "photo_too_large")
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


def test_head_of_a_request_is_bounded(api: Api) -> None:
    address = urlsplit(api.url)
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 70_000)
        answer = connection.recv(4096)

    assert answer.startswith(b"HTTP/1.1 400")


HOST = b"Host: x\r\n"


def said(api: Api, raw: bytes) -> tuple[bytes, dict[str, str]]:
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
    head, problem = said(api, raw + b"\r\n")

    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in head
    assert (problem["status"], problem["code"]) == (400, "malformed_request")
    assert problem["errors"][0]["pointer"] == ""
    assert api.leftovers() == {}


def test_broken_chunk_ends_the_request_and_leaves_nothing(api: Api) -> None:
    key = str(api.client.headers["Authorization"]).encode()
    head = (
        b"POST /v1/jobs HTTP/1.1\r\n" + HOST + b"Authorization: " + key + b"\r\n"
        b"Content-Type: multipart/form-data; boundary=cut\r\nTransfer-Encoding: chunked\r\n\r\n"
    )

    _, problem = said(api, head + b"zz\r\n--cut\r\n")

    assert problem["code"] == "malformed_request"
    assert api.leftovers() == {}
