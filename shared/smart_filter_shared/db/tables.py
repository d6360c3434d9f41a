"""The columns that queries built by SQLAlchemy name.

The migrations define the tables. Queries that are written as SQL need no entry here.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnClause,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    Uuid,
    column,
    table,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import TypeEngine

_MOMENT: Final = DateTime(timezone=True)
_TEXTS: Final = ARRAY(Text)


def _columns(kind: TypeEngine[Any], names: str) -> list[ColumnClause[Any]]:
    return [column(name, kind) for name in names.split()]


batches = table(
    "batches",
    *_columns(Uuid(), "id take_id"),
    *_columns(Text(), "tenant webhook_url"),
    *_columns(Integer(), "total best"),
    *_columns(_MOMENT, "created_at"),
)
batch_gaps = table(
    "batch_gaps",
    *_columns(Uuid(), "batch_id"),
    *_columns(Integer(), "index"),
    *_columns(Text(), "outcome"),
    *_columns(JSONB(), "error"),
)
workers = table(
    "workers",
    *_columns(Uuid(), "id"),
    *_columns(Text(), "host state process"),
    *_columns(Integer(), "pid"),
    *_columns(SmallInteger(), "threads"),
    *_columns(_TEXTS, "capabilities wanted"),
    *_columns(JSONB(), "failed"),
    *_columns(_MOMENT, "started_at seen_at drained_from"),
)
backgrounds = table(
    "backgrounds",
    *_columns(Text(), "tenant name title impression key digest origin stamp"),
    *_columns(_TEXTS, "tags moods palette"),
    *_columns(Double(), "brightness"),
    *_columns(Integer(), "width height"),
    *_columns(BigInteger(), "length"),
    *_columns(Boolean(), "is_logo"),
    *_columns(_MOMENT, "created_at"),
)
corrections = table(
    "corrections",
    *_columns(Uuid(), "id job_id"),
    *_columns(Text(), "tenant kind stage form key"),
    *_columns(JSONB(), "label provenance"),
    *_columns(Boolean(), "consent"),
    *_columns(_MOMENT, "created_at expires_at"),
)
data_items = table(
    "data_items",
    *_columns(Uuid(), "correction_id job_id"),
    *_columns(Text(), "task tenant part photo"),
    *_columns(BigInteger(), "fingerprint"),
    *_columns(JSONB(), "files counts provenance"),
    *_columns(_TEXTS, "keys"),
    *_columns(ARRAY(Integer), "versions"),
    *_columns(_MOMENT, "corrected_at"),
)
tenants = table(
    "tenants",
    *_columns(Text(), "name"),
    *_columns(Integer(), "requests_per_minute jobs_waiting pictures link_seconds"),
    *_columns(BigInteger(), "stored_bytes"),
    *_columns(Double(), "megapixels_per_day keep_input_seconds keep_result_seconds"),
    *_columns(Boolean(), "keep_nothing emotions"),
    *_columns(JSONB(), "recipe"),
)
keys = table(
    "keys",
    *_columns(Uuid(), "id parent issued_by"),
    *_columns(Text(), "tenant"),
    *_columns(LargeBinary(), "digest"),
    *_columns(_TEXTS, "scopes"),
    *_columns(Integer(), "max_jobs jobs"),
    *_columns(Boolean(), "is_personal"),
    *_columns(_MOMENT, "created_at expires_at revoked_at"),
)
browser_sessions = table(
    "browser_sessions",
    *_columns(LargeBinary(), "digest"),
    *_columns(Uuid(), "key_id"),
    *_columns(_MOMENT, "created_at used_at expires_at"),
)
browser_codes = table(
    "browser_codes",
    *_columns(LargeBinary(), "digest"),
    *_columns(Uuid(), "key_id"),
    *_columns(_MOMENT, "expires_at"),
)
audit_events = table(
    "audit_events",
    *_columns(BigInteger(), "id count"),
    *_columns(Text(), "tenant event network subject"),
    *_columns(Uuid(), "key_id"),
    *_columns(_MOMENT, "at"),
)
