"""What weights that are tried beside those that count have said: numbers, and of no photo.

A row is one photo; nothing says which one, so that nothing is to be deleted with its job.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

# So many rows are kept at most, of all versions together, for so many days.
MOST_ROWS: Final = 100_000
KEPT_DAYS: Final = 30

_RECORD = text("""
    INSERT INTO shadow_results (digest, against, at, agreement, error)
    VALUES (:digest, :against, statement_timestamp(), CAST(:agreement AS jsonb), :error)
""")
_FORGET = text("""
    DELETE FROM shadow_results USING (
        SELECT id FROM shadow_results
        WHERE at < statement_timestamp() - make_interval(days => :days)
            OR id <= (SELECT max(id) FROM shadow_results) - :rows
        ORDER BY id LIMIT :most
        FOR UPDATE SKIP LOCKED
    ) AS old
    WHERE shadow_results.id = old.id
""")
_COUNTS = text("""
    SELECT count(*) AS photos, count(error) AS errors, max(error) AS error
    FROM shadow_results
    WHERE digest = :digest AND against IS NOT DISTINCT FROM CAST(:against AS text)
""")
# Normal, for there are many.
_FIGURES = text("""
    SELECT figure.key AS name, avg(number) AS mean, min(number) AS least, max(number) AS most,
        1.96 * coalesce(stddev_samp(number), 0) / sqrt(count(*)) AS half
    FROM shadow_results, jsonb_each_text(agreement) AS figure,
        LATERAL (SELECT CAST(figure.value AS float8) AS number) AS told
    WHERE digest = :digest AND against IS NOT DISTINCT FROM CAST(:against AS text)
    GROUP BY figure.key ORDER BY figure.key
""")


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure over photos: its mean, half of that one's 95 % interval, and between what it lay."""

    mean: float
    half: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Said:
    """What weights said of so many photos against others; errors: on how many they raised.

    error: one of what they raised.
    """

    photos: int
    errors: int
    error: str | None
    figures: Mapping[str, Figure]


def record(
    connection: Connection,
    digest: str,
    *,
    against: str | None,
    agreement: Mapping[str, float] | None,
    error: str | None = None,
) -> None:
    """Write down how far weights agreed with those that counted on a photo, or what they raised."""
    told = None if agreement is None else json.dumps(dict(agreement))
    where = {"digest": digest, "against": against, "agreement": told, "error": error}
    connection.execute(_RECORD, where)


def said(connection: Connection, digest: str, *, against: str | None) -> Said:
    """Return what weights said, where those counted that are given."""
    where = {"digest": digest, "against": against}
    counts = connection.execute(_COUNTS, where).one()
    figures = {
        row.name: Figure(row.mean, row.half, row.least, row.most)
        for row in connection.execute(_FIGURES, where)
    }
    return Said(counts.photos, counts.errors, counts.error, figures)


def forget_old(connection: Connection, *, most: int) -> int:
    """Forget what was said long ago, or too many photos ago; return how many rows."""
    where = {"days": KEPT_DAYS, "rows": MOST_ROWS, "most": most}
    return connection.execute(_FORGET, where).rowcount
