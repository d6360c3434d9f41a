import json
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from smart_filter_client import errors
from smart_filter_client.sse import Message, Parser
from smart_filter_tests.clients import Asking, Handler, Script, job_answer, problem

HELD = {"Preference-Applied": "wait=25"}


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes in pieces, and breaks off after them if it is to."""

    def __init__(self, pieces: Sequence[bytes], *, breaks: bool = False) -> None:
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
    data = json.dumps({"type": kind, "data": {"id": "j1", "state": "running"}, "new": 1})
    return f"event: {kind}\nid: {number}\ndata: {data}\n\n".encode()


def test_one_job_is_waited_for_by_the_server(asking: Asking) -> None:
    held = httpx.Response(200, json={"id": "j1", "state": "running"}, headers=HELD)
    server = Script(held, held, job_answer())
    client = asking(server)

    job = client.do("wait", "j1")

    assert job.succeeded
    assert client.pauses == []
    assert {request.headers["Prefer"] for request in server.seen} == {"wait=25"}
    assert {request.headers.get("If-None-Match") for request in server.seen} == {None}
    assert server.seen[0].extensions["timeout"]["read"] == 55


def test_progress_is_asked_for_by_the_last_known_answer(asking: Asking) -> None:
    def state(name: str) -> httpx.Response:
        headers = {**HELD, "ETag": f'"{name}"'}
        return httpx.Response(200, json={"id": "j1", "state": name}, headers=headers)

    server = Script(
        state("queued"), httpx.Response(304, headers=HELD), state("running"), state("failed")
    )
    seen: list[str] = []

    asking(server).do("wait", "j1", on_progress=lambda job: seen.append(job.state))

    assert seen == ["queued", "running", "failed"]
    assert "Prefer" not in server.seen[0].headers
    known = [request.headers.get("If-None-Match") for request in server.seen]
    assert known == [None, '"queued"', '"queued"', '"running"']


def test_server_waits_no_longer_than_the_caller(asking: Asking) -> None:
    server = Script(job_answer("running"))

    with pytest.raises(errors.NotFinishedInTime) as raised:
        asking(server).do("wait", "j1", timeout=2.5)

    assert server.seen[0].headers["Prefer"] == "wait=2"
    assert raised.value.job_ids == ("j1",)


def test_stream_goes_on_behind_the_last_event_when_it_breaks(asking: Asking) -> None:
    first = event(4, "job.queued") + event(7, "job.running")
    server = Script(
        body(b"retry: 2000\n\n", first[:30], first[30:], breaks=True),
        body(b": still there\n\n", event(9, "job.stage"), event(12, "job.succeeded")),
    )
    client = asking(server)

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


def test_stream_that_ends_before_the_job_is_asked_for_again(asking: Asking) -> None:
    server = Script(body(event(4, "job.queued")), httpx.Response(204))

    events = asking(server).all("stream", "j1", after="3")

    assert [event.id for event in events] == ["4"]
    assert [request.headers["Last-Event-ID"] for request in server.seen] == ["3", "4"]


def test_stream_that_breaks_again_and_again_is_given_up(asking: Asking) -> None:
    server = Script(body(breaks=True))

    with pytest.raises(errors.ServerUnreachable):
        asking(server).all("stream", "j1")

    assert len(server.seen) == 4


def test_stream_of_an_unknown_job_is_refused(asking: Asking) -> None:
    with pytest.raises(errors.NotFound):
        asking(Script(problem(404, "not_found"))).all("stream", "j1")


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_events_are_read_whatever_the_pieces(size: int) -> None:
    text = (
        "\ufeffretry: 50\r\n: comment\r\nid: 1\r\nevent: a\r\ndata: x\r\ndata:y é\r\n\r\n"
        "data\n\nid: 2\nid: \0\ndata: z\n\nevent: none\n\ndata: unfinished"
    ).encode()
    parser = Parser()

    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    found = [message for piece in pieces for message in parser.feed(piece)]

    assert found == [
        Message("a", "x\ny é", "1"),
        Message("message", "", "1"),
        Message("message", "z", "2"),
    ]
    assert parser.retry_seconds == 0.05


def test_download_appears_whole_under_the_name_that_its_type_gives(
    asking: Asking, tmp_path: Path
) -> None:
    server = Script(body(b"half", breaks=True), body(b"half", b" and half"))

    place = asking(server).do(
        "download", "j1", "image", lambda kind: tmp_path / f"out.{kind.rpartition('/')[2]}"
    )

    assert place == tmp_path / "out.webp"
    assert place.read_bytes() == b"half and half"
    assert [one.name for one in tmp_path.iterdir()] == ["out.webp"]


def test_download_that_fails_leaves_the_old_file(asking: Asking, tmp_path: Path) -> None:
    place = tmp_path / "out.webp"
    place.write_bytes(b"before")

    with pytest.raises(errors.ServerUnreachable):
        asking(Script(body(b"half", breaks=True))).do("download", "j1", "image", place)

    assert place.read_bytes() == b"before"
    assert [one.name for one in tmp_path.iterdir()] == ["out.webp"]


def test_download_into_a_device_does_not_replace_it(asking: Asking) -> None:
    asking(Script(body(b"bytes"))).do("download", "j1", "image", Path(os.devnull))

    assert not Path(os.devnull).is_file()


def test_folder_that_is_not_there_is_an_error_of_the_system(asking: Asking, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        asking(Script(body(b"bytes"))).do("download", "j1", "image", tmp_path / "no" / "out.png")


def test_output_that_has_expired_is_gone(asking: Asking, tmp_path: Path) -> None:
    client = asking(Script(problem(410, "output_expired")))

    with pytest.raises(errors.Gone, match="not now"):
        client.do("download", "j1", "image", tmp_path / "out.png")

    assert list(tmp_path.iterdir()) == []
