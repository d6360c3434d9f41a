import io
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from smart_filter_client import Client, errors
from smart_filter_client.models import Job
from smart_filter_client.reading import read_answer
from smart_filter_deploy.cli.commands.pictures import run
from smart_filter_deploy.cli.server import submit_and_fetch
from smart_filter_deploy.cli.server.submit_and_fetch import PhotoRequest
from smart_filter_deploy.cli.terminal.outputs import Outcome, OutputPaths
from smart_filter_deploy.cli.terminal.progress import Progress
from smart_filter_tests.clients import job_document, problem, problem_document

PHOTO = Path(__file__)  # the server below does not read it


class Server:
    """Answers submissions with jobs j0, j1, … and records canceled jobs."""

    def __init__(self, states: Mapping[str, str], refused: Mapping[int, str] | None = None) -> None:
        self.states = dict(states)
        self.refused = dict(refused or {})
        self.withdrawn: list[str] = []
        self.on_look: Callable[[], None] = lambda: None
        self._sent = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        *_, parent, name = request.url.path.split("/")
        if request.method == "GET":
            self.on_look()
            return self._answer(name)
        if name == "cancel":
            self.withdrawn.append(parent)
            if self.states[parent] in {"succeeded", "failed"}:
                return problem(409, "job_final")
            self.states[parent] = "canceled"
            return self._answer(parent)
        request.read()
        index, self._sent = self._sent, self._sent + 1
        if index in self.refused:
            return httpx.Response(415, json=problem_document(415, self.refused[index], "no"))
        return self._answer(f"j{index}", 202)

    def _answer(self, name: str, status: int = 200) -> httpx.Response:
        return httpx.Response(status, json=job_document(self.states[name], id=name))


def process(server: Server, photos: int, *, timeout: float | None = None) -> list[Outcome]:
    """Process `photos` photos; return the outcomes in the order of the photos."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    outcomes: dict[int, Outcome] = {}
    transport = httpx.MockTransport(server)
    with (
        Client("http://t", transport=transport, clock=lambda: now[0], sleep=sleep) as client,
        Progress(Console(file=io.StringIO())) as progress,
    ):
        submit_and_fetch.process_photos(
            client,
            [OutputPaths(PHOTO, Path(), f"p{index}", None) for index in range(photos)],
            PhotoRequest({}),
            timeout=timeout,
            progress=progress,
            on_outcome=outcomes.__setitem__,
        )
    return [outcomes[index] for index in range(photos)]


def codes(outcomes: list[Outcome]) -> list[str | None]:
    return [None if outcome.failure is None else outcome.failure.code for outcome in outcomes]


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (
            Server({"j0": "succeeded", "j2": "succeeded"}, refused={1: "unsupported_media"}),
            [None, "unsupported_media", None],
        ),
        (Server({"j0": "failed", "j1": "succeeded"}), ["failed", None]),
        (Server({"j0": "canceled"}), ["canceled"]),
    ],
    ids=["refused", "failed", "canceled"],
)
def test_failed_photo_does_not_affect_the_others(
    server: Server, expected: list[str | None]
) -> None:
    assert codes(process(server, len(expected))) == expected


def test_wrong_recipe_stops_at_the_first_photo() -> None:
    server = Server({}, refused={0: "invalid_recipe"})

    with pytest.raises(errors.Refused):
        process(server, 3)


def test_late_job_is_canceled_and_fails() -> None:
    server = Server({"j0": "running", "j1": "succeeded"})

    outcomes = process(server, 2, timeout=5)

    assert codes(outcomes) == ["timeout", None]
    assert server.withdrawn == ["j0"]


def test_job_that_ends_at_the_last_moment_counts() -> None:
    class EndsMeanwhile(Server):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/cancel"):
                self.states["j0"] = "succeeded"
            return super().__call__(request)

    assert codes(process(EndsMeanwhile({"j0": "running"}), 1, timeout=1)) == [None]


def test_ctrl_c_cancels_running_jobs() -> None:
    server = Server({"j0": "succeeded", "j1": "running", "j2": "running"})
    looks = iter(range(1000))

    def interrupt() -> None:
        if next(looks) == 4:
            raise KeyboardInterrupt

    server.on_look = interrupt

    with pytest.raises(KeyboardInterrupt):
        process(server, 3)
    assert server.withdrawn == ["j1", "j2"]


def test_json_line_is_the_job_with_its_path() -> None:
    image = {"width": 1, "height": 2, "format": "jpg", "bytes": 3}
    document = job_document(image=image, new="kept")
    job = read_answer(Job, document)
    outcome = Outcome(OutputPaths(PHOTO, Path(), "p", None), job, Path("p.jpg"), {}, None, 1.0)

    line = run.to_document(outcome)

    assert line == {**document, "image": {**image, "path": str(Path("p.jpg").absolute())}}


def test_refused_photo_is_a_line_with_its_error() -> None:
    [outcome] = process(Server({}, refused={0: "unsupported_media"}), 1)

    line = run.to_document(outcome)

    error = {"code": "unsupported_media", "title": "No", "detail": "no", "remedy": ""}
    assert (line["id"], line["state"], line["error"]) == (
        *(None, "failed", {**error, "stage": None}),
    )
