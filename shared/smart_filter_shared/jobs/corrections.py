"""Corrections: what people say is right of a job's results.

A mask or strokes correct the matte, a label says how faces smile and whether eyes are open. A
correction is applied by a job that is derived from the corrected one. It is kept as long as its
photo; with consent, as training material, until its job is deleted, which takes back consent.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, func, select, text

from smart_filter_shared.db import reuse_tables
from smart_filter_shared.ids import CorrectionId, JobId, Tenant
from smart_filter_shared.jobs import retention
from smart_filter_shared.jobs.retention import Keeping, Kind

# A grey PNG of 50 megapixels with soft edges everywhere takes about 5 MB.
MOST_MASK_BYTES: Final = 10_000_000
MOST_STROKES: Final = 200
MOST_POINTS: Final = 2_000
WIDEST_PX: Final = 2_000
MOST_FACES: Final = 200
# Of a job, and applied to one.
MOST_OF_A_JOB: Final = 20
MOST_APPLIED: Final = 16
# Of the strokes of one correction, and of all that are applied to one job: painting them is to
# cost a worker less than a second.
MOST_POINTS_DRAWN: Final = 20_000

# What moves the job locks it as well.
_HOLD = text("SELECT FROM jobs WHERE id = :job_id FOR NO KEY UPDATE")

Json = Mapping[str, Any]  # what a JSONB column holds


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction of one stage of a job.

    form: `mask`, `strokes` or `label`.  key: of what was drawn, None of a label.
    provenance: {"key_id": which key sent it, "models": those that it corrects, by task,
        "points": those of its strokes}.
    expires_at: when it goes; None when it is kept with consent.
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
        """Return what a derived job keeps of it."""
        return {
            "id": str(self.id),
            "stage": self.stage,
            "form": self.form,
            "key": self.key,
            "label": None if self.label is None else dict(self.label),
            # What was written before points were counted has none.
            "points": int(self.provenance.get("points", 0)),
        }


def hold(connection: Connection, job_id: JobId) -> bool:
    """Let nobody else move a job, or correct it, until this transaction ends.

    Returns whether it is there: whoever deletes it afterwards finds what is written of it now.
    """
    held = connection.execute(_HOLD, {"job_id": job_id})
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
    label: Json | None,
    consent: bool,
    provenance: Json,
    keeping: Keeping,
) -> Correction:
    """Write a correction down; what was drawn is stored under `key` by now."""
    table = reuse_tables.corrections
    seconds = keeping.seconds(Kind.PHOTO)
    now = func.statement_timestamp()
    if key is not None:
        retention.record(connection, tenant, job_id, {key: Kind.PHOTO}, keeping)
    row = connection.execute(
        table.insert()
        .values(
            id=correction_id,
            tenant=tenant,
            job_id=job_id,
            kind="label" if form == "label" else "matte",
            stage=stage,
            form=form,
            key=key,
            # None is NULL here, not JSON's null.
            **({} if label is None else {"label": dict(label)}),
            consent=consent,
            provenance=dict(provenance),
            created_at=now,
            expires_at=None if consent else now + dt.timedelta(seconds=seconds),
        )
        .returning(table)
    )
    return _read(row.mappings().one())


def of_job(connection: Connection, job_id: JobId) -> list[Correction]:
    """Return the corrections of a job that are kept, the oldest first."""
    table = reuse_tables.corrections
    query = select(table).where(table.c.job_id == job_id, _is_kept()).order_by(table.c.id)
    return [_read(row) for row in connection.execute(query).mappings()]


def find(connection: Connection, job_id: JobId, correction_id: CorrectionId) -> Correction | None:
    """Return a correction of a job, or None when the job has no such one."""
    found = of_job(connection, job_id)
    return next((one for one in found if one.id == correction_id), None)


def forget_expired(connection: Connection, *, most: int) -> int:
    """Forget those that are not kept any more; return how many.

    What was drawn goes as an artifact.
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


def _is_kept() -> Any:  # noqa: ANN401 - SQLAlchemy's clauses share no simpler type
    expires_at = reuse_tables.corrections.c.expires_at
    return expires_at.is_(None) | (expires_at > func.statement_timestamp())


def _read(row: RowMapping) -> Correction:
    return Correction(
        id=CorrectionId(row["id"]),
        job_id=JobId(row["job_id"]),
        kind=row["kind"],
        stage=row["stage"],
        form=row["form"],
        key=row["key"],
        label=row["label"],
        consent=row["consent"],
        provenance=row["provenance"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )
