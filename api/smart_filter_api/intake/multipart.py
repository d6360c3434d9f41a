"""Parse multipart bodies as they arrive, with limits on every count and length.

RFC 7578 with python-multipart's streaming parser. Starlette's own form reader does not
limit the size of a file.
"""

import contextlib
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from email import header
from email.errors import HeaderParseError
from enum import Enum, auto
from typing import Final
from urllib.parse import unquote

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from smart_filter_api.http import strict_json
from smart_filter_shared.errors import MalformedRequest, PhotoTooLarge
from smart_filter_shared.recipe.declaration import json_pointer
from smart_filter_shared.recipe.fields import BACKGROUND_FILE
from smart_filter_shared.security.photo_header import MAX_PHOTO_BYTES

MAX_BASE64_BYTES = strict_json.max_text_bytes(MAX_PHOTO_BYTES)
# Size limit of everything besides the pictures: boundaries, headers, fields and other files.
MAX_OTHER_BYTES = 1_000_000
MAX_PARTS = 128
MAX_NAME_BYTES = 200
MAX_VALUE_BYTES = 4096

PHOTO = "photo"
BACKGROUND = BACKGROUND_FILE
MASK = "mask_file"
# Fields that are not part of the recipe; the last two refer to the photo.
WEBHOOK_URL = "webhook_url"
PHOTO_NAME = "photo_name"
STROKES = "strokes"
PHOTO_URL = "photo_url"
UPLOAD_ID = "upload_id"
PHOTO_REFERENCES = (PHOTO_URL, UPLOAD_ID)
# Parts that are pictures, each of at most MAX_PHOTO_BYTES, and their names in error messages.
PICTURES = {PHOTO: "photo", BACKGROUND: "background", MASK: "mask"}
# A parameter of a header.  Source: RFC 9110, 5.6.6.
_PARAMETER: Final = re.compile(rb';\s*([^\s=;]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
# The charset, a language and the percent-encoded text.  Source: RFC 8187, 3.2.1.
_EXTENDED_VALUE: Final = re.compile(r"(utf-8|iso-8859-1)'[^']*'(.*)", re.IGNORECASE)
_ENCODED_WORDS: Final = re.compile(r"(?:=\?[^?\s]+\?[bq]\?[^?]*\?=\s*)+", re.IGNORECASE)

# A photo and a background of the largest size, or less with a mask.
MAX_BODY_BYTES = 2 * MAX_PHOTO_BYTES + MAX_OTHER_BYTES


class Form:
    """The fields of a multipart body, and its pictures' bytes as they arrive.

    fields: the values of each name, filled while `pieces` is iterated; a file part that is
        not one of the pictures counts as a field with an empty value.
    other_files: the names of these file parts.
    file_names: the file name of each picture that has one, as it was sent.
    """

    def __init__(
        self,
        content_type: str | None,
        pictures: Mapping[str, str] = PICTURES,
        *,
        in_base64: Collection[str] = (),
    ) -> None:
        """Raise MalformedRequest unless the content type is multipart/form-data.

        pictures: the parts that are pictures, and their names in error messages.
        in_base64: the pictures encoded as base64; their limit counts decoded bytes.
        """
        self.fields: dict[str, list[str]] = {}
        self.other_files: list[str] = []
        self._parts = _PartHandler(self.fields, self.other_files, pictures, in_base64)
        self.file_names = self._parts.file_names
        self._parser = _make_parser(content_type, self._parts, next(iter(pictures)))
        # What may begin a boundary; None behind the first one. A boundary follows a line's end, and
        # some writers end the lines of a preamble with a bare LF.
        self._before: bytes | None = b"\r\n"

    async def pieces(self, body: AsyncIterator[bytes]) -> AsyncGenerator[tuple[str, bytes], None]:
        """Read a body to its end; yield the pictures' bytes, each piece with its part's name.

        An empty picture yields one empty piece. Raises MalformedRequest when the body is broken
        or repeats a picture, and PhotoTooLarge as soon as a limit is exceeded; the rest of the
        body is not read then.
        """
        received = 0
        async for chunk in body:
            received += len(chunk)
            try:
                self._parser.write(self._drop_preamble(chunk))
            except FormParserError as error:
                raise MalformedRequest(f"broken form: {error}; let a library encode it") from error
            if received - self._parts.picture_bytes > MAX_OTHER_BYTES:
                raise PhotoTooLarge(
                    f"the body is too large; without the pictures at most {MAX_OTHER_BYTES} bytes"
                    " are accepted"
                )
            for piece in self._parts.taken():
                yield piece
        if received and self._before is not None:
            raise MalformedRequest("broken form: it has no boundary; let a library encode it")
        if not self._parts.ended:
            raise MalformedRequest("the last boundary is missing: send the whole form")

    def _drop_preamble(self, chunk: bytes) -> bytes:
        """Return a chunk without what precedes the first boundary (RFC 2046, 5.1.1)."""
        if self._before is None:
            return chunk
        boundary = self._parser.boundary[1:]  # with the LF before it
        before, delimiter, rest = (self._before + chunk).partition(boundary)
        self._before = None if delimiter else before[-len(boundary) :]
        return delimiter[1:] + rest


def picture_too_large(called: str = PICTURES[PHOTO], *, part: str = PHOTO) -> PhotoTooLarge:
    """Return the error for a picture over the size limit; part: the field that holds it."""
    return PhotoTooLarge(
        f"the {called} is too large; at most {MAX_PHOTO_BYTES // 1_000_000} MB "
        f"({MAX_PHOTO_BYTES} bytes) are accepted",
        pointer=json_pointer(part),
    )


class _PartKind(Enum):
    PICTURE = auto()
    FIELD = auto()
    OTHER_FILE = auto()


class _PartHandler:
    """Collect fields and pictures from the parser's callbacks."""

    def __init__(
        self,
        fields: dict[str, list[str]],
        other_files: list[str],
        called: Mapping[str, str],
        in_base64: Collection[str],
    ) -> None:
        self.ended = False
        self.pictures: dict[str, int] = {}  # bytes received so far, by part name
        self.file_names: dict[str, str] = {}
        self._fields = fields
        self._other_files = other_files
        self._called = called
        self._in_base64 = in_base64
        self._pieces: list[tuple[str, bytes]] = []
        self._count = 0
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._kind = _PartKind.FIELD
        self._name = ""
        self._value = bytearray()

    @property
    def picture_bytes(self) -> int:
        return sum(self.pictures.values())

    def taken(self) -> list[tuple[str, bytes]]:
        """Return the pieces of pictures that arrived since the last call."""
        pieces, self._pieces = self._pieces, []
        return pieces

    def part_begin(self) -> None:
        self._count += 1
        if self._count > MAX_PARTS:
            raise MalformedRequest(f"the body has more than {MAX_PARTS} parts")
        self._disposition = b""
        self._value = bytearray()

    def header_begin(self) -> None:
        self._header_name = self._header_value = b""

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value

    def headers_finished(self) -> None:
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or b"name" not in options:
            raise MalformedRequest("a part has no name: send Content-Disposition: form-data; name=")
        if len(options[b"name"]) > MAX_NAME_BYTES:
            raise MalformedRequest(f"a field's name is longer than {MAX_NAME_BYTES} bytes")
        self._name = _decode_text(options[b"name"], "a field's name")
        extended = _read_extended_name(self._disposition)
        if self._name in self._called:
            if self._name in self.pictures:
                what = self._called[self._name]
                raise MalformedRequest(
                    f"there is more than one {what}; send one per request",
                    pointer=json_pointer(self._name),
                )
            self.pictures[self._name] = 0
            self._pieces.append((self._name, b""))
            self._kind = _PartKind.PICTURE
            self.file_names[self._name] = extended or _decode_name(options.get(b"filename", b""))
        elif b"filename" in options or extended:
            self._other_files.append(self._name)
            self._kind = _PartKind.OTHER_FILE
        else:
            self._kind = _PartKind.FIELD

    def part_data(self, data: bytes, start: int, end: int) -> None:
        if self._kind is _PartKind.PICTURE:
            self.pictures[self._name] += end - start
            most = MAX_BASE64_BYTES if self._name in self._in_base64 else MAX_PHOTO_BYTES
            if self.pictures[self._name] > most:
                raise picture_too_large(self._called[self._name], part=self._name)
            self._pieces.append((self._name, data[start:end]))
        elif self._kind is _PartKind.FIELD:
            most = MAX_OTHER_BYTES if self._name == STROKES else MAX_VALUE_BYTES
            if len(self._value) + end - start > most:
                remedy = (
                    "send fewer strokes, or fewer points in each"
                    if self._name == STROKES
                    else f"send a picture as a file, in {' or '.join(map(repr, self._called))}"
                )
                raise MalformedRequest(
                    f"the value of {self._name!r} is longer than {most} bytes; {remedy}",
                    pointer=json_pointer(self._name),
                )
            self._value += data[start:end]

    def part_end(self) -> None:
        if self._kind is not _PartKind.PICTURE:
            what = f"the value of {self._name!r}"
            value = _decode_text(bytes(self._value), what, json_pointer(self._name))
            self._fields.setdefault(self._name, []).append(value)

    def end(self) -> None:
        self.ended = True


def _make_parser(content_type: str | None, parts: _PartHandler, picture: str) -> MultipartParser:
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise MalformedRequest(
            f"the body is not a form: send multipart/form-data with a part named {picture!r}"
        )
    if not (boundary := options.get(b"boundary", b"")):
        raise MalformedRequest(
            "the Content-Type has no boundary: let the library that encodes the form set it"
        )
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": parts.part_begin,
                "on_part_data": parts.part_data,
                "on_part_end": parts.part_end,
                "on_header_begin": parts.header_begin,
                "on_header_field": parts.header_field,
                "on_header_value": parts.header_value,
                "on_header_end": parts.header_end,
                "on_headers_finished": parts.headers_finished,
                "on_end": parts.end,
            },
        )
    except FormParserError as error:
        raise MalformedRequest(f"broken form: {error}; let a library encode it") from error
    # The parser also logs the errors that it raises; malformed requests would flood the log.
    parser.logger = logging.Logger(__name__, logging.CRITICAL)  # noqa: LOG001 - not the shared one
    return parser


def _read_extended_name(disposition: bytes) -> str:
    """Return the name of `filename*`, which precedes `filename`; empty without one."""
    values = {key.lower(): value.strip(b'"') for key, value in _PARAMETER.findall(disposition)}
    text = values.get(b"filename*", b"").decode("latin-1").strip()
    match = _EXTENDED_VALUE.fullmatch(text)
    return "" if match is None else unquote(match[2], match[1])


def _decode_name(sent: bytes) -> str:
    """Return a file's name; one in an unknown encoding is no reason to refuse the photo.

    Source: RFC 2047, 2, by which clients of .NET wrote names before they wrote `filename*`.
    """
    name = sent.decode(errors="replace")
    if _ENCODED_WORDS.fullmatch(name):
        with contextlib.suppress(HeaderParseError, LookupError, UnicodeDecodeError):
            return str(header.make_header(header.decode_header(name)))
    return name


def _decode_text(content: bytes, what: str, where: str = "") -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"{what} is not UTF-8", pointer=where) from error
