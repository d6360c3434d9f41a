"""Report of a batch as CSV, JSON or HTML."""

import csv
import dataclasses
import io
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from smart_filter_client import Job
from smart_filter_deploy.cli.batch.journal import Journal, JournalEntry
from smart_filter_deploy.cli.server import submit_and_fetch
from smart_filter_deploy.cli.terminal.outputs import Failure
from smart_filter_deploy.cli.terminal.report import document_rows
from smart_filter_wire.jobs import RankTerms

SUFFIXES = (".csv", ".json", ".html")
# First characters that make a spreadsheet evaluate a cell.  Source: OWASP, CSV Injection.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The outcome of a photo, as reports list it.

    file: the photo's name below the folder.  state: of its job; failed without one.
    faces: their number.  smile: one level per face, left to right.
    seconds: from the job's submission to its end.
    output: path of the picture, or of the first other file.
    error: `{"code","detail"}`, why there is no result.
    rank, reasons: in an album: 1 is the best, and why.
    """

    file: str
    job_id: str | None = None
    state: str = "failed"
    people: int | None = None
    subject: str | None = None
    faces: int | None = None
    smile: Sequence[str] = ()
    rating: int | None = None
    printability: str | None = None
    document: str | None = None
    warnings: Sequence[str] = ()
    seconds: float | None = None
    output: str | None = None
    error: Mapping[str, str] | None = None
    rank: int | None = None
    reasons: Sequence[str] = ()

    @property
    def succeeded(self) -> bool:
        """Whether there is a result."""
        return self.state == "succeeded"


def failed_row(photo: str, failure: Failure, job_id: str | None = None) -> Row:
    """Return the row of a photo without a result."""
    error = {"code": failure.code, "detail": failure.detail or failure.title}
    return Row(file=photo, job_id=job_id, error=error)


def job_row(entry: JournalEntry, job: Job, journal: Journal) -> Row:
    """Return the row of a photo whose job the service has."""
    failure = submit_and_fetch.find_failure(job) if job.is_final else None
    error = None if failure is None else failed_row(entry.photo, failure).error
    ended = job.finished_at
    faces = job.faces
    return dataclasses.replace(
        known_row(entry, journal.folder),
        state=job.state,
        people=job.people,
        subject=job.subject,
        faces=None if faces is None else len(faces),
        smile=[face.smile.level for face in faces or ()],
        rating=None if job.rating is None else job.rating.points,
        printability=None if job.printability is None else job.printability.verdict,
        document=None if job.document_report is None else job.document_report.verdict,
        warnings=(
            *job.warnings,
            *(
                f"{label or 'check'}: {words}"
                for label, words in document_rows(job.document_report)
            ),
        ),
        seconds=None if ended is None else round((ended - job.created_at).total_seconds(), 3),
        error=error,
        rank=job.rank,
        reasons=() if job.rank_terms is None else _name_photo(job.rank_terms, journal),
    )


def known_row(entry: JournalEntry, folder: Path) -> Row:
    """Return the row of a photo whose job the service has deleted; folder: of the outputs."""
    first = next(iter(entry.outputs.values()), None)
    return Row(
        file=entry.photo,
        job_id=entry.job_id,
        state="succeeded" if entry.is_done else "failed",
        output=str(folder.absolute() / first) if first and entry.is_done else None,
    )


def write(path: Path, rows: Sequence[Row], photo_paths: Mapping[str, Path], *, title: str) -> None:
    """Write a report in the format of the file's extension, atomically.

    photo_paths: where each photo is.  title: name of their folder.  Raises OSError.
    """
    match path.suffix.lower():
        case ".csv":
            text = _csv(rows)
        case ".html":
            # Pillow is in the extra `worker`.
            from smart_filter_deploy.cli.batch import html_report  # noqa: PLC0415

            text = html_report.render_page(rows, photo_paths, title=title)
        case _:
            text = json.dumps([dataclasses.asdict(row) for row in rows], indent=1) + "\n"
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        # File names may contain bytes that are not valid UTF-8.
        partial.write_bytes(text.encode(errors="surrogateescape"))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _name_photo(terms: RankTerms, journal: Journal) -> list[str]:
    """Return the reasons for a photo's rank, with the name of a better photo for its job's id."""
    names = (entry.photo for entry in journal.entries() if entry.job_id == terms.better)
    better = next(names, terms.better) if terms.better else None
    return [
        reason.replace(terms.better, better) if terms.better and better else reason
        for reason in terms.reasons
    ]


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    names = [field.name for field in dataclasses.fields(Row)]
    writer.writerow(names)
    writer.writerows([_escape_cell(getattr(row, name)) for name in names] for row in rows)
    return text.getvalue()


def _escape_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return " ".join(value)
    if isinstance(value, dict):
        value = f"{value['code']}: {value['detail']}"
    text = str(value)
    # A photo's name must not run as a formula in the reader's spreadsheet.
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA_STARTS) else text
