"""Many photos in one submission."""

import base64
import json
from pathlib import Path

import httpx
import pytest

from smart_filter_client import Item, Upload
from smart_filter_client.operations import photos
from smart_filter_tests.clients import Asking, Script, problem


def a_batch(**fields: object) -> httpx.Response:
    shown = {"id": "b1", "state": "running", "total": 2, "succeeded": 0, "failed": 0, "canceled": 0}
    return httpx.Response(200, json={**shown, **fields})


def a_place(upload_id: str) -> httpx.Response:
    place = {"upload_id": upload_id, "put_url": "https://storage.test/put", "headers": {}}
    return httpx.Response(201, json=place)


def test_batch_names_every_photo_and_its_own_recipe(asking: Asking) -> None:
    server = Script(a_batch())

    batch = asking(server).do(
        "submit_batch",
        [b"small", Item("https://example.com/a.jpg", {"crop": True}), Upload("u1", None)],
        {"background": "keep"},
        best=1,
        webhook_url="https://example.com/told",
    )

    assert server.seen[0].url.path == "/v1/batches"
    assert "Idempotency-Key" in server.seen[0].headers
    assert json.loads(server.seen[0].content) == {
        "items": [
            {"photo_base64": base64.b64encode(b"small").decode()},
            {"photo_url": "https://example.com/a.jpg", "recipe": {"crop": ["true"]}},
            {"upload_id": "u1"},
        ],
        "recipe": {"background": ["keep"]},
        "album": {"best": 1},
        "webhook_url": "https://example.com/told",
    }
    assert (batch.id, batch.total, batch.is_final) == ("b1", 2, False)


def test_large_photos_of_a_batch_are_uploaded(asking: Asking, tmp_path: Path) -> None:
    photo = tmp_path / "large.jpg"
    photo.write_bytes(bytes(photos.LARGE_BYTES))
    uploaded = httpx.Response(200)
    server = Script(a_place("u1"), uploaded, a_place("u2"), uploaded, a_batch())

    asking(server).do("submit_batch", [photo, b"small"])

    items = json.loads(server.seen[-1].content)["items"]
    assert items == [{"upload_id": "u1"}, {"upload_id": "u2"}]


def test_batch_is_read_item_by_item(asking: Asking) -> None:
    error = {"code": "unsupported_media", "title": "No", "detail": "no picture", "stage": None}
    items = [
        {"index": 0, "job_id": "j1", "state": "running", "error": None, "rank": 1},
        {"index": 1, "job_id": None, "state": "failed", "error": error, "new": True},
    ]
    album = {"best": 1, "ranked_at": "2031-05-06T07:08:09Z"}

    batch = asking(Script(a_batch(failed=1, album=album, items=items))).do("batch", "b1")

    assert batch.items[0].rank == 1
    assert batch.items[1].error.code == "unsupported_media"
    assert batch.album.best == 1


def test_batch_is_waited_for_until_all_its_photos_have_ended(asking: Asking) -> None:
    seen: list[int] = []
    server = Script(a_batch(), a_batch(succeeded=1), a_batch(succeeded=1, failed=1))

    batch = asking(server).do(
        "wait_batch", "b1", on_progress=lambda one: seen.append(one.succeeded)
    )

    assert batch.is_final
    assert seen == [0, 1, 1]


def test_stream_of_a_batch_reports_its_end(asking: Asking) -> None:
    data = {"type": "batch.finished", "data": json.loads(a_batch(succeeded=2).content)}
    text = f"id: 9\nevent: batch.finished\ndata: {json.dumps(data)}\n\n"
    server = Script(httpx.Response(200, content=text.encode()))

    [event] = asking(server).all("stream_batch", "b1")

    assert (event.is_final, event.job, event.batch.succeeded) == (True, None, 2)
    assert server.seen[0].url.path == "/v1/batches/b1/events"


def test_batches_are_listed_canceled_and_deleted(asking: Asking) -> None:
    page = httpx.Response(200, json={"items": [a_batch().json()], "next_cursor": None})
    server = Script(page, a_batch(canceled=2), problem(410, "job_deleted"))
    client = asking(server)

    assert [one.id for one in client.all("batches", limit=5)] == ["b1"]
    assert client.do("cancel_batch", "b1").canceled == 2
    client.do("delete_batch", "b1")

    assert [(one.method, one.url.path) for one in server.seen] == [
        ("GET", "/v1/batches"),
        ("POST", "/v1/batches/b1/cancel"),
        ("DELETE", "/v1/batches/b1"),
    ]


def test_text_in_a_batch_does_not_name_a_file(asking: Asking) -> None:
    with pytest.raises(ValueError, match="Path"):
        asking(Script(a_batch())).do("submit_batch", ["/etc/hostname"])
