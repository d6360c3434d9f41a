"""The client against a server that is a function."""

import datetime as dt

import httpx
import pytest

from smart_filter_client import Client, errors
from smart_filter_client.models import Eyes, Face, Picture, Smile
from smart_filter_tests.clients import Asking, Script, job_answer, problem, sent_by
from smart_filter_tests.printable import PRINTABILITY


def test_photo_and_recipe_travel_as_a_form_with_the_key(asking: Asking) -> None:
    recipe = {"outputs": ["image", "matte"], "require_person": True, "seed": 7}

    request = sent_by(asking, "submit", b"bytes of a photo", recipe)

    assert request.url == "http://photos.test/v1/jobs"
    assert request.headers["Authorization"] == "Bearer key-1"
    assert b'name="photo"' in request.content
    assert b"bytes of a photo" in request.content
    assert request.content.count(b'name="outputs"') == 2
    assert b'name="require_person"\r\n\r\ntrue' in request.content
    assert b'name="seed"\r\n\r\n7' in request.content


@pytest.mark.parametrize(
    ("recipe", "background"), [({}, b"file"), ({"background": "blur:0.5"}, b"blur:0.5")]
)
def test_file_for_the_background_asks_for_it_unless_the_recipe_does(
    asking: Asking, recipe: dict[str, str], background: bytes
) -> None:
    body = sent_by(asking, "submit", b"people", recipe, background_file=b"a beach").content

    assert b'name="background_file"' in body
    assert b"a beach" in body
    assert b'name="background"\r\n\r\n' + background + b"\r\n" in body


def test_failed_job_is_redriven(asking: Asking) -> None:
    request = sent_by(asking, "redrive", "j1")

    assert (request.method, request.url.path) == ("POST", "/v1/jobs/j1/redrive")


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
        photo={"width": 512, "height": 384, "format": "png"},
        faces=[face],
        stages=[{"name": "face", "model": "centerface", "state": "succeeded", "seconds": 0.1}],
        from_the_future={"unknown": True},
    )

    job = asking(Script(answer)).do("job", "j1")

    landmarks = ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10))
    eyes = Eyes(left_open=True, right_open=None)
    assert job.created_at == dt.datetime(2031, 5, 6, 7, 8, 9, tzinfo=dt.UTC)
    assert job.photo == Picture(512, 384, "png")
    assert job.faces == (Face((10, 20, 30, 40.5), 0.9, landmarks, Smile("huge", 0.98), eyes),)
    assert job.stages[0].seconds == 0.1
    assert job.document["from_the_future"] == {"unknown": True}


def test_printability_is_read_with_the_parts_that_were_judged(asking: Asking) -> None:
    printability = (
        asking(Script(job_answer(printability=PRINTABILITY))).do("job", "j1").printability
    )

    assert (printability.verdict, printability.reasons) == ("poor", ("The person blinks.",))
    assert "head_room" not in printability.parts
    assert printability.parts["noise"].verdict == "good"
    assert printability.document == PRINTABILITY


def test_job_of_an_older_server_lacks_fields_and_is_read(asking: Asking) -> None:
    job = asking(Script(job_answer("queued"))).do("job", "j1")

    assert (job.faces, job.printability, job.stages, job.is_final) == (None, None, (), False)


def test_problem_document_becomes_an_error_with_its_code(asking: Asking) -> None:
    document = {
        "code": "invalid_recipe",
        "title": "The recipe is wrong",
        "detail": "/background: no such",
        "remedy": "Correct it",
        "errors": [{"pointer": "/background", "detail": "no such"}],
    }

    with pytest.raises(errors.Refused) as raised:
        asking(Script(httpx.Response(422, json=document))).do("submit", b"photo")

    assert (raised.value.code, raised.value.status) == ("invalid_recipe", 422)
    assert raised.value.remedy == "Correct it"
    assert raised.value.errors[0].pointer == "/background"
    assert str(raised.value) == "/background: no such"


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


def test_many_jobs_are_looked_at_some_at_a_time(asking: Asking) -> None:
    looks: list[str] = []
    pauses_before: list[int] = []

    def handle(request: httpx.Request) -> httpx.Response:
        looks.append(name := request.url.path.rsplit("/", 1)[1])
        pauses_before.append(len(client.pauses))
        state = "succeeded" if len(looks) > 100 else "running"
        return httpx.Response(200, json={"id": name, "state": state})

    client = asking(handle)
    jobs = client.all("finished", [f"j{number}" for number in range(50)])

    assert len(jobs) == 50
    assert pauses_before.count(0) == 8
    assert len(set(looks[:50])) == 50


def test_output_is_read_with_its_media_type(asking: Asking) -> None:
    server = Script(httpx.Response(200, content=b"jpeg", headers={"Content-Type": "image/jpeg"}))

    output = asking(server).do("output", "j1", "image")

    assert server.seen[0].url.path == "/v1/jobs/j1/outputs/image"
    assert (output.media_type, output.content) == ("image/jpeg", b"jpeg")


def test_output_of_a_running_job_is_refused(asking: Asking) -> None:
    with pytest.raises(errors.Conflict):
        asking(Script(problem(409, "job_not_finished"))).do("output", "j1", "image")
