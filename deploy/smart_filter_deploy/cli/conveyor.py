"""Takes photos of a folder through a server, several at once, and notes every step."""

import dataclasses
import errno
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Final

from smart_filter_client import Client, Job
from smart_filter_client.errors import Gone, InvalidRequest, NotFinishedInTime, NotFound, Refused
from smart_filter_client.models import Failure
from smart_filter_deploy.cli import passage
from smart_filter_deploy.cli.connection import ending_of, is_about_usage
from smart_filter_deploy.cli.endings import PHOTO_FAILED, Ending
from smart_filter_deploy.cli.journal import SENT, SUCCEEDED, Entry, Journal
from smart_filter_deploy.cli.passage import Wanted
from smart_filter_deploy.cli.patience import GivenUp, Patience
from smart_filter_deploy.cli.photo_folder import Found
from smart_filter_deploy.cli.photos import Place
from smart_filter_deploy.cli.stopping import Stop

# What servers take at most (docs/contract.md); nothing larger is read into memory for it.
_MOST_BYTES = 40_000_000
# So long the server holds a question; who is asked to stop at once is heard after it.
_LOOK_SECONDS = 2.0
# No other photo could be written either.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
_IMAGE = "image"


class Conveyor:
    """The way of a photo: read, sent, awaited, written.

    journal: of the folder for the pictures.  wanted: what is asked for.
    tell: told where a photo is by now, in a word or two; from any thread.
    """

    def __init__(
        self,
        patience: Patience,
        journal: Journal,
        wanted: Wanted,
        *,
        stop: Stop,
        tell: Callable[[str, str], None],
    ) -> None:
        self._patience = patience
        self._journal = journal
        self._wanted = wanted
        self.recipe: Final = recipe_digest(wanted)
        self._stop = stop
        self._tell = tell

    def take(self, found: Found, *, again: bool) -> Entry:
        """Take a photo through; return what became of it.

        again: also when it is known to have failed.
        Raises GivenUp, and Ending for what every photo would meet.
        """
        started = time.monotonic()
        self._tell(found.name, "reading")
        entry, content = self._begin(found, again=again)
        if entry.is_final:
            return entry
        try:
            entry, job = self._finish(entry, content)
        except Refused as error:
            if is_about_usage(error):
                raise ending_of(error) from error
            return self._end(entry, None, passage.refused(error), started)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise Ending(
                    f"nothing more can be written into {self._journal.folder} ({error.strerror}):"
                    " make room and begin again, nothing is done twice",
                    PHOTO_FAILED,
                ) from error
            return self._end(entry, None, passage.unwritable(error), started)
        return self._end(entry, job, passage.failure_of(job), started)

    def _begin(self, found: Found, *, again: bool) -> tuple[Entry, bytes]:
        """Read a photo; return where it stands: where it stood, or at the beginning."""
        size, modified_ns = found.version
        content, failure = _read(found)
        known = self._journal.entry(found.name)
        entry = Entry(
            photo=found.name,
            place=self._journal.place(found.name),
            bytes=size,
            modified_ns=modified_ns,
            digest=hashlib.sha256(content).hexdigest(),
            recipe=self.recipe,
        )
        if failure is not None:
            return self._end(entry, None, failure, time.monotonic()), b""
        if known is None or (known.digest, known.recipe) != (entry.digest, entry.recipe):
            return self._noted(entry), content
        entry = dataclasses.replace(known, bytes=size, modified_ns=modified_ns)
        if entry.state == SUCCEEDED and not self._journal.has_pictures(entry):
            entry = dataclasses.replace(entry, state=SENT)  # its job may still have them
        elif entry.is_final and entry.state != SUCCEEDED and again:
            entry = _begun_again(entry)
        return self._noted(entry), content

    def _finish(self, entry: Entry, content: bytes) -> tuple[Entry, Job]:
        """Send a photo unless it was sent, wait for its job, write what that has made."""
        is_new = False
        while True:
            try:
                if entry.job_id is None:
                    entry = self._sent(entry, content)
                job = self._awaited(entry)
                return self._fetched(entry, job), job
            except (Gone, NotFound, InvalidRequest) as error:
                # Its job is of yesterday, or of another server.
                may_be_old = not isinstance(error, InvalidRequest)
                if is_new or not (may_be_old or error.code == "idempotency_mismatch"):
                    raise
                is_new = True
                entry = self._noted(_begun_again(entry))

    def _sent(self, entry: Entry, content: bytes) -> Entry:
        def submit(client: Client) -> Job:
            return client.submit(
                content,
                self._wanted.recipe,
                background_file=self._wanted.background_file,
                idempotency_key=entry.key,
            )

        self._tell(entry.photo, "sending")
        job = self._patience.ask(submit)
        return self._noted(dataclasses.replace(entry, job_id=job.id, state=SENT))

    def _awaited(self, entry: Entry) -> Job:
        job_id = entry.job_id or ""
        looks = 0

        def look(job: Job) -> None:
            nonlocal looks
            looks += 1
            self._tell(entry.photo, _standing(job))

        while True:
            before = looks
            try:
                return self._patience.ask(lambda client: client.wait(job_id, _LOOK_SECONDS, look))
            except NotFinishedInTime:
                if looks == before:
                    # It did not answer at all; this tells why.
                    self._patience.ask(lambda client: client.job(job_id))
            if self._stop.at_once:
                raise GivenUp

    def _fetched(self, entry: Entry, job: Job) -> Entry:
        """Write what a job has made; return where that is."""
        if not job.succeeded:
            return entry
        self._tell(entry.photo, "fetching")
        place = PurePosixPath(entry.place)
        folder = self._journal.folder / place.parent
        folder.mkdir(parents=True, exist_ok=True)
        where = Place(self._journal.folder / entry.photo, folder, place.name, None)
        image, beside = self._patience.ask(lambda client: passage.fetch(client, job, where))
        files = beside if image is None else {_IMAGE: image, **beside}
        outputs = {
            name: path.relative_to(self._journal.folder).as_posix() for name, path in files.items()
        }
        return dataclasses.replace(entry, outputs=outputs)

    def _end(self, entry: Entry, job: Job | None, failure: Failure | None, started: float) -> Entry:
        """Note what became of a photo, and return it."""
        told = entry if job is None else _with_findings(entry, job)
        return self._noted(
            dataclasses.replace(
                told,
                state="failed" if job is None else job.state,
                seconds=round(time.monotonic() - started, 3),
                code=None if failure is None else failure.code,
                error=None if failure is None else failure.detail or failure.title,
            )
        )

    def _noted(self, entry: Entry) -> Entry:
        if entry != self._journal.entry(entry.photo):
            self._journal.note(entry)
        return entry


def recipe_digest(wanted: Wanted) -> str:
    """Return what tells recipes apart, the background's file included; SHA-256 in hexadecimal.

    Raises OSError when that file cannot be read.
    """
    digest = hashlib.sha256(json.dumps(dict(wanted.recipe), sort_keys=True).encode())
    if wanted.background_file is not None:
        digest.update(wanted.background_file.read_bytes())
    return digest.hexdigest()


def _read(found: Found) -> tuple[bytes, Failure | None]:
    """Return a photo's bytes, and why there are none."""
    size, _ = found.version
    if size > _MOST_BYTES:
        detail = f"{size / 1e6:.0f} MB, and {_MOST_BYTES / 1e6:.0f} MB are the most"
        return b"", Failure("photo_too_large", "The photo is too large", detail, None)
    try:
        return found.path.read_bytes(), None
    except OSError as error:
        return b"", passage.unreadable(error)


def _begun_again(entry: Entry) -> Entry:
    """Return a photo at the beginning, under a key of which no server knows."""
    return Entry(
        **{
            name: getattr(entry, name)
            for name in ("photo", "place", "bytes", "modified_ns", "digest", "recipe")
        },
        again=secrets.token_hex(8),
    )


def _with_findings(entry: Entry, job: Job) -> Entry:
    faces = job.faces
    levels = [face.smile.level for face in faces or () if face.smile is not None]
    return dataclasses.replace(
        entry,
        people=job.people,
        faces=None if faces is None else len(faces),
        smile=tuple(levels),
        rating=None if job.rating is None else round(job.rating.score, 4),
        printability=None if job.printability is None else job.printability.verdict,
    )


def _standing(job: Job) -> str:
    """Return where a job is, in a word."""
    running = [stage.name for stage in job.stages if stage.state == "running"]
    return running[0] if running else job.state
