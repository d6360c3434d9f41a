"""Many photos in one submission."""

import base64
import json
from pathlib import Path

import httpx
import pytest

from smart_filter_client import Item, Upload
from smart_filter_client.operations import photos
from smart_filter_tests.clients import Asking, Script


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


def test_batch_is_waited_for_until_all_its_photos_have_ended(asking: Asking) -> None:
    seen: list[int] = []
    server = Script(a_batch(), a_batch(succeeded=1), a_batch(succeeded=1, failed=1))

    batch = asking(server).do(
        "wait_batch", "b1", on_progress=lambda one: seen.append(one.succeeded)
    )

    assert batch.is_final
    assert seen == [0, 1, 1]


def test_text_in_a_batch_does_not_name_a_file(asking: Asking) -> None:
    with pytest.raises(ValueError, match="Path"):
        asking(Script(a_batch())).do("submit_batch", ["/etc/hostname"])
