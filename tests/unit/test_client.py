"""The client against a server that is a function."""

import datetime as dt
import json
from collections.abc import Callable

import httpx
import pytest

from smart_filter_client import Client
from smart_filter_client.errors import (
    Conflict,
    InvalidAddress,
    NotFinishedInTime,
    Refused,
    ServerUnreachable,
    TryLater,
    UnexpectedAnswer,
)
from smart_filter_tests.printable import PRINTABILITY

Handler = Callable[[httpx.Request], httpx.Response]


def client_of(handler: Handler, url: str = "http://photos.test") -> Client:
    """A client whose server is the handler, and whose time passes only by sleeping."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return Client(
        url, "key-1", transport=httpx.MockTransport(handler), clock=lambda: now[0], sleep=sleep
    )


def a_job(state: str = "succeeded", **fields: object) -> dict[str, object]:
    return {"id": "j1", "state": state, **fields}


def answers(*documents: object) -> Handler:
    """A server that gives these answers, the last one for ever."""
    left = list(documents)

    def handle(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=left.pop(0) if len(left) > 1 else left[0])

    return handle


def refuses(status: int, **problem: object) -> Handler:
    return lambda _: httpx.Response(
        status,
        content=json.dumps(problem),
        headers={"Content-Type": "application/problem+json"},
    )


def test_photo_and_recipe_travel_as_a_form_with_the_key() -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        request.read()
        seen.append(request)
        return httpx.Response(202, json=a_job("queued"))

    client_of(handle).submit(
        b"bytes of a photo",
        {"background": "auto", "outputs": ["image", "matte"], "require_person": True, "seed": 7},
    )

    body = seen[0].content
    assert seen[0].url == "http://photos.test/v1/jobs"
    assert seen[0].headers["Authorization"] == "Bearer key-1"
    assert b'name="photo"' in body
    assert b"bytes of a photo" in body
    assert body.count(b'name="outputs"') == 2
    assert b'name="require_person"\r\n\r\ntrue' in body
    assert b'name="seed"\r\n\r\n7' in body


@pytest.mark.parametrize(
    ("recipe", "asked"), [({}, b"file"), ({"background": "blur:0.5"}, b"blur:0.5")]
)
def test_file_for_the_background_asks_for_it_unless_the_recipe_does(
    recipe: dict[str, str], asked: bytes
) -> None:
    bodies: list[bytes] = []

    def handle(request: httpx.Request) -> httpx.Response:
        bodies.append(request.read())
        return httpx.Response(202, json=a_job("queued"))

    client_of(handle).submit(b"people", recipe, background_file=b"a beach")

    assert b'name="background_file"' in bodies[0]
    assert b"a beach" in bodies[0]
    assert b'name="background"\r\n\r\n' + asked + b"\r\n" in bodies[0]


def test_failed_job_is_redriven() -> None:
    seen: list[tuple[str, str]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, request.url.path))
        return httpx.Response(202, json=a_job("queued"))

    job = client_of(handle).redrive("j1")

    assert seen == [("POST", "/v1/jobs/j1/redrive")]
    assert job.state == "queued"


def test_job_is_read_into_values_and_kept_whole() -> None:
    document = a_job(
        created_at="2031-05-06T07:08:09Z",
        photo={"width": 512, "height": 384, "format": "png"},
        people=1,
        faces=[
            {
                "box": [10, 20, 30, 40.5],
                "score": 0.9,
                "landmarks": [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]],
                "smile": {"level": "huge", "score": 0.98},
                "eyes": {"left_open": True, "right_open": None},
            }
        ],
        stages=[{"name": "face", "model": "centerface", "state": "succeeded", "seconds": 0.1}],
        outputs={"image": "/v1/jobs/j1/outputs/image"},
        from_the_future={"unknown": True},
    )

    job = client_of(answers(document)).job("j1")

    assert job.created_at == dt.datetime(2031, 5, 6, 7, 8, 9, tzinfo=dt.UTC)
    assert job.photo is not None
    assert (job.photo.width, job.photo.height) == (512, 384)
    assert job.faces is not None
    assert job.faces[0].box == (10, 20, 30, 40.5)
    assert job.faces[0].smile is not None
    assert job.faces[0].smile.level == "huge"
    assert job.faces[0].eyes is not None
    assert job.faces[0].eyes.right_open is None
    assert job.stages[0].seconds == 0.1
    assert job.document["from_the_future"] == {"unknown": True}


def test_printability_is_read_with_the_parts_that_were_judged() -> None:
    job = client_of(answers(a_job(printability=PRINTABILITY))).job("j1")

    assert job.printability is not None
    assert (job.printability.verdict, job.printability.reasons) == ("poor", ("The person blinks.",))
    assert "head_room" not in job.printability.parts
    assert job.printability.parts["noise"].verdict == "good"
    assert job.printability.document == PRINTABILITY


def test_job_of_an_older_server_lacks_fields_and_is_read() -> None:
    job = client_of(answers(a_job("queued"))).job("j1")

    assert job.faces is None
    assert job.printability is None
    assert job.stages == ()
    assert not job.is_final


def test_problem_document_becomes_an_error_with_its_code() -> None:
    client = client_of(
        refuses(
            422,
            code="invalid_recipe",
            title="The recipe is wrong",
            detail="/background: no such",
            remedy="Correct it",
            errors=[{"pointer": "/background", "detail": "no such"}],
        )
    )

    with pytest.raises(Refused) as raised:
        client.submit(b"photo")

    assert raised.value.code == "invalid_recipe"
    assert raised.value.status == 422
    assert raised.value.remedy == "Correct it"
    assert raised.value.errors[0].pointer == "/background"
    assert str(raised.value) == "/background: no such"


def test_server_that_cannot_now_raises_try_later() -> None:
    with pytest.raises(TryLater) as raised:
        client_of(refuses(503, code="unavailable")).job("j1")

    assert raised.value.code == "unavailable"


def test_proxy_without_its_server_raises_try_later() -> None:
    with pytest.raises(TryLater):
        client_of(lambda _: httpx.Response(502, text="<html>Bad gateway")).job("j1")


@pytest.mark.parametrize("status", [200, 404])
def test_web_page_is_an_unexpected_answer(status: int) -> None:
    with pytest.raises(UnexpectedAnswer, match="Smart Filter server"):
        client_of(lambda _: httpx.Response(status, text="<html>Hello")).job("j1")


def test_nobody_there_is_server_unreachable() -> None:
    def nobody(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(ServerUnreachable, match=r"http://photos\.test"):
        client_of(nobody).job("j1")


@pytest.mark.parametrize("url", ["", "photos.test", "ftp://photos.test", "http://", "http://a:b"])
def test_what_is_no_url_is_told_at_once(url: str) -> None:
    with pytest.raises(InvalidAddress):
        Client(url)


def test_key_with_a_line_break_is_told_at_once() -> None:
    with pytest.raises(InvalidAddress):
        Client("http://photos.test", "key\n")


def test_id_cannot_reach_another_path() -> None:
    paths: list[bytes] = []

    def handle(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path)
        return httpx.Response(200, json=a_job())

    client_of(handle).job("../models?x")

    assert paths == [b"/v1/jobs/..%2Fmodels%3Fx"]


def test_jobs_follow_the_cursor_up_to_the_limit() -> None:
    asked: list[dict[str, str]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        first = "cursor" not in request.url.params
        items = [{**a_job(), "id": f"{'a' if first else 'b'}{n}"} for n in range(2)]
        return httpx.Response(200, json={"items": items, "next_cursor": "more" if first else None})

    jobs = list(client_of(handle).jobs(state="failed", limit=4))

    assert [job.id for job in jobs] == ["a0", "a1", "b0", "b1"]
    assert asked == [
        {"state": "failed", "limit": "4"},
        {"state": "failed", "limit": "2", "cursor": "more"},
    ]


def test_wait_returns_the_final_job_and_tells_of_each_look() -> None:
    client = client_of(answers(a_job("queued"), a_job("running"), a_job("succeeded")))
    seen: list[str] = []

    job = client.wait("j1", on_progress=lambda job: seen.append(job.state))

    assert job.succeeded
    assert seen == ["queued", "running", "succeeded"]


def test_looks_become_rarer() -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)

    handler = answers(*[a_job("running")] * 20, a_job())
    transport = httpx.MockTransport(handler)
    Client("http://photos.test", transport=transport, sleep=sleep).wait("j1")

    assert pauses[0] == pytest.approx(0.03)
    assert pauses == sorted(pauses)
    assert pauses[-1] == pytest.approx(0.25)


def test_job_whose_last_stage_runs_is_looked_at_often_again() -> None:
    pauses: list[float] = []
    stages = [{"name": "face", "state": "succeeded"}, {"name": "composite", "state": "running"}]
    looks = [a_job("running")] * 9 + [a_job("running", stages=stages)] * 3 + [a_job()]

    transport = httpx.MockTransport(answers(*looks))
    Client("http://photos.test", transport=transport, sleep=pauses.append).wait("j1")

    assert pauses[8] > 0.2
    assert pauses[9:] == pytest.approx([0.03, 0.039, 0.0507])


def test_wait_gives_up_after_its_time_and_names_the_jobs() -> None:
    with pytest.raises(NotFinishedInTime) as raised:
        client_of(answers(a_job("running"))).wait("j1", timeout=5)

    assert raised.value.job_ids == ("j1",)


def test_wait_outlives_a_server_that_is_started_again() -> None:
    looks = iter(["running", *["away"] * 10, "succeeded"])

    def handle(request: httpx.Request) -> httpx.Response:
        state = next(looks)
        if state == "away":
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(200, json=a_job(state))

    assert client_of(handle).wait("j1").succeeded


def test_wait_does_not_outlive_a_server_that_stays_away() -> None:
    def nobody(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(ServerUnreachable):
        client_of(nobody).wait("j1")


def test_finished_yields_whoever_is_first() -> None:
    looks = {"slow": 0}

    def handle(request: httpx.Request) -> httpx.Response:
        name = request.url.path.rsplit("/", 1)[1]
        looks["slow"] += 1
        done = name == "fast" or looks["slow"] > 6
        return httpx.Response(200, json={"id": name, "state": "succeeded" if done else "running"})

    jobs = list(client_of(handle).finished(["slow", "fast"]))

    assert [job.id for job in jobs] == ["fast", "slow"]


def test_many_jobs_are_looked_at_some_at_a_time() -> None:
    looks: list[str] = []
    pauses: list[int] = []

    def handle(request: httpx.Request) -> httpx.Response:
        looks.append(request.url.path)
        state = "succeeded" if len(looks) > 100 else "running"
        name = request.url.path.rsplit("/", 1)[1]
        return httpx.Response(200, json={"id": name, "state": state})

    client = Client(
        "http://photos.test",
        transport=httpx.MockTransport(handle),
        sleep=lambda _: pauses.append(len(looks)),
    )
    jobs = list(client.finished([f"j{n}" for n in range(50)]))

    assert len(jobs) == 50
    assert pauses[0] == 8
    assert len(set(looks[:50])) == 50


def test_output_is_read_with_its_media_type() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/jobs/j1/outputs/image"
        return httpx.Response(200, content=b"jpeg", headers={"Content-Type": "image/jpeg"})

    output = client_of(handle).output("j1", "image")

    assert output.media_type == "image/jpeg"
    assert output.content == b"jpeg"


def test_output_that_is_not_there_yet_is_refused() -> None:
    client = client_of(refuses(409, code="job_not_finished"))

    with pytest.raises(Conflict) as raised:
        client.output("j1", "image")

    assert raised.value.code == "job_not_finished"
