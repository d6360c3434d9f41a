"""User corrections of a job's results.

A mask or strokes correct the matte; a label says which faces there are, how they smile and whether
their eyes are open. A correction is applied by a job that is derived from the corrected one. It is
kept as long as its photo. With consent it is kept as training material until its job is deleted;
the deletion withdraws the consent.
"""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, text

from smart_filter_shared.artifacts import retention as artifact_retention
from smart_filter_shared.artifacts.retention import ArtifactKind, RetentionPolicy
from smart_filter_shared.db.rows import read_row
from smart_filter_shared.feedback.face_changes import index_of_same
from smart_filter_shared.ids import CorrectionId, JobId, Tenant
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.rating import LEVEL_WEIGHTS, SmileLevel
from smart_filter_wire.formats import FaceBox

# Size of a mask file. A gray PNG of 50 megapixels with soft edges everywhere takes about 5 MB.
MAX_MASK_BYTES: Final = 10_000_000
MAX_STROKES: Final = 200
MAX_POINTS: Final = 2_000
MAX_WIDTH_PX: Final = 2_000
# Corrections stored for one job, and corrections applied to one derived job.
MAX_PER_JOB: Final = 20
MAX_APPLIED: Final = 16
# Points of all strokes of one correction, and of all corrections applied to one job: a worker
# paints them in less than a second.
MAX_POINTS_DRAWN: Final = 20_000
_EYES: Final = ("left_open", "right_open")

# Every transition of the job takes this lock too.
_LOCK_JOB = text("SELECT FROM jobs WHERE id = :job_id FOR NO KEY UPDATE")
_INSERT = text("""
    INSERT INTO corrections (
        id, tenant, job_id, kind, stage, form, key, label, consent, provenance, created_at,
        expires_at
    ) VALUES (
        :id, :tenant, :job_id, :kind, :stage, :form, :key, CAST(:label AS jsonb), :consent,
        CAST(:provenance AS jsonb), statement_timestamp(),
        statement_timestamp() + make_interval(secs => :seconds)
    ) RETURNING *
""")
_LIST = text("""
    SELECT * FROM corrections
    WHERE job_id = :job_id AND coalesce(expires_at > statement_timestamp(), true) ORDER BY id
""")

Json = Mapping[str, Any]  # what a JSONB column holds


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction of one stage of a job.

    form: `mask`, `strokes` or `label`.
    key: the object key of the mask or strokes; None for a label.
    provenance: {"key_id": the API key that sent it, "models": the corrected models, by task,
        "points": the number of points of its strokes, "replaces": the id of the correction whose
        place it takes, or None}.
    expires_at: when it is deleted; None when it is kept with consent.
    """

    id: CorrectionId
    job_id: JobId
    kind: str
    stage: str
    form: str
    key: str | None
    label: Json | None
    consent: bool
    provenance: Json
    created_at: dt.datetime
    expires_at: dt.datetime | None

    def as_json(self) -> dict[str, Any]:
        """Return the JSON that a derived job stores of the correction; labels get boxes there."""
        return {
            "id": str(self.id),
            "stage": self.stage,
            "form": self.form,
            "key": self.key,
            "label": None if self.label is None else dict(self.label),
            "points": int(self.provenance["points"]),
        }


def sent_with_photo(correction_id: CorrectionId, form: str, key: str, points: int) -> Json:
    """Return the JSON that a job stores of a mask or strokes which were sent with its photo.

    It is no correction of a result: nothing is learned from it. It is in the pixels of the photo
    as it was sent, before the service turned it upright.
    """
    return {
        "id": str(correction_id),
        "stage": str(StageName.SEGMENTATION),
        "form": form,
        "key": key,
        "label": None,
        "points": points,
        "as_sent": True,
    }


def lock_job(connection: Connection, job_id: JobId) -> bool:
    """Lock a job against moves and other corrections until this transaction ends.

    Returns whether the job exists. A later deletion sees the rows that this transaction writes.
    """
    held = connection.execute(_LOCK_JOB, {"job_id": job_id})
    return held.one_or_none() is not None


def create(
    connection: Connection,
    tenant: Tenant,
    *,
    correction_id: CorrectionId,
    job_id: JobId,
    stage: str,
    form: str,
    key: str | None,
    length: int,
    label: Json | None,
    consent: bool,
    provenance: Json,
    retention: RetentionPolicy,
) -> Correction:
    """Write and return a correction; its mask or strokes are already stored under `key`.

    length: of that object, in bytes.
    """
    if key is not None:
        artifact_retention.record(
            connection, tenant, job_id, {key: length}, kind=ArtifactKind.PHOTO, retention=retention
        )
    row = connection.execute(
        _INSERT,
        {
            "id": correction_id,
            "tenant": tenant,
            "job_id": job_id,
            "kind": "label" if form == "label" else "matte",
            "stage": stage,
            "form": form,
            "key": key,
            "label": None if label is None else json.dumps(dict(label)),
            "consent": consent,
            "provenance": json.dumps(dict(provenance)),
            "seconds": None if consent else retention.seconds(ArtifactKind.PHOTO),
        },
    )
    return read_row(Correction, row.mappings().one())


def list_for_job(connection: Connection, job_id: JobId) -> list[Correction]:
    """Return the unexpired corrections of a job, the oldest first."""
    rows = connection.execute(_LIST, {"job_id": job_id})
    return [read_row(Correction, row) for row in rows.mappings()]


def find(connection: Connection, job_id: JobId, correction_id: CorrectionId) -> Correction | None:
    """Return a correction of a job, or None when the job does not have it."""
    corrections = list_for_job(connection, job_id)
    return next((correction for correction in corrections if correction.id == correction_id), None)


def apply_labels(result: Json, labels: Sequence[Json], faces: Sequence[FaceBox]) -> Json:
    """Return the stored result of `smile` with user labels applied.

    labels: of faces, with their `box`.  faces: boxes of the rated ones.
    The score of a labeled smile becomes the weight of its level.
    """
    facts = dict(result["facts"])
    smiles, eyes = list(facts["smiles"]), list(facts["eyes"])
    for face in (face for label in labels for face in label["faces"]):
        at = index_of_same(face["box"], faces)
        if at is None:
            continue
        if face.get("smile") is not None:
            level = SmileLevel(face["smile"])
            smiles[at] = {"level": str(level), "score": LEVEL_WEIGHTS[level]}
        eyes[at] = {**eyes[at], **{eye: face[eye] for eye in _EYES if face.get(eye) is not None}}
    return {**result, "facts": {**facts, "smiles": smiles, "eyes": eyes}}


def delete_expired(connection: Connection, *, most: int) -> int:
    """Delete expired corrections, at most `most`; return their number.

    Masks and strokes are deleted as artifacts.
    """
    return connection.execute(
        text("""
            DELETE FROM corrections USING (
                SELECT id FROM corrections WHERE expires_at <= statement_timestamp()
                ORDER BY expires_at LIMIT :most
                FOR UPDATE SKIP LOCKED
            ) AS old
            WHERE corrections.id = old.id
        """),
        {"most": most},
    ).rowcount
