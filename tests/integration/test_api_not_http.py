"""What is no HTTP at all is told so as every other error is."""

import json
import socket
from urllib.parse import urlsplit

import pytest

from smart_filter_tests.serving import Api

HOST = b"Host: x\r\n"


def said(api: Api, raw: bytes) -> tuple[bytes, dict[str, str]]:
    """Send bytes; return the head of the answer and its document."""
    address = urlsplit(api.url)
    with socket.create_connection((address.hostname, address.port or 80), timeout=10) as client:
        client.sendall(raw)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, json.loads(body)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"photo please\r\n\r\n", id="text"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", id="tls"),
        pytest.param(b"GET /livez HTTP/1.1\r\n\r\n", id="no-host"),
        pytest.param(b"GET /livez HTTP/1.1\r\n" + HOST + HOST + b"\r\n", id="two-hosts"),
        pytest.param(b"GET /li vez HTTP/1.1\r\n" + HOST + b"\r\n", id="space-in-the-path"),
        pytest.param("GET /é HTTP/1.1\r\n".encode() + HOST + b"\r\n", id="path-beyond-ascii"),
        pytest.param(b"GET /livez HTTP/9.9\r\n" + HOST + b"no colon\r\n\r\n", id="no-colon"),
        pytest.param(b"GET /livez HTTP/1.1\r\n" + HOST + b"A: x\0y\r\n\r\n", id="nul-in-a-header"),
        pytest.param(b"GET /livez HTTP/1.1\r\n" + HOST + b"A b: x\r\n\r\n", id="space-in-a-name"),
        pytest.param(
            b"POST /v1/jobs HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
            id="length-below-0",
        ),
        pytest.param(
            b"POST /v1/jobs HTTP/1.1\r\n" + HOST + b"Content-Length: ten\r\n\r\n",
            id="length-a-word",
        ),
        pytest.param(
            b"POST /v1/jobs HTTP/1.1\r\n" + HOST + b"Content-Length: 1, 2\r\n\r\n", id="two-lengths"
        ),
        pytest.param(
            b"POST /v1/jobs HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 50 + b"\r\n\r\n",
            id="length-of-50-digits",
        ),
        pytest.param(
            b"POST /v1/jobs HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n",
            id="unknown-transfer-coding",
        ),
    ],
)
def test_request_that_is_no_http_is_told_so(api: Api, raw: bytes) -> None:
    head, problem = said(api, raw)

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
