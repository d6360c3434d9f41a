"""Malformed multipart bodies of POST /v1/jobs."""

from collections.abc import Sequence

from smart_filter_api.multipart import MAX_OTHER_BYTES, MAX_PARTS, MAX_VALUE_BYTES
from smart_filter_tests.malformed.rows import BOUNDARY, END, FORM, Row, part, photo
from smart_filter_tests.serving import a_photo

_BAD = (400, "malformed_request")
_LARGE = (413, "photo_too_large")
_MEDIA = (415, "unsupported_media")


def _row(
    name: str,
    body: bytes,
    told: tuple[int, str] = _BAD,
    pointers: Sequence[str] = ("",),
    *,
    content_type: str | None = None,
    tells: str = "",
) -> Row:
    headers = FORM if content_type is None else {"Content-Type": content_type}
    return Row(
        name, "POST /v1/jobs", *told, pointers=pointers, tells=tells, headers=headers, content=body
    )


def _headed(head: bytes) -> bytes:
    return photo() + f"--{BOUNDARY}\r\n".encode() + head + b"\r\n\r\nx\r\n" + END


_PHOTO = ("/photo",)
_WHOLE = photo() + END

FORMS = (
    _row("empty", b""),
    _row("no parts", END, pointers=_PHOTO, tells="part named 'photo'"),
    _row("no photo", part("quality", "90") + END, pointers=_PHOTO),
    _row("two photos", photo() + photo() + END, pointers=_PHOTO, tells="one a request"),
    _row(
        "two backgrounds",
        photo() + photo(name="background_file") * 2 + END,
        pointers=("/background_file",),
    ),
    _row("no end", photo(), tells="last boundary"),
    _row("cut in its head", photo()[:30]),
    _row("cut in the photo", photo()[:200]),
    _row("cut in its end", photo() + END[:4]),
    _row("other boundary", photo().replace(b"--cut", b"--other") + END),
    _row("bare newlines", _WHOLE.replace(b"\r\n", b"\n")),
    _row("text before it", b"Dear server,\r\n" + _WHOLE),
    _row("header without colon", _headed(b"no header")),
    _row("no disposition", _headed(b"A: b"), tells="Content-Disposition"),
    _row("attachment", _headed(b'Content-Disposition: attachment; name="a"')),
    _row("disposition without name", _headed(b"Content-Disposition: form-data")),
    _row("name not UTF-8", photo() + part(b"\xff\xfe", "x") + END, tells="UTF-8"),
    _row(
        "value not UTF-8",
        photo() + part("metadata.a", b"\xc3\x28") + END,
        pointers=("/metadata/a",),
        tells="UTF-8",
    ),
    _row(
        "value in UTF-16",
        photo() + part("quality", "90".encode("utf-16")) + END,
        pointers=("/quality",),
    ),
    _row("long name", photo() + part("n" * 300, "x") + END, tells="200 bytes"),
    _row(
        "long value",
        photo() + part("metadata.a", "x" * (MAX_VALUE_BYTES + 1)) + END,
        pointers=("/metadata/a",),
        tells=f"{MAX_VALUE_BYTES} bytes",
    ),
    _row("many parts", photo() + part("a", "x") * MAX_PARTS + END, tells=f"{MAX_PARTS} parts"),
    _row("long header", _headed(b"X-Long: " + b"x" * 100_000)),
    _row(
        "large file beside it",
        photo() + part("extra", bytes(MAX_OTHER_BYTES + 1), filename="extra.bin") + END,
        _LARGE,
        ("",),
        tells="around its pictures",
    ),
    _row("no boundary", _WHOLE, content_type="multipart/form-data", tells="multipart/form-data"),
    _row("empty boundary", _WHOLE, content_type="multipart/form-data; boundary="),
    _row("long boundary", _WHOLE, content_type=f"multipart/form-data; boundary={'x' * 500}"),
    _row("multipart of another kind", _WHOLE, content_type="multipart/mixed; boundary=cut"),
    _row("form without parts", b"photo=x", content_type="application/x-www-form-urlencoded"),
    _row("bare photo", a_photo(), content_type="image/jpeg", tells="part named 'photo'"),
    _row("no type", _WHOLE, content_type=""),
    _row("type of nonsense", _WHOLE, content_type="/;;=,"),
    _row("photo of text", photo(b"Dear Sir,") + END, _MEDIA, _PHOTO, tells="accepted are"),
    _row("photo of nothing", photo(b"") + END, _MEDIA, _PHOTO, tells="is empty"),
    _row("photo of zeros", photo(bytes(1000)) + END, _MEDIA, _PHOTO),
    _row("photo of SVG", photo(b"<svg xmlns='http://www.w3.org/2000/svg'/>") + END, _MEDIA, _PHOTO),
    _row("photo as a field", part("photo", "a.jpg") + END, _MEDIA, _PHOTO),
    _row("photo cut in its header", photo(a_photo()[:12]) + END, _MEDIA, _PHOTO),
    _row(
        "background of GIF",
        photo() + photo(a_photo("GIF"), name="background_file") + END,
        _MEDIA,
        ("/background_file",),
    ),
    Row(
        "compressed body",
        "POST /v1/jobs",
        *_MEDIA,
        pointers=("/Content-Encoding",),
        headers={**FORM, "Content-Encoding": "gzip"},
        content=_WHOLE,
        tells="Content-Encoding",
    ),
)
