"""Results of shadow weights: how far they agreed with the live ones.

A row is one photo. It has only numbers and does not name the photo, so it need not be deleted
with the job.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

# Rows of all versions together that are kept, and days that each is kept.
MAX_ROWS: Final = 100_000
KEPT_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure over photos: mean, half the width of its 95 % interval, minimum and maximum."""

    mean: float
    half: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """The comparison of shadow weights with others.

    photos: number of photos.  errors: number of photos on which the shadow weights raised.
    error: one of these errors.
    """

    photos: int
    errors: int
    error: str | None
    figures: Mapping[str, Figure]


_RECORD = text("""
    INSERT INTO shadow_results (digest, against, at, agreement, error)
    VALUES (:digest, :against, statement_timestamp(), CAST(:agreement AS jsonb), :error)
""")


def record(
    connection: Connection,
    digest: str,
    *,
    against: str | None,
    agreement: Mapping[str, float] | None,
    error: str | None = None,
) -> None:
    """Write how far shadow weights agreed with the live ones on a photo, or what they raised."""
    stored = None if agreement is None else json.dumps(dict(agreement))
    where = {"digest": digest, "against": against, "agreement": stored, "error": error}
    connection.execute(_RECORD, where)


_COUNTS = text("""
    SELECT count(*) AS photos, count(error) AS errors, max(error) AS error
    FROM shadow_results
    WHERE digest = :digest AND against IS NOT DISTINCT FROM CAST(:against AS text)
""")
# 95 % confidence interval, normal approximation.
_FIGURES = text("""
    SELECT figure.key AS name, avg(number) AS mean, min(number) AS least, max(number) AS most,
        1.96 * coalesce(stddev_samp(number), 0) / sqrt(count(*)) AS half
    FROM shadow_results, jsonb_each_text(agreement) AS figure,
        LATERAL (SELECT CAST(figure.value AS float8) AS number) AS told
    WHERE digest = :digest AND against IS NOT DISTINCT FROM CAST(:against AS text)
    GROUP BY figure.key ORDER BY figure.key
""")


def read_report(connection: Connection, digest: str, *, against: str | None) -> ShadowReport:
    """Return the comparison of shadow weights with the weights `against`; None: a model's own."""
    where = {"digest": digest, "against": against}
    counts = connection.execute(_COUNTS, where).one()
    figures = {
        row.name: Figure(row.mean, row.half, row.least, row.most)
        for row in connection.execute(_FIGURES, where)
    }
    return ShadowReport(counts.photos, counts.errors, counts.error, figures)


_DELETE_OLD = text("""
    DELETE FROM shadow_results USING (
        SELECT id FROM shadow_results
        WHERE at < statement_timestamp() - make_interval(days => :days)
            OR id <= (SELECT max(id) FROM shadow_results) - :rows
        ORDER BY id LIMIT :most
        FOR UPDATE SKIP LOCKED
    ) AS old
    WHERE shadow_results.id = old.id
""")


def delete_old(connection: Connection, *, most: int) -> int:
    """Delete rows beyond KEPT_DAYS or MAX_ROWS, at most `most`; return their number."""
    where = {"days": KEPT_DAYS, "rows": MAX_ROWS, "most": most}
    return connection.execute(_DELETE_OLD, where).rowcount
