"""Sends photos of a folder, waits for their jobs, and writes the outputs; the journal has the jobs.

The same photo and recipe are one job however often they are sent, because the Idempotency-Key
follows from them: a command that was killed before it noted a job finds that job again.

Masks and strokes have the photos' names in another folder.
"""

import dataclasses
import errno
import functools
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from smart_filter_client import Client, Job
from smart_filter_client.errors import Gone, InvalidRequest, NotFinishedInTime, NotFound, Refused
from smart_filter_deploy.cli.batch.journal import Journal, JournalEntry
from smart_filter_deploy.cli.batch.report import Row, failed_row, job_row, known_row
from smart_filter_deploy.cli.batch.retry import RetryingClient, StoppedWhileAway
from smart_filter_deploy.cli.batch.watch import FoundPhoto
from smart_filter_deploy.cli.server import submit_and_fetch
from smart_filter_deploy.cli.server.connection import is_about_usage, to_command_error
from smart_filter_deploy.cli.server.submit_and_fetch import PhotoRequest, read_strokes
from smart_filter_deploy.cli.terminal.exit_codes import PHOTO_FAILED, CommandError
from smart_filter_deploy.cli.terminal.outputs import Failure, OutputPaths, make_failure
from smart_filter_deploy.cli.terminal.signals import StopFlag
from smart_filter_shared.security.photo_header import MAX_PHOTO_BYTES
from smart_filter_wire.catalog import SavedRecipe

# Long-poll time of one request; a second Ctrl-C takes effect after it.
_POLL_SECONDS = 2.0
# Write errors that every other photo would meet too.
_FATAL_WRITE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
# A job that is gone, or that failed, and then the one that was to replace it.
_MAX_RESTARTS: Final = 2
_NOT_IN_ALBUM: Final = make_failure(
    "unreadable",
    "The photo could not be read when its album was submitted",
    remedy="--retry-failed submits the album again.",
)

MASK, STROKES = ".png", ".json"
_FIELDS = ("/mask_file", "/strokes")


class PhotoFailed(Exception):
    """A photo cannot be sent."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure: Final = failure


class PhotoWorker:
    """Processes one photo: read, submit, wait, write.

    journal: of the output folder.  wanted: the recipe.  recipe: its digest.
    tell: called from any thread with a photo's name and its current step, in one or two words.
    """

    def __init__(
        self,
        patience: RetryingClient,
        journal: Journal,
        wanted: PhotoRequest,
        *,
        recipe: str,
        stop: StopFlag,
        tell: Callable[[str, str], None],
    ) -> None:
        self._patience = patience
        self._journal = journal
        self._wanted = wanted
        self.recipe: Final = recipe
        self._stop = stop
        self._tell = tell

    def take(self, photo: FoundPhoto, *, again: bool) -> Row:
        """Process a photo; return its outcome.

        again: whether to send a photo again whose job has failed.
        Raises StoppedWhileAway, and CommandError for an error that every photo would meet.
        """
        self._tell(photo.name, "reading")
        try:
            wanted, recipe = add_drawings(self._wanted, photo.name, self.recipe)
        except (OSError, ValueError) as error:
            return failed_row(photo.name, submit_and_fetch.read_failure(error))
        try:
            entry = self._entry_of(photo, recipe)
            return self.finish(entry, photo, wanted, again=again)
        except PhotoFailed as error:
            return failed_row(photo.name, error.failure)

    def finish(
        self,
        entry: JournalEntry,
        photo: FoundPhoto | None = None,
        wanted: PhotoRequest | None = None,
        *,
        again: bool = False,
    ) -> Row:
        """Submit a photo unless it has a job, and write the job's outputs; return the outcome.

        photo, wanted: None for a take, which is not sent.
        Raises PhotoFailed, and as `take` does.
        """
        try:
            entry, job = self._finish(entry, photo, wanted, again=again)
        except Refused as error:
            if is_about_usage(error) and not is_about_drawing(error):
                raise to_command_error(error) from error
            failure = submit_and_fetch.refusal_failure(error)
        except OSError as error:
            if error.errno in _FATAL_WRITE_ERRORS:
                raise CommandError(
                    f"cannot write into {self._journal.folder} ({error.strerror}): free some"
                    " space and run the command again; it continues where it stopped",
                    PHOTO_FAILED,
                ) from error
            failure = submit_and_fetch.write_failure(error)
        else:
            return job_row(entry, job, self._journal)
        return failed_row(entry.photo, failure, entry.job_id)

    def read_row(self, entry: JournalEntry) -> Row:
        """Return what the service knows of a photo now.  Raises StoppedWhileAway."""
        job_id = entry.job_id
        if job_id is not None:
            try:
                job = self._patience.ask(lambda client: client.job(job_id))
            except (Gone, NotFound):
                pass
            else:
                return job_row(entry, job, self._journal)
        return known_row(entry, self._journal.folder)

    def _entry_of(self, photo: FoundPhoto, recipe: str) -> JournalEntry:
        """Return the entry of a photo as it is now; one without a job when it must be sent.

        Raises PhotoFailed.
        """
        entry = self._journal.entry(photo.name)
        if entry is not None and entry.recipe == recipe:
            if entry.album and entry.job_id is None:
                read_photo(photo)  # which says why it was not sent
                raise PhotoFailed(_NOT_IN_ALBUM)
            if entry.version == photo.version:
                return entry
            if entry.digest == hashlib.sha256(read_photo(photo)).hexdigest():
                size, modified_ns = photo.version
                entry = dataclasses.replace(entry, bytes=size, modified_ns=modified_ns)
                return self._journal.note(entry)
        return new_entry(self._journal, photo, recipe)

    def _finish(
        self,
        entry: JournalEntry,
        photo: FoundPhoto | None,
        wanted: PhotoRequest | None,
        *,
        again: bool,
    ) -> tuple[JournalEntry, Job]:
        """Submit a photo unless its job exists, wait for the job, and write its outputs."""
        may_send = photo is not None and wanted is not None and not entry.album
        replaced = ""
        for restarts in range(_MAX_RESTARTS + 1):
            is_known = entry.job_id is not None
            try:
                if photo is not None and wanted is not None and not is_known:
                    entry = self._sent(entry, photo, wanted, replaced)
                job = self._awaited(entry)
                if job.succeeded or not (again and is_known and may_send):
                    return self._fetched(entry, job), job
                again = False
            except (Gone, NotFound, InvalidRequest) as error:
                # The job expired, or belongs to another server. Alone, a photo of an album would
                # not be ranked.
                is_old = (
                    not isinstance(error, InvalidRequest) or error.code == "idempotency_mismatch"
                )
                if not (is_old and may_send) or restarts == _MAX_RESTARTS:
                    raise
            replaced = entry.job_id or secrets.token_hex(8)
            entry = dataclasses.replace(entry, job_id=None)
        raise AssertionError("the last restart returns or raises")

    def _sent(
        self, entry: JournalEntry, photo: FoundPhoto, wanted: PhotoRequest, replaced: str
    ) -> JournalEntry:
        """Submit a photo; replaced: the job whose place its job takes."""
        content = read_photo(photo)
        digest = hashlib.sha256(content).hexdigest()
        entry = dataclasses.replace(entry, digest=digest, is_done=False)
        key = choose_key(entry, replaced)

        def submit(client: Client) -> Job:
            return client.submit(
                content,
                wanted.recipe,
                background_file=wanted.background_file,
                mask_file=wanted.mask_file,
                strokes=wanted.strokes,
                photo_name=PurePosixPath(entry.photo).name,
                idempotency_key=key,
            )

        self._tell(entry.photo, "sending")
        job = self._patience.ask(submit)
        return self._journal.note(dataclasses.replace(entry, job_id=job.id))

    def _awaited(self, entry: JournalEntry) -> Job:
        job_id = entry.job_id or ""
        looks = 0

        def look(job: Job) -> None:
            nonlocal looks
            looks += 1
            self._tell(entry.photo, _current_stage(job))

        while True:
            before = looks
            try:
                return self._patience.ask(lambda client: client.wait(job_id, _POLL_SECONDS, look))
            except NotFinishedInTime:
                if looks == before:
                    # The server did not answer at all; this request raises the reason.
                    self._patience.ask(lambda client: client.job(job_id))
            if self._stop.at_once:
                raise StoppedWhileAway

    def _fetched(self, entry: JournalEntry, job: Job) -> JournalEntry:
        """Write the outputs of a job that succeeded; return the entry with their paths."""
        if not job.succeeded or self._journal.has_pictures(entry):
            return entry
        self._tell(entry.photo, "fetching")
        place = PurePosixPath(entry.place)
        folder = self._journal.folder / place.parent
        folder.mkdir(parents=True, exist_ok=True)
        # Of a take, the name that it has in the journal.
        pattern = job.recipe.get("filename") or ("{name}" if entry.number else place.name)
        # In an album the server knows the numbers.
        number = "{n}" if entry.album else str(self._journal.number(entry.photo))
        where = OutputPaths(
            self._journal.folder / entry.photo,
            folder,
            place.name,
            None,
            filename=str(pattern).replace("{n}", number),
            claim=functools.partial(self._journal.claim_file, entry.photo),
        )
        image, others = self._patience.ask(
            lambda client: submit_and_fetch.fetch_outputs(client, job, where)
        )
        files = others if image is None else {"image": image, **others}
        outputs = {
            name: path.relative_to(self._journal.folder).as_posix() for name, path in files.items()
        }
        # With the number that its files got.
        entry = self._journal.entry(entry.photo) or entry
        return self._journal.note(dataclasses.replace(entry, outputs=outputs, is_done=True))


def new_entry(journal: Journal, photo: FoundPhoto, recipe: str) -> JournalEntry:
    """Return the entry of a photo that is to be sent, not noted yet; its files keep their names."""
    size, modified_ns = photo.version
    earlier = journal.entry(photo.name)
    return JournalEntry(
        photo=photo.name,
        place=journal.place(photo.name),
        bytes=size,
        modified_ns=modified_ns,
        digest="",
        recipe=recipe,
        number=journal.number(photo.name),
        copy=1 if earlier is None else earlier.copy,
        outputs={} if earlier is None else earlier.outputs,
    )


def choose_key(entry: JournalEntry, replaced: str = "") -> str:
    """Return the Idempotency-Key of a photo: with the same recipe it is one job.

    So is its name, which names of files may hold.  replaced: the job whose place its job takes.
    """
    text = f"{entry.digest} {entry.recipe} {replaced} {PurePosixPath(entry.photo).name!r}"
    return f"batch-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def recipe_digest(wanted: PhotoRequest, saved: Sequence[SavedRecipe] = ()) -> str:
    """Return a digest of the recipe, background file included: SHA-256 in hexadecimal.

    saved: the recipes that it names.  Raises OSError when that file cannot be read.
    """
    album = {} if wanted.best is None else {"best of an album": wanted.best}
    contents = {"saved recipes": {entry.name: entry.recipe for entry in saved}} if saved else {}
    whole: dict[str, object] = {**wanted.recipe, **album, **contents}
    if wanted.background_file is not None:
        whole["background file"] = digest_file(wanted.background_file)
    return hashlib.sha256(json.dumps(whole, sort_keys=True, default=dict).encode()).hexdigest()


def read_photo(photo: FoundPhoto) -> bytes:
    """Return a photo's bytes.  Raises PhotoFailed."""
    try:
        with photo.path.open("rb") as file:
            # The file may have grown since it was found.
            content = file.read(MAX_PHOTO_BYTES + 1)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise PhotoFailed(submit_and_fetch.read_failure(error)) from error
    if len(content) > MAX_PHOTO_BYTES:
        detail = f"{size / 1e6:.0f} MB; the limit is {MAX_PHOTO_BYTES / 1e6:.0f} MB"
        raise PhotoFailed(make_failure("photo_too_large", "The photo is too large", detail))
    return content


def _current_stage(job: Job) -> str:
    """Return the running stage of a job, else its state."""
    running = [stage.name for stage in job.stages if stage.state == "running"]
    return running[0] if running else job.state


def count_drawings(folder: Path, photos: Sequence[str]) -> str:
    """Return a sentence with the number of photos that have a drawing in a folder.

    photos: their names.  Raises CommandError when there is none for any of these photos.
    """
    drawn = sum(bool(_find_drawings(folder, photo)) for photo in photos)
    if photos and not drawn:
        name = PurePosixPath(photos[0])
        raise CommandError(
            f"{folder} has no mask and no strokes for any photo: those of {name} are"
            f" {name.with_suffix(MASK)} or {name.with_suffix(STROKES)} there"
        )
    return f"{drawn} of {len(photos)} photos have a mask or strokes in {folder}"


def add_drawings(wanted: PhotoRequest, photo: str, recipe: str) -> tuple[PhotoRequest, str]:
    """Return the request of a photo with its mask or its strokes, and the digest of both.

    photo: its name below the folder.  recipe: digest of the request alone.
    Raises OSError, and ValueError for wrong strokes.
    """
    files = _find_drawings(wanted.drawings, photo)
    mask, strokes = files.get(MASK), files.get(STROKES)
    drawn = () if strokes is None else read_strokes(strokes)
    for suffix, path in files.items():
        text = f"{recipe} {suffix} {digest_file(path)}"
        recipe = hashlib.sha256(text.encode()).hexdigest()
    return dataclasses.replace(wanted, mask_file=mask, strokes=drawn), recipe


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal.  Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_about_drawing(error: Refused) -> bool:
    """Return whether a photo is refused for its mask or strokes, and others need not be."""
    return bool(error.errors) and all(wrong.pointer.startswith(_FIELDS) for wrong in error.errors)


def _find_drawings(folder: Path | None, photo: str) -> dict[str, Path]:
    if folder is None:
        return {}
    path = folder / photo
    files = {suffix: path.with_suffix(suffix) for suffix in (MASK, STROKES)}
    return {suffix: file for suffix, file in files.items() if file.is_file()}
