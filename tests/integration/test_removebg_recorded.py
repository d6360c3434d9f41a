"""Requests of remove.bg's clients for Ruby, Go and PHP, replayed byte for byte.

No registry that the tests reach has these clients. The requests were recorded from their published
sources, which ran unchanged: remove-bg/ruby 2.2.2.pre (with Faraday 1.1), remove-bg/go at its last
commit, and mtownsend/remove-bg at its last commit (with Guzzle 7.4). Only the photo, the key and
the lengths that depend on them are replaced.
"""

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from integration.removebg_client import PHOTO, PICTURE, RemoveBgClient, open_client
from smart_filter_api.auth.api_keys import Scope
from smart_filter_tests.bench import TENANT
from smart_filter_tests.serving import Api

REQUESTS = Path(__file__).parents[1] / "data" / "removebg-requests"
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
    request = (REQUESTS / f"{recorded}.http").read_text("ascii")
    head, body = (part.replace("\n", "\r\n").encode() for part in request.split("\n\n", 1))
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
        ("ruby-file", "zip", {"crop": "true", "size": "full", "background": "transparent"}),
        ("ruby-url", "image", {"size": "full"}),
        ("go-file", "zip", {"subject": "auto", "size": "full"}),
        ("php-file", "image", {"background": "color:#CC0000", "size": "full"}),
    ],
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

    answer = client.begin_request(lambda: replay(client, "php-url", key=key))
    client.work()

    assert answer.result()[:2] == (200, "application/json")
    assert answer.result().body.startswith(b'{"data":{"result_b64":"')


@pytest.mark.parametrize("recorded", ["ruby-account", "php-account"])
def test_recorded_request_gets_the_account(client: RemoveBgClient, recorded: str) -> None:
    key = client.api.key(Scope.SUBMIT, tenant=TENANT)

    answer = replay(client, recorded, key=key)

    assert answer[:2] == (200, "application/json")
    assert b'"credits":{"total":' in answer.body
