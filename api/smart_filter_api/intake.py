"""Uploads: spooled while they are hashed, then judged by their header; nothing is decoded."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, TypeAlias

import anyio.to_thread
from fastapi import Request
from python_multipart.multipart import parse_options_header

from smart_filter_api import json_body, multipart, photo_header
from smart_filter_api.multipart import (
    BACKGROUND,
    ELSEWHERE,
    PHOTO,
    PHOTO_URL,
    PICTURES,
    UPLOAD_ID,
    WEBHOOK_URL,
)
from smart_filter_api.photo_header import PhotoHeader
from smart_filter_shared import web_address
from smart_filter_shared.errors import (
    FieldError,
    InvalidRecipe,
    MalformedRequest,
    UnsupportedMedia,
)

# What one picture holds of memory; the rest of it goes to a temporary file.
_MEMORY_BYTES = 1_000_000
_SILENT_SECONDS = 20.0
# 128 kbit/s, a poor mobile line: a photo of 3 MB takes three minutes.  Whoever is slower holds
# memory and files for others' time.  A small body, or a bad start, may take the first seconds.
_LEAST_BYTES_PER_SECOND = 16_000
_UNMEASURED_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Spooled:
    """A picture that may enter.

    file: its bytes, at position 0; it is gone when `received` ends.
    digest: lower-case hex SHA-256 of them.
    """

    file: IO[bytes]
    length: int
    digest: str
    header: PhotoHeader

    @property
    def identity(self) -> str:
        """What tells it from any other photo."""
        return self.digest


@dataclass(frozen=True, slots=True)
class Addressed:
    """A photo that a worker is to fetch from an address on the web, in its usual spelling."""

    url: str

    @property
    def identity(self) -> str:
        """What tells it from any other photo."""
        return f"{PHOTO_URL} {self.url}"


@dataclass(frozen=True, slots=True)
class Put:
    """A photo that was put straight into storage; upload_id: as it was sent."""

    upload_id: str

    @property
    def identity(self) -> str:
        """What tells it from any other photo."""
        return f"{UPLOAD_ID} {self.upload_id}"


Source: TypeAlias = Spooled | Addressed | Put


@dataclass(frozen=True, slots=True)
class Upload:
    """The pictures of a request, and the fields that came with them, in order for each name.

    webhook_url: who is to be told of the job's end beside the tenant's webhooks.
    """

    photo: Source
    background: Spooled | None
    fields: Mapping[str, Sequence[str]]
    webhook_url: str | None = None

    @property
    def fingerprint(self) -> bytes:
        """What tells it from any other upload."""
        background = None if self.background is None else self.background.digest
        fields = sorted((name, list(texts)) for name, texts in self.fields.items())
        return json.dumps([self.photo.identity, background, fields, self.webhook_url]).encode()


@asynccontextmanager
async def received(request: Request) -> AsyncIterator[Upload]:
    """Take the body of a request; whatever ends the block, nothing of it is left behind.

    Raises MalformedRequest, PhotoTooLarge, UnsupportedMedia; InvalidRecipe and its kinds for
    JSON; ClientDisconnect when the body ends early.
    """
    refuse_coded(request)
    content_type = request.headers.get("content-type")
    if parse_options_header(content_type)[0] == b"application/json":
        async with _json(request) as upload:
            yield upload
        return
    form = multipart.Form(content_type)
    refuse_announced(request, multipart.MAX_BODY_BYTES)
    with ExitStack() as open_files:
        spools: dict[str, Spool] = {}
        async with aclosing(form.pieces(arriving(request))) as pieces:
            async for name, piece in pieces:
                if name not in spools:
                    spools[name] = spool(open_files)
                await spools[name].take(piece)
        own = (WEBHOOK_URL, *ELSEWHERE)
        texts = {name: _single(name, form.fields.get(name, [])) for name in own}
        told = _address(WEBHOOK_URL, texts[WEBHOOK_URL])
        pictures = {name: await spools[name].judged(PICTURES[name], name) for name in spools}
        photo = pictures.get(PHOTO) or elsewhere(texts[PHOTO_URL], texts[UPLOAD_ID])
        fields = {name: texts for name, texts in form.fields.items() if name not in own}
        yield Upload(photo, pictures.get(BACKGROUND), fields, told)


@asynccontextmanager
async def _json(request: Request) -> AsyncIterator[Upload]:
    with ExitStack() as open_files:
        raw = await whole(request, open_files, most=json_body.MAX_BODY_BYTES)
        # A document is taken apart in memory: one after the other, when all of it is here.
        async with request.app.state.services.json_bodies:
            sent = await anyio.to_thread.run_sync(lambda: json_body.read(raw.read()))
            told = _address(WEBHOOK_URL, sent.webhook_url)
            photo = (
                elsewhere(sent.photo_url, sent.upload_id)
                if sent.photo is None
                else await spooled(sent.photo, open_files, sent_as=json_body.PHOTO)
            )
            fields = sent.fields
            del sent  # its photo is on a disk by now
        yield Upload(photo, None, fields, told)


async def spooled(photo: bytes, open_files: ExitStack, *, sent_as: str = PHOTO) -> Spooled:
    """Return a photo that is here as it may enter; its file is gone when open_files close.

    sent_as: the field that errors point to.  Raises PhotoTooLarge, UnsupportedMedia.
    """
    arrived = spool(open_files)
    await arrived.take(photo)
    return await arrived.judged(PICTURES[PHOTO], sent_as)


def elsewhere(photo_url: str | None, upload_id: str | None) -> Addressed | Put:
    """Return the photo that one of the two stands for, as it was sent.

    Raises InvalidRecipe for what is no address on the web; nobody goes there yet.
    """
    url = _address(PHOTO_URL, photo_url)
    if url is not None:
        return Addressed(url)
    if upload_id is None:
        raise MalformedRequest("there is no photo")
    return Put(upload_id)


def _single(name: str, texts: Sequence[str]) -> str | None:
    if len(texts) > 1:
        raise InvalidRecipe([FieldError(f"/{name}", "is there more than once")])
    return texts[0] if texts else None


def _address(name: str, text: str | None) -> str | None:
    """Return the address that was sent, in its usual spelling.  Raises InvalidRecipe."""
    if text is None:
        return None
    try:
        return str(web_address.read(text))
    except ValueError as error:
        raise InvalidRecipe([FieldError(f"/{name}", str(error))]) from error


async def whole(request: Request, open_files: ExitStack, *, most: int) -> IO[bytes]:
    """Return a body as a file at position 0.  Raises MalformedRequest, PhotoTooLarge."""
    refuse_announced(request, most)
    raw: IO[bytes] = SpooledTemporaryFile(max_size=_MEMORY_BYTES)  # noqa: SIM115 - closed by those
    open_files.enter_context(raw)
    length = 0
    async for chunk in arriving(request):
        length += len(chunk)
        if length > most:
            raise multipart.too_large()
        await anyio.to_thread.run_sync(raw.write, chunk)
    raw.seek(0)
    return raw


def refuse_announced(request: Request, most: int) -> None:
    """Refuse a body that says that it is too large.  Raises PhotoTooLarge."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > most:
        raise multipart.too_large()


def spool(open_files: ExitStack) -> "Spool":
    """Return a place for a picture that is about to arrive."""
    return Spool(open_files.enter_context(SpooledTemporaryFile(max_size=_MEMORY_BYTES)))


def arriving(request: Request) -> AsyncIterator[bytes]:
    """Return a body's chunks as they come.

    Raises MalformedRequest when the caller is silent, or slow.
    """
    return in_time(request.stream(), seconds=_SILENT_SECONDS)


def refuse_coded(request: Request) -> None:
    """Raise UnsupportedMedia for a body that was compressed.  Source: RFC 9110, 8.4."""
    coding = request.headers.get("content-encoding", "identity")
    if coding.strip().lower() not in {"identity", ""}:
        raise UnsupportedMedia(
            "the body is compressed; send it as it is, without Content-Encoding",
            pointer="/Content-Encoding",
        )


async def in_time(
    body: AsyncIterator[bytes],
    *,
    seconds: float,
    clock: Callable[[], float] = anyio.current_time,
) -> AsyncIterator[bytes]:
    """Yield a body's chunks; a caller who falls silent for so long holds no memory or file.

    Nor does one who goes on forever, a byte at a time.  Raises MalformedRequest then.
    clock: monotonic seconds, by which a slow caller is measured.
    """
    # What we take for a chunk is not the caller's.
    waited, length = 0.0, 0
    while True:
        began = clock()
        try:
            with anyio.fail_after(seconds):
                chunk = await anext(body)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise MalformedRequest(f"nothing of the body came for {seconds:g} s") from error
        waited += clock() - began
        length += len(chunk)
        if waited > _UNMEASURED_SECONDS and length < waited * _LEAST_BYTES_PER_SECOND:
            raise MalformedRequest(
                f"the body came too slowly: after {_UNMEASURED_SECONDS:g} s at least"
                f" {_LEAST_BYTES_PER_SECOND} bytes a second are due; send it over a faster line"
            )
        yield chunk


class Spool:
    """A picture that is arriving."""

    def __init__(self, file: SpooledTemporaryFile[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._length = 0

    @property
    def length(self) -> int:
        """How many bytes have come."""
        return self._length

    def content(self) -> bytes:
        """Return all that has come."""
        self._file.seek(0)
        return self._file.read()

    async def take(self, piece: bytes) -> None:
        """Add what has come."""
        self._digest.update(piece)
        self._length += len(piece)
        if self._length <= _MEMORY_BYTES:
            self._file.write(piece)
        else:  # it is on a disk by now, and that may block
            await anyio.to_thread.run_sync(self._file.write, piece)

    async def judged(self, called: str, sent_as: str = PHOTO) -> Spooled:
        """Return the picture when all of it is here.

        called: what errors call it.  sent_as: the field that they point to.
        Raises UnsupportedMedia, PhotoTooLarge.
        """
        if self._length <= _MEMORY_BYTES:
            header = _header(self._file, called, sent_as)
        else:
            header = await anyio.to_thread.run_sync(_header, self._file, called, sent_as)
        self._file.seek(0)
        return Spooled(self._file, self._length, self._digest.hexdigest(), header)


def _header(file: IO[bytes], called: str, sent_as: str) -> PhotoHeader:
    heic = photo_header.reads_heic()
    return photo_header.read(file, called=called, sent_as=sent_as, heic=heic)
