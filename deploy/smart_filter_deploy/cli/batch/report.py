"""Report of a batch as CSV, JSON or HTML."""

import csv
import io
import json
import secrets
from collections.abc import Sequence
from pathlib import Path

from smart_filter_deploy.cli.batch.journal import JournalEntry

SUFFIXES = (".csv", ".json", ".html")
_COLUMNS = (
    *("file", "job_id", "state", "people", "faces", "smile", "rating", "printability"),
    *("seconds", "output", "error", "rank", "reasons"),
)
# First characters that make a spreadsheet evaluate a cell.  Source: OWASP, CSV Injection.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def to_row(entry: JournalEntry, output: Path) -> dict[str, object]:
    """Return a photo's entry as one flat object.

    smile: the faces' levels, left to right.  output: the picture's path, or the first other
    file's.  error: `{"code","detail"}`, or null.
    """
    files = list(entry.outputs.values())
    return {
        "file": entry.photo,
        "job_id": entry.job_id,
        "state": entry.state,
        "people": entry.people,
        "faces": entry.faces,
        "smile": list(entry.smile),
        "rating": entry.rating,
        "printability": entry.printability,
        "seconds": entry.seconds,
        "output": str(output.absolute() / files[0]) if files else None,
        "error": None if entry.code is None else {"code": entry.code, "detail": entry.error},
        "rank": entry.rank,
        "reasons": list(entry.reasons),
    }


def write(path: Path, entries: Sequence[JournalEntry], *, photos: Path, output: Path) -> None:
    """Write a report in the format of the file's extension, atomically.

    photos: the folder of the batch.  output: the folder of its pictures.  Raises OSError.
    """
    rows = [to_row(entry, output) for entry in entries]
    match path.suffix.lower():
        case ".csv":
            text = _csv(rows)
        case ".html":
            # Pillow is in the extra `worker`.
            from smart_filter_deploy.cli.batch import html_report  # noqa: PLC0415

            text = html_report.render_page(entries, photos=photos, output=output)
        case _:
            text = json.dumps(rows, indent=1) + "\n"
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        # File names may contain bytes that are not valid UTF-8.
        partial.write_bytes(text.encode(errors="surrogateescape"))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _csv(rows: Sequence[dict[str, object]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    for row in rows:
        writer.writerow([_escape_cell(row[name]) for name in _COLUMNS])
    return text.getvalue()


def _escape_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, dict):
        value = f"{value['code']}: {value['detail']}"
    text = str(value)
    # A photo's name must not run as a formula in the reader's spreadsheet.
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA_STARTS) else text
