"""Incoming pictures: a queue of pictures that tenants add over REST, until a worker has seen them.

The API does not decode pictures. It stores the bytes and writes a row here; a worker decodes the
picture and moves it to the stock, which never holds one that was not decoded. Until then an earlier
picture of the same name stays in use. A refused picture keeps its row for a day, with the reason
and without its object.

A tenant's pictures have ranks a second apart, so that a tenant that adds many delays no other.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, RowMapping, text

from smart_filter_shared.db.rows import read_row
from smart_filter_shared.ids import Tenant

# Longer than a worker takes for one picture: 60 s for a turn at the decoder, its limit of 60 s, and
# two storage requests.
LEASE_SECONDS: Final = 180.0
# Attempts of one picture; each but the last ended with its worker.
MAX_ATTEMPTS: Final = 3
# How long the reason of a refusal is shown.
_REFUSED_SECONDS: Final = 24 * 3600.0

_COLUMNS = """
    tenant, name, title, tags, is_logo, key, digest, length, created_at, attempt, code, detail
"""
_LIST = text(
    f"SELECT {_COLUMNS} FROM incoming_pictures WHERE tenant = :tenant ORDER BY name"  # noqa: S608 - stands here
)
_FIND = text(
    f"SELECT {_COLUMNS} FROM incoming_pictures WHERE tenant = :tenant AND name = :name"  # noqa: S608 - stands here
)
_COUNT_NAMES = text("""
    SELECT count(*) FROM (
        SELECT name FROM backgrounds WHERE tenant = :tenant
        UNION SELECT name FROM incoming_pictures WHERE tenant = :tenant
    ) AS names
""")
_PUT = text("""
    INSERT INTO incoming_pictures (
        tenant, name, title, tags, is_logo, key, digest, length, created_at, rank
    )
    SELECT :tenant, :name, :title, :tags, :is_logo, :key, :digest, :length, statement_timestamp(),
        greatest(statement_timestamp(), max(rank) + interval '1 second')
    FROM incoming_pictures WHERE tenant = :tenant AND code IS NULL
    ON CONFLICT (tenant, name) DO UPDATE SET
        title = excluded.title, tags = excluded.tags, is_logo = excluded.is_logo,
        key = excluded.key, digest = excluded.digest, length = excluded.length,
        created_at = excluded.created_at, rank = excluded.rank,
        attempt = 0, leased_until = NULL, code = NULL, detail = NULL
""")
_CLAIM = text(f"""
    UPDATE incoming_pictures SET
        attempt = attempt + 1,
        leased_until = statement_timestamp() + make_interval(secs => :seconds)
    WHERE (tenant, name) = (
        SELECT tenant, name FROM incoming_pictures
        WHERE code IS NULL AND (leased_until IS NULL OR leased_until <= statement_timestamp())
            AND tenant <> ALL(CAST(:excluded AS text[]))
        ORDER BY rank LIMIT 1
        FOR UPDATE SKIP LOCKED
    )
    RETURNING {_COLUMNS}
""")  # noqa: S608 - stands here
_RELEASE = text("""
    UPDATE incoming_pictures SET attempt = attempt - 1, leased_until = NULL
    WHERE tenant = :tenant AND key = :key AND code IS NULL
""")
_REFUSE = text("""
    UPDATE incoming_pictures SET code = :code, detail = :detail, leased_until = NULL
    WHERE tenant = :tenant AND key = :key AND code IS NULL
    RETURNING name
""")
_FINISH = text("DELETE FROM incoming_pictures WHERE tenant = :tenant AND key = :key RETURNING name")
_REMOVE = text("""
    DELETE FROM incoming_pictures WHERE tenant = :tenant AND name = ANY(:names) RETURNING key
""")
_DELETE_REFUSED = text("""
    DELETE FROM incoming_pictures WHERE (tenant, name) IN (
        SELECT tenant, name FROM incoming_pictures
        WHERE code IS NOT NULL
            AND created_at < statement_timestamp() - make_interval(secs => :seconds)
        LIMIT :most FOR UPDATE SKIP LOCKED
    )
""")


@dataclass(frozen=True, slots=True)
class NewPicture:
    """A picture that a tenant adds; its fields are those of `stock.Picture`."""

    tenant: Tenant
    name: str
    title: str
    tags: tuple[str, ...]
    is_logo: bool
    key: str
    digest: str
    length: int


@dataclass(frozen=True, slots=True)
class IncomingPicture(NewPicture):
    """A picture that no worker has described.

    attempt: how often a worker has claimed it.
    code, detail: why it was refused; None while it waits.
    """

    created_at: dt.datetime
    attempt: int
    code: str | None
    detail: str | None


def list_owned(connection: Connection, tenant: Tenant) -> list[IncomingPicture]:
    """Return a tenant's incoming pictures, by name."""
    return [_read_row(row) for row in connection.execute(_LIST, {"tenant": tenant}).mappings()]


def find(connection: Connection, tenant: Tenant, name: str) -> IncomingPicture | None:
    """Return a tenant's incoming picture of this name, or None."""
    row = connection.execute(_FIND, {"tenant": tenant, "name": name}).mappings().one_or_none()
    return None if row is None else _read_row(row)


def count_names(connection: Connection, tenant: Tenant) -> int:
    """Return the number of a tenant's pictures in the stock and in this queue, each name once."""
    return int(connection.execute(_COUNT_NAMES, {"tenant": tenant}).scalar_one())


def enqueue(connection: Connection, picture: NewPicture) -> None:
    """Insert a picture, or replace an incoming one of its name.  Its object is stored."""
    connection.execute(
        _PUT,
        {
            "tenant": picture.tenant,
            "name": picture.name,
            "title": picture.title,
            "tags": list(picture.tags),
            "is_logo": picture.is_logo,
            "key": picture.key,
            "digest": picture.digest,
            "length": picture.length,
        },
    )


def claim(connection: Connection, *, last: Collection[Tenant] = ()) -> IncomingPicture | None:
    """Claim the next picture for LEASE_SECONDS and count the attempt; None when none waits.

    last: tenants whose pictures are claimed only when no other picture waits.
    """
    for excluded in (list(last), []) if last else ([],):
        values = {"seconds": LEASE_SECONDS, "excluded": excluded}
        row = connection.execute(_CLAIM, values).mappings().one_or_none()
        if row is not None:
            return _read_row(row)
    return None


def release(connection: Connection, picture: IncomingPicture) -> None:
    """Return a claimed picture, with its attempt refunded, because servers were unavailable."""
    connection.execute(_RELEASE, {"tenant": picture.tenant, "key": picture.key})


def refuse(connection: Connection, picture: IncomingPicture, code: str, detail: str) -> bool:
    """Refuse a claimed picture; return False when it was replaced or removed meanwhile."""
    values = {"tenant": picture.tenant, "key": picture.key, "code": code, "detail": detail}
    return connection.execute(_REFUSE, values).one_or_none() is not None


def finish(connection: Connection, picture: IncomingPicture) -> bool:
    """Delete the row of a picture that enters the stock in this transaction.

    Returns False when it was replaced or removed meanwhile.
    """
    finished = connection.execute(_FINISH, {"tenant": picture.tenant, "key": picture.key})
    return finished.one_or_none() is not None


def remove(connection: Connection, tenant: Tenant, names: Collection[str]) -> list[str]:
    """Delete incoming pictures by name; return the keys of their objects."""
    removed = connection.execute(_REMOVE, {"tenant": tenant, "names": list(names)})
    return [row.key for row in removed]


def delete_refused(connection: Connection, *, most: int) -> int:
    """Delete the rows of pictures that were refused a day ago; return their number."""
    values = {"seconds": _REFUSED_SECONDS, "most": most}
    return connection.execute(_DELETE_REFUSED, values).rowcount


def _read_row(row: RowMapping) -> IncomingPicture:
    return read_row(IncomingPicture, row)
