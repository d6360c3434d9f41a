"""Processes photos of a folder, several at once, and records every step in the journal."""

import dataclasses
import errno
import functools
import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Final

from smart_filter_client import Client, Job
from smart_filter_client.errors import Gone, InvalidRequest, NotFinishedInTime, NotFound, Refused
from smart_filter_deploy.cli.batch import drawings
from smart_filter_deploy.cli.batch.journal import FAILED, SENT, SUCCEEDED, Journal, JournalEntry
from smart_filter_deploy.cli.batch.retry import RetryingClient, StoppedWhileAway
from smart_filter_deploy.cli.batch.watch import FoundPhoto
from smart_filter_deploy.cli.server import submit_and_fetch
from smart_filter_deploy.cli.server.connection import is_about_usage, to_command_error
from smart_filter_deploy.cli.server.submit_and_fetch import PhotoRequest
from smart_filter_deploy.cli.terminal.exit_codes import PHOTO_FAILED, CommandError
from smart_filter_deploy.cli.terminal.outputs import Failure, OutputPaths, make_failure
from smart_filter_deploy.cli.terminal.signals import StopFlag
from smart_filter_shared.security.photo_header import MAX_PHOTO_BYTES
from smart_filter_wire.catalog import SavedRecipe

# Long-poll time of one request; a second Ctrl-C takes effect after it.
_POLL_SECONDS = 2.0
# Write errors that every other photo would meet too.
_FATAL_WRITE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
_IMAGE = "image"
# Of a file that is hashed.
_PIECE_BYTES = 1024 * 1024


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

    def take(self, photo: FoundPhoto, *, again: bool) -> JournalEntry:
        """Process a photo; return its final entry.

        again: whether to retry a photo that failed before.
        Raises StoppedWhileAway, and CommandError for an error that every photo would meet.
        """
        started = time.monotonic()
        self._tell(photo.name, "reading")
        content, failure = read_photo(photo)
        wanted, recipe = self._wanted, self.recipe
        try:
            wanted, recipe = drawings.add_drawings(wanted, photo.name, recipe)
        except (OSError, ValueError) as error:
            failure = failure or submit_and_fetch.read_failure(error)
        entry = self._begin(photo, content, failure, recipe=recipe, again=again)
        if entry.is_final:
            return entry
        return self.finish(entry, content, wanted, started=started)

    def finish(
        self, entry: JournalEntry, content: bytes, wanted: PhotoRequest, *, started: float
    ) -> JournalEntry:
        """Submit a photo unless its job exists, and write its outputs; return its final entry.

        content: the photo's bytes.  wanted: with its mask or strokes.
        started: when its work began, on the monotonic clock.
        Raises as `take` does.
        """
        try:
            entry, job = self._finish(entry, content, wanted)
        except Refused as error:
            if is_about_usage(error) and not drawings.is_about_drawing(error):
                raise to_command_error(error) from error
            return self._end(entry, None, submit_and_fetch.refusal_failure(error), started)
        except OSError as error:
            if error.errno in _FATAL_WRITE_ERRORS:
                raise CommandError(
                    f"cannot write into {self._journal.folder} ({error.strerror}): free some"
                    " space and run the command again; it continues where it stopped",
                    PHOTO_FAILED,
                ) from error
            return self._end(entry, None, submit_and_fetch.write_failure(error), started)
        return self._end(entry, job, submit_and_fetch.find_failure(job), started)

    def _begin(
        self,
        photo: FoundPhoto,
        content: bytes,
        failure: Failure | None,
        *,
        recipe: str,
        again: bool,
    ) -> JournalEntry:
        """Return the recorded entry of a photo, or a new one; the final one with a failure."""
        size, modified_ns = photo.version
        earlier = self._journal.entry(photo.name)
        entry = JournalEntry(
            photo=photo.name,
            place=self._journal.place(photo.name),
            bytes=size,
            modified_ns=modified_ns,
            digest=hashlib.sha256(content).hexdigest(),
            recipe=recipe,
            number=self._journal.number(photo.name),
        )
        if failure is not None:
            return self._end(entry, None, failure, time.monotonic())
        if earlier is None or (earlier.digest, earlier.recipe) != (entry.digest, entry.recipe):
            return self._noted(entry)
        entry = dataclasses.replace(earlier, bytes=size, modified_ns=modified_ns)
        if entry.state == SUCCEEDED and not self._journal.has_pictures(entry):
            entry = dataclasses.replace(entry, state=SENT)  # its job may still have the outputs
        elif entry.is_final and entry.state != SUCCEEDED and again:
            entry = _restart_entry(entry)
        return self._noted(entry)

    def _finish(
        self, entry: JournalEntry, content: bytes, wanted: PhotoRequest
    ) -> tuple[JournalEntry, Job]:
        """Submit a photo unless its job exists, wait for the job, and write its outputs."""
        is_new = False
        while True:
            try:
                if entry.job_id is None:
                    entry = self._sent(entry, content, wanted)
                job = self._awaited(entry)
                return self._fetched(entry, job), job
            except (Gone, NotFound, InvalidRequest) as error:
                # The job expired, or belongs to another server.
                may_be_old = not isinstance(error, InvalidRequest)
                # Alone, a photo of an album would not be ranked.
                if (
                    is_new
                    or entry.album
                    or not (may_be_old or error.code == "idempotency_mismatch")
                ):
                    raise
                is_new = True
                entry = self._noted(_restart_entry(entry))

    def _sent(self, entry: JournalEntry, content: bytes, wanted: PhotoRequest) -> JournalEntry:
        def submit(client: Client) -> Job:
            return client.submit(
                content,
                wanted.recipe,
                background_file=wanted.background_file,
                mask_file=wanted.mask_file,
                strokes=wanted.strokes,
                photo_name=PurePosixPath(entry.photo).name,
                idempotency_key=entry.key,
            )

        self._tell(entry.photo, "sending")
        job = self._patience.ask(submit)
        return self._noted(dataclasses.replace(entry, job_id=job.id, state=SENT))

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
        """Write the outputs of a job; return the entry with their paths."""
        if not job.succeeded:
            return entry
        self._tell(entry.photo, "fetching")
        place = PurePosixPath(entry.place)
        folder = self._journal.folder / place.parent
        folder.mkdir(parents=True, exist_ok=True)
        where = OutputPaths(self._journal.folder / entry.photo, folder, place.name, None)
        pattern = job.recipe.get("filename")
        if pattern:
            # In an album the server knows the numbers.
            number = "{n}" if entry.album else str(self._journal.number(entry.photo))
            where = dataclasses.replace(
                where,
                filename=str(pattern).replace("{n}", number),
                claim=functools.partial(self._journal.claim_file, entry.photo),
            )
        image, others = self._patience.ask(
            lambda client: submit_and_fetch.fetch_outputs(client, job, where)
        )
        files = others if image is None else {_IMAGE: image, **others}
        outputs = {
            name: path.relative_to(self._journal.folder).as_posix() for name, path in files.items()
        }
        # With the number that its files got.
        return dataclasses.replace(self._journal.entry(entry.photo) or entry, outputs=outputs)

    def _end(
        self, entry: JournalEntry, job: Job | None, failure: Failure | None, started: float
    ) -> JournalEntry:
        """Record the outcome of a photo; return its entry."""
        result = entry if job is None else self._with_findings(entry, job)
        return self._noted(
            dataclasses.replace(
                result,
                state=FAILED if job is None else job.state,
                seconds=round(time.monotonic() - started, 3),
                code=None if failure is None else failure.code,
                error=None if failure is None else failure.detail or failure.title,
            )
        )

    def _with_findings(self, entry: JournalEntry, job: Job) -> JournalEntry:
        faces = job.faces
        levels = [face.smile.level for face in faces or () if face.smile is not None]
        return dataclasses.replace(
            entry,
            people=job.people,
            faces=None if faces is None else len(faces),
            smile=tuple(levels),
            rating=None if job.rating is None else round(job.rating.score, 4),
            printability=None if job.printability is None else job.printability.verdict,
            rank=job.rank,
            reasons=self._name_reasons(job),
        )

    def _name_reasons(self, job: Job) -> tuple[str, ...]:
        """Return the reasons for a photo's rank, with the name of a better photo for its id."""
        terms = job.rank_terms
        if terms is None:
            return ()
        names = (entry.photo for entry in self._journal.entries() if entry.job_id == terms.better)
        better = next(names, terms.better)
        return tuple(
            reason.replace(terms.better, better) if terms.better and better else reason
            for reason in terms.reasons
        )

    def _noted(self, entry: JournalEntry) -> JournalEntry:
        if entry != self._journal.entry(entry.photo):
            self._journal.note(entry)
        return entry


def recipe_digest(wanted: PhotoRequest, saved: Sequence[SavedRecipe] = ()) -> str:
    """Return a digest of the recipe, background file included: SHA-256 in hexadecimal.

    saved: the recipes that it names.  Raises OSError when that file cannot be read.
    """
    album = {} if wanted.best is None else {"best of an album": wanted.best}
    contents = {"saved recipes": {entry.name: entry.recipe for entry in saved}} if saved else {}
    whole = {**wanted.recipe, **album, **contents}
    digest = hashlib.sha256(json.dumps(whole, sort_keys=True, default=dict).encode())
    if wanted.background_file is not None:
        with wanted.background_file.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
    return digest.hexdigest()


def read_photo(photo: FoundPhoto) -> tuple[bytes, Failure | None]:
    """Return a photo's bytes, or why they cannot be read."""
    try:
        with photo.path.open("rb") as file:
            # The file may have grown since it was found.
            content = file.read(MAX_PHOTO_BYTES + 1)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        return b"", submit_and_fetch.read_failure(error)
    if len(content) > MAX_PHOTO_BYTES:
        detail = f"{size / 1e6:.0f} MB; the limit is {MAX_PHOTO_BYTES / 1e6:.0f} MB"
        return b"", make_failure("photo_too_large", "The photo is too large", detail)
    return content, None


def _restart_entry(entry: JournalEntry) -> JournalEntry:
    """Return the entry of a photo that starts over, under a new Idempotency-Key."""
    return JournalEntry(
        **{
            name: getattr(entry, name)
            for name in (
                "photo",
                "place",
                "bytes",
                "modified_ns",
                "digest",
                "recipe",
                "number",
                "copy",
            )
        },
        again=secrets.token_hex(8),
    )


def _current_stage(job: Job) -> str:
    """Return the running stage of a job, else its state."""
    running = [stage.name for stage in job.stages if stage.state == "running"]
    return running[0] if running else job.state
