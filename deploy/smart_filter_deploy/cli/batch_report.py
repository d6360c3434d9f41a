"""What became of a batch's photos, for a spreadsheet or a program."""

import csv
import io
import json
import secrets
from collections.abc import Sequence
from pathlib import Path

from smart_filter_deploy.cli.journal import Entry

ENDINGS = (".csv", ".json")
_COLUMNS = (
    *("file", "job_id", "state", "people", "faces", "smile", "rating", "printability"),
    *("seconds", "output", "error"),
)
# What a spreadsheet takes for a formula.  Source: OWASP, CSV Injection.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def row(entry: Entry, output: Path) -> dict[str, object]:
    """Return a photo as one flat object.

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
    }


def write(path: Path, entries: Sequence[Entry], output: Path) -> None:
    """Write a report as the file's ending says; it appears whole or not at all.  Raises OSError."""
    rows = [row(entry, output) for entry in entries]
    text = _csv(rows) if path.suffix.lower() == ".csv" else json.dumps(rows, indent=1) + "\n"
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        # Names of files may hold bytes that are no UTF-8.
        partial.write_bytes(text.encode(errors="surrogateescape"))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _csv(rows: Sequence[dict[str, object]]) -> str:
    told = io.StringIO(newline="")
    writer = csv.writer(told)
    writer.writerow(_COLUMNS)
    for one in rows:
        writer.writerow([_cell(one[name]) for name in _COLUMNS])
    return told.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, dict):
        value = f"{value['code']}: {value['detail']}"
    text = str(value)
    # Whoever names a photo must not calculate in somebody's spreadsheet.
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text
