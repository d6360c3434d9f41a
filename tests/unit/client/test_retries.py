import asyncio
import gzip
import io
import itertools
import json
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import httpx
import pytest

from smart_filter_client import Client, errors
from smart_filter_tests.clients import (
    Handler,
    MakeClient,
    Script,
    job_answer,
    job_document,
    problem,
    request_of,
)


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ReadTimeout("slow"),
        problem(503, "unavailable"),
        problem(429, "rate_limited", Retry_After="2"),
        problem(409, "idempotency_in_progress"),
        httpx.Response(502, text="<html>Bad gateway"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else str(one.status_code),
)
def test_submission_is_retried_under_the_same_key(
    make_client: MakeClient, trouble: httpx.Response | Exception
) -> None:
    server = Script(trouble, trouble, job_answer("queued", 202))

    job = make_client(server).do("submit", b"photo", {"background": "keep"})

    [key] = {request.headers["Idempotency-Key"] for request in server.seen}
    assert (job.state, len(server.seen), bool(key)) == ("queued", 3, True)
    assert all(b"keep" in request.content for request in server.seen)


def test_two_submissions_have_different_valid_keys(make_client: MakeClient) -> None:
    keys = {
        request_of(make_client, "submit", b"photo").headers["Idempotency-Key"] for _ in range(2)
    }

    assert len(keys) == 2
    with pytest.raises(ValueError, match="Idempotency-Key"):
        make_client(Script(job_answer())).do("submit", b"photo", idempotency_key="Ä\n")


def test_pauses_are_random_and_grow_to_a_bound(make_client: MakeClient) -> None:
    client = make_client(Script(httpx.ConnectError("refused")))
    client.attempts = 8

    with pytest.raises(errors.ServerUnreachable):
        client.do("job", "j1")

    bounds = [0.5, 1, 2, 4, 8, 8, 8]
    assert len(client.pauses) == 7
    assert all(0 <= pause <= most for pause, most in zip(client.pauses, bounds, strict=True))
    assert len(set(client.pauses)) == 7


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry_After": "7"},
        {"Date": "Fri, 01 Aug 2031 10:00:00 GMT", "Retry_After": "Fri, 01 Aug 2031 10:00:07 GMT"},
    ],
    ids=["seconds", "date"],
)
def test_request_waits_for_retry_after(make_client: MakeClient, headers: dict[str, str]) -> None:
    client = make_client(Script(problem(503, "unavailable", **headers), job_answer()))

    client.do("job", "j1")

    assert 7 <= client.pauses[0] <= 7.5


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "unauthorized", errors.Unauthorized),
        (404, "not_found", errors.NotFound),
        (409, "job_final", errors.Conflict),
        (413, "photo_too_large", errors.PhotoRefused),
        (500, "internal", errors.ServerFailed),
        (418, "from_the_future", errors.InvalidRequest),
    ],
)
def test_problem_is_raised_by_its_family_at_once(
    make_client: MakeClient, status: int, code: str, kind: type[errors.Refused]
) -> None:
    server = Script(problem(status, code, X_Request_Id="r-1"))

    with pytest.raises(kind) as raised:
        make_client(server).do("submit", b"photo")

    assert (raised.value.code, raised.value.status) == (code, status)
    assert (raised.value.detail, raised.value.request_id) == ("not now", "r-1")
    assert len(server.seen) == 1


def test_deletion_whose_answer_was_lost_succeeds(make_client: MakeClient) -> None:
    server = Script(httpx.ReadError("cut"), problem(404, "not_found"))

    make_client(server).do("delete_webhook", "w1")

    assert [request.method for request in server.seen] == ["DELETE", "DELETE"]


HELD = {"Preference-Applied": "wait=25"}


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body in pieces that breaks off after them if `breaks` is set."""

    def __init__(self, pieces: Iterable[bytes], *, breaks: bool = False) -> None:
        self.pieces = pieces
        self.breaks = breaks

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces
        if self.breaks:
            raise httpx.ReadError("cut")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


def body(*pieces: bytes, breaks: bool = False) -> Handler:
    return lambda _: httpx.Response(
        200, stream=Pieces(pieces, breaks=breaks), headers={"Content-Type": "image/webp"}
    )


def event(number: int, kind: str) -> bytes:
    data = json.dumps({"type": kind, "data": job_document("running"), "new": 1})
    return f"event: {kind}\nid: {number}\ndata: {data}\n\n".encode()


def test_wait_for_one_job_uses_the_servers_long_poll(make_client: MakeClient) -> None:
    held = httpx.Response(200, json=job_document("running"), headers=HELD)
    server = Script(held, held, job_answer())
    client = make_client(server)

    job = client.do("wait", "j1")

    assert job.succeeded
    assert client.pauses == []
    assert {request.headers["Prefer"] for request in server.seen} == {"wait=25"}
    assert {request.headers.get("If-None-Match") for request in server.seen} == {None}
    assert server.seen[0].extensions["timeout"]["read"] == 55


def test_progress_is_polled_with_the_last_known_etag(make_client: MakeClient) -> None:
    def state(name: str) -> httpx.Response:
        headers = {**HELD, "ETag": f'"{name}"'}
        return httpx.Response(200, json=job_document(name), headers=headers)

    server = Script(
        state("queued"), httpx.Response(304, headers=HELD), state("running"), state("failed")
    )
    seen: list[str] = []

    make_client(server).do("wait", "j1", on_progress=lambda job: seen.append(job.state))

    assert seen == ["queued", "running", "failed"]
    assert "Prefer" not in server.seen[0].headers
    known = [request.headers.get("If-None-Match") for request in server.seen]
    assert known == [None, '"queued"', '"queued"', '"running"']


def test_broken_stream_resumes_after_the_last_event(make_client: MakeClient) -> None:
    first = event(4, "job.queued") + event(7, "job.running")
    server = Script(
        body(b"retry: 2000\n\n", first[:30], first[30:], breaks=True),
        body(b": still there\n\n", event(9, "job.stage"), event(12, "job.succeeded")),
    )
    client = make_client(server)

    events = client.all("stream", "j1")

    assert [(event.id, event.type) for event in events] == [
        ("4", "job.queued"),
        ("7", "job.running"),
        ("9", "job.stage"),
        ("12", "job.succeeded"),
    ]
    assert events[0].job.state == "running"
    assert [request.headers.get("Last-Event-ID") for request in server.seen] == [None, "7"]
    assert client.pauses == [2]


def test_stream_that_ends_before_the_job_is_opened_again(make_client: MakeClient) -> None:
    server = Script(body(event(4, "job.queued")), httpx.Response(204))

    events = make_client(server).all("stream", "j1", after="3")

    assert [event.id for event in events] == ["4"]
    assert [request.headers["Last-Event-ID"] for request in server.seen] == ["3", "4"]


@pytest.mark.parametrize(
    ("answer", "error", "requests"),
    [
        (body(breaks=True), errors.ServerUnreachable, 4),
        (problem(404, "not_found"), errors.NotFound, 1),
    ],
    ids=["breaks again and again", "unknown job"],
)
def test_stream_that_keeps_failing_is_given_up(
    make_client: MakeClient, answer: Handler, error: type[Exception], requests: int
) -> None:
    server = Script(answer)

    with pytest.raises(error):
        make_client(server).all("stream", "j1")

    assert len(server.seen) == requests


def test_download_appears_whole_with_the_extension_of_its_type(
    make_client: MakeClient, tmp_path: Path
) -> None:
    server = Script(body(b"half", breaks=True), body(b"half", b" and half"))

    place = make_client(server).do(
        "download", "j1", "image", lambda kind, _: tmp_path / f"out.{kind.rpartition('/')[2]}"
    )

    assert place == tmp_path / "out.webp"
    assert place.read_bytes() == b"half and half"
    assert [path.name for path in tmp_path.iterdir()] == ["out.webp"]


@pytest.mark.parametrize(
    ("answer", "place", "error"),
    [
        (body(b"half", breaks=True), "out.webp", errors.ServerUnreachable),
        (problem(410, "output_expired"), "out.webp", errors.Gone),
        (body(b"bytes"), "no such folder/out.webp", FileNotFoundError),
    ],
    ids=["breaks off", "expired", "no folder"],
)
def test_failed_download_keeps_the_old_file(
    make_client: MakeClient, tmp_path: Path, answer: Handler, place: str, error: type[Exception]
) -> None:
    old = tmp_path / "out.webp"
    old.write_bytes(b"before")

    with pytest.raises(error):
        make_client(Script(answer)).do("download", "j1", "image", tmp_path / place)

    assert old.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [old]


def test_download_into_a_device_does_not_replace_it(make_client: MakeClient) -> None:
    make_client(Script(body(b"bytes"))).do("download", "j1", "image", Path(os.devnull))

    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("job", ("j1",)),
        ("output", ("j1", "image")),
        ("download", ("j1", "image", Path(os.devnull))),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_answer_that_never_ends_is_given_up(
    make_client: MakeClient, name: str, arguments: tuple[object, ...], status: int
) -> None:
    client = make_client(lambda _: httpx.Response(status, stream=Pieces(dripped())))

    def dripped() -> Iterator[bytes]:
        while True:
            client.pauses.append(29)  # below the timeout of one step
            yield b" "

    with pytest.raises(
        errors.ServerUnreachable, match=r"photos.test has not sent its whole answer within \d+ s"
    ):
        client.do(name, *arguments)


@pytest.mark.parametrize(
    ("name", "argument"),
    [("wait", "j1"), ("run", b"photo"), ("finished", ["j1"]), ("wait_batch", "b1")],
)
def test_answer_that_never_ends_does_not_outlast_the_timeout(
    make_client: MakeClient, name: str, argument: object
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return job_answer("queued", 202)
        return httpx.Response(200, stream=Pieces(dripped()))

    def dripped() -> Iterator[bytes]:
        while True:
            client.pauses.append(1)
            yield b" "

    client = make_client(answer)
    call = client.all if name == "finished" else client.do

    with pytest.raises(errors.NotFinishedInTime):
        call(name, argument, timeout=10)

    assert 10 <= sum(client.pauses) <= 15


def test_step_of_a_request_is_no_longer_than_the_callers_time(make_client: MakeClient) -> None:
    server = Script(job_answer("running"))

    with pytest.raises(errors.NotFinishedInTime) as raised:
        make_client(server).do("wait", "j1", timeout=2.5)

    assert server.seen[0].headers["Prefer"] == "wait=2"
    assert raised.value.job_ids == ("j1",)
    longest = [max(request.extensions["timeout"].values()) for request in server.seen]
    assert max(longest) <= 5


@pytest.mark.parametrize(("name", "status"), [("job", 200), ("job", 400), ("output", 404)])
def test_answer_without_an_end_is_not_held_in_memory(
    make_client: MakeClient, name: str, status: int
) -> None:
    endless = itertools.repeat(b" " * 1_000_000)
    arguments = ("j1",) if name == "job" else ("j1", "image")
    client = make_client(lambda _: httpx.Response(status, stream=Pieces(endless)))

    with pytest.raises(errors.UnexpectedAnswer, match="sends more than 64 MB in one answer"):
        client.do(name, *arguments)


def test_event_without_an_end_is_not_held_in_memory(make_client: MakeClient) -> None:
    endless = itertools.repeat(b"data: " + b"x" * 1_000_000)
    client = make_client(lambda _: httpx.Response(200, stream=Pieces(endless)))

    with pytest.raises(errors.UnexpectedAnswer, match="sends more than 64 MB"):
        client.all("stream", "j1")


def test_compressed_answer_is_read(make_client: MakeClient) -> None:
    packed = gzip.compress(json.dumps(job_document("queued")).encode())
    headers = {"Content-Encoding": "gzip"}
    client = make_client(lambda _: httpx.Response(200, stream=Pieces([packed]), headers=headers))

    assert client.do("job", "j1").state == "queued"


class Endless(io.RawIOBase):
    """An open file, such as a device, that gives zeros for ever; a pipe gives 64 KiB at a time."""

    given = 0

    def read(self, size: int = -1, /) -> bytes:
        assert size >= 0, "all of it would be read"
        piece = bytes(min(size, 65_536))
        self.given += len(piece)
        return piece


@pytest.mark.parametrize("name", ["submit", "upload"])
def test_open_file_without_an_end_is_not_read_for_ever(make_client: MakeClient, name: str) -> None:
    file, server = Endless(), Script()

    with pytest.raises(OSError, match="File too large"):
        make_client(server).do(name, file)

    assert file.given == 81_000_001
    assert server.seen == []


@pytest.mark.parametrize("name", ["submit", "upload"])
def test_file_that_is_open_as_text_is_refused_with_the_remedy(
    make_client: MakeClient, tmp_path: Path, name: str
) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    with (
        (tmp_path / "photo.jpg").open(encoding="utf-8") as file,
        pytest.raises(TypeError, match='open it with "rb"'),
    ):
        make_client(Script()).do(name, file)


def test_blocking_client_works_inside_an_event_loop() -> None:
    page = httpx.Response(200, json={"items": [job_document("queued")] * 2})

    async def notebook() -> str:
        with Client("http://photos.test", transport=httpx.MockTransport(Script(page))) as client:
            return next(iter(client.jobs())).id

    assert asyncio.run(notebook()) == "j1"


def test_stream_that_is_closed_early_closes_its_connection() -> None:
    class Endless(httpx.SyncByteStream):
        is_closed = False

        def __iter__(self) -> Iterator[bytes]:
            while True:
                event = {"type": "job.queued", "data": job_document("queued")}
                yield b"data: %b\n\n" % json.dumps(event).encode()

        def close(self) -> None:
            self.is_closed = True

    body = Endless()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=body))
    with Client("http://photos.test", transport=transport) as client:
        events = client.stream("j")
        next(events)
        events.close()

        assert body.is_closed
