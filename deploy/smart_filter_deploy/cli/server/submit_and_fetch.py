"""Submits photos together, waits for their jobs, and downloads the outputs."""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from smart_filter_client import Client, Job, Recipe, Stroke
from smart_filter_client import errors as client_errors
from smart_filter_client.errors import NotFinishedInTime, Refused, TryLater
from smart_filter_deploy.cli.server.connection import is_about_usage
from smart_filter_deploy.cli.terminal.outputs import (
    SEPARATE_FILES,
    Failure,
    Outcome,
    OutputPaths,
    make_failure,
)
from smart_filter_deploy.cli.terminal.progress import Progress
from smart_filter_shared import documents

# The servers' limit for what is drawn, as for a mask.
_MAX_STROKES_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class PhotoRequest:
    """The request for every photo: recipe fields, the background's file, and what is drawn over it.

    drawings: folder of masks and strokes under the photos' names, in place of one for all.
    best: makes the photos one album, and how many of it are composed, or their take; None: no
    album.
    """

    recipe: Recipe
    background_file: Path | None = None
    mask_file: Path | None = None
    strokes: Sequence[Stroke] = ()
    drawings: Path | None = None
    best: int | Literal["take"] | None = None


def process_photos(
    client: Client,
    places: Sequence[OutputPaths],
    wanted: PhotoRequest,
    *,
    timeout: float | None,
    progress: Progress,
    on_outcome: Callable[[int, Outcome], None],
) -> None:
    """Process every photo; report the outcome of each by its index in `places`.

    timeout: seconds for all photos together, once they are sent; None waits without limit.
    Cancels unfinished jobs when it ends early, also by Ctrl-C.
    Raises the client's errors that do not concern a single photo.
    """
    sent: dict[str, tuple[int, float]] = {}  # by job id: index, and when on the monotonic clock

    def end(index: int, started: float, job: Job | None, failure: Failure | None) -> None:
        image: Path | None = None
        others: dict[str, Path] = {}
        if job is not None and failure is None:
            try:
                image, others = fetch_outputs(client, job, places[index])
            except OSError as error:
                failure = write_failure(error)
            except Refused as error:
                failure = refusal_failure(error)
        took = time.monotonic() - started
        on_outcome(index, Outcome(places[index], job, image, others, failure, took))

    with _cancel_on_error(client, sent):
        for index, place in enumerate(places):
            started = time.monotonic()
            job, failure = submit_photo(client, place.photo, wanted)
            if job is None:
                end(index, started, None, failure)
                continue
            sent[job.id] = (index, started)
            progress.add(place.photo.name, job)
        try:
            for job in client.finished(list(sent), timeout, progress.update):
                index, started = sent.pop(job.id)
                end(index, started, job, find_failure(job))
        except NotFinishedInTime as error:
            for job_id in error.job_ids:
                index, started = sent.pop(job_id)
                end(index, started, *_cancel_late(client, job_id, error.seconds))


def submit_photo(
    client: Client, photo: Path, wanted: PhotoRequest
) -> tuple[Job | None, Failure | None]:
    """Submit one photo; return its job, or why it was refused.

    Raises the client's errors that do not concern this photo alone.
    """
    try:
        job = client.submit(
            photo,
            wanted.recipe,
            background_file=wanted.background_file,
            mask_file=wanted.mask_file,
            strokes=wanted.strokes,
        )
    except TryLater:
        raise
    except Refused as error:
        if is_about_usage(error):
            raise
        return None, refusal_failure(error)
    except OSError as error:
        return None, read_failure(error)
    return job, None


def read_strokes(path: Path) -> tuple[Stroke, ...]:
    """Return the strokes in a file.  Raises OSError, and ValueError when it has anything else."""
    try:
        content = documents.read_file(path, most_bytes=_MAX_STROKES_BYTES)
        return tuple(Stroke(**entry) for entry in documents.parse_json(content))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a JSON list of strokes: {error}") from error


def find_failure(job: Job) -> Failure | None:
    """Return why a finished job has no result; None when it succeeded."""
    if job.succeeded:
        return None
    return job.error or make_failure(job.state, f"The job was {job.state}")


def to_document(job: Job | None, failure: Failure | None) -> dict[str, object]:
    """Return the JSON document of a photo: the API's job, or an error."""
    line: dict[str, object] = {"id": None, "state": "failed", "image": None, "outputs": {}}
    if job is not None:
        line = dict(job.document)
    if failure is not None and not line.get("error"):
        shown = dataclasses.asdict(failure)
        shown.pop("errors", None)
        line["error"] = shown
    return line


def fetch_outputs(
    client: Client, job: Job, place: OutputPaths
) -> tuple[Path | None, dict[str, Path]]:
    """Download the outputs of a job; return the picture's path, and the other paths by name.

    Raises the client's errors, and OSError when a file cannot be written.
    """
    image: Path | None = None
    others: dict[str, Path] = {}
    if "image" in job.outputs and job.image is not None:
        name_picture = functools.partial(place.picture, job.image.format)
        image = client.download(job.id, "image", name_picture, filename=place.filename)
    separate = sorted(SEPARATE_FILES & set(job.outputs))
    for name in separate:
        # The response's media type decides the file's extension.
        alone = image is None and len(separate) == 1
        name_file = functools.partial(place.other, name, alone=alone)
        others[name] = client.download(job.id, name, name_file, filename=place.filename)
    return image, others


def refusal_failure(error: Refused) -> Failure:
    """Return a refusal as the failure of a photo."""
    return make_failure(error.code, error.title, error.detail, error.remedy)


def read_failure(error: OSError | ValueError) -> Failure:
    """Return the failure of a photo that cannot be read, or the drawing over it."""
    return make_failure("unreadable", "The photo cannot be read", str(error))


def write_failure(error: OSError) -> Failure:
    """Return the failure of a result that cannot be written."""
    return make_failure("unwritable", "The result cannot be written", str(error))


def _cancel_late(client: Client, job_id: str, seconds: float) -> tuple[Job, Failure | None]:
    """Cancel a job after the timeout; return it without a failure if it has succeeded meanwhile."""
    try:
        job = client.cancel(job_id)
    except Refused:
        job = client.job(job_id)
    if job.succeeded:
        return job, None
    detail = f"not finished within {seconds:g} s, and canceled"
    return job, job.error or make_failure("timeout", "It took too long", detail)


@contextmanager
def _cancel_on_error(client: Client, sent: Mapping[str, object]) -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, SystemExit, client_errors.Error):
        for job_id in sent:
            # Best effort: the server itself may be unreachable.
            try:
                client.cancel(job_id)
            except Refused:
                continue
            except (client_errors.Error, KeyboardInterrupt):
                break
        raise
