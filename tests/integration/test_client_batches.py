"""Both clients and batches."""

import pytest

from smart_filter_api.keys import Scope
from smart_filter_client import Item, errors
from smart_filter_tests.clients import Asked
from smart_filter_tests.serving import Api, a_photo

KEEP = {"background": "keep"}


@pytest.fixture(params=["blocking", "awaited"])
def client(request: pytest.FixtureRequest, api: Api) -> Asked:
    """Either client, with every scope."""
    is_async = request.param == "awaited"
    return Asked(None, is_async=is_async, url=api.url, api_key=api.key(*Scope))


def test_batch_is_submitted_canceled_and_followed_to_its_end(client: Asked) -> None:
    batch = client.do(
        "submit_batch", [a_photo(), Item(a_photo(), {"quality": 50}), b"no photo"], KEEP
    )
    canceled = client.do("cancel_batch", batch.id)
    done = client.do("wait_batch", batch.id, timeout=10)
    events = client.all("stream_batch", batch.id)

    assert (batch.total, batch.failed, batch.is_final) == (3, 1, False)
    assert [item.error.code if item.error else None for item in batch.items] == [
        None,
        None,
        "unsupported_media",
    ]
    assert (canceled.canceled, done.is_final) == (2, True)
    assert events[-1].type == "batch.finished"
    assert events[-1].batch.canceled == 2
    assert [one.id for one in client.all("batches")] == [batch.id]


def test_album_is_told_and_deleted(client: Asked) -> None:
    batch = client.do("submit_batch", [a_photo(), a_photo()], KEEP, best=1)

    assert batch.album.best == 1
    for _ in range(2):
        client.do("delete_batch", batch.id)
    with pytest.raises((errors.Gone, errors.NotFound)):
        client.do("batch", batch.id)
