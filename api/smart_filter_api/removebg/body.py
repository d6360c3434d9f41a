"""Receive bodies as multipart, urlencoded or JSON, with the limits of POST /v1/jobs."""

import binascii
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

import anyio.to_thread
from fastapi import Request
from python_multipart.multipart import parse_options_header

from smart_filter_api.http import downloads
from smart_filter_api.intake import body, json_body, multipart
from smart_filter_api.intake.body import Spool, SpooledPicture
from smart_filter_api.removebg.errors import refusal
from smart_filter_api.removebg.fields import BACKGROUND_FILE, IMAGE_BASE64, IMAGE_FILE
from smart_filter_shared.catalog.scalars import as_text
from smart_filter_shared.errors import MalformedRequest, PhotoTooLarge

# Parts that are pictures, and their names in error messages.
PICTURES: Final[Mapping[str, str]] = {
    IMAGE_FILE: "image",
    IMAGE_BASE64: "image",
    BACKGROUND_FILE: "background",
}
# Text that is unquoted at a time: other threads run between two pieces.
_UNQUOTED_BYTES: Final = 65_536
_PERCENT_TO_EQUALS: Final = bytes.maketrans(b"%=", b"=%")
_EQUALS_BACK: Final = bytes.maketrans(b"%", b"=")
_IMAGE_NAME: Final = f"{IMAGE_BASE64}=".encode()


@dataclass(frozen=True, slots=True)
class RemovalBody:
    """The pictures and fields of a request.

    image: sent as a file or as base64; None for an image_url.  fields: the non-empty ones.
    photo_name: as in `PhotoRequest`.
    """

    image: SpooledPicture | None
    background: SpooledPicture | None
    fields: Mapping[str, str]
    photo_name: str | None


@asynccontextmanager
async def receive_body(request: Request) -> AsyncIterator[RemovalBody]:
    """Receive the body of a request; its files are deleted when the block ends.

    Raises RequestRefused, MalformedRequest, UnsupportedMedia; ClientDisconnect when it ends early.
    """
    kind = parse_options_header(request.headers.get("content-type"))[0]
    with ExitStack() as open_files:
        try:
            match kind:
                case b"application/json":
                    parts = await _read_json(request, open_files)
                case b"application/x-www-form-urlencoded":
                    parts = await _read_urlencoded(request, open_files)
                case b"multipart/form-data":
                    parts = await _read_multipart(request, open_files)
                case b"" if _is_bodiless(request):  # some programs test a key like this
                    parts = _ParsedBody({}, {})
                case _:
                    raise MalformedRequest(
                        "send the image as multipart/form-data, application/json or "
                        "application/x-www-form-urlencoded"
                    )
        except PhotoTooLarge as error:
            raise refusal("file_too_large", str(error)) from error
        sent = {name: spool for name, spool in parts.spools.items() if spool.length}
        if IMAGE_FILE in sent and IMAGE_BASE64 in sent:
            raise refusal("multiple_sources", "send one of image_file, image_file_b64, image_url")
        image = sent.get(IMAGE_FILE) or sent.get(IMAGE_BASE64)
        yield RemovalBody(
            image=await _validate_picture(image, "image"),
            background=await _validate_picture(sent.get(BACKGROUND_FILE), "background"),
            fields=parts.single(),
            photo_name=downloads.clean_file_name(parts.photo_name),
        )


@dataclass(frozen=True, slots=True)
class _ParsedBody:
    """The parts of a body, before validation."""

    spools: Mapping[str, Spool]
    fields: Mapping[str, Sequence[str]]
    photo_name: str | None = None

    def single(self) -> dict[str, str]:
        """Return the non-empty fields.  Raises MalformedRequest for one sent twice."""
        twice = [name for name, texts in self.fields.items() if len(texts) > 1]
        if twice:
            raise MalformedRequest(f"{', '.join(twice)}: given more than once")
        return {name: text for name, (text,) in self.fields.items() if text.strip()}


def _is_bodiless(request: Request) -> bool:
    """Whether a request has no body.  Source: RFC 9112, 6.3."""
    sent = request.headers
    return sent.get("content-length", "0") == "0" and "transfer-encoding" not in sent


async def _validate_picture(spool: Spool | None, called: str) -> SpooledPicture | None:
    if spool is None:
        return None
    try:
        return await spool.judged(called)
    except PhotoTooLarge as error:
        raise refusal("resolution_too_high", str(error)) from error


async def _read_multipart(request: Request, open_files: ExitStack) -> _ParsedBody:
    form = multipart.Form(
        request.headers.get("content-type"), PICTURES, in_base64=frozenset({IMAGE_BASE64})
    )
    spools = await body.spool_pictures(request, form, open_files)
    text = spools.pop(IMAGE_BASE64, None)
    if text is not None and text.length:
        limit = request.app.state.services.limits.parsing
        async with limit.hold(request, text.length):
            written = await anyio.to_thread.run_sync(text.content)
            spools[IMAGE_BASE64] = await _spool_image(written, open_files)
    return _ParsedBody(spools, form.fields, form.file_names.get(IMAGE_FILE))


async def _read_urlencoded(request: Request, open_files: ExitStack) -> _ParsedBody:
    raw = await body.spool_body(request, open_files, max_bytes=json_body.MAX_BODY_BYTES)
    async with body.parsing(request, raw):
        written, rest = await anyio.to_thread.run_sync(lambda: split_image(raw.read()))
        spool = await _spool_image(written, open_files)
    try:
        pairs = await anyio.to_thread.run_sync(_parse_fields, rest)
    except ValueError as error:
        raise MalformedRequest(f"the form cannot be parsed: {error}") from error
    fields: dict[str, list[str]] = {}
    for name, text in pairs:
        if len(text.encode()) > multipart.MAX_VALUE_BYTES:
            raise MalformedRequest(f"a value is longer than {multipart.MAX_VALUE_BYTES} bytes")
        fields.setdefault(name, []).append(text)
    return _ParsedBody({IMAGE_BASE64: spool}, fields)


def _parse_fields(form: bytes) -> list[tuple[str, str]]:
    return parse_qsl(
        form.decode("ascii"),
        keep_blank_values=True,
        errors="strict",
        max_num_fields=multipart.MAX_PARTS,
    )


def split_image(form: bytes) -> tuple[bytes, bytes]:
    """Return the base64 text of a form's image, and the form without it."""
    start = _find_image(form)
    if start < 0:
        written, rest = b"", form
    else:
        end = form.find(b"&", start)
        end = len(form) if end < 0 else end
        # An unescaped plus stays a plus here: base64 has no spaces.
        written = _unquote(memoryview(form)[start:end])
        rest = form[:start] + form[end:]
    if len(rest) > multipart.MAX_OTHER_BYTES:
        raise PhotoTooLarge(
            "the body is too large; without the image at most "
            f"{multipart.MAX_OTHER_BYTES} bytes are accepted"
        )
    return written, rest


def _find_image(form: bytes) -> int:
    """Return the position of the image's text in a form; -1 without one."""
    if form.startswith(_IMAGE_NAME):
        return len(_IMAGE_NAME)
    # A regular expression takes a hundred times as long, and no thread runs meanwhile.
    start = form.find(b"&" + _IMAGE_NAME)
    return start if start < 0 else start + 1 + len(_IMAGE_NAME)


def _unquote(quoted: memoryview) -> bytes:
    """Return a form's base64 with its escapes replaced, piece by piece.

    A piece with wrong escapes, or with an escaped percent sign, stays as it is: base64 has none.
    """
    plain = bytearray()
    start = 0
    while start < len(quoted):
        piece = bytes(quoted[start : start + _UNQUOTED_BYTES])
        is_last = start + len(piece) == len(quoted)
        cut_escape = -1 if is_last else piece.rfind(b"%", -2)
        if cut_escape >= 0:
            piece = piece[:cut_escape]
        plain += _unquote_piece(piece)
        start += len(piece)
    return bytes(plain)


def _unquote_piece(piece: bytes) -> bytes:
    # Quoted-printable (RFC 2045, 6.7) has the escapes of forms (RFC 3986, 2.1) with an
    # equals sign. Its decoder takes a twentieth of the time of unquote_to_bytes.
    if b"%25" in piece or b"%\r" in piece or b"%\n" in piece:  # it removes the last two
        return piece
    decoded = binascii.a2b_qp(piece.translate(_PERCENT_TO_EQUALS)).translate(_EQUALS_BACK)
    are_right = len(piece) - len(decoded) == 2 * piece.count(b"%")
    return decoded if are_right else piece


async def _read_json(request: Request, open_files: ExitStack) -> _ParsedBody:
    raw = await body.spool_body(request, open_files, max_bytes=json_body.MAX_BODY_BYTES)
    async with body.parsing(request, raw):
        document, written = await anyio.to_thread.run_sync(
            lambda: json_body.split_base64(raw.read(), IMAGE_BASE64)
        )
        spool = await _spool_image(written or b"", open_files)
    fields = {}
    for name, value in document.items():
        given = "" if value is None else value
        if (
            not isinstance(given, str | int | float)
            or len(as_text(given).encode()) > multipart.MAX_VALUE_BYTES
        ):
            raise MalformedRequest(f"{name[: multipart.MAX_NAME_BYTES]} is not a short string")
        if name not in PICTURES:
            fields[name] = [as_text(given)]
    return _ParsedBody({IMAGE_BASE64: spool}, fields)


async def _spool_image(written: bytes | memoryview, open_files: ExitStack) -> Spool:
    """Decode base64 into a spool and return it; it stays empty for an empty text."""
    spool = body.open_spool(open_files)
    if written:
        try:
            image = await anyio.to_thread.run_sync(json_body.decode_photo, written, IMAGE_BASE64)
            await spool.take(image)
        except MalformedRequest as error:
            raise refusal("failed_to_read_image", str(error)) from error
    return spool
