"""Bodies: multipart, urlencoded, JSON, read as those of /v1/jobs are and as bounded."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote_to_bytes

import anyio.to_thread
from fastapi import Request
from python_multipart.multipart import parse_options_header

from smart_filter_api import intake, json_body, multipart
from smart_filter_api.intake import Spool, Spooled
from smart_filter_api.removebg.errors import refused
from smart_filter_api.removebg.fields import BACKGROUND_FILE, IMAGE_BASE64, IMAGE_FILE
from smart_filter_shared.errors import MalformedRequest, PhotoTooLarge

# The parts that are pictures, and what a sentence calls them.
PICTURES: Final[Mapping[str, str]] = {
    IMAGE_FILE: "image",
    IMAGE_BASE64: "image",
    BACKGROUND_FILE: "background",
}
# Base64 has two signs, and one for its end, that are written as three in a form.
_MAX_URLENCODED_BYTES: Final = json_body.MAX_BODY_BYTES * 9 // 8
_IMAGE_TEXT: Final = re.compile(rb"(?:^|&)image_file_b64=([^&]*)")


@dataclass(frozen=True, slots=True)
class Body:
    """What a request holds.

    image: its file or base64.  fields: those that are not empty.
    """

    image: Spooled | None
    background: Spooled | None
    fields: Mapping[str, str]


@asynccontextmanager
async def received(request: Request) -> AsyncIterator[Body]:
    """Take the body of a request; whatever ends the block, nothing of it is left behind.

    Raises Refused, MalformedRequest, UnsupportedMedia; ClientDisconnect when it ends early.
    """
    kind = parse_options_header(request.headers.get("content-type"))[0]
    with ExitStack() as open_files:
        try:
            match kind:
                case b"application/json":
                    parts = await _json(request, open_files)
                case b"application/x-www-form-urlencoded":
                    parts = await _urlencoded(request, open_files)
                case b"multipart/form-data":
                    parts = await _multipart(request, open_files)
                case _:
                    raise MalformedRequest(
                        "send the image as multipart/form-data, application/json or "
                        "application/x-www-form-urlencoded"
                    )
        except PhotoTooLarge as error:
            raise refused("file_too_large", str(error)) from error
        sent = {name: spool for name, spool in parts.spools.items() if spool.length}
        if IMAGE_FILE in sent and IMAGE_BASE64 in sent:
            raise refused("multiple_sources", "send one of image_file, image_file_b64, image_url")
        image = sent.get(IMAGE_FILE) or sent.get(IMAGE_BASE64)
        yield Body(
            image=await _judged(image, "image"),
            background=await _judged(sent.get(BACKGROUND_FILE), "background"),
            fields=parts.single(),
        )


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a body holds, before anything of it is judged."""

    spools: Mapping[str, Spool]
    fields: Mapping[str, Sequence[str]]

    def single(self) -> dict[str, str]:
        """Return the fields that are not empty.  Raises MalformedRequest for one sent twice."""
        twice = [name for name, texts in self.fields.items() if len(texts) > 1]
        if twice:
            raise MalformedRequest(f"{', '.join(twice)}: sent more than once; send it once")
        return {name: text for name, (text,) in self.fields.items() if text.strip()}


async def _judged(spool: Spool | None, called: str) -> Spooled | None:
    if spool is None:
        return None
    try:
        return await spool.judged(called)
    except PhotoTooLarge as error:
        raise refused("resolution_too_high", str(error)) from error


async def _multipart(request: Request, open_files: ExitStack) -> _Parts:
    form = multipart.Form(
        request.headers.get("content-type"), PICTURES, in_base64=frozenset({IMAGE_BASE64})
    )
    intake.refuse_announced(request, multipart.MAX_BODY_BYTES)
    spools: dict[str, Spool] = {}
    async with aclosing(form.pieces(intake.arriving(request))) as pieces:
        async for name, piece in pieces:
            if name not in spools:
                spools[name] = intake.spool(open_files)
            await spools[name].take(piece)
    text = spools.pop(IMAGE_BASE64, None)
    if text is not None and text.length:
        async with request.app.state.services.json_bodies:
            written = await anyio.to_thread.run_sync(text.content)
            spools[IMAGE_BASE64] = await _image(written, open_files)
    return _Parts(spools, form.fields)


async def _urlencoded(request: Request, open_files: ExitStack) -> _Parts:
    raw = await intake.whole(request, open_files, most=_MAX_URLENCODED_BYTES)
    async with request.app.state.services.json_bodies:
        written, rest = await anyio.to_thread.run_sync(lambda: _apart(raw.read()))
        spool = await _image(written, open_files)
    try:
        pairs = parse_qsl(
            rest.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=multipart.MAX_PARTS,
        )
    except ValueError as error:
        raise MalformedRequest(f"the form cannot be read: {error}") from error
    fields: dict[str, list[str]] = {}
    for name, text in pairs:
        if len(text.encode()) > multipart.MAX_VALUE_BYTES:
            raise MalformedRequest(f"a value is longer than {multipart.MAX_VALUE_BYTES} bytes")
        fields.setdefault(name, []).append(text)
    return _Parts({IMAGE_BASE64: spool}, fields)


def _apart(form: bytes) -> tuple[bytes, bytes]:
    """Return the image's text of a form, and the form without it."""
    found = _IMAGE_TEXT.search(form)
    if found is None:
        written, rest = b"", form
    else:
        # A plus that was not escaped has become a blank by the rules; base64 has none.
        written = unquote_to_bytes(found[1])
        rest = form[: found.start(1)] + form[found.end(1) :]
    if len(rest) > multipart.MAX_OTHER_BYTES:
        raise PhotoTooLarge(
            "the body is too large; around its image it holds at most "
            f"{multipart.MAX_OTHER_BYTES} bytes"
        )
    return written, rest


async def _json(request: Request, open_files: ExitStack) -> _Parts:
    raw = await intake.whole(request, open_files, most=json_body.MAX_BODY_BYTES)
    async with request.app.state.services.json_bodies:
        document, written = await anyio.to_thread.run_sync(
            lambda: json_body.apart(raw.read(), IMAGE_BASE64)
        )
        # Ends of lines, as JSON writes them: base64 has no backslash.
        text = (written or b"").replace(b"\\n", b"").replace(b"\\r", b"")
        spool = await _image(text, open_files)
    fields = {}
    for name, value in document.items():
        said = "" if value is None else json_body.text(value)
        if said is None or len(said.encode()) > multipart.MAX_VALUE_BYTES:
            raise MalformedRequest(f"{name[: multipart.MAX_NAME_BYTES]} is not a short text")
        if name not in PICTURES:
            fields[name] = [said]
    return _Parts({IMAGE_BASE64: spool}, fields)


async def _image(written: bytes, open_files: ExitStack) -> Spool:
    """Return the image that base64 stands for; nothing for no text."""
    spool = intake.spool(open_files)
    if written:
        # Lines of 76 signs are how base64 comes in mail, and what some libraries write.
        squeezed = b"".join(written.split())
        try:
            await spool.take(
                await anyio.to_thread.run_sync(json_body.decoded, squeezed, IMAGE_BASE64)
            )
        except MalformedRequest as error:
            raise refused("failed_to_read_image", str(error)) from error
    return spool
