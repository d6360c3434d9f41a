"""Stream many pictures as one zip, without holding more than one of them in memory.

Pictures are compressed already, so they are stored as they are.
"""

import io
import zipfile
from collections.abc import AsyncIterator
from functools import partial
from typing import Final

from fastapi import Response
from fastapi.responses import StreamingResponse

from smart_filter_api.http.downloads import name_download
from smart_filter_api.responses import output as responses_output
from smart_filter_api.responses.output import JobOutput
from smart_filter_api.services.container import Services
from smart_filter_shared.errors import Conflict, Error, ObjectMissing, Rejected, TryAgain
from smart_filter_shared.ids import JobId
from smart_filter_shared.jobs import choices, queries
from smart_filter_shared.jobs.choices import Choice
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.recipe import Output
from smart_filter_wire.formats import free_name

# A text file in the zip with the pictures that are missing, and why.
NOT_INCLUDED: Final = "not included.txt"
# Photos whose rows are read together.
_PAGE_PHOTOS: Final = 100


def respond(services: Services, choice: Choice, pattern: str) -> Response:
    """Return the answer with the pictures of a choice.  pattern: of their names."""
    return StreamingResponse(
        _write(services, choice, pattern),
        media_type="application/zip",
        headers={"Content-Disposition": 'attachment; filename="pictures.zip"'},
    )


class PictureNames:
    """Names of pictures; each is given once.  pattern: as the recipe's `filename`."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._number = 0
        self._taken: set[str] = set()

    def name(self, output: JobOutput) -> str:
        """Return the name of the next picture, below the folders in which its photo was."""
        self._number += 1
        stem, ending = output.file_name(self._pattern, self._number)
        stem = "/".join([*_folders(output.job), stem])
        base, _, number = stem.rpartition("-")
        # A number that an equal name got before is counted on.
        if number.isdecimal() and {(stem + ending).lower(), (base + ending).lower()} <= self._taken:
            stem = base
        name = free_name(stem, ending, lambda name: name.lower() in self._taken)
        self._taken.add(name.lower())
        return name


async def read_page(
    services: Services, choice: Choice, after: JobId | None
) -> tuple[list[JobOutput], dict[JobId, Error], JobId | None]:
    """Return the next pictures of a choice, why others are missing, and where the next page begins.

    Pictures are newest first.
    """
    async with services.database.listing(choice.tenant) as connection:
        page = await connection.run_sync(
            choices.list_photos, choice, after=after, most=_PAGE_PHOTOS, pictured=True
        )
        rows = await connection.run_sync(queries.get_many, [photo.shown for photo in page])
    outputs, missing = list[JobOutput](), dict[JobId, Error]()
    for photo in page:
        if (row := rows.get(photo.shown)) is None:  # deleted meanwhile
            continue
        try:
            outputs.append(responses_output.find_output(services, row, Output.IMAGE))
        except (Rejected, Conflict) as error:
            missing[row.id] = error
    return outputs, missing, page[-1].place if len(page) == _PAGE_PHOTOS else None


async def _write(services: Services, choice: Choice, pattern: str) -> AsyncIterator[bytes]:
    sink, names = _Sink(), PictureNames(pattern)
    reasons: list[str] = []
    after: JobId | None = None
    with zipfile.ZipFile(sink, "w") as archive:
        while True:
            outputs, missing, after = await read_page(services, choice, after)
            reasons += [f"{job_id}: {error}" for job_id, error in missing.items()]
            for output in outputs:
                name, moment = names.name(output), output.job.finished_at
                assert output.file is not None, "a picture has a file"
                assert moment is not None, "a picture is finished"
                get = partial(services.storage.get, most=int(output.file["bytes"]))
                try:
                    content = await responses_output.read_stored_object(
                        services, get, str(output.file["key"])
                    )
                except (ObjectMissing, TryAgain) as error:
                    reasons.append(f"{name}: {error}")
                    continue
                archive.writestr(zipfile.ZipInfo(name, moment.timetuple()[:6]), content)
                yield sink.take()
            if after is None:
                break
        if reasons:
            archive.writestr(NOT_INCLUDED, "\n".join(reasons))
    yield sink.take()


def _folders(row: JobRow) -> list[str]:
    """Return the folders in which a photo was, as its sender says."""
    sent = row.recipe.metadata.get("folder", "").split("/")
    names = (name_download(part, fallback="", suffix="", media_type="")[0] for part in sent)
    return [name for name in names if name]


class _Sink(io.RawIOBase):
    """A file that cannot seek: what was written is taken away in pieces."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        """Return that it can be written."""
        return True

    def write(self, piece: bytes) -> int:  # type: ignore[override]  # zipfile writes bytes alone
        """Keep a piece."""
        self._pieces.append(bytes(piece))
        return len(piece)

    def take(self) -> bytes:
        """Return what was written since the last call."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
