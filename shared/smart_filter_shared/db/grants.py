"""The permissions of each process's database role.

The owner of the tables migrates. API, workers and senders can each have a role that reads and
writes the tables and columns it needs and nothing else; none can create, change or drop a table.
Every migration sets these rights for the roles that exist. Without the roles all processes use the
owner's.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, text

from smart_filter_shared.db.process_roles import ProcessRole

_ALL: Final = "SELECT, INSERT, UPDATE, DELETE"
_INSERT_EVENTS: Final = "INSERT (job_id, type, stages, state, at, written_in)"
_INSERT_DELIVERIES: Final = (
    "INSERT (id, tenant, webhook, url, lane, job_id, batch_id, type, happened_at, due_at)"
)

# By role and table.  A statement that locks rows needs UPDATE of one column: `UPDATE (id)` stands
# for that where no row is changed.  INSERT never includes an identity column: rows with the next
# numbers, written with OVERRIDING SYSTEM VALUE, would make the inserts of others fail.
TABLE_GRANTS: Final[Mapping[ProcessRole, Mapping[str, str]]] = {
    # Also runs most commands of operators, in its container.
    ProcessRole.API: {
        "alembic_version": "SELECT",
        "all_stages": "SELECT",
        "artifacts": _ALL,
        # The table sets `at`: a row cannot be older than it is.
        "audit_events": "SELECT, INSERT (tenant, event, key_id, network, subject, count)",
        "backgrounds": "SELECT, DELETE",
        "batch_gaps": "SELECT, INSERT, DELETE",
        "batches": _ALL,
        "begun_jobs": "SELECT, INSERT, DELETE",
        "borrowers": "SELECT, INSERT, DELETE",
        "browser_codes": "SELECT, INSERT, DELETE",
        "browser_sessions": _ALL,
        "capabilities": "SELECT",
        "choices": _ALL,
        "corrections": "SELECT, INSERT, DELETE",
        "data_items": "SELECT, DELETE",
        "data_removals": "SELECT, INSERT",
        "deliveries": f"SELECT, {_INSERT_DELIVERIES}, UPDATE, DELETE",
        "delivery_attempts": "SELECT, DELETE",
        "ended_stages": "SELECT, UPDATE, DELETE",
        "events": f"SELECT, {_INSERT_EVENTS}, DELETE",
        "failures": "SELECT",
        "foresight": "SELECT",
        "incoming_pictures": _ALL,
        "installation": "SELECT",
        "jobs": _ALL,
        "keys": "SELECT, INSERT, UPDATE",
        "measures": "SELECT",
        "model_versions": "SELECT",
        "models": "SELECT",
        "paces": "SELECT",
        "pauses": "SELECT, INSERT, DELETE",
        "queue_samples": "SELECT",
        "queue_snapshots": "SELECT",
        "recipes": _ALL,
        "requests": _ALL,
        "s3_objects": _ALL,
        "samples": "SELECT",
        "stages": _ALL,
        "stored_changes": "SELECT",
        "sweeper": "SELECT",
        "tenants": "SELECT, INSERT, UPDATE",
        "tombstones": "SELECT, INSERT",
        "unsettled_jobs": "SELECT, INSERT, DELETE",
        "uploads": "SELECT, INSERT, UPDATE",
        "usage": "SELECT",
        "webhook_secrets": _ALL,
        "webhooks": _ALL,
        "workers": "SELECT, UPDATE (drained_from)",
    },
    # Every worker also sweeps and collects garbage.
    ProcessRole.WORKER: {
        "alembic_version": "SELECT",
        "all_stages": "SELECT",
        "artifacts": _ALL,
        "backgrounds": "SELECT, INSERT, UPDATE",
        "batch_gaps": "SELECT, INSERT, DELETE",
        "batches": "SELECT, UPDATE, DELETE",
        "begun_jobs": "SELECT, INSERT, DELETE",
        "borrowers": "SELECT, INSERT, DELETE",
        "capabilities": "SELECT, INSERT, UPDATE",
        "choices": "SELECT, UPDATE (id), DELETE",
        "corrections": "SELECT, UPDATE, DELETE",
        "data_items": "SELECT, INSERT, DELETE",
        "data_removals": "SELECT, INSERT",
        "data_sets": "SELECT, UPDATE",
        "deliveries": f"SELECT, {_INSERT_DELIVERIES}, UPDATE (id), DELETE",
        "delivery_attempts": "SELECT (delivery_id), DELETE",
        "ended_stages": _ALL,
        "events": f"SELECT, {_INSERT_EVENTS}, DELETE",
        "failures": _ALL,
        "foresight": "SELECT, INSERT, UPDATE",
        "incoming_pictures": "SELECT, UPDATE, DELETE",
        "installation": "SELECT, UPDATE",
        "jobs": "SELECT, UPDATE, DELETE",
        "measures": "SELECT, INSERT, UPDATE",
        "model_versions": "SELECT",
        "models": "SELECT, INSERT, UPDATE",
        "paces": "SELECT, INSERT, UPDATE",
        "pauses": "SELECT",
        "queue_samples": "SELECT, INSERT, DELETE",
        "queue_snapshots": "SELECT, INSERT, UPDATE",
        "requests": "SELECT (tenant, key, claimed_at, job_id), UPDATE (body), DELETE",
        "samples": "SELECT, INSERT, DELETE",
        "stages": "SELECT, UPDATE, DELETE",
        "stored_changes": "SELECT, DELETE",
        "sweeper": "SELECT, UPDATE",
        "tenants": (
            "SELECT (name, weight, finish, emotions, spent_on, spent_megapixels, used_bytes),"
            " INSERT (name, finish, used_bytes),"
            " UPDATE (finish, spent_on, spent_megapixels, used_bytes)"
        ),
        "tombstones": "SELECT, INSERT, UPDATE",
        "unsettled_jobs": "SELECT, INSERT, UPDATE, DELETE",
        "uploads": "SELECT, UPDATE, DELETE",
        "usage": "SELECT, INSERT, UPDATE",
        "webhooks": "SELECT (id, tenant, url, events, disabled)",
        "workers": _ALL,
    },
    ProcessRole.SENDER: {
        "alembic_version": "SELECT",
        "batch_gaps": "SELECT",
        "batches": "SELECT",
        "corrections": "SELECT",
        "deliveries": "SELECT, UPDATE",
        "delivery_attempts": "INSERT (delivery_id, at, seconds, status, answer, error)",
        "ended_stages": "SELECT",
        "jobs": "SELECT",
        "stages": "SELECT",
        "tenants": "SELECT (name, emotions)",
        "tombstones": "SELECT",
        "webhook_secrets": "SELECT",
        "webhooks": "SELECT, UPDATE (disabled)",
        "workers": _ALL,
    },
}
# Functions that run with the owner's rights (migration 0001).
_FUNCTION_GRANTS: Final[Mapping[ProcessRole, tuple[str, ...]]] = {
    ProcessRole.API: (),
    ProcessRole.WORKER: ("delete_old_audit_events(double precision, bigint)",),
    ProcessRole.SENDER: (),
}

# Large objects lie outside all tables. Only a superuser can revoke this; where the owner of the
# tables is none, deploy/postgres/create-process-roles.sql does.
_REVOKE_LARGE_OBJECTS: Final = (
    "REVOKE EXECUTE ON FUNCTION lo_creat, lo_create, lo_from_bytea FROM PUBLIC"
)


def apply(connection: Connection) -> None:
    """Give the roles that exist the rights above, and take all others from them.

    For the owner of the tables, in one transaction.
    """
    functions = ", ".join(function for several in _FUNCTION_GRANTS.values() for function in several)
    # PostgreSQL's default; a restored backup may lack the opposite.
    connection.exec_driver_sql(f"REVOKE ALL ON FUNCTION {functions} FROM PUBLIC")
    roles = connection.scalars(
        text("SELECT rolname FROM pg_roles WHERE rolname = ANY(:roles)"),
        {"roles": list(ProcessRole)},
    )
    for role in roles.all():
        connection.exec_driver_sql("; ".join(_build_statements(connection, ProcessRole(role))))


def _build_statements(connection: Connection, role: ProcessRole) -> list[str]:
    """Return the statements that set the rights of a role."""
    database, schema, is_superuser = connection.execute(
        text("""
            SELECT quote_ident(current_database()), quote_ident(current_schema()), rolsuper
            FROM pg_roles WHERE rolname = current_user
        """)
    ).one()
    revoked = ("TABLES", "SEQUENCES", "ROUTINES")
    return [
        *([_REVOKE_LARGE_OBJECTS] if is_superuser else []),
        *(f"REVOKE ALL ON ALL {objects} IN SCHEMA {schema} FROM {role}" for objects in revoked),
        f"REVOKE ALL ON SCHEMA {schema} FROM {role}",
        f"REVOKE ALL ON DATABASE {database} FROM {role}",
        f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {database} TO {role}",
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        *(f"GRANT {rights} ON {table} TO {role}" for table, rights in TABLE_GRANTS[role].items()),
        *(f"GRANT EXECUTE ON FUNCTION {function} TO {role}" for function in _FUNCTION_GRANTS[role]),
    ]
