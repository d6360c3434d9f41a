import datetime as dt
import io
import json

import httpx
import pytest

from smart_filter_client import Client, errors
from smart_filter_client.models import Eyes, Face, Person, Picture, RankTerms, Smile
from smart_filter_tests.clients import Asking, Script, job_answer, problem, sent_by


def test_photo_and_recipe_travel_as_a_form_with_the_key(asking: Asking) -> None:
    recipe = {"outputs": ["image", "matte"], "require_person": True, "seed": 7}

    request = sent_by(asking, "submit", io.BytesIO(b"bytes of a photo"), recipe, wait=20)

    assert request.url == "http://photos.test/v1/jobs"
    assert request.headers["Authorization"] == "Bearer key-1"
    assert request.headers["Prefer"] == "wait=20"
    assert b'name="photo"' in request.content
    assert b"bytes of a photo" in request.content
    assert request.content.count(b'name="outputs"') == 2
    assert b'name="require_person"\r\n\r\ntrue' in request.content
    assert b'name="seed"\r\n\r\n7' in request.content


def test_id_cannot_reach_another_path(asking: Asking) -> None:
    assert sent_by(asking, "job", "../models?x").url.raw_path == b"/v1/jobs/..%2Fmodels%3Fx"


def test_job_is_read_into_values_and_kept_whole(asking: Asking) -> None:
    face = {
        "box": [10, 20, 30, 40.5],
        "score": 0.9,
        "landmarks": [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]],
        "smile": {"level": "huge", "score": 0.98},
        "eyes": {"left_open": True, "right_open": None},
    }
    answer = job_answer(
        created_at="2031-05-06T07:08:09Z",
        photo={"width": 512, "height": 384, "format": "png", "quarter_turns": 3},
        faces=[face],
        stages=[{"name": "face", "model": "centerface", "state": "succeeded", "seconds": 0.1}],
        persons=[{"number": 2, "box": [1, 2, 3.5, 4], "kept": False}],
        batch_id="b1",
        rank=3,
        rank_terms={"rating": 0.75, "of": 9, "alike": 2, "better": "j7", "reasons": ["a twin"]},
        from_the_future={"unknown": True},
    )

    job = asking(Script(answer)).do("job", "j1")

    landmarks = ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10))
    eyes = Eyes(left_open=True, right_open=None)
    assert job.created_at == dt.datetime(2031, 5, 6, 7, 8, 9, tzinfo=dt.UTC)
    assert job.photo == Picture(512, 384, "png", quarter_turns=3)
    assert job.faces == (Face((10, 20, 30, 40.5), 0.9, landmarks, Smile("huge", 0.98), eyes),)
    assert job.stages[0].seconds == 0.1
    assert job.persons == (Person(2, (1, 2, 3.5, 4), kept=False),)
    assert (job.batch_id, job.rank) == ("b1", 3)
    assert job.rank_terms == RankTerms(0.75, 9, 2, "j7", ("a twin",))
    assert job.document["from_the_future"] == {"unknown": True}


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (httpx.Response(503, json={"code": "unavailable"}), errors.TryLater, "unavailable"),
        (httpx.Response(502, text="<html>Bad gateway"), errors.TryLater, "502"),
        (httpx.Response(200, text="<html>"), errors.UnexpectedAnswer, "Smart Filter server"),
        (httpx.Response(404, text="<html>"), errors.UnexpectedAnswer, "Smart Filter server"),
        (httpx.ConnectError("refused"), errors.ServerUnreachable, r"http://photos\.test"),
    ],
    ids=["unavailable", "a proxy alone", "a web page", "no such page", "no server"],
)
def test_answer_that_is_no_job_raises_its_error(
    asking: Asking, answer: httpx.Response | Exception, kind: type[errors.Error], message: str
) -> None:
    with pytest.raises(kind, match=message):
        asking(Script(answer)).do("job", "j1")


@pytest.mark.parametrize(
    ("url", "key"),
    [
        *((url, "key") for url in ("", "photos.test", "ftp://photos.test", "http://")),
        ("http://a:b", "key"),
        ("http://photos.test", "key\n"),
    ],
)
def test_address_or_key_that_no_request_can_carry_is_refused(url: str, key: str) -> None:
    with pytest.raises(errors.InvalidAddress):
        Client(url, key)


def test_jobs_follow_the_cursor_up_to_the_limit(asking: Asking) -> None:
    pages = [
        httpx.Response(200, json={"items": [{"id": one, "state": "failed"} for one in ids], **more})
        for ids, more in ((("a0", "a1"), {"next_cursor": "more"}), (("b0", "b1"), {}))
    ]
    server = Script(*pages)

    jobs = asking(server).all("jobs", state="failed", limit=4)

    assert [job.id for job in jobs] == ["a0", "a1", "b0", "b1"]
    assert [dict(request.url.params) for request in server.seen] == [
        {"state": "failed", "limit": "4"},
        {"state": "failed", "limit": "2", "cursor": "more"},
    ]


def test_looks_become_rarer_until_the_last_stage_runs(asking: Asking) -> None:
    stages = [{"name": "face", "state": "succeeded"}, {"name": "composite", "state": "running"}]
    running, last = job_answer("running"), job_answer("running", stages=stages)
    client = asking(Script(*[running] * 12, *[last] * 3, job_answer()))

    client.do("wait", "j1")

    first = client.pauses[:12]
    assert first == sorted(first)
    assert (first[0], first[-1]) == pytest.approx((0.03, 0.25))
    assert client.pauses[12:] == pytest.approx([0.03, 0.039, 0.0507])


def test_wait_outlives_a_server_that_is_started_again_but_not_one_that_stays_away(
    asking: Asking,
) -> None:
    away = httpx.ConnectError("refused")

    assert asking(Script(job_answer("running"), *[away] * 10, job_answer())).do("wait", "j1")
    with pytest.raises(errors.ServerUnreachable):
        asking(Script(away)).do("wait", "j1")


def test_output_of_a_running_job_is_refused(asking: Asking) -> None:
    with pytest.raises(errors.Conflict):
        asking(Script(problem(409, "job_not_finished"))).do("output", "j1", "image")


def test_recipe_may_nest_names_with_dots(asking: Asking) -> None:
    nested = {"model": "people", "params": {"size": 320}}
    recipe = {"segmentation": nested, "face.model": "yunet"}

    request = sent_by(asking, "submit", "https://example.com/a.jpg", recipe)

    assert json.loads(request.content)["recipe"] == {
        "segmentation.model": ["people"],
        "segmentation.params.size": ["320"],
        "face.model": ["yunet"],
    }


def test_photo_comes_upright_or_as_it_was_sent(asking: Asking) -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        kind = "heic" if request.url.query else "jpeg"
        content, headers = str(request.url).encode(), {"Content-Type": f"image/{kind}"}
        return httpx.Response(200, content=content, headers=headers)

    shown, sent = asking(handle).do("photo", "j1"), asking(handle).do("photo", "j1", original=True)

    assert (shown.media_type, sent.media_type) == ("image/jpeg", "image/heic")
    assert shown.content.endswith(b"/v1/jobs/j1/photo")
    assert sent.content.endswith(b"/v1/jobs/j1/photo?original=true")


def issued_key(key: str | None) -> httpx.Response:
    issued = {"key_id": "k1", "tenant": "acme", "scopes": ["submit"], "key": key}
    return httpx.Response(201, json=issued)


@pytest.mark.parametrize(("name", "args"), [("issue_key", [["read"]]), ("issue_token", [])])
def test_key_whose_answer_was_lost_is_asked_for_again_under_the_callers_key(
    asking: Asking, name: str, args: list[object]
) -> None:
    server = Script(httpx.ReadError("cut"), issued_key("sf_live_1"))

    issued = asking(server).do(name, *args, idempotency_key="device 7")

    assert issued.key == "sf_live_1"
    assert [one.headers["Idempotency-Key"] for one in server.seen] == ['"device 7"'] * 2


def test_key_that_is_not_shown_again_is_lost(asking: Asking) -> None:
    server = Script(httpx.ReadError("cut"), issued_key(None))

    with pytest.raises(errors.KeyLost, match="k1 was lost: revoke it") as lost:
        asking(server).do("issue_token")

    assert lost.value.key_id == "k1"


def test_ticket_for_live_video_is_asked_for_with_the_background(asking: Asking) -> None:
    url = "wss://live.example.org/v1/live/socket"
    ticket = {"url": url, "token": "hush-hush", "expires_at": "2026-01-02T03:04:05Z"}
    server = Script(httpx.Response(201, json=ticket))

    issued = asking(server).do("open_live", "blur:0.5")

    assert (issued.url, issued.token) == (url, "hush-hush")
    assert "hush" not in repr(issued)
    assert server.seen[0].url.path == "/v1/live"
    assert server.seen[0].content == b'{"background":"blur:0.5"}'


def test_backgrounds_are_listed(asking: Asking) -> None:
    sky = {"name": "sky", "tags": ["blue"], "moods": ["calm"], "palette": ["#1f6fb0"]}
    linen = {"name": "linen", "brightness": 0.5, "surface": True}

    page = httpx.Response(200, json={"items": [sky, linen], "next_cursor": None})
    one, other = asking(Script(page)).do("backgrounds")

    assert (one.name, one.tags, one.moods) == ("sky", ("blue",), ("calm",))
    assert (one.palette, one.brightness, one.surface) == (("#1f6fb0",), None, False)
    assert (other.brightness, other.surface) == (0.5, True)


def test_thumbnail_of_a_background_is_read_by_its_name(asking: Asking) -> None:
    shown = httpx.Response(200, content=b"webp", headers={"Content-Type": "image/webp"})
    server = Script(shown)

    thumbnail = asking(server).do("thumbnail", "site/lobby")

    assert server.seen[0].url.raw_path == b"/v1/backgrounds/site/lobby/thumbnail"
    assert (thumbnail.media_type, thumbnail.content) == ("image/webp", b"webp")
