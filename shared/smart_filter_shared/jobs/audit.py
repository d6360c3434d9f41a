"""The audit: nothing that was taken on is lost, done twice, or left where nobody uses it.

Rows are compared with each other in one snapshot, then with the objects in storage. It reads and
changes nothing; every row of jobs and every key in storage is looked at, so that it takes minutes
where there are millions.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, Engine, text

from smart_filter_shared.db import sessions
from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs import retention
from smart_filter_shared.jobs.audit_rules import RULES, Fault
from smart_filter_shared.storage import keys
from smart_filter_shared.storage.objects import ObjectStore

_PAGE = 1000
# Workers remove what no row names: of today and yesterday within two hours, of an older day once in
# 24 hours.
_OLD = dt.timedelta(hours=48)
_THERE = "an object lies under every key that a row names"
_COPY_BACK = "copy it back from a backup of the bucket; else delete its job"
_NAMED = "a row names every object of jobs that is two days old"
_REMOVE = "workers remove it within a day; when they do not, ask `smart-filter doctor` why"

_ROWS = text(
    " UNION ALL ".join(
        f"(SELECT {place} AS place, subject FROM ({rule.query}) AS found LIMIT :most)"  # noqa: S608 - constants of audit_rules.py
        for place, rule in enumerate(RULES)
    )
)
_KEPT = text("""
    SELECT tenant, key FROM artifacts
    WHERE marked_at IS NULL AND (tenant, key) > (:tenant, :key)
    ORDER BY tenant, key LIMIT :most
""")
# What does not go with a job: pictures of the stock, and trained weights.
_STOCKED = text("SELECT key FROM backgrounds UNION ALL SELECT key FROM model_versions")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold.

    rule: what should.  subject: of what it does not.  fix: what to do about it.
    """

    fault: Fault
    rule: str
    subject: str
    fix: str


def rows(connection: Connection, *, most: int) -> list[Finding]:
    """Return what breaks a rule of the rows, so many of each rule."""
    found = connection.execute(_ROWS, {"most": most}).all()
    return [
        Finding(RULES[row.place].fault, RULES[row.place].name, row.subject, RULES[row.place].fix)
        for row in sorted(found, key=lambda row: (row.place, row.subject))
    ]


def objects(
    engine: Engine, store: ObjectStore, *, most: int, old: dt.timedelta = _OLD
) -> list[Finding]:
    """Return which objects are missing and which are left over, so many of each.

    old: what was written since may be named by a commit under way, or not be removed yet.

    Raises DatabaseUnavailable or StorageUnavailable.
    """
    before = dt.datetime.now(dt.UTC) - old
    missing, left_over = _missing(engine, store), _left_over(engine, store, before)
    return [
        *(Finding(Fault.LOST, _THERE, key, _COPY_BACK) for key in islice(missing, most)),
        *(Finding(Fault.ORPHANED, _NAMED, key, _REMOVE) for key in islice(left_over, most)),
    ]


def _missing(engine: Engine, store: ObjectStore) -> Iterator[str]:
    with sessions.transaction(engine) as connection:
        stocked = [row.key for row in connection.execute(_STOCKED)]
    yield from (key for key in stocked if not store.has(key))
    listed: tuple[str, frozenset[str]] = ("", frozenset())
    for page in _kept(engine):
        missed = []
        for tenant, key in page:
            # All of a tenant's day at once, as rows come in that order.
            folder = key[: key.rfind(f"/{tenant}/") + len(tenant) + 2]
            if listed[0] != folder:
                listed = folder, frozenset(stored.key for stored in store.stored(folder))
            # What was written since the listing is looked for by itself.
            if key not in listed[1] and not store.has(key):
                missed.append((tenant, key))
        # What was marked since is removed rightly.
        with sessions.transaction(engine) as connection:
            yield from (
                key for tenant, key in missed if retention.is_there(connection, tenant, key)
            )


def _kept(engine: Engine) -> Iterator[Sequence[tuple[Tenant, str]]]:
    tenant, key = Tenant(""), ""
    while True:
        with sessions.transaction(engine) as connection:
            where = {"tenant": tenant, "key": key, "most": _PAGE}
            page = [(Tenant(row.tenant), row.key) for row in connection.execute(_KEPT, where)]
        if not page:
            return
        yield page
        tenant, key = page[-1]


def _left_over(engine: Engine, store: ObjectStore, before: dt.datetime) -> Iterator[str]:
    for folder in store.folders():
        if keys.day_of_folder(folder) is not None:  # others hold what is no job's
            for page in _paged(store, folder, before):
                with sessions.transaction(engine) as connection:
                    yield from retention.unnamed(connection, page)


def _paged(store: ObjectStore, folder: str, before: dt.datetime) -> Iterator[list[str]]:
    page: list[str] = []
    for stored in store.stored(folder):
        if stored.written_at < before:
            page.append(stored.key)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page
