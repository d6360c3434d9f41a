"""Malformed multipart bodies of POST /v1/jobs."""

from smart_filter_api.multipart import MAX_OTHER_BYTES, MAX_PARTS, MAX_VALUE_BYTES
from smart_filter_tests.malformed.rows import (
    BOUNDARY,
    END,
    FORM,
    LARGE,
    MALFORMED,
    MEDIA,
    Row,
    part,
    photo,
)
from smart_filter_tests.serving import a_photo

_WHOLE = photo() + END


def _row(
    name: str,
    body: bytes,
    pointer: str = "",
    answer: tuple[int, str] = MALFORMED,
    *,
    tells: str = "",
) -> Row:
    return Row(
        name, "POST /v1/jobs", *answer, pointers=(pointer,), tells=tells, headers=FORM, content=body
    )


def _typed(name: str, content_type: str, *, tells: str = "") -> Row:
    """Return a row whose body is a form, called something else."""
    headers = {"Content-Type": content_type}
    return Row(
        name,
        "POST /v1/jobs",
        *MALFORMED,
        pointers=("",),
        tells=tells,
        headers=headers,
        content=_WHOLE,
    )


def _headed(head: bytes) -> bytes:
    return photo() + f"--{BOUNDARY}\r\n".encode() + head + b"\r\n\r\nx\r\n" + END


FORMS = (
    _row("empty", b""),
    _row("no photo", part("quality", "90") + END, "/photo", tells="part named 'photo'"),
    _row("two photos", photo() + photo() + END, "/photo", tells="one a request"),
    _row("two backgrounds", photo() + photo(name="background_file") * 2 + END, "/background_file"),
    _row(
        "photo and its address",
        photo() + part("photo_url", "https://a.example/") + END,
        tells="exactly one",
    ),
    _row(
        "address and upload in a form",
        part("photo_url", "https://a.example/") + part("upload_id", "a") + END,
        tells="exactly one",
    ),
    _row("no end", photo(), tells="last boundary"),
    _row("cut in the photo", photo()[:200]),
    _row("other boundary", photo().replace(b"--cut", b"--other") + END),
    _row("bare newlines", _WHOLE.replace(b"\r\n", b"\n")),
    _row("header without colon", _headed(b"no header")),
    _row("no disposition", _headed(b"A: b"), tells="Content-Disposition"),
    _row("disposition without name", _headed(b"Content-Disposition: form-data")),
    _row("name not UTF-8", photo() + part(b"\xff\xfe", "x") + END, tells="UTF-8"),
    _row(
        "value not UTF-8",
        photo() + part("metadata.a", b"\xc3\x28") + END,
        "/metadata/a",
        tells="UTF-8",
    ),
    _row("long name in a form", photo() + part("n" * 300, "x") + END, tells="200 bytes"),
    _row(
        "long value",
        photo() + part("metadata.a", "x" * (MAX_VALUE_BYTES + 1)) + END,
        "/metadata/a",
        tells=f"{MAX_VALUE_BYTES} bytes",
    ),
    _row("many parts", photo() + part("a", "x") * MAX_PARTS + END, tells=f"{MAX_PARTS} parts"),
    _row("long header", _headed(b"X-Long: " + b"x" * 100_000)),
    _row(
        "large file beside it",
        photo() + part("extra", bytes(MAX_OTHER_BYTES + 1), filename="extra.bin") + END,
        "",
        LARGE,
        tells="around its pictures",
    ),
    _typed("no type", ""),
    _typed("no boundary", "multipart/form-data", tells="multipart/form-data"),
    _typed("empty boundary", "multipart/form-data; boundary="),
    _typed("long boundary", f"multipart/form-data; boundary={'x' * 500}"),
    _typed("multipart of another kind", "multipart/mixed; boundary=cut"),
    _typed("form without parts", "application/x-www-form-urlencoded"),
    _typed("bare photo", "image/jpeg", tells="part named 'photo'"),
    _typed("nonsense", "/;;=,"),
    _row("photo of nothing", photo(b"") + END, "/photo", MEDIA, tells="is empty"),
    _row("photo as a field", part("photo", "a.jpg") + END, "/photo", MEDIA),
    _row(
        "photo of GIF",
        photo(a_photo("GIF")) + END,
        "/photo",
        MEDIA,
        tells="the photo is a GIF; accepted are JPEG, PNG, WebP, AVIF and HEIC",
    ),
    _row(
        "background of GIF",
        photo() + photo(a_photo("GIF"), name="background_file") + END,
        "/background_file",
        MEDIA,
    ),
    Row(
        "compressed body",
        "POST /v1/jobs",
        *MEDIA,
        pointers=("/Content-Encoding",),
        headers={**FORM, "Content-Encoding": "gzip"},
        content=_WHOLE,
        tells="Content-Encoding",
    ),
)
