"""The header Content-Disposition: the name of an answer, and whether browsers save or show it.

Source: RFC 6266, 4.3 and appendix D: a name beyond plain ASCII is sent as `filename*`.
"""

import re
from typing import Final
from urllib.parse import quote

MAX_NAME_CHARACTERS: Final = 100

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


def content_disposition(name: str | None, *, fallback: str, suffix: str, media_type: str) -> str:
    """Return the header's value for a file of a media type.

    name: as the client wishes to save it; characters that a file name cannot have are dropped, and
    the extension of the media type replaces its own.  None: browsers show the file.
    fallback: used when nothing of the name is left.  suffix: added before the extension.
    """
    kind = "inline" if name is None else "attachment"
    allowed = "".join(
        character
        for character in name or ""
        if character.isprintable() and character not in _RESERVED
    )
    stem = _KNOWN_EXTENSION.sub("", allowed)[:MAX_NAME_CHARACTERS].strip(". ")
    file_name = f"{stem or fallback}{suffix}.{_EXTENSIONS.get(media_type.partition(';')[0], 'bin')}"
    if file_name.isascii():
        return f'{kind}; filename="{file_name}"'
    return f"{kind}; filename*=UTF-8''{quote(file_name)}"
