"""Requests of remove.bg's clients for Ruby, Go and PHP, replayed byte for byte.

No registry that the tests reach has these clients. The requests were recorded from their published
sources, which ran unchanged: remove-bg/ruby 2.2.2.pre (with Faraday 1.1), remove-bg/go at its last
commit, and mtownsend/remove-bg at its last commit (with Guzzle 7.4). Only the photo, the key and
the lengths that depend on them are replaced.
"""

import http.client
import socket
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from smart_filter_api.auth.api_keys import Scope
from smart_filter_tests.bench import TENANT
from smart_filter_tests.removebg_client import PHOTO, PICTURE, RemoveBgClient, open_client
from smart_filter_tests.serving import Api

RUBY_FILE = """\
POST /v1.0/removebg HTTP/1.1
User-Agent: remove-bg-ruby-2.2.2.pre
X-Api-Key: {key}
Content-Type: multipart/form-data; boundary=-----------RubyMultipartPost-7affec83e7d864f2f3b83
Content-Length: {length}
Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3
Accept: */*
Host: api.remove.bg

-------------RubyMultipartPost-7affec83e7d864f2f3b83
Content-Disposition: form-data; name="format"

zip
-------------RubyMultipartPost-7affec83e7d864f2f3b83
Content-Disposition: form-data; name="size"

full
-------------RubyMultipartPost-7affec83e7d864f2f3b83
Content-Disposition: form-data; name="crop"

true
-------------RubyMultipartPost-7affec83e7d864f2f3b83
Content-Disposition: form-data; name="bg_color"


-------------RubyMultipartPost-7affec83e7d864f2f3b83
Content-Disposition: form-data; name="image_file"; filename="photo.png"
Content-Length: {photo_length}
Content-Type: image/png
Content-Transfer-Encoding: binary

{photo}
-------------RubyMultipartPost-7affec83e7d864f2f3b83--

"""
RUBY_URL = """\
POST /v1.0/removebg HTTP/1.1
User-Agent: remove-bg-ruby-2.2.2.pre
X-Api-Key: {key}
Content-Type: application/x-www-form-urlencoded
Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3
Accept: */*
Host: api.remove.bg
Content-Length: {length}

image_url=https%3A%2F%2Fstatic.remove.bg%2Fsample-gallery%2Fpeople%2Fadult.jpg&size=auto"""
GO_FILE = """\
POST /v1.0/removebg HTTP/1.1
Host: api.remove.bg
User-Agent: remove-bg-go-1.0.0
Content-Length: {length}
Content-Type: multipart/form-data; boundary=61b27af03c5d91abb309d044fa31e99ce85d99f1238aec7221e3a9
X-Api-Key: {key}
Accept-Encoding: gzip

--61b27af03c5d91abb309d044fa31e99ce85d99f1238aec7221e3a9
Content-Disposition: form-data; name="image_file"; filename="photo.png"
Content-Type: application/octet-stream

{photo}
--61b27af03c5d91abb309d044fa31e99ce85d99f1238aec7221e3a9
Content-Disposition: form-data; name="size"

auto
--61b27af03c5d91abb309d044fa31e99ce85d99f1238aec7221e3a9
Content-Disposition: form-data; name="format"

zip
--61b27af03c5d91abb309d044fa31e99ce85d99f1238aec7221e3a9
Content-Disposition: form-data; name="type"

auto
--61b27af03c5d91abb309d044fa31e99ce85d99f1238aec7221e3a9
Content-Disposition: form-data; name="channels"

rgba
--61b27af03c5d91abb309d044fa31e99ce85d99f1238aec7221e3a9--
"""
PHP_FILE = """\
POST /v1.0/removebg HTTP/1.1
Host: api.remove.bg
Content-Type: multipart/form-data; boundary=009b6b7ba3cb1119953ac7fae881bd428d49fe65
User-Agent: Mtownsend/RemoveBg (github.com/mtownsend5512/remove-bg)
X-API-Key: {key}
Content-Length: {length}

--009b6b7ba3cb1119953ac7fae881bd428d49fe65
Content-Disposition: form-data; name="image_file"; filename="photo.png"
Content-Length: {photo_length}
Content-Type: image/png

{photo}
--009b6b7ba3cb1119953ac7fae881bd428d49fe65
Content-Disposition: form-data; name="size"
Content-Length: 2

4k
--009b6b7ba3cb1119953ac7fae881bd428d49fe65
Content-Disposition: form-data; name="bg_color"
Content-Length: 7

#CC0000
--009b6b7ba3cb1119953ac7fae881bd428d49fe65
Content-Disposition: form-data; name="channels"
Content-Length: 4

rgba
--009b6b7ba3cb1119953ac7fae881bd428d49fe65--
"""
PHP_URL = """\
POST /v1.0/removebg HTTP/1.1
Host: api.remove.bg
Expect: 100-Continue
Content-Type: application/x-www-form-urlencoded
User-Agent: Mtownsend/RemoveBg (github.com/mtownsend5512/remove-bg)
X-API-Key: {key}
Accept: application/json
Content-Length: {length}

image_url=https%3A%2F%2Fstatic.remove.bg%2Fsample-gallery%2Fpeople%2Fadult.jpg&size=regular"""
RUBY_ACCOUNT = """\
GET /v1.0/account HTTP/1.1
User-Agent: remove-bg-ruby-2.2.2.pre
X-Api-Key: {key}
Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3
Accept: */*
Host: api.remove.bg

"""
PHP_ACCOUNT = """\
GET /v1.0/account HTTP/1.1
Host: api.remove.bg
User-Agent: Mtownsend/RemoveBg (github.com/mtownsend5512/remove-bg)
X-API-Key: {key}

"""
TIMEOUT_SECONDS = 60


class Answer(NamedTuple):
    status: int
    content_type: str
    body: bytes


@pytest.fixture
def client(api: Api) -> Iterator[RemoveBgClient]:
    with open_client(api) as client:
        yield client


def replay(client: RemoveBgClient, recorded: str, *, key: str) -> Answer:
    """Send a recorded request and return the answer."""
    head, body = (part.replace("\n", "\r\n").encode() for part in recorded.split("\n\n", 1))
    body = body.replace(b"{photo_length}", str(len(PHOTO)).encode()).replace(b"{photo}", PHOTO)
    head = head.replace(b"{length}", str(len(body)).encode()).replace(b"{key}", key.encode())
    place = urlsplit(client.api.url)
    with socket.create_connection((str(place.hostname), place.port or 0), TIMEOUT_SECONDS) as line:
        line.sendall(head + b"\r\n\r\n" + body)
        answer = http.client.HTTPResponse(line)
        answer.begin()
        return Answer(answer.status, answer.headers.get_content_type(), answer.read())


@pytest.mark.parametrize(
    ("recorded", "output", "recipe"),
    [
        (RUBY_FILE, "zip", {"crop": "true", "size": "full", "background": "transparent"}),
        (RUBY_URL, "image", {"size": "full"}),
        (GO_FILE, "zip", {"subject": "auto", "size": "full"}),
        (PHP_FILE, "image", {"background": "color:#CC0000", "size": "full"}),
    ],
    ids=["ruby", "ruby-url", "go", "php"],
)
def test_recorded_request_gets_a_picture(
    client: RemoveBgClient, recorded: str, output: str, recipe: dict[str, str]
) -> None:
    media_type = "application/zip" if output == "zip" else "image/png"
    key = client.api.key(Scope.SUBMIT, tenant=TENANT)

    answer = client.begin_request(lambda: replay(client, recorded, key=key))
    job = client.job()
    client.work(output=output, media_type=media_type)

    assert answer.result() == Answer(200, media_type, PICTURE)
    assert job["recipe"].items() >= recipe.items()


def test_recorded_request_gets_json(client: RemoveBgClient) -> None:
    key = client.api.key(Scope.SUBMIT, tenant=TENANT)

    answer = client.begin_request(lambda: replay(client, PHP_URL, key=key))
    client.work()

    assert answer.result()[:2] == (200, "application/json")
    assert answer.result().body.startswith(b'{"data":{"result_b64":"')


@pytest.mark.parametrize("recorded", [RUBY_ACCOUNT, PHP_ACCOUNT], ids=["ruby", "php"])
def test_recorded_request_gets_the_account(client: RemoveBgClient, recorded: str) -> None:
    key = client.api.key(Scope.SUBMIT, tenant=TENANT)

    answer = replay(client, recorded, key=key)

    assert answer[:2] == (200, "application/json")
    assert b'"credits":{"total":' in answer.body


@pytest.mark.parametrize("recorded", [RUBY_FILE, GO_FILE, PHP_FILE, RUBY_ACCOUNT])
def test_recorded_request_with_an_unknown_key_is_refused_literally(
    client: RemoveBgClient, recorded: str
) -> None:
    answer = replay(client, recorded, key="wrong")

    assert answer.status == 403
    assert answer.body == b'{"errors":[{"title":"API Key invalid","code":"auth_failed"}]}'
