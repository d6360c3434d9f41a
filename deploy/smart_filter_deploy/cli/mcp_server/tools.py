"""The tools, thin over the client: submit, wait, rate, choose a background, rank an album."""

import functools
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, cast

import anyio
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult
from pydantic import Field

from smart_filter_client import AsyncClient, Job, Output, OutputName, Recipe
from smart_filter_client.errors import Error
from smart_filter_deploy.cli.mcp_server import results
from smart_filter_deploy.cli.mcp_server.caller_check import parse_key
from smart_filter_deploy.cli.mcp_server.local_files import LocalFolders
from smart_filter_deploy.cli.mcp_server.results import AlbumFacts, JobFacts
from smart_filter_deploy.cli.server.connection import MAX_ATTEMPTS, choose_server
from smart_filter_deploy.cli.terminal.outputs import suffix_of_media_type
from smart_filter_deploy.cli.terminal.report import describe_position
from smart_filter_shared import suggestions

_WORD: Final = re.compile(r"[^\W\d_]+")
_FINDINGS: list[OutputName] = ["faces", "rating"]
_PREVIEW: OutputName = "thumbnail"
_MAX_PREVIEWS = 3
# How long a canceled call tries to cancel its job.
_CANCEL_SECONDS = 5.0

_Photo = Annotated[
    str, Field(description="Path of a file that this server may read, or an https:// address")
]
# An id becomes a part of an address.
_Id = Annotated[str, Field(pattern="^[0-9A-Fa-f-]{36}$", description="As another tool returned it")]
_Background = Annotated[
    str,
    Field(
        description="auto (the service chooses), keep, transparent, blur:0.5, color:navy,"
        " keywords:beach,sunset, or preset:NAME as find_backgrounds lists"
    ),
]
_Outputs = Annotated[list[OutputName], Field(description="The files to make")]
_IMAGE: list[OutputName] = ["image"]
_Value = str | int | float | bool | list[str]
_Fields = Annotated[
    dict[str, _Value],
    Field(
        description="Other fields of the recipe, such as"
        ' {"size": "1080x1350", "crop": "faces", "filters": ["sparkle"], "format": "png"}'
    ),
]
_NO_FIELDS: dict[str, _Value] = {}
_Seconds = Annotated[
    float, Field(ge=0, le=600, description="Returns the unfinished state after this time")
]
# Many programs give a call up after a minute.
_WAIT_SECONDS = 50.0


@dataclass(frozen=True, slots=True)
class Tools:
    """The tools of a server; folders: None over HTTP, where callers bring their own API keys."""

    folders: LocalFolders | None

    async def submit_photo(
        self,
        ctx: Context,
        *,
        photo: _Photo,
        background: _Background = "auto",
        outputs: _Outputs = _IMAGE,
        recipe: _Fields = _NO_FIELDS,
    ) -> Annotated[CallToolResult, JobFacts]:
        """Submit a photo of people: cut them out and put another background behind them.

        Returns a job at once; call wait_for_job for its picture.
        """
        async with self._client(ctx) as client:
            fields = _recipe(background, outputs, recipe)
            job = await client.submit(self._source(photo), fields)
            return results.to_result(results.job_facts(job))

    async def wait_for_job(
        self, ctx: Context, *, job_id: _Id, timeout_seconds: _Seconds = _WAIT_SECONDS
    ) -> Annotated[CallToolResult, JobFacts]:
        """Wait for a job: returns what was found, links to its files, and a preview."""
        async with self._client(ctx) as client:
            return await _wait_for_job(client, ctx, job_id, timeout_seconds)

    async def rate_photo(
        self, ctx: Context, *, photo: _Photo, timeout_seconds: _Seconds = _WAIT_SECONDS
    ) -> Annotated[CallToolResult, JobFacts]:
        """Rate a photo by its smiles and open eyes, from 0 to 1; makes no picture."""
        async with self._client(ctx) as client:
            job = await client.submit(self._source(photo), {"outputs": _FINDINGS})
            async with _cancel_with_call(client.cancel, job.id):
                return await _wait_for_job(client, ctx, job.id, timeout_seconds)

    async def find_backgrounds(
        self, ctx: Context, *, words: Annotated[str, Field(description="Such as: warm studio")] = ""
    ) -> dict[str, str]:
        """List the backgrounds that match all words, with their titles, tags and moods."""
        async with self._client(ctx) as client:
            presets = await client.backgrounds()
        texts = {
            f"preset:{preset.name}": f"{preset.title}: {', '.join((*preset.tags, *preset.moods))}"
            for preset in presets
        }
        wanted = words.casefold().split()
        matches = {
            name: text
            for name, text in texts.items()
            if all(word in f"{name} {text}".casefold() for word in wanted)
        }
        if not matches:
            raise ToolError(_describe_no_match(wanted, texts))
        return matches

    async def choose_background(
        self,
        ctx: Context,
        *,
        job_id: _Id,
        background: _Background,
        timeout_seconds: _Seconds = _WAIT_SECONDS,
    ) -> Annotated[CallToolResult, JobFacts]:
        """Put another background behind the people of an earlier job; quick, as a new job."""
        async with self._client(ctx) as client:
            job = await client.derive(job_id, _recipe(background, _IMAGE, _NO_FIELDS))
            async with _cancel_with_call(client.cancel, job.id):
                return await _wait_for_job(client, ctx, job.id, timeout_seconds)

    async def best_of_album(
        self,
        ctx: Context,
        *,
        photos: Annotated[list[_Photo], Field(min_length=1, max_length=1000)],
        best: Annotated[int, Field(ge=0, description="How many pictures to make")] = 1,
        background: _Background = "auto",
        recipe: _Fields = _NO_FIELDS,
        timeout_seconds: _Seconds = _WAIT_SECONDS,
    ) -> Annotated[CallToolResult, AlbumFacts]:
        """Rank photos by smiles, open eyes and repeated scenes; make pictures of the best."""
        async with self._client(ctx) as client:
            sources = [self._source(photo) for photo in photos]
            fields = _recipe(background, _IMAGE, recipe)
            batch = await client.submit_batch(sources, fields, best=best)
            async with _cancel_with_call(client.cancel_batch, batch.id):
                return await _wait_for_album(client, ctx, batch.id, timeout_seconds)

    async def wait_for_album(
        self, ctx: Context, *, album_id: _Id, timeout_seconds: _Seconds = _WAIT_SECONDS
    ) -> Annotated[CallToolResult, AlbumFacts]:
        """Wait for an album of best_of_album: returns its ranking, and previews of the best."""
        async with self._client(ctx) as client:
            return await _wait_for_album(client, ctx, album_id, timeout_seconds)

    async def save_output(
        self,
        ctx: Context,
        *,
        job_id: _Id,
        path: Annotated[str, Field(description="A new file; its extension follows its format")],
        output: OutputName = "image",
    ) -> str:
        """Save the picture of a finished job, or another output, as a file; returns its path."""
        assert self.folders is not None
        place = functools.partial(_with_suffix, self.folders.new_file(path))
        async with self._client(ctx) as client:
            return str(await client.download(job_id, output, place))

    @asynccontextmanager
    async def _client(self, ctx: Context) -> AsyncGenerator[AsyncClient]:
        """Give a client with the caller's key.  Raises CommandError, ToolError."""
        server = choose_server()
        key = server.api_key
        if self.folders is None:
            key = parse_key((ctx.headers or {}).get("authorization", ""))
        async with AsyncClient(server.url, key, attempts=MAX_ATTEMPTS) as client:
            yield client

    def _source(self, photo: str) -> Path | str:
        """Return a photo's file or address.  Raises ToolError."""
        if photo.startswith(("https://", "http://")):
            return photo
        if self.folders is None:
            raise ToolError(f"this server reads no files: {photo!r} is no https:// address")
        return self.folders.photo(photo)


def _describe_no_match(wanted: Sequence[str], texts: Mapping[str, str]) -> str:
    """Return the error for words that no background has; texts: the texts by name."""
    every = " ".join((*texts, *texts.values())).casefold()
    words = sorted(set(_WORD.findall(every)))
    hints = [
        f"none has {word!r}{suggestions.did_you_mean(word, words).removesuffix('?')}"
        for word in wanted
        if word not in every
    ]
    unknown = f" ({', '.join(hints)})" if hints else ""
    return (
        f"no background has all of the words {' '.join(wanted)!r}{unknown}: use fewer or other"
        " words, or none to list every background"
    )


def _recipe(background: str, outputs: Sequence[OutputName], others: dict[str, _Value]) -> Recipe:
    every = dict.fromkeys((*outputs, *_FINDINGS, _PREVIEW))
    return cast("Recipe", {"background": background, "outputs": list(every), **others})


def _with_suffix(place: Path, media_type: str, _file_name: str) -> Path:
    """Return a path with the extension of a media type.  Raises ToolError if the file exists."""
    path = place.with_suffix(f".{suffix_of_media_type(media_type)}")
    if path.exists():
        raise ToolError(f"{path} exists already; name a new file")
    return path


@asynccontextmanager
async def _cancel_with_call(
    cancel: Callable[[str], Awaitable[object]], resource_id: str
) -> AsyncGenerator[None]:
    """Cancel a job or batch when the call that submitted it is canceled."""
    try:
        yield
    except anyio.get_cancelled_exc_class():
        with anyio.move_on_after(_CANCEL_SECONDS, shield=True), suppress(Error):
            await cancel(resource_id)
        raise


async def _wait_for_job(
    client: AsyncClient, ctx: Context, job_id: str, seconds: float
) -> CallToolResult:
    reported = -1
    with anyio.move_on_after(seconds):
        async for event in client.stream(job_id):
            stages = event.job.stages if event.job else ()
            done = sum(stage.state == "succeeded" for stage in stages)
            if event.job is not None and done > reported:  # a repeated value is an error
                reported = done
                message = describe_position(event.job) or event.job.state
                await ctx.report_progress(done, len(stages), message)
    job = await client.job(job_id)
    return results.to_result(results.job_facts(job), await _previews(client, [job]))


async def _wait_for_album(
    client: AsyncClient, ctx: Context, album_id: str, seconds: float
) -> CallToolResult:
    reported, total = 0, (await client.batch(album_id)).total
    await ctx.report_progress(reported, total)
    with anyio.move_on_after(seconds):
        async for event in client.stream_batch(album_id):
            ended = event.batch
            done = ended.succeeded + ended.failed + ended.canceled if ended else 0
            if done > reported:
                reported = done
                await ctx.report_progress(done, total)
    batch = await client.batch(album_id)
    ranks = sorted(
        (photo.rank, photo.job_id, photo) for photo in batch.items if photo.rank and photo.job_id
    )
    ranked = [(item, await client.job(job_id)) for _, job_id, item in ranks[: results.MAX_LISTED]]
    pictures = await _previews(client, [job for _, job in ranked])
    return results.to_result(results.album_facts(batch, ranked), pictures)


async def _previews(client: AsyncClient, jobs: Sequence[Job]) -> list[Output]:
    """Return thumbnails of the first jobs that have one."""
    shown = [job.id for job in jobs if _PREVIEW in job.outputs][:_MAX_PREVIEWS]
    return [await client.output(job_id, _PREVIEW) for job_id in shown]
