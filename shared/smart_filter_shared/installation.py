"""Which database a bucket belongs to: a row and a marker object that name each other.

An object that no row of this database names may be named by the row of another database: one of a
second installation on the same bucket, or one that was restored from an older backup. So objects
that no row names are removed only while

- the markers under `installations/` are this installation's alone, and
- the marker holds a token that the row holds. Both get a new one each time, so that a database
  that was restored from a backup holds older ones.

While they disagree nothing is removed, and the row says why, for the admin page and for
`smart-filter doctor`. Removing the markers is how an operator says that this database is the right
one: the next look writes a new marker.
"""

import datetime as dt
import uuid
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import ObjectMissing
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore

_READ = text("SELECT id, token, next_token, confirmed_at FROM installation")
# The row always names what the marker holds now and what it is about to hold.
_ANNOUNCE = text("UPDATE installation SET token = :held, next_token = :token")
# The other token stays in the row: when two processes confirm at the same time, the marker holds
# the token that was written last, which need not be the one that was confirmed last.
_CONFIRM = text("""
    UPDATE installation SET
        token = :token,
        next_token = CASE WHEN next_token = :token THEN token ELSE next_token END,
        confirmed_at = statement_timestamp(),
        fault = NULL
""")
_NOTE_FAULT = text("UPDATE installation SET fault = :fault")
_FAULT = text("SELECT fault FROM installation")


@dataclass(frozen=True, slots=True)
class _Row:
    id: uuid.UUID
    token: uuid.UUID | None
    next_token: uuid.UUID | None
    confirmed_at: dt.datetime | None


def confirm(engine: Engine, store: ObjectStore) -> dt.datetime | None:
    """Confirm that the bucket is this database's; return when it was confirmed before.

    What was written until then has its row here, so the rest of it can go. None when it was never
    confirmed before, or is not now: then the fault is noted in the row.
    Raises DatabaseUnavailable or StorageUnavailable.
    """
    with sessions.transaction(engine) as connection:
        found = connection.execute(_READ).one()
    row = _Row(found.id, found.token, found.next_token, found.confirmed_at)
    own = keys.installation(row.id)
    held = _content(store, own)
    fault = _fault(store, row, held)
    token = uuid.uuid4()
    # With a fault too: the other installation is to see this one.
    if fault is None or held is None:
        # The row knows the token before the marker holds it: a process may die at any line.
        with sessions.transaction(engine) as connection:
            connection.execute(_ANNOUNCE, {"held": held, "token": token})
        _put(store, own, token)
    with sessions.transaction(engine) as connection:
        if fault is not None:
            connection.execute(_NOTE_FAULT, {"fault": fault})
            return None
        connection.execute(_CONFIRM, {"token": token})
    return None if held is None else row.confirmed_at


def fault(connection: Connection) -> str | None:
    """Return why objects that no row names are not removed, in one line; None when they are."""
    found = connection.execute(_FAULT).scalar_one()
    return None if found is None else str(found)


def _fault(store: ObjectStore, row: _Row, held: str | None) -> str | None:
    markers = f"s3://{store.bucket}/{keys.INSTALLATIONS}"
    others = [
        one.key.removeprefix(keys.INSTALLATIONS)
        for one in store.stored(keys.INSTALLATIONS)
        if one.key != keys.installation(row.id)
    ]
    if others:
        return (
            f"the bucket {store.bucket} is used by installation {others[0]} too, and this one is"
            f" {row.id}: give each its own bucket, then remove the other's marker from {markers}"
        )
    if held is not None and held not in {str(row.token), str(row.next_token)}:
        return (
            f"the bucket {store.bucket} was used with a later state of this database: if this"
            f" database is the right one, stop the other and remove {markers}{row.id}"
        )
    return None


def _content(store: ObjectStore, key: str) -> str | None:
    try:
        return store.get(key).decode(errors="replace")
    except ObjectMissing:
        return None


def _put(store: ObjectStore, key: str, token: uuid.UUID) -> None:
    content = str(token).encode()
    store.put(key, content, length=len(content), media_type="text/plain")
