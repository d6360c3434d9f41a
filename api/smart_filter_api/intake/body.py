"""Receive uploads: spool and hash the body, then check the picture's header without decoding."""

import hashlib
import io
import itertools
import json
import os
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import IO, Final, TypeAlias

import anyio.to_thread
from fastapi import Request
from python_multipart.multipart import parse_options_header

from smart_filter_api.http import downloads
from smart_filter_api.intake import json_body, multipart
from smart_filter_api.intake.json_body import JsonSubmission
from smart_filter_api.intake.multipart import (
    BACKGROUND,
    MASK,
    PHOTO,
    PHOTO_NAME,
    PHOTO_REFERENCES,
    PHOTO_URL,
    PICTURES,
    STROKES,
    UPLOAD_ID,
    WEBHOOK_URL,
)
from smart_filter_api.limits import BodySender
from smart_filter_api.problems import validation
from smart_filter_shared.catalog.scalars import Value, as_list, as_text, quote_value
from smart_filter_shared.errors import (
    FieldError,
    InvalidInput,
    InvalidRecipe,
    InvalidRequest,
    MalformedRequest,
    UnsupportedMedia,
)
from smart_filter_shared.recipe.declaration import json_pointer
from smart_filter_shared.recipe.fields import NAMES, Fields, respell_names
from smart_filter_shared.security import photo_header
from smart_filter_shared.security.photo_header import PhotoHeader
from smart_filter_shared.suggestions import find_nearest

MULTIPART: Final = "multipart/form-data"
JSON: Final = "application/json"

# Memory for one picture; a longer one goes to a temporary file, in pieces of this length.
_MEMORY_BYTES = 1_000_000
# At this number, pieces are joined: each takes 33 bytes more than it has, and may have two.
_MOST_PIECES = 1000
_READ_TIMEOUT_SECONDS = 20.0
# Least rate of a body, 128 kbit/s, a poor mobile line: a photo of 3 MB takes three minutes.
# Slower clients would hold memory and files for too long.
_MIN_BYTES_PER_SECOND = 16_000
# The rate of each such period counts: bytes sent fast buy no time later, and small bodies and slow
# starts are allowed for.
_RATE_SECONDS = 30.0
# The field of JSON bodies that holds the recipe.
_RECIPE: Final = "recipe"
_JSON_IN_A_FORM: Final = (
    "is not a field of this form: send each field of the recipe as a field of the form, such as "
    "background=keep, or send the whole request as application/json"
)
# Unknown fields for which a similar name is searched, a millisecond each.
_MAX_SUGGESTIONS = 10


@dataclass(frozen=True, slots=True)
class SpooledPicture:
    """A received picture whose header is valid.

    file: its bytes, at position 0; closed when `receive_photo_request` ends.
    digest: lower-case hex SHA-256 of them.
    """

    file: IO[bytes]
    length: int
    digest: str
    header: PhotoHeader

    @property
    def media_type(self) -> str:
        """Return its media type."""
        return self.header.format

    @property
    def identity(self) -> str:
        """Return a text that is unique to this photo."""
        return self.digest


@dataclass(frozen=True, slots=True)
class SpooledStrokes:
    """Valid strokes as they are stored.  points: of all of them."""

    file: IO[bytes]
    length: int
    points: int
    media_type: str = JSON


SpooledFile: TypeAlias = SpooledPicture | SpooledStrokes


@dataclass(frozen=True, slots=True)
class RemotePhoto:
    """A photo that a worker fetches from a URL; url: as the client sent it, not validated."""

    url: str

    @property
    def identity(self) -> str:
        """Return a text that is unique to this photo."""
        return f"{PHOTO_URL} {self.url}"


@dataclass(frozen=True, slots=True)
class UploadedPhoto:
    """A photo that the client uploaded straight to storage; upload_id: as the client sent it."""

    upload_id: str

    @property
    def identity(self) -> str:
        """Return a text that is unique to this photo."""
        return f"{UPLOAD_ID} {self.upload_id}"


PhotoSource: TypeAlias = SpooledPicture | RemotePhoto | UploadedPhoto


@dataclass(frozen=True, slots=True)
class PhotoRequest:
    """The pictures of a request, and the fields of its recipe.

    strokes: as JSON, as the client sent them, not validated.
    mask: drawn over the photo as it was sent, a gray PNG whose white is people.
    webhook_url: an additional address, besides the tenant's webhooks, for the job's final event; as
        the client sent it, not validated.
    photo_name: of the photo's file, cleaned; None if unknown. It makes no request another.
    implied: recipe fields that apply where neither `fields` nor a saved recipe gives one.
    """

    photo: PhotoSource
    background: SpooledPicture | None
    fields: Fields
    webhook_url: str | None = None
    photo_name: str | None = None
    mask: SpooledPicture | None = None
    strokes: str | None = None
    implied: Fields = field(default_factory=dict)

    @property
    def fingerprint(self) -> bytes:
        """Return bytes that are equal only for identical requests."""
        files = [file and file.digest for file in (self.background, self.mask)]
        # Text, so that JSON and a form with the same recipe are the same request.
        fields = sorted(
            (name, [as_text(value) for value in as_list(values)])
            for name, values in self.fields.items()
        )
        parts = [self.photo.identity, files, fields, self.webhook_url, self.strokes]
        return json.dumps(parts).encode()


@asynccontextmanager
async def receive_photo_request(request: Request) -> AsyncIterator[PhotoRequest]:
    """Receive the body of a request; its files are deleted when the block ends.

    Raises MalformedRequest, PhotoTooLarge, UnsupportedMedia; InvalidRequest for repeated fields;
    InvalidRecipe and its kinds for JSON; ClientDisconnect when the body ends early.
    """
    refuse_compressed(request)
    content_type = request.headers.get("content-type")
    if parse_options_header(content_type)[0] == JSON.encode():
        async with _receive_json(request) as upload:
            yield upload
        return
    if parse_options_header(content_type)[0] != MULTIPART.encode():
        raise unsupported_type(content_type, (MULTIPART, JSON))
    form = multipart.Form(content_type)
    with ExitStack() as open_files:
        spools = await spool_pictures(request, form, open_files)
        _require_one_photo(form, spools)
        references = (WEBHOOK_URL, PHOTO_NAME, STROKES, *PHOTO_REFERENCES)
        texts = {name: _single_value(name, form.fields.get(name, [])) for name in references}
        pictures = {name: await spools[name].judged(PICTURES[name], name) for name in spools}
        photo = pictures.get(PHOTO) or resolve_reference(texts[PHOTO_URL], texts[UPLOAD_ID])
        fields = respell_names(
            {name: texts for name, texts in form.fields.items() if name not in references}
        )
        refuse_misspelled_names(fields, (*PICTURES, *references))
        photo_name = downloads.clean_file_name(texts[PHOTO_NAME] or form.file_names.get(PHOTO))
        yield PhotoRequest(
            photo,
            pictures.get(BACKGROUND),
            fields,
            texts[WEBHOOK_URL],
            photo_name,
            pictures.get(MASK),
            texts[STROKES],
        )


def _require_one_photo(form: multipart.Form, pictures: Collection[str]) -> None:
    """Raise MalformedRequest unless a form has one photo; a misspelled name of it is named."""
    given = [name for name in PHOTO_REFERENCES if name in form.fields]
    if len(given) + (PHOTO in pictures) > 1:
        raise MalformedRequest(f"send exactly one of {PHOTO}, {', '.join(PHOTO_REFERENCES)}")
    if given or PHOTO in pictures:
        return
    sources = (PHOTO, *PHOTO_REFERENCES)
    for name in itertools.islice(form.fields, _MAX_SUGGESTIONS):
        if name == _RECIPE or validation.is_recipe_name(name):
            continue
        near = [PHOTO] if name in form.other_files else find_nearest(name, sources)
        if near:
            detail = f"is not a field of this form, which has no photo; did you mean {near[0]}?"
            kind = json_body.KIND_OF_NAME.get(near[0], MalformedRequest)
            raise kind.of_fields([FieldError(json_pointer(name), detail)])
    raise MalformedRequest(
        f"there is no photo: send it as the part named {PHOTO!r}", pointer=json_pointer(PHOTO)
    )


def refuse_misspelled_names(fields: Fields, references: Sequence[str]) -> None:
    """Refuse names that are more similar to the form's own than to a recipe's, and JSON in fields.

    Raises InvalidRecipe, or its kind for the form's own field that is misspelled.
    """
    unknown = [
        name
        for name in fields
        if not validation.is_recipe_name(name) or (name == _RECIPE and _is_object(fields[name]))
    ]
    wrong: list[FieldError] = []
    meant: list[str] = []
    for name in unknown[:_MAX_SUGGESTIONS]:
        near = next(iter(find_nearest(name, [*references, *NAMES])), "")
        if _is_object(fields[name]):
            wrong.append(FieldError(json_pointer(name), _JSON_IN_A_FORM))
            meant.append(_RECIPE)
        elif near in references:
            detail = f"is not a field of this form; did you mean {near}?"
            wrong.append(FieldError(json_pointer(name), detail))
            meant.append(near)
    if wrong:
        raise json_body.kind_of_misspelled(meant, InvalidRecipe)(wrong)


def _is_object(value: Value) -> bool:
    return any(as_text(text).lstrip().startswith("{") for text in as_list(value))


@asynccontextmanager
async def _receive_json(request: Request) -> AsyncIterator[PhotoRequest]:
    with ExitStack() as open_files:
        raw = await spool_body(request, open_files, max_bytes=json_body.MAX_BODY_BYTES)
        # A document is parsed in memory, so parse only one at a time, once it is complete.
        async with parsing(request, raw):
            sent = await anyio.to_thread.run_sync(lambda: json_body.parse_submission(raw.read()))
            upload = await spool_submission(sent, open_files)
            del sent  # free its photo, which is spooled now
        yield upload


async def spool_submission(sent: JsonSubmission, open_files: ExitStack) -> PhotoRequest:
    """Spool the photo of a JSON submission and check its header; open_files closes its file.

    Raises PhotoTooLarge, UnsupportedMedia, MalformedRequest, InvalidRecipe.
    """
    name = downloads.clean_file_name(sent.photo_name)
    if sent.photo is None:
        reference = resolve_reference(sent.photo_url, sent.upload_id)
        return PhotoRequest(
            reference, None, sent.fields, sent.webhook_url, name, strokes=sent.strokes
        )
    arrived = open_spool(open_files)
    await arrived.take(sent.photo)
    photo = await arrived.judged(PICTURES[PHOTO], json_body.PHOTO)
    return PhotoRequest(photo, None, sent.fields, sent.webhook_url, name, strokes=sent.strokes)


def resolve_reference(photo_url: str | None, upload_id: str | None) -> RemotePhoto | UploadedPhoto:
    """Return the photo that one of the two fields refers to."""
    if photo_url is not None:
        return RemotePhoto(photo_url)
    if upload_id is None:
        raise MalformedRequest("there is no photo")
    return UploadedPhoto(upload_id)


def _single_value(name: str, texts: Sequence[str]) -> str | None:
    if len(texts) > 1:
        kind = json_body.KIND_OF_NAME[name]
        raise kind([FieldError(f"/{name}", "is given more than once; give it once")])
    return texts[0] if texts else None


async def spool_pictures(
    request: Request, form: multipart.Form, open_files: ExitStack
) -> dict[str, "Spool"]:
    """Read a form's body and return the spools of its pictures by name; open_files closes them.

    Raises MalformedRequest, PhotoTooLarge, and as `read_chunks` does.
    """
    spools: dict[str, Spool] = {}
    chunks = read_chunks(request, open_files, max_bytes=multipart.MAX_BODY_BYTES)
    async with aclosing(form.pieces(chunks)) as pieces:
        async for name, piece in pieces:
            if name not in spools:
                spools[name] = open_spool(open_files)
            await spools[name].take(piece)
    return spools


async def spool_body(request: Request, open_files: ExitStack, *, max_bytes: int) -> IO[bytes]:
    """Spool a body and return its file at position 0; open_files closes it.

    Raises as `read_chunks` does.
    """
    spool = open_spool(open_files)
    async for chunk in read_chunks(request, open_files, max_bytes=max_bytes):
        await spool.take(chunk)
    return await spool.complete()


@asynccontextmanager
async def parsing(request: Request, raw: IO[bytes]) -> AsyncIterator[None]:
    """Wait until a body can be parsed in memory, and keep others waiting until the block ends.

    raw: the whole body; its position becomes 0.
    """
    raw.seek(0, os.SEEK_END)
    length = raw.tell()
    raw.seek(0)
    async with request.app.state.services.limits.parsing.hold(request, length):
        yield


def open_spool(open_files: ExitStack) -> "Spool":
    """Return a spool for a picture; open_files closes its file."""
    return Spool(open_files)


async def read_chunks(
    request: Request,
    open_files: ExitStack,
    *,
    max_bytes: int,
    sender: BodySender | None = None,
    seconds: float = _READ_TIMEOUT_SECONDS,
    refusal: InvalidInput | None = None,
) -> AsyncIterator[bytes]:
    """Yield a body's chunks as they arrive.

    open_files: until it closes, the bytes count as under way.
    sender: whose they are; None: the caller's.  seconds: time-out for each chunk.
    refusal: the error for a body over max_bytes; None: PhotoTooLarge.
    Raises it as soon as the length is announced or exceeded; MalformedRequest when the client
    stops sending or sends too slowly; RateLimited, ServiceFull when too many bytes are under way.
    """
    services = request.app.state.services
    sender = sender or BodySender.from_caller(request.state.caller)
    too_large = refusal or multipart.picture_too_large()
    announced = request.headers.get("content-length", "")
    announced_bytes = int(announced) if announced.isdecimal() else 0
    if announced_bytes > max_bytes:
        raise too_large
    held = open_files.enter_context(services.limits.bodies.hold(sender))
    held.cover(announced_bytes)
    length = 0
    async for chunk in read_with_timeout(request.stream(), seconds=seconds):
        length += len(chunk)
        if length > max_bytes:
            raise too_large
        held.cover(length)
        yield chunk


def refuse_compressed(request: Request) -> None:
    """Raise UnsupportedMedia for a compressed body.  Source: RFC 9110, 8.4."""
    coding = request.headers.get("content-encoding", "identity")
    if coding.strip().lower() not in {"identity", ""}:
        raise UnsupportedMedia(
            "the body is compressed; send it uncompressed, without Content-Encoding",
            pointer="/Content-Encoding",
        )


def unsupported_type(content_type: str | None, accepted: Collection[str]) -> UnsupportedMedia:
    """Return the error for a body whose Content-Type is missing or not one of the accepted."""
    what = "is missing" if content_type is None else f"{quote_value(content_type)} is not accepted"
    return UnsupportedMedia(
        f"Content-Type {what}; send the body as {' or '.join(accepted)}", pointer="/Content-Type"
    )


async def read_with_timeout(
    body: AsyncIterator[bytes],
    *,
    seconds: float,
    clock: Callable[[], float] = anyio.current_time,
) -> AsyncIterator[bytes]:
    """Yield a body's chunks; cut off clients that stop sending or send too slowly.

    seconds: time-out for each chunk.  clock: monotonic seconds, to measure the rate.
    Raises MalformedRequest for such a client.
    """
    # Only the time spent waiting for the client counts, not the time to process a chunk.
    waited, length = 0.0, 0  # of this period
    while True:
        began = clock()
        try:
            with anyio.fail_after(seconds):
                chunk = await anext(body)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise MalformedRequest(f"no data of the body arrived for {seconds:g} s") from error
        waited += clock() - began
        length += len(chunk)
        if waited > _RATE_SECONDS:
            if length < waited * _MIN_BYTES_PER_SECOND:
                raise MalformedRequest(
                    f"the body arrives too slowly: in {_RATE_SECONDS:g} s the minimum is"
                    f" {_MIN_BYTES_PER_SECOND} bytes per second; use a faster connection"
                )
            waited, length = 0.0, 0
        yield chunk


class Spool:
    """Bytes that are being received, and their digest so far.

    Up to `_MEMORY_BYTES` they stay in memory, in the pieces in which they arrived; more are written
    to a temporary file, which may block and takes a thread for each `_MEMORY_BYTES`.
    open_files: closes the file.
    """

    def __init__(self, open_files: ExitStack) -> None:
        self._open_files = open_files
        self._file: IO[bytes] | None = None
        self._pieces: list[bytes] = []  # not yet in the file
        self._pieces_bytes = 0
        self._digest = hashlib.sha256()
        self._length = 0

    @property
    def length(self) -> int:
        """Return the number of bytes received so far."""
        return self._length

    async def take(self, piece: bytes) -> None:
        """Append received bytes."""
        self._length += len(piece)
        self._pieces_bytes += len(piece)
        self._pieces.append(piece)
        if self._pieces_bytes <= _MEMORY_BYTES:
            self._digest.update(piece)
            if len(self._pieces) >= _MOST_PIECES:
                self._pieces = [b"".join(self._pieces)]
        else:
            await anyio.to_thread.run_sync(self._write_pieces, piece)

    async def complete(self) -> IO[bytes]:
        """Return a file of all bytes, at position 0."""
        if self._file is None:
            # Neither this nor reading it as a whole copies a single piece.
            return io.BytesIO(b"".join(self._pieces))
        await anyio.to_thread.run_sync(self._write_pieces)
        self._file.seek(0)
        return self._file

    def content(self) -> bytes:
        """Return the bytes received so far; it may block."""
        if self._file is None:
            return b"".join(self._pieces)
        self._write_pieces()
        self._file.seek(0)
        return self._file.read()

    async def judged(self, called: str, sent_as: str = PHOTO) -> SpooledPicture:
        """Check the header of the complete picture and return the picture.

        called: its name in error messages.  sent_as: the field that they point to.
        Raises UnsupportedMedia, PhotoTooLarge; InvalidRequest for a mask that is no picture.
        """
        file = await self.complete()
        if self._file is None:
            header = _read_header(file, called, sent_as)
        else:
            header = await anyio.to_thread.run_sync(_read_header, file, called, sent_as)
        file.seek(0)
        return SpooledPicture(file, self._length, self._digest.hexdigest(), header)

    def _write_pieces(self, unhashed: bytes = b"") -> None:
        self._digest.update(unhashed)
        if self._file is None:
            self._file = self._open_files.enter_context(TemporaryFile())  # noqa: SIM115 - as it says
        self._file.writelines(self._pieces)
        self._pieces.clear()
        self._pieces_bytes = 0


def _read_header(file: IO[bytes], called: str, sent_as: str) -> PhotoHeader:
    try:
        return photo_header.read_header(file, called=called, sent_as=sent_as)
    except UnsupportedMedia:
        if sent_as != MASK:
            raise
        # The message would name formats that a mask may not have.
        raise InvalidRequest([FieldError(json_pointer(MASK), "is not a PNG")]) from None
