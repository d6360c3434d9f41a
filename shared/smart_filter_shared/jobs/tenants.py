"""What is said of single tenants, where not what the settings say holds for them."""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, text

from smart_filter_shared.ids import Tenant
from smart_filter_shared.jobs.limits import OwnLimits
from smart_filter_shared.jobs.retention import OwnKeeping

# One that has never submitted anything starts where the queues are, as fairness.reserve says.
_ENSURE = text("""
    INSERT INTO tenants (name, finish) VALUES (:tenant, 0) ON CONFLICT (name) DO NOTHING
""")
_COLUMNS = """
    name, requests_per_minute, jobs_waiting, megapixels_per_day,
    keep_input_seconds, keep_result_seconds, keep_nothing, recipe
"""
_FIND = text(f"SELECT {_COLUMNS} FROM tenants WHERE name = :tenant")  # noqa: S608 - stands here
# One that has a key may not have submitted anything yet.
_IS_KNOWN = text("""
    SELECT EXISTS (SELECT FROM tenants WHERE name = :tenant)
        OR EXISTS (SELECT FROM keys WHERE tenant = :tenant)
""")
# Of about the same length, and not so many that comparing them takes long.
_NEAR = text("""
    SELECT name FROM (SELECT name FROM tenants UNION SELECT tenant FROM keys) AS known
    WHERE abs(length(name) - length(:tenant)) <= 4 LIMIT 10000
""")
_HOLD = text(f"{_FIND.text} FOR NO KEY UPDATE")
_ALL = text(f"SELECT {_COLUMNS} FROM tenants ORDER BY name")  # noqa: S608 - stands here
_SAY = text("""
    UPDATE tenants SET
        requests_per_minute = :requests_per_minute, jobs_waiting = :jobs_waiting,
        megapixels_per_day = :megapixels_per_day, keep_input_seconds = :keep_input_seconds,
        keep_result_seconds = :keep_result_seconds, keep_nothing = :keep_nothing,
        recipe = CAST(:recipe AS jsonb)
    WHERE name = :tenant
""")


@dataclass(frozen=True, slots=True)
class Own:
    """What is said of one tenant.

    recipe: what its recipes say that say nothing else, as JSON bodies write it.
    """

    limits: OwnLimits = field(default_factory=OwnLimits)
    keeping: OwnKeeping = field(default_factory=OwnKeeping)
    recipe: Mapping[str, object] = field(default_factory=dict)


def find(connection: Connection, tenant: Tenant) -> Own:
    """Return what is said of a tenant; nothing, of one that nobody knows."""
    row = connection.execute(_FIND, {"tenant": tenant}).one_or_none()
    return Own() if row is None else _own(row)


def is_known(connection: Connection, tenant: Tenant) -> bool:
    """Whether there is a tenant: one that has a key, had one, or of which something is said."""
    return bool(connection.execute(_IS_KNOWN, {"tenant": tenant}).scalar_one())


def near(connection: Connection, name: str) -> Tenant | None:
    """Return the tenant that somebody may have meant who named one that there is none of."""
    known = connection.execute(_NEAR, {"tenant": name}).scalars().all()
    return next(map(Tenant, difflib.get_close_matches(name, known, n=1)), None)


def hold(connection: Connection, tenant: Tenant) -> Own:
    """Return what is said of a tenant, so that nobody else changes it in this transaction."""
    connection.execute(_ENSURE, {"tenant": tenant})
    return _own(connection.execute(_HOLD, {"tenant": tenant}).one())


def say(connection: Connection, tenant: Tenant, own: Own) -> None:
    """Say what holds for one tenant, all of it; API processes know within a second."""
    connection.execute(_ENSURE, {"tenant": tenant})
    connection.execute(
        _SAY,
        {
            "tenant": tenant,
            "requests_per_minute": own.limits.requests_per_minute,
            "jobs_waiting": own.limits.jobs_waiting,
            "megapixels_per_day": own.limits.megapixels_per_day,
            "keep_input_seconds": own.keeping.input_seconds,
            "keep_result_seconds": own.keeping.result_seconds,
            "keep_nothing": own.keeping.nothing,
            "recipe": json.dumps(own.recipe) if own.recipe else None,
        },
    )


def listed(connection: Connection) -> dict[Tenant, Own]:
    """Return all tenants that have submitted something or of which something is said, by name."""
    return {Tenant(row.name): _own(row) for row in connection.execute(_ALL)}


def _own(row: Row[Any]) -> Own:
    return Own(
        OwnLimits(row.requests_per_minute, row.jobs_waiting, row.megapixels_per_day),
        OwnKeeping(row.keep_input_seconds, row.keep_result_seconds, row.keep_nothing),
        row.recipe or {},
    )
