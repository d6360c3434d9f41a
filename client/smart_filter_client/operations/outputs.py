"""The outputs and the photo of a job, as files."""

import functools
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx

from smart_filter_client import exchange
from smart_filter_client.flows import CallBlocking, Close, Flow, Read, Server, Sleep
from smart_filter_client.requests import Request, path

_BINARY_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Output:
    """An output; media_type: such as `image/jpeg`."""

    media_type: str
    content: bytes = field(repr=False)


def output(server: Server, job_id: str, name: str) -> Flow[Output]:
    """Return an output of a job, such as `image`, in memory."""
    return (yield from fetch_file(server, _path(job_id, name)))


def photo(server: Server, job_id: str, *, original: bool = False) -> Flow[Output]:
    """Return the photo of a job, upright and small enough for a screen, as JPEG.

    original: the submitted bytes, with all their metadata; to turn them upright, apply the EXIF
    orientation and then the job's `photo.quarter_turns`.
    """
    params = {"original": "true"} if original else {}
    return (yield from fetch_file(server, path("jobs", job_id, "photo"), params))


def fetch_file(server: Server, place: str, params: Mapping[str, str] | None = None) -> Flow[Output]:
    """Return the file at a path of the server."""
    request = Request(method="GET", path=place, params=params or {})
    response = yield from exchange.ask(server, request)
    return Output(_media_type(response), response.content)


def download(
    server: Server, job_id: str, name: str, to: Path | Callable[[str], Path]
) -> Flow[Path]:
    """Write an output of a job, such as `image`, to a file; return its path.

    The file appears complete or not at all; the output is never in memory as a whole.
    to: the file, or a function that returns it for a media type such as `image/jpeg`.
    Raises OSError when it cannot be written.
    """
    request = Request(method="GET", path=_path(job_id, name))
    attempt = 0
    while True:
        attempt += 1
        response = yield from exchange.open_response(server, request)
        place = to if isinstance(to, Path) else to(_media_type(response))
        try:
            yield from _save(response, place)
        except httpx.HTTPError as error:
            if attempt >= server.attempts:
                raise exchange.translate_error(server, request, error) from error
        else:
            return place
        yield Close(response)
        yield Sleep(exchange.pause_seconds(server, attempt))


def _save(response: httpx.Response, place: Path) -> Flow[None]:
    writing: _PartialFile = yield CallBlocking(functools.partial(_PartialFile.begin, place))
    try:
        while (piece := (yield Read(response))) is not None:
            yield CallBlocking(functools.partial(writing.file.write, piece))
        yield CallBlocking(writing.finish)
    finally:
        writing.end()


@dataclass(frozen=True, slots=True)
class _PartialFile:
    """A file being written; partial: its temporary path until it is complete."""

    place: Path
    partial: Path | None
    file: IO[bytes]

    @classmethod
    def begin(cls, place: Path) -> "_PartialFile":
        if place.exists() and not place.is_file():  # a device or a pipe must not be replaced
            return cls(place, None, place.open("wb"))
        partial = place.with_name(f".{place.name[:100]}.{secrets.token_hex(4)}.part")
        return cls(place, partial, partial.open("xb"))

    def finish(self) -> None:
        self.file.flush()
        if self.partial is not None:
            os.fsync(self.file.fileno())
            self.partial.replace(self.place)

    def end(self) -> None:
        self.file.close()
        if self.partial is not None:
            self.partial.unlink(missing_ok=True)


def _path(job_id: str, name: str) -> str:
    return path("jobs", job_id, "outputs", name)


def _media_type(response: httpx.Response) -> str:
    return str(response.headers.get("Content-Type", _BINARY_TYPE))
