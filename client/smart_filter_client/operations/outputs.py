"""The outputs and the photo of a job, as files."""

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

import httpx

from smart_filter_client.http import exchange
from smart_filter_client.http.connection import Backend, Connection, Request, path
from smart_filter_client.http.exchange import FILE, BodyCount
from smart_filter_client.models import Output, PartialFile
from smart_filter_client.recipe import Place
from smart_filter_wire.words import OutputName

_BINARY_TYPE = "application/octet-stream"


async def output(client: Connection, job_id: str, name: OutputName) -> Output:
    """Return an output of a job, such as `image`, in memory."""
    return await fetch_file(client, _path(job_id, name))


async def photo(client: Connection, job_id: str, *, original: bool = False) -> Output:
    """Return the photo of a job, upright and small enough for a screen, as JPEG.

    original: the submitted bytes, with all their metadata; to turn them upright, apply the EXIF
    orientation and then the job's `photo.quarter_turns`.
    """
    params = {"original": "true"} if original else {}
    return await fetch_file(client, path("jobs", job_id, "photo"), params)


async def fetch_file(
    client: Connection, place: str, params: Mapping[str, str] | None = None
) -> Output:
    """Return the file at a path of the server."""
    request = Request(method="GET", path=place, params=params or {})
    response = await exchange.ask_file(client, request)
    return Output(_media_type(response), response.content)


async def download(
    client: Connection, job_id: str, name: OutputName, to: Place, *, filename: str = ""
) -> Path:
    """Write an output of a job, such as `image`, to a file; return its path.

    The file appears complete or not at all; the output is never in memory as a whole.
    to: the file, or a function of its media type, such as `image/jpeg`, and its name or "".
    filename: of the name, as in a recipe.  Raises OSError when the file cannot be written.
    """
    params = {"download": filename} if filename else {}
    return await save(client, Request(method="GET", path=_path(job_id, name), params=params), to)


async def save(client: Connection, request: Request, to: Place) -> Path:
    """Write the file that a request returns, as `download` does; return its path."""
    attempt = 0
    while True:
        attempt += 1
        async with exchange.open_response(client, request) as response:
            place = to if isinstance(to, Path) else to(_media_type(response), _file_name(response))
            try:
                count = BodyCount.begin(client, request, FILE)
                await _save(client.backend, response, place, count)
            except httpx.HTTPError as error:
                if attempt >= client.attempts:
                    raise exchange.translate_error(client, request, error) from error
            else:
                return place
        await client.backend.sleep(exchange.pause_seconds(attempt))


def clean_file_name(name: str) -> str:
    """Return a name that others chose, without what makes it a path or hides it; may be empty."""
    return "".join(
        letter for letter in name if letter.isprintable() and letter not in '/\\:*?"<>|'
    ).strip(". ")


async def _save(backend: Backend, response: httpx.Response, place: Path, count: BodyCount) -> None:
    writing = await backend.call(functools.partial(PartialFile.begin, place))
    try:
        async for piece in backend.pieces(response):
            count.add(piece)
            await backend.call(functools.partial(writing.file.write, piece))
        await backend.call(writing.finish)
    finally:
        writing.end()


def _path(job_id: str, name: str) -> str:
    return path("jobs", job_id, "outputs", name)


def _file_name(response: httpx.Response) -> str:
    """Return the cleaned name in Content-Disposition."""
    header = response.headers.get("Content-Disposition", "")
    encoded = re.search(r"filename\*=UTF-8''([^;\s]+)", header)
    plain = re.search(r'filename="([^"]*)"', header)
    return clean_file_name(unquote(encoded[1]) if encoded else plain[1] if plain else "")


def _media_type(response: httpx.Response) -> str:
    return str(response.headers.get("Content-Type", _BINARY_TYPE))
