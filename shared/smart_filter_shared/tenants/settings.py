"""Overrides of the settings for single tenants."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, text

from smart_filter_shared import suggestions
from smart_filter_shared.artifacts.retention import RetentionOverrides
from smart_filter_shared.ids import Tenant
from smart_filter_shared.tenants.quotas import LimitOverrides

# A tenant without submissions has finish 0: its first job starts at V (queue/fair_queueing.py).
_ENSURE = text("""
    INSERT INTO tenants (name, finish) VALUES (:tenant, 0) ON CONFLICT (name) DO NOTHING
""")
_COLUMNS = """
    name, requests_per_minute, jobs_waiting, megapixels_per_day, stored_bytes, pictures,
    keep_input_seconds, keep_result_seconds, keep_nothing, recipe, link_seconds, emotions
"""
_FIND = text(f"SELECT {_COLUMNS} FROM tenants WHERE name = :tenant")  # noqa: S608 - stands here
# A tenant with a key may not have submitted anything yet.
_IS_KNOWN = text("""
    SELECT EXISTS (SELECT FROM tenants WHERE name = :tenant)
        OR EXISTS (SELECT FROM keys WHERE tenant = :tenant)
""")
# Names of similar length, limited to bound the time of the comparison.
_FIND_SIMILAR = text("""
    SELECT name FROM (SELECT name FROM tenants UNION SELECT tenant FROM keys) AS known
    WHERE abs(length(name) - length(:tenant)) <= 4 LIMIT 10000
""")
_LOCK = text(f"{_FIND.text} FOR NO KEY UPDATE")
_ALL = text(f"SELECT {_COLUMNS} FROM tenants ORDER BY name")  # noqa: S608 - stands here
_WRITE = text("""
    UPDATE tenants SET
        requests_per_minute = :requests_per_minute, jobs_waiting = :jobs_waiting,
        megapixels_per_day = :megapixels_per_day, stored_bytes = :stored_bytes,
        pictures = :pictures,
        keep_input_seconds = :keep_input_seconds, keep_result_seconds = :keep_result_seconds,
        keep_nothing = :keep_nothing,
        recipe = CAST(:recipe AS jsonb), link_seconds = :link_seconds, emotions = :emotions
    WHERE name = :tenant
""")


@dataclass(frozen=True, slots=True)
class TenantOverrides:
    """The overrides of one tenant.

    recipe: its default recipe fields, in the JSON form of request bodies.
    link_seconds: lifetime of signed links of its jobs.
    emotions: False: no emotions are read in its photos; None: the setting applies.
    """

    limits: LimitOverrides = field(default_factory=LimitOverrides)
    retention: RetentionOverrides = field(default_factory=RetentionOverrides)
    recipe: Mapping[str, object] = field(default_factory=dict)
    link_seconds: int | None = None
    emotions: bool | None = None


def read_overrides(connection: Connection, tenant: Tenant) -> TenantOverrides:
    """Return the overrides of a tenant; empty ones for an unknown tenant."""
    row = connection.execute(_FIND, {"tenant": tenant}).one_or_none()
    return TenantOverrides() if row is None else _read_row(row)


def is_known(connection: Connection, tenant: Tenant) -> bool:
    """Return whether a tenant is known: it has or had a key, or has a row in `tenants`."""
    return bool(connection.execute(_IS_KNOWN, {"tenant": tenant}).scalar_one())


def suggest_tenant(connection: Connection, name: str) -> Tenant | None:
    """Return the known tenant whose name is most similar to an unknown name, if any."""
    tenants = connection.execute(_FIND_SIMILAR, {"tenant": name}).scalars().all()
    return next(map(Tenant, suggestions.find_nearest(name, tenants)), None)


def lock_overrides(connection: Connection, tenant: Tenant) -> TenantOverrides:
    """Lock and return the overrides of a tenant; other transactions cannot change them."""
    connection.execute(_ENSURE, {"tenant": tenant})
    return _read_row(connection.execute(_LOCK, {"tenant": tenant}).one())


def write_overrides(connection: Connection, tenant: Tenant, overrides: TenantOverrides) -> None:
    """Replace all overrides of a tenant; API processes apply them within a second."""
    connection.execute(_ENSURE, {"tenant": tenant})
    connection.execute(
        _WRITE,
        {
            "tenant": tenant,
            "requests_per_minute": overrides.limits.requests_per_minute,
            "jobs_waiting": overrides.limits.jobs_waiting,
            "megapixels_per_day": overrides.limits.megapixels_per_day,
            "stored_bytes": overrides.limits.stored_bytes,
            "pictures": overrides.limits.pictures,
            "keep_input_seconds": overrides.retention.input_seconds,
            "keep_result_seconds": overrides.retention.result_seconds,
            "keep_nothing": overrides.retention.nothing,
            "recipe": json.dumps(overrides.recipe) if overrides.recipe else None,
            "link_seconds": overrides.link_seconds,
            "emotions": overrides.emotions,
        },
    )


def list_tenants(connection: Connection) -> dict[Tenant, TenantOverrides]:
    """Return the overrides of all tenants with a row in `tenants`, ordered by name."""
    return {Tenant(row.name): _read_row(row) for row in connection.execute(_ALL)}


def _read_row(row: Row[Any]) -> TenantOverrides:
    return TenantOverrides(
        LimitOverrides(
            row.requests_per_minute,
            row.jobs_waiting,
            row.megapixels_per_day,
            row.stored_bytes,
            row.pictures,
        ),
        RetentionOverrides(row.keep_input_seconds, row.keep_result_seconds, row.keep_nothing),
        row.recipe or {},
        row.link_seconds,
        row.emotions,
    )
