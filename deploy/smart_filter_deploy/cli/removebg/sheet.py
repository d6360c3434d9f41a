"""Render a comparison as one self-contained HTML file: photo, their cutout, ours, and figures."""

import base64
import io
import statistics
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smart_filter_deploy.cli.removebg.ledger import Record
from smart_filter_deploy.cli.terminal.text import escape_unprintable
from smart_filter_shared.errors import ImageTooLarge, ImageUnreadable
from smart_filter_shared.security.photo_header import MAX_PIXELS
from smart_filter_workers import images

_THUMBNAIL_PX: Final = 320
_QUALITY: Final = 80
# Longest side at which masks are compared: a hair's width is below it.
_COMPARED_PX: Final = 1024
_KEPT_ALPHA: Final = 128
_COLORS: Final = 3
_MEGA: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One photo of the sheet.

    photo, theirs, ours: thumbnails as WebP; None where there is no picture.
    iou: intersection over union of the two masks, 0 to 1; None without two masks.
    """

    name: str
    photo: bytes | None
    theirs: bytes | None
    ours: bytes | None
    their_record: Record
    our_record: Record
    their_pixels: tuple[int, int] | None
    our_pixels: tuple[int, int] | None
    iou: float | None


@dataclass(frozen=True, slots=True)
class _Cutout:
    """A cutout: RGBA of at most 1024 px, uint8, straight alpha, and its size in the file."""

    rgba: NDArray[np.uint8]
    size: tuple[int, int]


def make_row(
    path: Path,
    their_record: Record,
    our_record: Record,
    *,
    their_picture: Callable[[], bytes],
    our_picture: Callable[[], bytes],
) -> SheetRow:
    """Return the row of a photo.

    their_picture, our_picture: read a picture; called only if its record has one.
    """
    theirs = None if their_record.error else _decode_cutout(their_picture)
    ours = None if our_record.error else _decode_cutout(our_picture)
    return SheetRow(
        name=path.name,
        photo=_thumbnail_of_photo(path),
        theirs=None if theirs is None else _thumbnail(theirs.rgba),
        ours=None if ours is None else _thumbnail(ours.rgba),
        their_record=their_record,
        our_record=our_record,
        their_pixels=None if theirs is None else theirs.size,
        our_pixels=None if ours is None else ours.size,
        iou=None if theirs is None or ours is None else measure_iou(theirs.rgba, ours.rgba),
    )


def is_cutout(content: bytes) -> bool:
    """Return whether an answer is a picture that the sheet can show: PNG or WebP."""
    return _decode_cutout(lambda: content) is not None


def measure_iou(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float | None:
    """Return the intersection over union of two cutouts' masks; None if both are empty.

    one, other: (H, W, 4) uint8, straight alpha; masks of different sizes are brought to the
    smaller one.  A pixel is kept from half coverage on.
    """
    height = min(one.shape[0], other.shape[0])
    width = min(one.shape[1], other.shape[1])
    first, second = (
        np.asarray(
            Image.fromarray(rgba[..., _COLORS]).resize((width, height), Image.Resampling.BOX)
        )
        >= _KEPT_ALPHA
        for rgba in (one, other)
    )
    union = np.count_nonzero(first | second)
    return float(np.count_nonzero(first & second) / union) if union else None


def render(rows: Sequence[SheetRow], *, theirs: str, size: str) -> str:
    """Return the HTML of the sheet.

    theirs: the other service's address.  size: the field `size` of all requests.
    """
    style = (resources.files(__package__) / "sheet.css").read_text("utf-8")
    # Nothing is loaded from anywhere, whatever a file or an answer is called.
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>remove.bg and Smart Filter</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>remove.bg and Smart Filter, {len(rows)} photos</h1>
<p>Theirs: {escape(theirs)}. Both were asked for <code>size={escape(size)}</code> and
<code>format=png</code>. Agreement is the intersection over union of the two masks: 100 % is the
same outline. It does not tell which of the two is better.</p>
{_summary(rows)}
</header>
<main>
{"".join(map(_section, rows))}
</main>
</body>
</html>
"""


def _summary(rows: Sequence[SheetRow]) -> str:
    ious = [row.iou for row in rows if row.iou is not None]
    agreement = f"{statistics.median(ious):.1%}" if ious else "–"
    cells = "".join(
        f"<tr><th>{name}</th><td>{sum(not record.error for record in records)} of {len(rows)}</td>"
        f"<td>{_median_seconds(records)}</td><td>{_sum_credits(records)}</td></tr>"
        for name, records in (
            ("theirs", [row.their_record for row in rows]),
            ("ours", [row.our_record for row in rows]),
        )
    )
    return (
        "<table><thead><tr><th></th><th>cut out</th><th>median seconds</th><th>credits</th></tr>"
        f"</thead><tbody>{cells}</tbody></table>"
        f"<p>Median agreement: <b>{agreement}</b> ({len(ious)} of {len(rows)} photos).</p>"
    )


def _section(row: SheetRow) -> str:
    agreement = "" if row.iou is None else f"agreement {row.iou:.1%}"
    figures = "".join(
        (
            _figure("photo", row.photo, "", ""),
            _figure(
                "theirs",
                row.theirs,
                row.their_record.error,
                _facts(row.their_record, row.their_pixels),
            ),
            _figure("ours", row.ours, row.our_record.error, _facts(row.our_record, row.our_pixels)),
        )
    )
    name = escape(escape_unprintable(row.name))
    return f"<section><h2>{name} <small>{agreement}</small></h2>{figures}</section>\n"


def _figure(label: str, picture: bytes | None, error: str, facts: str) -> str:
    if picture is None:
        shown = f'<p class="error">{escape(error or "not a picture")}</p>'
    else:
        packed = base64.b64encode(picture).decode()
        shown = f'<img alt="{label}" loading="lazy" src="data:image/webp;base64,{packed}">'
    return f"<figure>{shown}<figcaption>{label} {escape(facts)}</figcaption></figure>"


def _facts(record: Record, size: tuple[int, int] | None) -> str:
    if record.error or size is None:
        return ""
    spent = "" if record.credits is None else f" · {record.credits:g} credits"
    return f"{size[0]} × {size[1]} · {record.seconds:.1f} s{spent}"


def _median_seconds(records: Sequence[Record]) -> str:
    seconds = [record.seconds for record in records if not record.error]
    return f"{statistics.median(seconds):.1f}" if seconds else "–"


def _sum_credits(records: Sequence[Record]) -> str:
    spent = [record.credits for record in records if record.credits is not None]
    return f"{sum(spent):g}" if spent else "–"


def _decode_cutout(read: Callable[[], bytes]) -> _Cutout | None:
    """Return a cutout; None when the file is gone, or is not a PNG or WebP within the limits."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of a large picture, which the next lines refuse.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(read()), formats=("PNG", "WEBP")) as image:
                size = image.size
                if size[0] * size[1] > MAX_PIXELS:
                    return None
                small = image.convert("RGBA")
                # Pillow weights the colors by alpha.
                small.thumbnail((_COMPARED_PX, _COMPARED_PX), Image.Resampling.BOX)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return _Cutout(np.asarray(small), size)


def _thumbnail_of_photo(path: Path) -> bytes | None:
    try:
        return _thumbnail(images.decode(path.read_bytes()).srgb)
    except (OSError, ImageUnreadable, ImageTooLarge):
        return None


def _thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    """Return a picture as WebP of at most 320 px.

    pixels: (H, W, 3) sRGB or (H, W, 4) with straight alpha, uint8.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, _THUMBNAIL_PX / max(height, width))
    small = images.downscale(
        pixels, width=max(1, round(width * scale)), height=max(1, round(height * scale))
    )
    return images.encode_webp(small, quality=_QUALITY).content
