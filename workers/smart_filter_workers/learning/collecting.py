"""Corrections with consent, made examples while there is still what they are about.

Soon after they come, for photos and what was made of them are kept for a day.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Engine

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import TryAgain
from smart_filter_shared.jobs import data_items, queries, retention
from smart_filter_shared.jobs.corrections import Correction
from smart_filter_shared.jobs.data_items import Example, File
from smart_filter_shared.jobs.queries import JobRow
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.recipe import Whom
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore
from smart_filter_shared.telemetry.logs import logger
from smart_filter_workers.artifacts import Artifacts
from smart_filter_workers.learning import examples
from smart_filter_workers.learning.examples import Made, WantedOfFaces, WantedOfMatte

_TYPES: Final = {".jpg": "image/jpeg", ".png": "image/png", ".npz": "application/octet-stream"}
_log = logger("learning")


class NothingToLearn(Exception):
    """A correction says nothing that holds for other photos."""


class Collecting:
    """Makes data items of corrections; whoever does the same at the same time does no harm."""

    def __init__(self, engine: Engine, store: ObjectStore, artifacts: Artifacts) -> None:
        self._engine = engine
        self._store = store
        self._artifacts = artifacts

    def collect(self, *, most: int) -> int:
        """Make items of so many corrections; return how many were looked at.

        Raises TryAgain while servers are away: then what is left waits.
        """
        with sessions.transaction(self._engine) as connection:
            found = data_items.uncollected(connection, most=most)
            jobs = queries.among(connection, {one.job_id for one in found})
        for correction in found:
            job = jobs.get(correction.job_id)
            if job is None:
                # Only the oldest are looked at: a correction without a job would hold up the rest.
                self._miss(correction, "its job is gone")
            else:
                self._collect(job, correction)
        return len(found)

    def _collect(self, job: JobRow, correction: Correction) -> None:
        try:
            made = self._made(job, correction)
        except TryAgain:
            raise
        except Exception as error:  # noqa: BLE001 - one correction does not end the thread
            # Gone by now, or no version of ours wrote it: it will not be better next time.
            self._miss(correction, f"{type(error).__name__}: {error}")
            return
        stored = [self._stored(job, correction, one) for one in made]
        prepared = job.result(StageName.PREPARE) or {}
        corrected = job.result(StageName(correction.stage)) or {}
        with sessions.transaction(self._engine) as connection:
            is_written = data_items.write(
                connection,
                correction,
                stored,
                photo=job.photo_digest,
                fingerprint=prepared.get("facts", {}).get("fingerprint"),
                digests=corrected.get("digests", {}),
            )
        if not is_written:
            self._discard(stored)
        _log.info("collected a correction", job=str(job.id), kept=str(is_written))

    def _miss(self, correction: Correction, reason: str) -> None:
        _log.warning(
            "nothing to learn from a correction", job=str(correction.job_id), reason=reason
        )
        with sessions.transaction(self._engine) as connection:
            data_items.miss(connection, correction)

    def _discard(self, stored: Sequence[Example]) -> None:
        """Remove what was stored of a correction whose job was deleted meanwhile.

        What a row names stays: somebody else has collected it at the same time.
        """
        made = [file.key for example in stored for file in example.files.values()]
        with sessions.transaction(self._engine) as connection:
            unnamed = retention.unnamed(connection, made)
        for key in unnamed:
            self._store.remove(key)

    def _made(self, job: JobRow, correction: Correction) -> list[Made]:
        if correction.label is not None:
            wanted = self._artifacts.load(job, WantedOfFaces)
            return examples.of_faces(wanted, correction.label)
        if job.recipe.persons != Whom.ALL or job.recipe.framing.roi is not None:
            # Its matte leaves people out on purpose; a model is not to learn that.
            raise NothingToLearn("the recipe wants some of the people only")
        corrected = dataclasses.replace(job, corrections=(*job.corrections, correction.as_json()))
        return examples.of_matte(self._artifacts.load(corrected, WantedOfMatte))

    def _stored(self, job: JobRow, correction: Correction, made: Made) -> Example:
        files = {}
        for name, content in made.files.items():
            key = keys.item(job.tenant, job.id, correction.id, made.task, name)
            media_type = _TYPES[name[name.rindex(".") :]]
            self._store.put(key, content, length=len(content), media_type=media_type)
            files[name] = File(key, hashlib.sha256(content).hexdigest(), len(content))
        return Example(made.task, files, made.counts)
