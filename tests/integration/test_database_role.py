"""The role of deploy/postgres/database-role.sql: enough for the service, and no superuser."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from integration.databases import an_empty_database, connect
from smart_filter_deploy.embedded.addresses import url_of_role
from smart_filter_deploy.embedded.binaries import postgres_folder
from smart_filter_deploy.embedded.folder import DataFolder
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.db import migrate
from smart_filter_shared.db.process_roles import ProcessRole
from smart_filter_shared.pipeline import StageName
from smart_filter_shared.queue.states import JobState
from smart_filter_tests import invariants
from smart_filter_tests.bench import Bench, open_bench, settings_of
from smart_filter_tests.serving import an_api_with

POSTGRES = Path(__file__).parents[2] / "deploy" / "postgres"
PROCESS_ROLES = POSTGRES / "create-process-roles.sql"
SCRIPT = POSTGRES / "database-role.sql"
STAGES = tuple(StageName)


@pytest.fixture(scope="module")
def stack(data_folder: Path) -> Iterator[Stack]:
    """Servers whose database role is the first superuser, as in a new container."""
    with Stack(DataFolder.at(data_folder / "role")) as stack:
        yield stack


@pytest.fixture(scope="module")
def bench(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A bench on a database that both scripts have set up."""
    settings = settings_of(stack.addresses)
    with open_bench(settings, connections=2) as former:
        for role in ProcessRole:
            former.execute(f"DROP ROLE {role}")
        create_process_roles(stack.addresses.database_url, tmp_path_factory.mktemp("secrets"))
        for _ in range(2):  # it can be repeated
            former.execute(SCRIPT.read_text().replace(":", r"\:"))
    with open_bench(settings, connections=4) as bench:
        migrate.upgrade(bench.engine)
        bench.store.ensure_bucket()
        yield bench


def create_process_roles(url: str, secrets: Path) -> None:
    """Run the script of the roles as PostgreSQL's container does, twice, as it can be repeated.

    url: of the database as a superuser.
    """
    for role in ProcessRole:
        name = role.name.lower()
        (secrets / f"database_url_{name}").write_text(url_of_role(url, role))
    script = secrets / PROCESS_ROLES.name
    script.write_text(PROCESS_ROLES.read_text().replace("/run/secrets", str(secrets)))
    psql = (postgres_folder() / "psql", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--file", script)
    for _ in range(2):
        subprocess.run([*psql, url.replace("+psycopg", "")], check=True)


def test_role_is_no_superuser_and_owns_its_database(bench: Bench) -> None:
    rights = bench.scalar("""
        SELECT ARRAY[rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls]
        FROM pg_roles WHERE rolname = current_user
    """)
    owners = bench.scalar("""
        SELECT array_agg(DISTINCT CAST(owner AS text)) FROM (
            SELECT relowner::regrole FROM pg_class WHERE relnamespace = 'public'::regnamespace
            UNION ALL
            SELECT proowner::regrole FROM pg_proc WHERE pronamespace = 'public'::regnamespace
            UNION ALL
            SELECT datdba::regrole FROM pg_database WHERE datname = current_database()
        ) AS owners (owner)
    """)

    assert bench.scalar("SELECT current_user") == "smart_filter"
    assert rights == [False] * 5
    assert owners == ["smart_filter"]
    assert bench.scalar("SELECT count(*) FROM pg_roles WHERE rolname = 'smart_filter_setup'") == 0


def test_only_superusers_make_large_objects(servers: Stack, tmp_path: Path) -> None:
    with an_empty_database(servers.addresses.database_url, "large_objects") as settings:
        create_process_roles(settings.url.get_secret_value(), tmp_path)
        with connect(settings) as engine, engine.connect() as connection:
            makers = connection.scalars(
                text("""
                    SELECT oid::regproc::text FROM pg_proc
                    WHERE proname IN ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_import')
                        AND has_function_privilege('smart_filter_api', oid, 'EXECUTE')
                """)
            ).all()

    assert makers == []


@pytest.mark.parametrize(
    "statement",
    [
        "COPY keys TO PROGRAM 'cat'",
        "COPY keys FROM '/etc/passwd'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT lo_import('/etc/passwd')",
        "CREATE ROLE another SUPERUSER",
        "ALTER ROLE smart_filter SUPERUSER",
        "SET ROLE postgres",
        "CREATE DATABASE another",
        "ALTER SYSTEM SET fsync = off",
        "CREATE EXTENSION dblink",
        "SELECT rolpassword FROM pg_authid",
    ],
)
def test_role_cannot_leave_its_database(bench: Bench, statement: str) -> None:
    connecting = bench.engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    with connecting as connection, pytest.raises(DBAPIError, match=r"denied|must be"):
        connection.execute(text(statement))


def test_superuser_cannot_be_reached_over_the_network(bench: Bench) -> None:
    url = bench.engine.url.set(username="postgres")

    with pytest.raises(OperationalError, match="password authentication failed"):
        create_engine(url).connect()


def test_job_runs_to_its_end(bench: Bench) -> None:
    job_id = bench.submit()
    bench.advance(*STAGES)
    bench.sweep()

    assert bench.job(job_id).state is JobState.SUCCEEDED
    assert invariants.broken(bench) == []


def test_role_migrates(bench: Bench) -> None:
    migrate.upgrade(bench.engine)

    assert invariants.broken(bench) == []


def test_api_serves(bench: Bench) -> None:
    with an_api_with(bench, bench.settings) as api:
        job_id = api.submit(background="keep")
        api.client.post(f"/v1/jobs/{job_id}/cancel").raise_for_status()
        listed = api.read("/v1/jobs", params={"state": "canceled"})["items"]
        ready = api.operators.get("/readyz").json()

    assert [job["id"] for job in listed] == [job_id]
    assert ready["status"] == "ok"
