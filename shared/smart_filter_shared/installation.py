"""Confirm which database a bucket belongs to, by a row and a marker object with a common token.

An object without a row in this database may have a row in another one: in a second installation on
the same bucket, or in a newer state of this database after a restore from a backup. So unreferenced
objects are removed only while

- the only marker under `installations/` is this installation's, and
- the marker contains a token that the row contains. Both get a new token each time, so a database
  restored from a backup has older ones.

While they disagree, no object is removed, and the row has the reason, for the admin page and for
`smart-filter doctor`. An operator removes the markers to declare that this database is the right
one: the next confirmation writes a new marker.
"""

import datetime as dt
import uuid
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, text

from smart_filter_shared.db import sessions
from smart_filter_shared.errors import ObjectMissing, ObjectTooLarge
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore

# A marker has one token of 36 bytes.
_MAX_MARKER_BYTES = 1000
_READ = text("SELECT id, token, next_token, confirmed_at FROM installation")
# The row always contains the marker's present token and the next one.
_WRITE_NEXT_TOKEN = text("UPDATE installation SET token = :held, next_token = :token")
# The other token stays in the row: when two processes confirm at the same time, the marker contains
# the token that was written last, which may differ from the one that was confirmed last.
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
    """Confirm that the bucket belongs to this database; return the time of the last confirmation.

    Objects written before that time and without a row here can be removed. Returns None when the
    bucket was never confirmed before, and when it is not confirmed now; the row then has the fault.
    Raises DatabaseUnavailable or StorageUnavailable.
    """
    with sessions.transaction(engine) as connection:
        stored = connection.execute(_READ).one()
    row = _Row(stored.id, stored.token, stored.next_token, stored.confirmed_at)
    marker_key = keys.installation(row.id)
    held = _read_marker(store, marker_key)
    fault = _find_fault(store, row, held)
    token = uuid.uuid4()
    # Also with a fault, so that the other installation sees this one.
    if fault is None or held is None:
        # The row gets the token before the marker does, as a process may die at any line.
        with sessions.transaction(engine) as connection:
            connection.execute(_WRITE_NEXT_TOKEN, {"held": held, "token": token})
        _write_marker(store, marker_key, token)
    with sessions.transaction(engine) as connection:
        if fault is not None:
            connection.execute(_NOTE_FAULT, {"fault": fault})
            return None
        connection.execute(_CONFIRM, {"token": token})
    return None if held is None else row.confirmed_at


def read_fault(connection: Connection) -> str | None:
    """Return why unreferenced objects are not removed, in one line; None while they are."""
    fault = connection.execute(_FAULT).scalar_one()
    return None if fault is None else str(fault)


def _find_fault(store: ObjectStore, row: _Row, held: str | None) -> str | None:
    markers = f"s3://{store.bucket}/{keys.INSTALLATION_PREFIX}"
    listed = (marker.key for marker in store.stored(keys.INSTALLATION_PREFIX))
    other = next((key for key in listed if key != keys.installation(row.id)), None)
    if other is not None:
        other_id = other.removeprefix(keys.INSTALLATION_PREFIX)
        return (
            f"installation {other_id} also uses the bucket {store.bucket} of this installation,"
            f" {row.id}: give each its own bucket, then remove the other's marker from {markers}"
        )
    if held is not None and held not in {str(row.token), str(row.next_token)}:
        return (
            f"a later state of this database has used the bucket {store.bucket}: if this"
            f" database is the right one, stop the other and remove {markers}{row.id}"
        )
    return None


def _read_marker(store: ObjectStore, key: str) -> str | None:
    try:
        return store.get(key, most=_MAX_MARKER_BYTES).decode(errors="replace")
    except ObjectTooLarge:
        return ""  # no marker of this installation
    except ObjectMissing:
        return None


def _write_marker(store: ObjectStore, key: str, token: uuid.UUID) -> None:
    content = str(token).encode()
    store.put(key, content, length=len(content), media_type="text/plain")
