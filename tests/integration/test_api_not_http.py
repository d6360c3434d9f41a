"""Bytes that are not HTTP are answered with a problem document, as every other error is."""

import json
import socket
from urllib.parse import urlsplit

import pytest

from smart_filter_tests.serving import Api

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
        pytest.param(GET, id="no-host"),
        pytest.param(GET + HOST + HOST, id="two-hosts"),
        pytest.param(b"GET /li vez HTTP/1.1\r\n" + HOST, id="space-in-the-path"),
        pytest.param("GET /\xe9 HTTP/1.1\r\n".encode() + HOST, id="path-beyond-ascii"),
        pytest.param(b"GET /livez HTTP/9.9\r\n" + HOST + b"no colon\r\n", id="no-colon"),
        pytest.param(GET + HOST + b"A: x\0y\r\n", id="nul-in-a-header"),
        pytest.param(GET + HOST + b"A b: x\r\n", id="space-in-a-name"),
        pytest.param(POST + HOST + b"Content-Length: -1\r\n", id="length-below-0"),
        pytest.param(POST + HOST + b"Content-Length: ten\r\n", id="length-a-word"),
        pytest.param(POST + HOST + b"Content-Length: 1, 2\r\n", id="two-lengths"),
        pytest.param(POST + HOST + b"Content-Length: %s\r\n" % (b"9" * 50), id="long-length"),
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
