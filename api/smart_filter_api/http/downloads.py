"""Files in requests and answers: their names, Content-Disposition, and byte ranges.

Source: RFC 6266, 4.3 and appendix D: a name beyond plain ASCII is sent as `filename*`, after
a plain one for clients such as `curl -OJ`, which do not read `filename*`.
"""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import Final
from urllib.parse import quote

from smart_filter_shared.errors import RangeNotSatisfiable

# File systems allow 255 bytes; a suffix, an extension and a number of the browser are added.
_MAX_NAME_BYTES: Final = 200

_EXTENSIONS: Final = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/avif": "avif",
    "application/zip": "zip",
    "application/json": "json",
}
_KNOWN_EXTENSION: Final = re.compile(r"\.(?:jpe?g|png|webp|avif|zip|json)$", re.IGNORECASE)
# Characters that a file system or a shell gives a meaning of their own.
_RESERVED: Final = frozenset('/\\:*?"<>|%')
# Joins the parts of an emoji, such as a family. Other invisible characters can hide an extension.
_EMOJI_JOINER: Final = "\u200d"
# Names that clients send for bytes without a name: our own, browsers and httpx.
_PLACEHOLDERS: Final = frozenset({"photo", "blob", "upload"})
# How browsers write a quote in a name.  Source: WHATWG HTML, multipart/form-data.
_ESCAPED_QUOTE: Final = "%22"


def clean_file_name(sent: str | None) -> str | None:
    """Return the name of a photo's file as clients see it, at most 200 bytes of UTF-8.

    sent: as a client sent it. Folders and invisible characters are dropped; None when nothing is
    left. The name is never a path on the server.
    """
    name = re.split(r"[/\\]", sent or "")[-1].replace(_ESCAPED_QUOTE, '"')
    name = unicodedata.normalize("NFC", _drop_invisible(name)).strip(" ")
    stem, dot, extension = name.rpartition(".")
    if len(extension) <= len("jpeg"):
        name = _cut(stem, _MAX_NAME_BYTES - len(f".{extension}".encode())) + dot + extension
    name = _cut(name, _MAX_NAME_BYTES)
    return None if not name.strip(". ") or name in _PLACEHOLDERS else name


def name_download(name: str, *, fallback: str, suffix: str, media_type: str) -> tuple[str, str]:
    """Return the stem and the ending of a file's name that every file system takes.

    name: of the file; characters that a file name cannot have are dropped, and the extension of
    the media type replaces its own.  fallback: used when nothing of the name is left.
    suffix: added before the extension.
    """
    allowed = "".join(letter for letter in _drop_invisible(name) if letter not in _RESERVED)
    stem = _cut(_KNOWN_EXTENSION.sub("", allowed), _MAX_NAME_BYTES).strip(". ") or fallback
    if PureWindowsPath(stem).is_reserved():  # such as CON.jpg, which Windows cannot save
        stem = f"_{stem}"
    return stem, f"{suffix}.{_EXTENSIONS.get(media_type.partition(';')[0], 'bin')}"


def content_disposition(stem: str, ending: str, *, saves: bool, fallback: str) -> str:
    """Return the header's value for a file that `name_download` has named.

    saves: whether browsers save the file instead of showing it.
    """
    kind, file_name = "attachment" if saves else "inline", f"{stem}{ending}"
    if file_name.isascii():
        return f'{kind}; filename="{file_name}"'
    return f"{kind}; filename=\"{fallback}{ending}\"; filename*=UTF-8''{quote(file_name)}"


def _drop_invisible(name: str) -> str:
    return "".join(letter for letter in name if letter.isprintable() or letter == _EMOJI_JOINER)


def _cut(name: str, most_bytes: int) -> str:
    return name.encode()[:most_bytes].decode(errors="ignore")


# One range; a list of several is answered with the whole file, as 14.2 allows.
_RANGE: Final = re.compile(r"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.IGNORECASE)
# Of a position, leading zeros apart: more than any file has, and Python parses no thousands.
_MAX_DIGITS: Final = 18


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A part of a file that is not empty; in bytes."""

    start: int
    length: int
    total: int

    @property
    def content_range(self) -> str:
        """Return the header of an answer with the part."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{self.total}"


@dataclass(frozen=True, slots=True)
class RangeHeaders:
    """The headers Range and If-Range of a GET."""

    wanted: str | None
    if_range: str | None

    def choose(self, tag: str, total: int) -> ByteRange | None:
        """Return the wanted part of a file of `total` bytes; None: the client gets all of it.

        tag: the strong ETag of the file.  Headers that are malformed are ignored.
        Raises RangeNotSatisfiable when the file has no such bytes.
        """
        if self.wanted is None or (self.if_range is not None and self.if_range.strip() != tag):
            return None
        match = _RANGE.fullmatch(self.wanted.strip())
        first, last = (None, None) if match is None else map(_parse_position, match.groups())
        if first is not None:
            if last is not None and last < first:
                return None
            start, end = first, total if last is None else min(last + 1, total)
        elif last is not None:
            start, end = max(0, total - last), total
        else:
            return None
        if start >= end:
            raise RangeNotSatisfiable(f"the file has {total} bytes", length=total)
        return ByteRange(start, end - start, total)


def _parse_position(digits: str) -> int | None:
    digits = digits.lstrip("0") or digits[:1]
    return int(digits[:_MAX_DIGITS]) if digits else None
