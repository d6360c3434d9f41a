"""Report of a batch as one HTML page: each photo and its picture as thumbnails, and the facts."""

import base64
import functools
import io
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

from PIL import Image, ImageOps

from smart_filter_deploy.cli.batch.report import Row
from smart_filter_deploy.cli.terminal.report import describe_people

_SIDE_PX: Final = 240
_QUALITY: Final = 75
# Two thumbnails of about 8 kB for each photo; a watched folder's report is written again and again.
_KEPT_THUMBNAILS: Final = 4000
# No script, and nothing from elsewhere, even if a name were to escape from its text.
_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 2rem; color: #1d1d1f; background: #fff }}
ul {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(19rem, 1fr)); gap: 1rem; \
padding: 0; list-style: none }}
li {{ border: 1px solid #d5d5da; border-radius: 8px; padding: .8rem; overflow-wrap: anywhere }}
li.failed {{ border-color: #b3261e }}
.pictures {{ display: flex; gap: .5rem; min-height: 3rem }}
img {{ max-width: calc(50% - .25rem); max-height: 12rem; border-radius: 4px; \
background: repeating-conic-gradient(#ddd 0 25%, #fff 0 50%) 0 0 / 16px 16px }}
h2 {{ font-size: 1rem; margin: .5rem 0 .2rem }}
p {{ margin: .2rem 0; color: #55555c }}
</style>
<h1>{title}</h1>
<p>{summary}</p>
<ul>
{photos}
</ul>
</html>
"""


def render_page(rows: Sequence[Row], photo_paths: Mapping[str, Path], *, title: str) -> str:
    """Return a page that needs no other file; photo_paths, title: as in `report.write`."""
    ranked = sorted(rows, key=lambda row: (row.rank is None, row.rank or 0, row.file))
    done = sum(row.succeeded for row in rows)
    return _PAGE.format(
        title=f"Photos of {_text(title)}",
        summary=f"{done} of {len(rows)} photos done",
        photos="\n".join(_render_photo(row, photo_paths.get(row.file)) for row in ranked),
    )


def _render_photo(row: Row, photo: Path | None) -> str:
    pictures = "" if photo is None else _render_picture(photo, "photo")
    if row.output is not None:
        pictures += _render_picture(Path(row.output), "picture")
    rank = "" if row.rank is None else f"{row.rank}. "
    lines = "".join(f"<p>{_text(line)}</p>" for line in _describe(row))
    state = "" if row.succeeded else " class=failed"
    return (
        f"<li{state}><div class=pictures>{pictures}</div>"
        f"<h2>{rank}{_text(row.file)}</h2>{lines}</li>"
    )


def _describe(row: Row) -> list[str]:
    if not row.succeeded:
        return [row.state if row.error is None else row.error["detail"]]
    facts = [] if row.people is None else [describe_people(row.people, row.subject)]
    if row.rating is not None:
        facts.append(f"rated {row.rating} of 100")
    picture = "" if row.output is None else Path(row.output).name
    return [line for line in (", ".join(facts), *row.warnings, *row.reasons, picture) if line]


def _render_picture(path: Path, called: str) -> str:
    try:
        status = path.stat()
        data = _thumbnail(path, status.st_mtime_ns, status.st_size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""  # removed since, or of a format that only the server reads
    return f'<img alt="{called}" src="data:image/webp;base64,{data}">'


@functools.lru_cache(maxsize=_KEPT_THUMBNAILS)
def _thumbnail(path: Path, _modified_ns: int, _bytes: int) -> str:
    """Return a picture as a small WebP in base64."""
    with Image.open(path) as picture:
        picture.draft("RGB", (2 * _SIDE_PX, 2 * _SIDE_PX))  # of a JPEG, decodes no more
        upright = ImageOps.exif_transpose(picture)
        small = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    small.thumbnail((_SIDE_PX, _SIDE_PX))
    written = io.BytesIO()
    small.save(written, "WEBP", quality=_QUALITY)
    return base64.b64encode(written.getvalue()).decode()


def _text(text: str) -> str:
    """Return text as HTML; bytes of a file's name that are not UTF-8 are replaced."""
    return escape(os.fsencode(text).decode(errors="replace"))
