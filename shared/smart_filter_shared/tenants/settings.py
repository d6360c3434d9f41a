"""Overrides of the settings for single tenants."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from smart_filter_shared import suggestions
from smart_filter_shared.artifacts.retention import RetentionOverrides
from smart_filter_shared.db.rows import read_row
from smart_filter_shared.ids import Tenant
from smart_filter_shared.tenants.quotas import LimitOverrides

# A tenant without submissions has finish 0: its first job starts at V (queue/fair_queueing.py).
_ENSURE = text("""
    INSERT INTO tenants (name, finish) VALUES (:tenant, 0) ON CONFLICT (name) DO NOTHING
""")
# The columns of `tenants` that hold overrides, for `parse_overrides`.
COLUMNS: Final = tuple(
    "requests_per_minute jobs_waiting megapixels_per_day stored_bytes pictures keep_input_seconds"
    " keep_result_seconds keep_nothing recipe link_seconds emotions".split()
)
_SELECT: Final = f"SELECT name, {', '.join(COLUMNS)} FROM tenants"  # noqa: S608 - stands here
_FIND = text(f"{_SELECT} WHERE name = :tenant")
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
_ALL = text(f"{_SELECT} ORDER BY name")
_WRITE = text(f"""
    UPDATE tenants SET {", ".join(f"{name} = :{name}" for name in COLUMNS)} WHERE name = :tenant
""").bindparams(bindparam("recipe", type_=JSONB(none_as_null=True)))  # noqa: S608 - names of our own


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
    return TenantOverrides() if row is None else parse_overrides(row)


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
    return parse_overrides(connection.execute(_LOCK, {"tenant": tenant}).one())


def write_overrides(connection: Connection, tenant: Tenant, overrides: TenantOverrides) -> None:
    """Replace all overrides of a tenant; API processes apply them within a second."""
    connection.execute(_ENSURE, {"tenant": tenant})
    connection.execute(
        _WRITE,
        {
            "tenant": tenant,
            **asdict(overrides.limits),
            "keep_input_seconds": overrides.retention.input_seconds,
            "keep_result_seconds": overrides.retention.result_seconds,
            "keep_nothing": overrides.retention.nothing,
            "recipe": overrides.recipe or None,
            "link_seconds": overrides.link_seconds,
            "emotions": overrides.emotions,
        },
    )


def list_tenants(connection: Connection) -> dict[Tenant, TenantOverrides]:
    """Return the overrides of all tenants with a row in `tenants`, ordered by name."""
    return {Tenant(row.name): parse_overrides(row) for row in connection.execute(_ALL)}


def parse_overrides(row: Row[Any]) -> TenantOverrides:
    """Return the overrides in a row with COLUMNS; empty ones where all are null."""
    return TenantOverrides(
        read_row(LimitOverrides, row),
        RetentionOverrides(
            row.keep_input_seconds, row.keep_result_seconds, nothing=bool(row.keep_nothing)
        ),
        row.recipe or {},
        row.link_seconds,
        row.emotions,
    )
