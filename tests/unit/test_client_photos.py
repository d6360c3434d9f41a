import base64
import json
from pathlib import Path

import httpx
import pytest

from smart_filter_client import FaceLabel, Item, Stroke, Upload, errors
from smart_filter_client.operations import photos
from smart_filter_tests.clients import Asking, Script, job_answer, problem, sent_by

LARGE = b"\xff\xd8\xff" + bytes(photos.LARGE_BYTES)
STORAGE = "https://storage.test/bucket/photo?signature=abc"


def a_place(upload_id: str = "u1") -> httpx.Response:
    place = {"upload_id": upload_id, "put_url": STORAGE, "headers": {"Content-Type": "image/jpeg"}}
    return httpx.Response(201, json={**place, "expires_at": "2031-05-06T07:08:09Z"})


def test_file_is_read_and_its_name_stays_here(asking: Asking) -> None:
    body = sent_by(asking, "submit", Path(__file__), webhook_url="https://example.com/told").content

    assert b"its_name_stays_here" in body
    assert Path(__file__).name.encode() not in body
    assert b"https://example.com/told" in body


def test_file_that_is_not_there_is_an_error_of_the_system(asking: Asking) -> None:
    server = Script(job_answer("queued", 202))

    with pytest.raises(FileNotFoundError):
        asking(server).do("submit", Path("/nonexistent/photo.jpg"))

    assert server.seen == []


def test_address_is_named_and_fetched_by_the_server(asking: Asking) -> None:
    request = sent_by(
        asking,
        "submit",
        "https://example.com/photo.jpg",
        {"segmentation.model": "people", "crop": True},
        webhook_url="https://example.com/told",
    )

    assert json.loads(request.content) == {
        "photo_url": "https://example.com/photo.jpg",
        "recipe": {"segmentation.model": ["people"], "crop": ["true"]},
        "webhook_url": "https://example.com/told",
    }


def test_text_does_not_name_a_file(asking: Asking) -> None:
    with pytest.raises(ValueError, match="Path"):
        asking(Script(job_answer())).do("submit", str(Path(__file__)))


def test_upload_goes_to_the_storage_without_the_key(asking: Asking) -> None:
    server = Script(a_place(), httpx.Response(200))

    upload = asking(server).do("upload", b"\xff\xd8\xff and so on")

    wish, put = server.seen
    assert json.loads(wish.content) == {"content_type": "image/jpeg", "bytes": 13}
    assert (put.method, str(put.url)) == ("PUT", STORAGE)
    assert put.content == b"\xff\xd8\xff and so on"
    assert put.headers["Content-Type"] == "image/jpeg"
    assert "Authorization" not in put.headers
    assert "Idempotency-Key" in wish.headers
    assert upload.upload_id == "u1"


@pytest.mark.parametrize(
    "trouble",
    [
        [problem(404, "not_found")],
        [problem(403, "scope")],
        [a_place(), *[httpx.ConnectError("refused")] * 4],
    ],
    ids=["server without uploads", "token of a device", "storage out of reach"],
)
def test_large_photo_is_sent_along_where_it_cannot_be_uploaded(
    asking: Asking, trouble: list[httpx.Response | Exception]
) -> None:
    server = Script(*trouble, job_answer("queued", 202))

    asking(server).do("submit", LARGE)

    assert server.seen[-1].url.path == "/v1/jobs"
    assert LARGE in server.seen[-1].content


def test_large_photo_under_a_key_of_the_caller_is_the_same_each_time(asking: Asking) -> None:
    request = sent_by(asking, "submit", LARGE, idempotency_key="order-17")

    assert request.url.path == "/v1/jobs"
    assert LARGE in request.content


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (httpx.ConnectError("refused"), errors.ServerUnreachable, r"no answer from storage\.test"),
        (
            httpx.Response(403, text="<Error>AccessDenied</Error>"),
            errors.UnexpectedAnswer,
            r"^storage\.test does not take the upload: HTTP 403$",
        ),
    ],
    ids=["away", "refused"],
)
def test_upload_that_fails_raises_without_the_secret_link(
    asking: Asking, answer: httpx.Response | Exception, kind: type[errors.Error], message: str
) -> None:
    with pytest.raises(kind, match=message) as raised:
        asking(Script(a_place(), answer)).do("submit", b"small", upload=True)

    assert "signature" not in str(raised.value)


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x1cftypavif", "image/avif"),
        (b"\0\0\0\x18ftypheic", "image/heic"),
        (b"GIF89a", "application/octet-stream"),
    ],
)
def test_first_bytes_decide_the_media_type(head: bytes, media_type: str) -> None:
    assert photos.media_type(head) == media_type


def test_derivation_sends_its_changes_and_reads_its_parent(asking: Asking) -> None:
    server = Script(job_answer("queued", 202, parent_id="j0"))

    job = asking(server).do("derive", "j0", {"background": "blur:0.5"}, correction_id="c1")

    assert server.seen[0].url.path == "/v1/jobs/j0/derive"
    assert json.loads(server.seen[0].content) == {
        "recipe": {"background": ["blur:0.5"]},
        "correction_id": "c1",
    }
    assert job.parent_id == "j0"


def test_derivation_sends_a_background_along(asking: Asking) -> None:
    sent = sent_by(asking, "derive", "j0", {"quality": 80}, background_file=b"a beach")

    assert sent.headers["Content-Type"].startswith("multipart/form-data")
    assert b'name="background_file"' in sent.content
    assert b"a beach" in sent.content
    assert b'name="quality"\r\n\r\n80' in sent.content


def test_corrections_are_sent_as_masks_strokes_and_labels(asking: Asking) -> None:
    kept = {"id": "c1", "job_id": "j1", "kind": "matte", "consent": True}
    listed = {"items": [kept], "next_cursor": None}
    server = Script(*[httpx.Response(201, json=kept)] * 3, httpx.Response(200, json=listed))
    client = asking(server)

    client.do("correct_matte", "j1", mask=b"a png", consent=True)
    client.do("correct_matte", "j1", strokes=[Stroke([(1, 2), (3, 4)], 5, keep=False)])
    client.do("correct_faces", "j1", [FaceLabel(1, smile="huge"), FaceLabel(2, left_open=False)])

    matte = {"kind": "matte", "stage": "segmentation"}
    assert [json.loads(one.content) for one in server.seen] == [
        {**matte, "mask": "YSBwbmc=", "consent": True},
        {
            **matte,
            "strokes": [{"points": [[1, 2], [3, 4]], "width": 5, "keep": False}],
            "consent": False,
        },
        {
            "kind": "label",
            "stage": "smile",
            "label": {"faces": [{"number": 1, "smile": "huge"}, {"number": 2, "left_open": False}]},
            "consent": False,
        },
    ]
    assert {one.url.path for one in server.seen} == {"/v1/jobs/j1/corrections"}
    assert [one.consent for one in client.do("corrections", "j1")] == [True]


def a_batch(**fields: object) -> httpx.Response:
    shown = {"id": "b1", "state": "running", "total": 2, "succeeded": 0, "failed": 0, "canceled": 0}
    return httpx.Response(200, json={**shown, **fields})


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
