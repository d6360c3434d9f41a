"""Photos on their way through a server: submitted together, awaited, fetched."""

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from smart_filter_client import Client, Job
from smart_filter_client import errors as client_errors
from smart_filter_client.errors import NotFinishedInTime, Refused, TryLater
from smart_filter_client.models import Failure
from smart_filter_deploy.cli.connection import is_about_usage
from smart_filter_deploy.cli.outcome import Outcome
from smart_filter_deploy.cli.photos import Place
from smart_filter_deploy.cli.progress import Progress

# Outputs that are files of their own.
BESIDE_THE_PICTURE = {"cutout", "matte", "persons", "zip", "thumbnail", "debug"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for every photo: fields of the recipe, and the background's file."""

    recipe: Mapping[str, Sequence[str]]
    background_file: Path | None = None


def process(
    client: Client,
    places: Sequence[Place],
    wanted: Wanted,
    *,
    timeout: float | None,
    progress: Progress,
    on_outcome: Callable[[int, Outcome], None],
) -> None:
    """Put every photo through; tell the outcome of each, by its index in `places`.

    timeout: seconds for all of them together, once they are sent; None for ever.
    What is still under way when this ends early, by Ctrl-C too, is withdrawn.
    Raises what the client raises when it is not about a single photo.
    """
    sent: dict[str, tuple[int, float]] = {}  # by job id: index, and when on the monotonic clock

    def end(index: int, started: float, job: Job | None, failure: Failure | None) -> None:
        image: Path | None = None
        beside: dict[str, Path] = {}
        if job is not None and failure is None:
            try:
                image, beside = fetch(client, job, places[index])
            except OSError as error:
                failure = unwritable(error)
            except Refused as error:
                failure = refused(error)
        took = time.monotonic() - started
        on_outcome(index, Outcome(places[index], job, image, beside, failure, took))

    with _withdrawn_on_error(client, sent):
        for index, place in enumerate(places):
            started = time.monotonic()
            job, failure = submit(client, place.photo, wanted)
            if job is None:
                end(index, started, None, failure)
                continue
            sent[job.id] = (index, started)
            progress.add(place.photo.name, job)
        try:
            for job in client.finished(list(sent), timeout, progress.update):
                index, started = sent.pop(job.id)
                end(index, started, job, failure_of(job))
        except NotFinishedInTime as error:
            for job_id in error.job_ids:
                index, started = sent.pop(job_id)
                end(index, started, *_withdraw_late(client, job_id, error.seconds))


def submit(client: Client, photo: Path, wanted: Wanted) -> tuple[Job | None, Failure | None]:
    """Send one photo; return its job, or why there is none.

    Raises what is not about this photo alone.
    """
    try:
        return client.submit(photo, wanted.recipe, background_file=wanted.background_file), None
    except TryLater:
        raise
    except Refused as error:
        if is_about_usage(error):
            raise
        return None, refused(error)
    except OSError as error:
        return None, unreadable(error)


def failure_of(job: Job) -> Failure | None:
    """Return why a job that has ended has no result; None when it succeeded."""
    if job.succeeded:
        return None
    return job.error or Failure(job.state, f"The job was {job.state}", "", None)


def line_of(job: Job | None, failure: Failure | None) -> dict[str, object]:
    """Return what became of a photo for a program: its job as the API has it, or an error."""
    line: dict[str, object] = {"id": None, "state": "failed", "image": None, "outputs": {}}
    if job is not None:
        line = dict(job.document)
    if failure is not None and not line.get("error"):
        line["error"] = {
            "code": failure.code,
            "title": failure.title,
            "detail": failure.detail,
            "stage": failure.stage,
        }
    return line


def fetch(client: Client, job: Job, place: Place) -> tuple[Path | None, dict[str, Path]]:
    """Write what a job has made; return where the picture and what is beside it are.

    Raises what the client raises, and OSError when something cannot be written.
    """
    image, beside = None, {}
    if "image" in job.outputs and job.image is not None:
        image = place.image(job.image.format)
        client.download(job.id, "image", image)
    for name in sorted(BESIDE_THE_PICTURE & set(job.outputs)):
        # Named after its format, which the answer tells.
        beside[name] = client.download(job.id, name, functools.partial(place.beside, name))
    return image, beside


def refused(error: Refused) -> Failure:
    """Return a refusal as what went wrong with a photo."""
    return Failure(error.code, error.title, error.detail, None)


def unreadable(error: OSError) -> Failure:
    """Return that a photo cannot be read."""
    return Failure("unreadable", "The photo cannot be read", str(error), None)


def unwritable(error: OSError) -> Failure:
    """Return that a result cannot be written."""
    return Failure("unwritable", "The result cannot be written", str(error), None)


def _withdraw_late(client: Client, job_id: str, seconds: float) -> tuple[Job, Failure | None]:
    """Withdraw a job for which nobody waits any more; it may have ended meanwhile."""
    try:
        job = client.cancel(job_id)
    except Refused:
        job = client.job(job_id)
    if job.succeeded:
        return job, None
    detail = f"not finished within {seconds:g} s, and withdrawn"
    return job, job.error or Failure("timeout", "It took too long", detail, None)


@contextmanager
def _withdrawn_on_error(client: Client, sent: Mapping[str, object]) -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, SystemExit, client_errors.Error):
        for job_id in sent:
            # As well as it can be done: the server may be what went away.
            try:
                client.cancel(job_id)
            except Refused:
                continue
            except (client_errors.Error, KeyboardInterrupt):
                break
        raise
