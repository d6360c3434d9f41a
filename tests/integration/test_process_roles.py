"""The database role of each process: what it may not do.  Other tests run each under its own."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from smart_filter_shared.db import grants, migrate, sessions
from smart_filter_shared.db.process_roles import ProcessRole
from smart_filter_shared.errors import DatabaseMisconfigured
from smart_filter_tests.bench import Bench, as_role

OF_OWNER = (
    "CREATE TABLE another ()",
    "DROP VIEW all_stages",
    "ALTER TABLE jobs ADD another text",
    "TRUNCATE events",
    "UPDATE alembic_version SET version_num = ''",
    "UPDATE audit_events SET tenant = ''",
    "DELETE FROM audit_events",
    "ALTER TABLE audit_events DISABLE TRIGGER ALL",
    "INSERT INTO model_versions DEFAULT VALUES",
    "SET ROLE smart_filter",
    "CREATE TEMP TABLE another ()",
    "SELECT lo_creat(-1)",
    "SELECT lo_create(0)",
    "SELECT lo_from_bytea(0, '')",
    "SELECT lo_import('/etc/passwd')",
)
FORBIDDEN = {
    ProcessRole.API: (
        "SELECT FROM data_sets",
        "INSERT INTO audit_events (id, tenant, event) OVERRIDING SYSTEM VALUE VALUES (9, '', '')",
        "INSERT INTO audit_events (at, tenant, event) VALUES ('2000-01-01', '', '')",
        "INSERT INTO backgrounds DEFAULT VALUES",
        "DELETE FROM keys",
        "SELECT delete_old_audit_events(0, 1)",
    ),
    ProcessRole.WORKER: (
        "SELECT FROM keys",
        "SELECT FROM browser_sessions",
        "SELECT FROM browser_codes",
        "SELECT FROM webhook_secrets",
        "SELECT FROM audit_events",
        "INSERT INTO audit_events DEFAULT VALUES",
        "SELECT recipe FROM tenants",
        "SELECT body FROM requests",
        "UPDATE tenants SET weight = 9",
        "UPDATE tenants SET name = ''",
        "UPDATE webhooks SET url = ''",
        "UPDATE deliveries SET url = ''",
        "INSERT INTO jobs DEFAULT VALUES",
    ),
    ProcessRole.SENDER: (
        "SELECT FROM keys",
        "SELECT FROM browser_sessions",
        "SELECT FROM audit_events",
        "SELECT FROM artifacts",
        "SELECT recipe FROM tenants",
        "UPDATE webhooks SET url = ''",
        "INSERT INTO deliveries DEFAULT VALUES",
        "INSERT INTO webhook_secrets DEFAULT VALUES",
        "UPDATE jobs SET outcome = 'failed'",
        "SELECT delete_old_audit_events(0, 1)",
    ),
}


@pytest.fixture(scope="module")
def engines(_bench: Bench) -> Iterator[dict[ProcessRole, Engine]]:
    """An engine under each role."""
    made = {
        role: sessions.open_engine(as_role(_bench.settings, role).database, connections=1)
        for role in ProcessRole
    }
    yield made
    for engine in made.values():
        engine.dispose()


@pytest.mark.parametrize(
    ("role", "statement"),
    [(role, one) for role, statements in FORBIDDEN.items() for one in (*OF_OWNER, *statements)],
)
def test_role_is_refused(
    engines: dict[ProcessRole, Engine], role: ProcessRole, statement: str
) -> None:
    with (
        pytest.raises(DatabaseMisconfigured, match=r"permission denied|must be owner"),
        sessions.transaction(engines[role]) as connection,
    ):
        connection.execute(text(statement))


@pytest.mark.parametrize("role", ProcessRole)
def test_role_is_an_ordinary_one(engines: dict[ProcessRole, Engine], role: ProcessRole) -> None:
    with sessions.transaction(engines[role]) as connection:
        name, rights = connection.execute(
            text("""
                SELECT current_user, ARRAY[
                    rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls,
                    pg_has_role('smart_filter', 'MEMBER')
                ] FROM pg_roles WHERE rolname = current_user
            """)
        ).one()

    assert (name, rights) == (role, [False] * 6)


def test_upgrade_takes_other_rights_away(bench: Bench) -> None:
    bench.execute("GRANT SELECT, DELETE ON keys TO smart_filter_worker")
    bench.execute("GRANT SELECT (recipe) ON tenants TO smart_filter_sender")
    bench.execute("GRANT EXECUTE ON FUNCTION delete_old_audit_events TO PUBLIC")

    migrate.upgrade(bench.engine)

    assert bench.scalar("""
        SELECT ARRAY[
            has_table_privilege('smart_filter_worker', 'keys', 'SELECT, DELETE'),
            has_column_privilege('smart_filter_sender', 'tenants', 'recipe', 'SELECT'),
            has_function_privilege(
                'smart_filter_api', 'delete_old_audit_events(float8, bigint)', 'EXECUTE'
            ),
            has_table_privilege('smart_filter_worker', 'jobs', 'UPDATE')
        ]
    """) == [False, False, False, True]


@pytest.mark.parametrize("role", ProcessRole)
def test_role_inserts_no_number_that_the_table_draws(
    engines: dict[ProcessRole, Engine], role: ProcessRole
) -> None:
    with sessions.transaction(engines[role]) as connection:
        drawn = connection.execute(
            text("""
                SELECT format('%s.%s', attrelid::regclass, attname),
                    has_column_privilege(attrelid, attnum, 'INSERT')
                FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
                WHERE attidentity <> '' AND relnamespace = 'public'::regnamespace
            """)
        ).all()

    assert ("audit_events.id", False) in drawn
    assert [column for column, may_insert in drawn if may_insert] == []


def test_every_table_is_of_a_process(engines: dict[ProcessRole, Engine]) -> None:
    granted = {table for rights in grants.TABLE_GRANTS.values() for table in rights}

    with sessions.transaction(engines[ProcessRole.API]) as connection:
        created = connection.scalars(
            text("""
                SELECT relname FROM pg_class WHERE relkind = 'r'
                    AND relnamespace = 'public'::regnamespace
            """)
        )
        assert granted - {"all_stages"} == set(created)
