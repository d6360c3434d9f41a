"""What can be asked of a server."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from smart_filter_client import answers
from smart_filter_client.errors import InvalidAddress, ServerUnreachable, UnexpectedAnswer
from smart_filter_client.fields import Fields
from smart_filter_client.models import Job, Model, job_from, model_from
from smart_filter_client.output import Output
from smart_filter_client.waiting import finished

FieldValue = str | int | bool | Sequence[str]

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 30.0
_PAGE = 100
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Client:
    """A connection to one server; safe to share between threads, closed by `with` or `close`.

    url: where the server is, such as `https://photos.example.com`.
    transport, clock, sleep: other ones for tests; clock and sleep count in seconds.

    Raises InvalidAddress when the URL or the key cannot be one. Every method raises
    ServerUnreachable, Refused or UnexpectedAnswer.
    """

    def __init__(
        self,
        url: str,
        api_key: str = "",
        *,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        address = _address(url)
        if not (api_key.isascii() and api_key.isprintable()):
            raise InvalidAddress("the API key holds characters that no key has")
        self.url = url.rstrip("/")
        self._clock = clock
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=address,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
            transport=transport,
            # A proxy of this machine's environment cannot reach this machine's loopback.
            trust_env=address.host not in _LOOPBACK,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def submit(
        self,
        photo: Path | bytes,
        recipe: Mapping[str, FieldValue] | None = None,
        *,
        background_file: Path | bytes | None = None,
    ) -> Job:
        """Send a photo and what is asked for; return the job, which is queued.

        photo: a file, read while it is sent, or its bytes.
        recipe: fields by name, dots included, such as {"background": "auto",
            "outputs": ["image", "matte"], "metadata.album": "beach"}.
        background_file: a picture to stand behind the people; it asks for the background
            `file` unless the recipe names one.
        Raises OSError when a file cannot be read.
        """
        fields = {name: _written(value) for name, value in (recipe or {}).items()}
        pictures = {"photo": photo}
        if background_file is not None:
            pictures["background_file"] = background_file
            fields.setdefault("background", ["file"])
        with ExitStack() as files:
            # Names of files stay with their owner; only the bytes are sent.
            parts = {
                name: (
                    name,
                    picture
                    if isinstance(picture, bytes)
                    else files.enter_context(picture.open("rb")),
                    "application/octet-stream",
                )
                for name, picture in pictures.items()
            }
            return job_from(self._json("POST", "v1/jobs", data=fields, files=parts))

    def job(self, job_id: str) -> Job:
        """Return a job as it is now."""
        return job_from(self._json("GET", _path("jobs", job_id)))

    def jobs(self, *, state: str | None = None, limit: int | None = None) -> Iterator[Job]:
        """Yield jobs, newest first.

        state: only those.  limit: at most so many; None: all there are.
        """
        left = limit
        query: dict[str, str | int] = {} if state is None else {"state": state}
        while left is None or left > 0:
            query["limit"] = _PAGE if left is None else min(_PAGE, left)
            page = Fields(self._json("GET", "v1/jobs", params=query), "a list of jobs")
            items = [job_from(item.document) for item in page.objects_or_none("items") or []]
            yield from items
            cursor = page.text_or_none("next_cursor")
            if not items or cursor is None:
                return
            query["cursor"] = cursor
            left = None if left is None else left - len(items)

    def cancel(self, job_id: str) -> Job:
        """Withdraw a job; return it as it is then."""
        return job_from(self._json("POST", _path("jobs", job_id, "cancel")))

    def redrive(self, job_id: str) -> Job:
        """Let a failed job go on from what has succeeded; return it as it is then."""
        return job_from(self._json("POST", _path("jobs", job_id, "redrive")))

    def wait(
        self,
        job_id: str,
        timeout: float | None = None,
        on_progress: Callable[[Job], None] | None = None,
    ) -> Job:
        """Return a job when it is final.

        timeout: seconds, None for ever.  on_progress: called with the job at every look.
        Raises NotFinishedInTime.
        """
        return next(self.finished([job_id], timeout, on_progress))

    def finished(
        self,
        job_ids: Sequence[str],
        timeout: float | None = None,
        on_progress: Callable[[Job], None] | None = None,
    ) -> Iterator[Job]:
        """Yield each of the jobs when it is final, whichever is first.

        A server that is away for some seconds meanwhile is waited for.
        Raises NotFinishedInTime for those that are left when `timeout` seconds are over.
        """
        return finished(
            self.job,
            job_ids,
            timeout=timeout,
            on_progress=on_progress,
            clock=self._clock,
            sleep=self._sleep,
        )

    @contextmanager
    def output(self, job_id: str, name: str) -> Iterator[Output]:
        """Open an output of a job, such as `image`; its bytes arrive while they are read."""
        request = self._http.build_request("GET", _path("jobs", job_id, "outputs", name))
        with _translated(self.url):
            response = self._http.send(request, stream=True)
            try:
                if not response.is_success:
                    response.read()
                    raise answers.refusal(response)
                yield Output(
                    response.headers.get("Content-Type", "application/octet-stream"),
                    response.iter_bytes(),
                )
            finally:
                response.close()

    def models(self, *, every: bool = False) -> list[Model]:
        """Return the models that the server offers, or every one that it knows."""
        params = {"all": "true"} if every else {}
        page = Fields(self._json("GET", "v1/models", params=params), "a list of models")
        return [model_from(item.document) for item in page.objects_or_none("items") or []]

    # Any: httpx's own keyword arguments, passed through.
    def _json(self, method: str, path: str, **how: Any) -> object:  # noqa: ANN401
        with _translated(self.url):
            response = self._http.request(method, path, **how)
        if not response.is_success:
            raise answers.refusal(response)
        try:
            return response.json()
        except ValueError as error:
            raise UnexpectedAnswer(
                f"{self.url} does not answer in JSON: is it a Smart Filter server?"
            ) from error


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        why = str(error) or type(error).__name__
        raise ServerUnreachable(f"no answer from {url} ({why})") from error
    except httpx.HTTPError as error:
        raise UnexpectedAnswer(f"{url} does not speak HTTP as expected ({error})") from error


def _address(url: str) -> httpx.URL:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidAddress(f"{url!r} is not a URL ({error})") from error
    if address.scheme not in {"http", "https"} or not address.host:
        raise InvalidAddress(f"{url!r} is not a server's URL; write http://HOST:PORT")
    return address


def _path(*parts: str) -> str:
    return "/".join(["v1", *(quote(part, safe="") for part in parts)])


def _written(value: FieldValue) -> list[str]:
    """Return a field's values as a form has them."""
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, str | int):
        return [str(value)]
    return list(value)
