import base64
import datetime as dt
import io
import json
from pathlib import Path

import httpx
import pytest

from smart_filter_client import Client, FaceChanges, FaceLabel, Item, Stroke, Upload, errors
from smart_filter_client.operations import photos
from smart_filter_tests.clients import (
    MakeClient,
    Script,
    job_answer,
    problem,
    request_of,
)


def test_photo_and_recipe_are_sent_as_a_form_with_the_key(make_client: MakeClient) -> None:
    recipe = {"outputs": ["image", "matte"], "require_person": True, "seed": 7}

    request = request_of(make_client, "submit", io.BytesIO(b"bytes of a photo"), recipe, wait=20)

    assert request.url == "http://photos.test/v1/jobs"
    assert request.headers["Authorization"] == "Bearer key-1"
    assert request.headers["Prefer"] == "wait=20"
    assert b'name="photo"' in request.content
    assert b"bytes of a photo" in request.content
    assert request.content.count(b'name="outputs"') == 2
    assert b'name="require_person"\r\n\r\ntrue' in request.content
    assert b'name="seed"\r\n\r\n7' in request.content


@pytest.mark.parametrize(
    ("name", "argument"), [("submit", b"photo"), ("derive", "j1"), ("job", "j1")]
)
def test_lifetime_and_file_name_of_links_are_sent(
    make_client: MakeClient, name: str, argument: object
) -> None:
    request = request_of(make_client, name, argument, expires_in=120, download="beach.jpg")

    assert dict(request.url.params) == {"expires_in": "120", "download": "beach.jpg"}


def test_listed_jobs_have_links_of_the_chosen_lifetime(make_client: MakeClient) -> None:
    server = Script(httpx.Response(200, json={"items": [], "next_cursor": None}))

    make_client(server).all("jobs", state="failed", expires_in=120, download="1")

    sent = dict(server.seen[0].url.params)
    assert sent == {"expires_in": "120", "download": "1", "state": "failed", "limit": "100"}


def test_id_cannot_reach_another_path(make_client: MakeClient) -> None:
    assert request_of(make_client, "job", "../models?x").url.raw_path == b"/v1/jobs/..%2Fmodels%3Fx"


RAN = {"name": "face", "model": "centerface", "state": "succeeded", "attempt": 1}


def test_job_keeps_its_document(make_client: MakeClient) -> None:
    answer = job_answer(from_the_future={"unknown": True})

    job = make_client(Script(answer)).do("job", "j1")

    assert job.created_at == dt.datetime(2031, 5, 6, 7, 8, 9, tzinfo=dt.UTC)
    assert job.document["from_the_future"] == {"unknown": True}


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (problem(503, "unavailable"), errors.TryLater, "not now"),
        (httpx.Response(200, json={"id": "j1"}), errors.UnexpectedAnswer, "without 'state'"),
        (httpx.Response(502, text="<html>Bad gateway"), errors.TryLater, "502"),
        (httpx.Response(200, text="<html>"), errors.UnexpectedAnswer, "Smart Filter server"),
        (httpx.Response(404, text="<html>"), errors.UnexpectedAnswer, "Smart Filter server"),
        (httpx.Response(200, text="[" * 100_000), errors.UnexpectedAnswer, "Smart Filter server"),
        (httpx.Response(404, text="[" * 100_000), errors.UnexpectedAnswer, "Smart Filter server"),
        (httpx.ConnectError("refused"), errors.ServerUnreachable, r"http://photos\.test"),
    ],
    ids=[
        "unavailable",
        "half a job",
        "a proxy alone",
        "a web page",
        "no such page",
        "nested",
        "error",
        "no server",
    ],
)
def test_answer_that_is_not_a_job_raises_its_error(
    make_client: MakeClient,
    answer: httpx.Response | Exception,
    kind: type[errors.Error],
    message: str,
) -> None:
    with pytest.raises(kind, match=message):
        make_client(Script(answer)).do("job", "j1")


@pytest.mark.parametrize(
    ("url", "key"),
    [
        *((url, "key") for url in ("", "photos.test", "ftp://photos.test", "http://")),
        ("http://a:b", "key"),
        ("http://photos.test", "key\n"),
    ],
)
def test_address_or_key_that_does_not_fit_a_request_is_refused(url: str, key: str) -> None:
    with pytest.raises(errors.InvalidAddress):
        Client(url, key)


def test_polls_become_less_frequent_until_the_last_stage_runs(make_client: MakeClient) -> None:
    stages = [RAN, {**RAN, "name": "composite", "state": "running"}]
    running, last = job_answer("running"), job_answer("running", stages=stages)
    client = make_client(Script(*[running] * 12, *[last] * 3, job_answer()))

    client.do("wait", "j1")

    first = client.pauses[:12]
    assert first == sorted(first)
    assert (first[0], first[-1]) == pytest.approx((0.03, 0.25))
    assert client.pauses[12:] == pytest.approx([0.03, 0.039, 0.0507])


def test_wait_survives_a_server_restart_but_not_a_long_outage(
    make_client: MakeClient,
) -> None:
    away = httpx.ConnectError("refused")

    assert make_client(Script(job_answer("running"), *[away] * 10, job_answer())).do("wait", "j1")
    with pytest.raises(errors.ServerUnreachable):
        make_client(Script(away)).do("wait", "j1")


@pytest.mark.parametrize("name", ["webhook_url", "photo_url", "upload_id", "correction_id"])
def test_recipe_cannot_name_another_field_of_the_form(make_client: MakeClient, name: str) -> None:
    client = make_client(Script())

    for photo in (io.BytesIO(b"bytes of a photo"), "https://example.com/a.jpg"):
        with pytest.raises(errors.InvalidRecipe, match=f"{name} is not a field of a recipe"):
            client.do("submit", photo, {name: "https://example.com/"})


def test_recipe_may_nest_names_with_dots(make_client: MakeClient) -> None:
    nested = {"model": "people", "params": {"size": 320}}
    recipe = {"segmentation": nested, "face.model": "yunet"}

    request = request_of(make_client, "submit", "https://example.com/a.jpg", recipe)

    assert json.loads(request.content)["recipe"] == {
        "segmentation.model": ["people"],
        "segmentation.params.size": ["320"],
        "face.model": ["yunet"],
    }


def test_photo_is_fetched_upright_or_as_sent(make_client: MakeClient) -> None:
    jpeg, heic = (
        httpx.Response(200, content=b"photo", headers={"Content-Type": f"image/{kind}"})
        for kind in ("jpeg", "heic")
    )
    server = Script(jpeg, heic, problem(409, "job_not_finished"))
    client = make_client(server)

    shown, sent = client.do("photo", "j1"), client.do("photo", "j1", original=True)

    assert (shown.media_type, sent.media_type) == ("image/jpeg", "image/heic")
    assert [request.url.raw_path for request in server.seen] == [
        *(b"/v1/jobs/j1/photo", b"/v1/jobs/j1/photo?original=true")
    ]
    with pytest.raises(errors.Conflict):
        client.do("output", "j1", "image")


def issued_key(key: str | None) -> httpx.Response:
    issued = {"key_id": "k1", "tenant": "acme", "scopes": ["submit"], "key": key}
    return httpx.Response(201, json={**issued, "created_at": "2031-05-06T07:08:09Z"})


@pytest.mark.parametrize(("name", "args"), [("issue_key", [["read"]]), ("issue_token", [])])
def test_key_whose_answer_was_lost_is_requested_again_idempotently(
    make_client: MakeClient, name: str, args: list[object]
) -> None:
    server = Script(httpx.ReadError("cut"), issued_key("sf_live_1"))

    issued = make_client(server).do(name, *args, idempotency_key="device 7")

    assert issued.key == "sf_live_1"
    assert [request.headers["Idempotency-Key"] for request in server.seen] == ['"device 7"'] * 2


def test_key_that_is_not_shown_again_is_lost(make_client: MakeClient) -> None:
    server = Script(httpx.ReadError("cut"), issued_key(None))

    with pytest.raises(errors.KeyLost, match="k1 was lost: revoke it") as lost:
        make_client(server).do("issue_token")

    assert lost.value.key_id == "k1"


def test_backgrounds_are_listed_and_their_thumbnails_read_by_name(make_client: MakeClient) -> None:
    lobby = {
        "name": "site/lobby",
        "title": "Lobby",
        "source": "site",
        "family": "picture",
        "tags": ["blue"],
        "moods": ["calm", "new"],
        "palette": ["#1f6fb0"],
        "brightness": 0.5,
        "surface": False,
        "thumbnail": "/v1/backgrounds/site/lobby/thumbnail",
    }
    page = httpx.Response(200, json={"items": [lobby], "next_cursor": None})
    picture = httpx.Response(200, content=b"webp", headers={"Content-Type": "image/webp"})
    server = Script(page, picture)
    client = make_client(server)

    [listed] = client.do("backgrounds")
    thumbnail = client.do("thumbnail", listed.name)

    assert (listed.tags, listed.moods, listed.palette) == (
        *(("blue",), ("calm", "new"), ("#1f6fb0",)),
    )
    assert (listed.brightness, listed.surface) == (0.5, False)
    assert server.seen[1].url.raw_path == b"/v1/backgrounds/site/lobby/thumbnail"
    assert (thumbnail.media_type, thumbnail.content) == ("image/webp", b"webp")


LARGE = b"\xff\xd8\xff" + bytes(photos.LARGE_BYTES)
STORAGE = "https://storage.test/bucket/photo?signature=abc"


def a_place(upload_id: str = "u1") -> httpx.Response:
    place = {"upload_id": upload_id, "put_url": STORAGE, "headers": {"Content-Type": "image/jpeg"}}
    return httpx.Response(201, json={**place, "expires_at": "2031-05-06T07:08:09Z"})


def test_file_is_sent_with_its_name_and_without_its_folder(make_client: MakeClient) -> None:
    body = request_of(
        make_client, "submit", Path(__file__), webhook_url="https://example.com/told"
    ).content

    assert b"its_name_stays_here" in body
    assert Path(__file__).name.encode() in body
    assert Path(__file__).parent.name.encode() + b"/" not in body
    assert b"https://example.com/told" in body


def test_missing_file_and_malformed_address_are_refused_locally(make_client: MakeClient) -> None:
    server = Script(job_answer("queued", 202))

    with pytest.raises(FileNotFoundError):
        make_client(server).do("submit", Path("/nonexistent/photo.jpg"))
    with pytest.raises(ValueError, match="Path"):
        make_client(server).do("submit", str(Path(__file__)))
    with pytest.raises(ValueError, match="Path"):
        make_client(server).do("submit_batch", ["/etc/hostname"])

    assert server.seen == []


def test_server_fetches_a_given_address(make_client: MakeClient) -> None:
    request = request_of(
        make_client,
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


def test_upload_goes_to_the_storage_without_the_key(make_client: MakeClient) -> None:
    server = Script(a_place(), httpx.Response(200))

    upload = make_client(server).do("upload", b"\xff\xd8\xff and so on")

    announcement, put = server.seen
    assert json.loads(announcement.content) == {"content_type": "image/jpeg", "bytes": 13}
    assert (put.method, str(put.url)) == ("PUT", STORAGE)
    assert put.content == b"\xff\xd8\xff and so on"
    assert put.headers["Content-Type"] == "image/jpeg"
    assert "Authorization" not in put.headers
    assert "Idempotency-Key" in announcement.headers
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
def test_large_photo_is_sent_inline_where_uploads_fail(
    make_client: MakeClient, trouble: list[httpx.Response | Exception]
) -> None:
    server = Script(*trouble, job_answer("queued", 202))

    make_client(server).do("submit", LARGE)

    assert server.seen[-1].url.path == "/v1/jobs"
    assert LARGE in server.seen[-1].content


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.ConnectError("refused"), errors.ServerUnreachable),
        (httpx.Response(403, text="<Error>AccessDenied</Error>"), errors.UnexpectedAnswer),
    ],
    ids=["away", "refused"],
)
def test_failed_upload_raises_without_the_secret_link(
    make_client: MakeClient, answer: httpx.Response | Exception, kind: type[errors.Error]
) -> None:
    with pytest.raises(kind, match=r"storage\.test") as raised:
        make_client(Script(a_place(), answer)).do("submit", b"small", upload=True)

    assert "signature" not in str(raised.value)


def test_first_bytes_decide_the_media_type() -> None:
    heads = {
        "image/jpeg": b"\xff\xd8\xff\xe0",
        "image/png": b"\x89PNG\r\n\x1a\n",
        "image/webp": b"RIFF\0\0\0\0WEBPVP8 ",
        "image/avif": b"\0\0\0\x1cftypavif",
        "image/heic": b"\0\0\0\x18ftypheic",
        "image/gif": b"GIF89a",
        "image/bmp": b"BM\x8a\0\0\0",
        "image/tiff": b"MM\0*\0\0",
        "application/octet-stream": b"%PDF-1.7",
    }

    assert [photos.media_type(head) for head in heads.values()] == list(heads)


def test_derivation_sends_its_changes_as_json_or_with_a_background_as_a_form(
    make_client: MakeClient,
) -> None:
    server = Script(*[job_answer("queued", 202, parent_id="j0")] * 2)
    client = make_client(server)

    job = client.do("derive", "j0", {"background": "blur:0.5"}, correction_id="c1")
    client.do("derive", "j0", {"quality": 80}, background_file=b"a beach")

    plain, form = server.seen
    assert plain.url.path == "/v1/jobs/j0/derive"
    assert json.loads(plain.content) == {
        "recipe": {"background": ["blur:0.5"]},
        "correction_id": "c1",
    }
    assert job.parent_id == "j0"
    assert b'name="background_file"' in form.content
    assert b"a beach" in form.content
    assert b'name="quality"\r\n\r\n80' in form.content


def test_action_on_a_choice_goes_on_until_the_last_step(make_client: MakeClient) -> None:
    numbers = dict.fromkeys(("photos", "jobs", "pictures", "unfinished", "failed", "making"), 2)
    chosen = {"id": "h1", **numbers, "failures": [], "undo_until": None}
    step = {"done": 1, "failures": [], "jobs": ["j1"]}
    server = Script(
        httpx.Response(201, json=chosen),
        httpx.Response(200, json={**step, "next_cursor": "p1"}),
        httpx.Response(200, json={**step, "next_cursor": None}),
    )
    client = make_client(server)

    choice = client.do("choose", state="succeeded", without=["j9"])
    steps = client.all("act_on_choice", choice.id, "derive", {"quality": 80, "aspect": None})

    asked, first, second = server.seen
    wanted = {"all": True, "state": "succeeded", "except": ["j9"]}
    assert json.loads(asked.content) == wanted
    assert [step.done for step in steps] == [1, 1]
    assert json.loads(first.content) == {"recipe": {"quality": ["80"], "aspect": None}}
    assert (first.url.path, second.url.query) == ("/v1/choices/h1/derive", b"cursor=p1")
    keys = {request.headers["Idempotency-Key"] for request in (first, second)}
    assert len(keys) == 2, "a step is no retry of the one before"


def test_derivation_clears_fields_that_are_none(make_client: MakeClient) -> None:
    server = Script(job_answer("queued", 202))
    client = make_client(server)
    recipe = {"aspect": None, "metadata": {"album": None}, "quality": 80}

    client.do("derive", "j0", recipe)

    assert json.loads(server.seen[0].content)["recipe"] == {
        "aspect": None,
        "metadata.album": None,
        "quality": ["80"],
    }
    with pytest.raises(errors.InvalidRecipe, match=r"aspect, metadata\.album"):
        client.do("derive", "j0", recipe, background_file=b"a beach")


def test_field_of_a_submission_that_is_none_is_absent(make_client: MakeClient) -> None:
    recipe = {"aspect": None, "quality": 80}

    request = request_of(make_client, "submit", "https://example.com/a.jpg", recipe)

    assert json.loads(request.content)["recipe"] == {"quality": ["80"]}


def test_strokes_can_be_dictionaries(make_client: MakeClient) -> None:
    strokes = [{"points": [[1, 2]], "width": 5}, Stroke([(3, 4)], 6)]

    request = request_of(make_client, "submit", "https://example.com/a.jpg", strokes=strokes)

    drawn = {"points": [[3, 4]], "width": 6, "keep": False}
    assert json.loads(request.content)["strokes"] == [strokes[0], drawn]


NOW = "2031-05-06T07:08:09Z"


def test_corrections_are_sent_as_masks_strokes_and_labels(make_client: MakeClient) -> None:
    kept = {"id": "c1", "job_id": "j1", "kind": "matte", "consent": True, "created_at": NOW}
    kept |= {"stage": "segmentation", "form": "mask", "label": None, "faces": None}
    listed = {"items": [kept], "next_cursor": None}
    server = Script(*[httpx.Response(201, json=kept)] * 6, httpx.Response(200, json=listed))
    client = make_client(server)

    client.do("correct_matte", "j1", mask=b"a png", consent=True)
    client.do("correct_matte", "j1", strokes=[Stroke([(1, 2), (3, 4)], 5, keep=False)])
    client.do(
        "correct_matte",
        "j1",
        strokes=[Stroke([(1, 2)], keep=True, snap="part")],
        replaces="c1",
    )
    client.do("correct_faces", "j1", [FaceLabel(1, smile="huge"), FaceLabel(2, left_open=False)])
    client.do("correct_faces", "j1", FaceChanges([2], [(1, 2, 30, 40)]))
    client.do("correct_faces", "j1", FaceChanges(restore=True))

    matte = {"kind": "matte", "stage": "segmentation"}
    assert [json.loads(request.content) for request in server.seen] == [
        {**matte, "mask": "YSBwbmc=", "consent": True},
        {
            **matte,
            "strokes": [{"points": [[1, 2], [3, 4]], "width": 5, "keep": False}],
            "consent": False,
        },
        {
            **matte,
            "strokes": [{"points": [[1, 2]], "keep": True, "snap": "part"}],
            "consent": False,
            "replaces": "c1",
        },
        {
            "kind": "label",
            "stage": "smile",
            "label": {"faces": [{"number": 1, "smile": "huge"}, {"number": 2, "left_open": False}]},
            "consent": False,
        },
        {
            "kind": "faces",
            "stage": "face",
            "faces": {"remove": [2], "add": [[1, 2, 30, 40]]},
            "consent": False,
        },
        {"kind": "faces", "stage": "face", "faces": {"restore": True}, "consent": False},
    ]
    assert {request.url.path for request in server.seen} == {"/v1/jobs/j1/corrections"}
    assert [correction.consent for correction in client.do("corrections", "j1")] == [True]


def a_batch(**fields: object) -> httpx.Response:
    shown = {"id": "b1", "state": "running", "total": 2, "succeeded": 0, "failed": 0, "canceled": 0}
    links = dict.fromkeys(("self", "events", "cancel"), "/v1/batches/b1")
    return httpx.Response(200, json={**shown, "created_at": NOW, "links": links, **fields})


def test_batch_names_every_photo_and_its_own_recipe(make_client: MakeClient) -> None:
    server = Script(a_batch())

    batch = make_client(server).do(
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


def test_large_photos_of_a_batch_are_uploaded(make_client: MakeClient, tmp_path: Path) -> None:
    photo = tmp_path / "large.jpg"
    photo.write_bytes(bytes(photos.LARGE_BYTES))
    uploaded = httpx.Response(200)
    server = Script(a_place("u1"), uploaded, a_place("u2"), uploaded, a_batch())

    make_client(server).do("submit_batch", [photo, b"small"])

    items = json.loads(server.seen[-1].content)["items"]
    assert items == [{"upload_id": "u1", "photo_name": "large.jpg"}, {"upload_id": "u2"}]


def test_batch_wait_ends_when_all_photos_have_ended(make_client: MakeClient) -> None:
    seen: list[int] = []
    ended = a_batch(succeeded=1, failed=1, finished_at=NOW)
    server = Script(a_batch(), a_batch(succeeded=1), ended)

    batch = make_client(server).do(
        "wait_batch", "b1", on_progress=lambda one: seen.append(one.succeeded)
    )

    assert batch.is_final
    assert seen == [0, 1, 1]


def test_run_returns_a_job_whose_outputs_can_be_saved(
    make_client: MakeClient, tmp_path: Path
) -> None:
    outputs = {name: f"/v1/jobs/j1/outputs/{name}" for name in ("image", "cutout", "rating")}
    server = Script(
        job_answer("queued", 202),
        job_answer(outputs=outputs),
        httpx.Response(200, content=b"an image"),
        httpx.Response(200, content=b"a cutout"),
    )

    job = make_client(server).do("run", b"photo", {"background": "keep"}, timeout=60)

    assert [request.url.path for request in server.seen] == [
        *("/v1/jobs", "/v1/jobs/j1", outputs["image"], outputs["cutout"])
    ]
    assert job.save(tmp_path / "a.jpg").read_bytes() == b"an image"
    assert job.save(str(tmp_path / "b.png"), "cutout").read_bytes() == b"a cutout"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "b.png"]


NO_PERSON = {
    "code": "no_person",
    "title": "No person",
    "detail": "there is no one",
    "remedy": "",
    "stage": "segmentation",
}


@pytest.mark.parametrize(
    ("answer", "name", "message"),
    [
        (
            job_answer("failed", error=NO_PERSON),
            "image",
            "j1 failed: no_person, there is no one",
        ),
        (job_answer("running"), "image", "j1 .running. has no output 'image'; it has none"),
        (job_answer(outputs={"matte": "/"}), "cutout", "no output 'cutout'; it has matte"),
        (job_answer(outputs={"image": "/"}), "image", "image of job j1 .* use .*download"),
    ],
    ids=["failed", "unfinished", "not requested", "not fetched"],
)
def test_job_without_the_output_says_why_it_cannot_be_saved(
    make_client: MakeClient, tmp_path: Path, answer: httpx.Response, name: str, message: str
) -> None:
    job = make_client(Script(answer)).do("job", "j1")

    with pytest.raises(errors.NoOutput, match=message):
        job.save(tmp_path / "out.jpg", name)

    assert list(tmp_path.iterdir()) == []
