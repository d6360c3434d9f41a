"""Make training examples of corrections that have consent, while their artifacts still exist.

This happens soon after the correction, because photos and results are kept for a day.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Engine

from smart_filter_shared.artifacts import retention
from smart_filter_shared.db import sessions
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.feedback import examples as feedback_examples
from smart_filter_shared.feedback.corrections import Correction
from smart_filter_shared.feedback.examples import ExampleContent, ExampleFile
from smart_filter_shared.jobs import queries
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import PersonSelection
from smart_filter_shared.results import PreparedFacts, read_facts
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.artifacts.store import ArtifactStore
from smart_filter_workers.learning import examples
from smart_filter_workers.learning.examples import ExampleFiles, FaceInputs, MatteInputs

_TYPES: Final = {".jpg": "image/jpeg", ".png": "image/png", ".npz": "application/octet-stream"}
_log = logger("learning")


class NothingToLearn(Exception):
    """A correction contains nothing that applies to other photos."""


class ExampleCollector:
    """Makes training examples of corrections; safe when several processes do the same."""

    def __init__(self, engine: Engine, store: ObjectStore, artifacts: ArtifactStore) -> None:
        self._engine = engine
        self._store = store
        self._artifacts = artifacts

    def collect(self, *, most: int) -> int:
        """Make examples of at most `most` corrections; return how many were processed.

        Raises TryAgain while servers are away: then the remaining corrections wait.
        """
        with sessions.transaction(self._engine) as connection:
            uncollected = feedback_examples.list_uncollected(connection, most=most)
            jobs = queries.get_many(connection, {example.job_id for example in uncollected})
        for correction in uncollected:
            job = jobs.get(correction.job_id)
            if job is None:
                # Mark it: only the oldest corrections are read, and this one would block others.
                self._record_miss(correction, "its job is gone")
            else:
                self._collect(job, correction)
        return len(uncollected)

    def _collect(self, job: JobRow, correction: Correction) -> None:
        try:
            made = self._made(job, correction)
        except TryAgain:
            raise
        except Exception as error:  # noqa: BLE001 - one correction does not end the thread
            # The artifacts are gone or in an unknown format: a retry would not help.
            self._record_miss(correction, f"{type(error).__name__}: {error}")
            return
        stored = [self._stored(job, correction, files) for files in made]
        prepared = read_facts(job.result(StageName.PREPARE), PreparedFacts)
        corrected = job.result(StageName(correction.stage)) or {}
        with sessions.transaction(self._engine) as connection:
            is_written = feedback_examples.write(
                connection,
                correction,
                stored,
                photo=job.photo_digest,
                fingerprint=None if prepared is None else prepared.fingerprint,
                digests=corrected.get("digests", {}),
            )
        if not is_written:
            self._discard(stored)
        _log.info("correction_collected", job=str(job.id), kept=str(is_written))

    def _record_miss(self, correction: Correction, reason: str) -> None:
        _log.warning("correction_not_collected", job=str(correction.job_id), reason=reason)
        with sessions.transaction(self._engine) as connection:
            feedback_examples.mark_uncollectable(connection, correction)

    def _discard(self, stored: Sequence[ExampleContent]) -> None:
        """Remove the stored files of a correction whose job was deleted in the meantime.

        Files that a row names stay: another process has collected the same correction.
        """
        made = [file.key for example in stored for file in example.files.values()]
        with sessions.transaction(self._engine) as connection:
            unnamed = retention.unreferenced(connection, made)
        for key in unnamed:
            self._store.remove(key)

    def _made(self, job: JobRow, correction: Correction) -> list[ExampleFiles]:
        if correction.label is not None:
            wanted = self._artifacts.load(job, FaceInputs)
            return examples.from_faces(wanted, correction.label)
        if job.recipe.persons != PersonSelection.ALL or job.recipe.framing.roi is not None:
            # Such a matte leaves people out on purpose, which a model must not learn.
            raise NothingToLearn("the recipe selects only some of the people")
        corrected = dataclasses.replace(job, corrections=(*job.corrections, correction.as_json()))
        return examples.from_matte(self._artifacts.load(corrected, MatteInputs))

    def _stored(self, job: JobRow, correction: Correction, made: ExampleFiles) -> ExampleContent:
        files = {}
        for name, content in made.files.items():
            key = keys.example_file(job.tenant, job.id, correction.id, made.task, name)
            media_type = _TYPES[name[name.rindex(".") :]]
            self._store.put(key, content, length=len(content), media_type=media_type)
            files[name] = ExampleFile(key, hashlib.sha256(content).hexdigest(), len(content))
        return ExampleContent(made.task, files, made.counts)
