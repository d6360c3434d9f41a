"""The consistency check (`smart-filter audit`): find lost, doubled, orphaned or miscounted work.

Rows are compared with each other in one snapshot, then with the objects in the object store. The
check changes nothing. It reads every row of jobs and every key of the store, so it takes minutes
with millions of them.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, Engine, text

from smart_filter_shared.artifacts import retention
from smart_filter_shared.db import sessions
from smart_filter_shared.ids import Tenant
from smart_filter_shared.operations.consistency_rules import RULES, FaultKind
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore, list_written_before

_PAGE = 1000
# Age from which an orphaned object is reported. Workers delete orphans of today and yesterday
# within two hours, and orphans of older days once in 24 hours.
_MIN_AGE = dt.timedelta(hours=48)
_OBJECT_EXISTS_RULE = "every key in a row has its object"
_OBJECT_EXISTS_FIX = "restore it from a backup of the bucket, or delete its job"
_OBJECT_REFERENCED_RULE = "a row names every job object that is two days old"
_OBJECT_REFERENCED_FIX = (
    "workers delete it within a day; when they do not, run `smart-filter doctor` to see why"
)

_CHECK_ROWS = text(
    " UNION ALL ".join(
        f"(SELECT {place} AS place, subject FROM ({rule.query}) AS found LIMIT :most)"  # noqa: S608 - constants of consistency_rules.py
        for place, rule in enumerate(RULES)
    )
)
_LIST_ARTIFACTS = text("""
    SELECT tenant, key FROM artifacts
    WHERE marked_at IS NULL AND (tenant, key) > (:tenant, :key)
    ORDER BY tenant, key LIMIT :most
""")
# Objects that belong to no job: stock backgrounds and trained weights.
_LIST_STANDALONE_KEYS = text("""
    SELECT key FROM backgrounds
    UNION ALL SELECT key FROM incoming_pictures WHERE code IS NULL
    UNION ALL SELECT key FROM model_versions
""")


@dataclass(frozen=True, slots=True)
class Finding:
    """A violation of a rule.

    rule: the name of the rule.  subject: the row or object.  fix: what an operator does about it.
    """

    fault: FaultKind
    rule: str
    subject: str
    fix: str


def check_rows(connection: Connection, *, most: int) -> list[Finding]:
    """Return violations of the rules of rows, at most `most` per rule."""
    rows = connection.execute(_CHECK_ROWS, {"most": most}).all()
    return [
        Finding(RULES[row.place].fault, RULES[row.place].name, row.subject, RULES[row.place].fix)
        for row in sorted(rows, key=lambda row: (row.place, row.subject))
    ]


def check_objects(
    engine: Engine, store: ObjectStore, *, most: int, old: dt.timedelta = _MIN_AGE
) -> list[Finding]:
    """Return missing and orphaned objects, at most `most` of each.

    old: the age from which an object can be an orphan: a running transaction may still name a
        younger one, or workers may not have deleted it yet.

    Raises DatabaseUnavailable or StorageUnavailable.
    """
    before = dt.datetime.now(dt.UTC) - old
    missing, left_over = _missing(engine, store), _find_orphans(engine, store, before)
    return [
        *(
            Finding(FaultKind.LOST, _OBJECT_EXISTS_RULE, key, _OBJECT_EXISTS_FIX)
            for key in islice(missing, most)
        ),
        *(
            Finding(FaultKind.ORPHANED, _OBJECT_REFERENCED_RULE, key, _OBJECT_REFERENCED_FIX)
            for key in islice(left_over, most)
        ),
    ]


def _missing(engine: Engine, store: ObjectStore) -> Iterator[str]:
    with sessions.transaction(engine) as connection:
        stocked = [row.key for row in connection.execute(_LIST_STANDALONE_KEYS)]
    # Listed, because an identity that can list the bucket may not read weights (deploy/storage).
    prefixes = (keys.BACKGROUND_PREFIX, keys.WEIGHTS_PREFIX)
    there = {stored.key for prefix in prefixes for stored in store.stored(prefix)}
    yield from (key for key in stocked if key not in there)
    listed: tuple[str, frozenset[str]] = ("", frozenset())
    for page in _iterate_artifacts(engine):
        missed = []
        for tenant, key in page:
            # Rows are in the order of keys, so one listing serves a tenant's whole day.
            folder = key[: key.rfind(f"/{tenant}/") + len(tenant) + 2]
            if listed[0] != folder:
                listed = folder, frozenset(stored.key for stored in store.stored(folder))
            # An object written after the listing is looked up on its own.
            if key not in listed[1] and not store.has(key):
                missed.append((tenant, key))
        # An artifact that was marked meanwhile may be deleted.
        with sessions.transaction(engine) as connection:
            yield from (
                key for tenant, key in missed if retention.is_unmarked(connection, tenant, key)
            )


def _iterate_artifacts(engine: Engine) -> Iterator[Sequence[tuple[Tenant, str]]]:
    tenant, key = Tenant(""), ""
    while True:
        with sessions.transaction(engine) as connection:
            where = {"tenant": tenant, "key": key, "most": _PAGE}
            page = [
                (Tenant(row.tenant), row.key) for row in connection.execute(_LIST_ARTIFACTS, where)
            ]
        if not page:
            return
        yield page
        tenant, key = page[-1]


def _find_orphans(engine: Engine, store: ObjectStore, before: dt.datetime) -> Iterator[str]:
    for folder in store.folders():
        if keys.day_of_folder(folder) is not None:  # other folders belong to no job
            for page in list_written_before(store, folder, before, most=_PAGE):
                with sessions.transaction(engine) as connection:
                    yield from retention.unreferenced(connection, page)
