"""/openapi.json: large, read by every page and client, and the same for as long as a server is."""

import gzip

import httpx

from smart_filter_tests import documents
from smart_filter_tests.serving import Api


def test_description_is_that_of_the_repository_and_needs_no_key(api: Api) -> None:
    answer = httpx.get(f"{api.url}/openapi.json", timeout=60)

    assert answer.headers["Content-Type"] == "application/json"
    assert documents.written(answer.json()) == documents.OPENAPI.read_text()


def test_description_is_sent_once(api: Api) -> None:
    first = api.client.get("/openapi.json")

    again = api.client.get("/openapi.json", headers={"If-None-Match": first.headers["ETag"]})

    assert first.headers["Cache-Control"] == "private, no-cache"
    assert (again.status_code, again.content) == (304, b"")


def test_description_is_compressed_for_clients_that_accept_it(api: Api) -> None:
    plain = api.client.get("/openapi.json", headers={"Accept-Encoding": "identity"})

    with api.client.stream(
        "GET", "/openapi.json", headers={"Accept-Encoding": "gzip"}
    ) as compressed:
        content = b"".join(compressed.iter_raw())

    assert gzip.decompress(content) == plain.content
    assert len(content) < len(plain.content) / 5
    assert plain.headers["Vary"] == compressed.headers["Vary"] == "Accept-Encoding"
