"""Both clients behind one interface: a test of one is a test of the other."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx

from smart_filter_client import AsyncClient, Client

Handler = Callable[[httpx.Request], httpx.Response]


@dataclass(slots=True)
class ClientDriver:
    """A client whose server is a function, and whose time passes only by sleeping.

    Each call opens its own client.  handler: None for a real server, and real time. pauses: the
    seconds of each sleep.
    """

    handler: Handler | None
    is_async: bool
    url: str = "http://photos.test"
    api_key: str = "key-1"
    attempts: int = 4
    pauses: list[float] = field(default_factory=list)

    # Any: the method's own arguments and result, here and below.
    def do(self, name: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        if not self.is_async:
            with self._blocking() as client:
                return getattr(client, name)(*args, **kwargs)

        async def ask() -> object:
            async with self._awaited() as client:
                return await getattr(client, name)(*args, **kwargs)

        return anyio.run(ask)

    def all(self, name: str, *args: Any, **kwargs: Any) -> list[Any]:  # noqa: ANN401
        if not self.is_async:
            with self._blocking() as client:
                return list(getattr(client, name)(*args, **kwargs))

        async def ask() -> list[Any]:
            async with self._awaited() as client:
                return [item async for item in getattr(client, name)(*args, **kwargs)]

        return anyio.run(ask)

    def _blocking(self) -> Client:
        return Client(self.url, self.api_key, **self._options(self.pauses.append))

    def _awaited(self) -> AsyncClient:
        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)

        return AsyncClient(self.url, self.api_key, **self._options(sleep))

    def _options(self, sleep: Callable[[float], object]) -> dict[str, Any]:
        if self.handler is None:
            return {}
        return {
            "attempts": self.attempts,
            "transport": httpx.MockTransport(self.handler),
            "clock": lambda: sum(self.pauses),
            "sleep": sleep,
        }


MakeClient = Callable[
    [Handler], ClientDriver
]  # makes a client of either kind whose server is a function


class Script:
    """A server that gives scripted answers in turn and repeats the last; seen: its requests."""

    def __init__(self, *answers: httpx.Response | Exception | Handler) -> None:
        self.seen: list[httpx.Request] = []
        self._answers = list(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.seen.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            # A response is read once.
            return httpx.Response(
                answer.status_code, headers=answer.headers, content=answer.content
            )
        return answer(request)


def job_document(state: str = "succeeded", **fields: object) -> dict[str, object]:
    """Return a job as a server shows it, without what may be missing."""
    return {
        "id": "j1",
        "state": state,
        "created_at": "2031-05-06T07:08:09Z",
        "seed": 1,
        "needs_review": False,
        "background": {"kind": "auto"},
        "links": dict.fromkeys(("self", "photo", "events", "cancel"), "/v1/jobs/j1"),
        **fields,
    }


def job_answer(state: str = "succeeded", status: int = 200, **fields: object) -> httpx.Response:
    return httpx.Response(status, json=job_document(state, **fields))


def problem_document(status: int, code: str, detail: str = "not now") -> dict[str, object]:
    texts = {"type": code, "title": "No", "detail": detail, "instance": "urn:1", "remedy": ""}
    return {"status": status, "code": code, **texts}


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    """Return a problem document; `_` in names of headers stands for a dash."""
    return httpx.Response(
        status,
        json=problem_document(status, code),
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def request_of(make_client: MakeClient, name: str, *args: Any, **kwargs: Any) -> httpx.Request:  # noqa: ANN401
    """Return the one request that a method sends; a queued job answers it."""
    server = Script(job_answer("queued", 202))
    make_client(server).do(name, *args, **kwargs)
    [request] = server.seen
    return request
