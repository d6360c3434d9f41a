"""Keep the answers for each photo in a folder, so that a photo is never paid for twice.

    theirs/ID.sent   written before the photo is sent
    theirs/ID.json   the answer: status, seconds, credits, error
    theirs/ID.png    the picture, when there is one

The ID is the digest of the photo, the address and the fields. A mark without an answer means that
the answer was lost; the photo is not sent again, since the service may have charged for it.
"""

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from smart_filter_deploy.cli.terminal.exit_codes import WRONG_USAGE, CommandError

_ID_CHARACTERS: Final = 32
# Longest stored answer without its picture.
_MAX_RECORD_BYTES: Final = 10_000
# Characters of a server's error message that are kept.
_MAX_ERROR_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class Record:
    """The answer for one photo.

    status: of HTTP.  seconds: until the last byte.  credits: charged, None if not told.
    error: why there is no picture, "" if there is one.
    """

    status: int
    seconds: float
    credits: float | None
    error: str


class Ledger:
    """The answers of one service, in a folder of their own."""

    def __init__(self, folder: Path, url: str, fields: Mapping[str, str]) -> None:
        self._folder = folder
        self._about = json.dumps([url, sorted(fields.items())])
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(
                f"cannot write {folder} ({error.strerror}); choose another folder with -o",
                WRONG_USAGE,
            ) from error

    def id_of(self, photo: bytes) -> str:
        """Return the ID of a photo."""
        digest = hashlib.sha256(self._about.encode() + b"\0" + photo)
        return digest.hexdigest()[:_ID_CHARACTERS]

    def find(self, photo_id: str) -> Record | None:
        """Return the answer for a photo; None when there is none, or it is damaged."""
        try:
            with self._path(photo_id, "json").open("rb") as file:
                record = _parse_record(json.loads(file.read(_MAX_RECORD_BYTES)))
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        return record if record.error or self._path(photo_id, "png").is_file() else None

    def was_sent(self, photo_id: str) -> bool:
        """Return whether a photo was sent, by this process or another."""
        return self._path(photo_id, "sent").exists()

    def mark_sent(self, photo_id: str) -> bool:
        """Note that a photo will be sent; return False when it already was.

        The mark is on the disk when this returns, so that a power failure does not lose it.
        """
        try:
            mark = os.open(
                self._path(photo_id, "sent"), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            )
        except FileExistsError:
            return False
        os.fsync(mark)
        os.close(mark)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        os.fsync(folder)
        os.close(folder)
        return True

    def unmark(self, photo_id: str) -> None:
        """Remove the mark of a photo that the service did not accept."""
        self._path(photo_id, "sent").unlink(missing_ok=True)

    def write(self, photo_id: str, record: Record, picture: bytes) -> None:
        """Store an answer, with the picture if the record has no error.  Raises OSError."""
        if not record.error:
            self._replace(self._path(photo_id, "png"), picture)
        self._replace(self._path(photo_id, "json"), json.dumps(asdict(record)).encode())

    def picture(self, photo_id: str) -> bytes:
        """Return the picture of a photo.  Raises OSError."""
        return self._path(photo_id, "png").read_bytes()

    def _path(self, photo_id: str, suffix: str) -> Path:
        return self._folder / f"{photo_id}.{suffix}"

    def _replace(self, path: Path, content: bytes) -> None:
        """Write a file that is complete under its name, or not there."""
        part = path.with_name(f"{path.name}.part")
        try:
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise


def shorten(text: str) -> str:
    """Return an error message of a server in bounded length."""
    return " ".join(text.split())[:_MAX_ERROR_CHARACTERS]


def _parse_record(document: object) -> Record:
    """Return the record of a stored answer.  Raises ValueError or TypeError when it is damaged."""
    if not isinstance(document, dict) or set(document) != set(Record.__slots__):
        raise ValueError("not a stored answer")
    spent = None if document["credits"] is None else float(document["credits"])
    seconds, error = float(document["seconds"]), document["error"]
    if not math.isfinite(seconds + (spent or 0.0)) or not isinstance(error, str):
        raise ValueError("not a stored answer")
    return Record(int(document["status"]), seconds, spent, shorten(error))
