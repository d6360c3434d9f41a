"""The database: migrated under a running service, of another version, behind PgBouncer."""

import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, text

from integration.databases import an_empty_database, bring_to, connect
from smart_filter_deploy.embedded.stack import Stack
from smart_filter_shared.config.settings import DatabaseSettings
from smart_filter_shared.db import grants, migrate, schema, sessions
from smart_filter_shared.db.process_roles import ProcessRole
from smart_filter_shared.errors import SetupFailed
from smart_filter_tests import pgbouncer, races
from smart_filter_tests.bench import Bench, as_role

ROOT = Path(__file__).parents[2]
VERSIONS = sorted(Path(migrate.__file__).parent.glob("migrations/versions/[0-9]*.py"))
PACKAGES = ("shared", "api", "workers", "client", "deploy", "tests")
# Processes a photo, in the version of the code that runs it.
JOURNEY = """
import dataclasses
import os
import sys
import redis
from smart_filter_shared.config import settings
from smart_filter_shared.db import sessions
from smart_filter_shared.doorbell import Doorbell
from smart_filter_shared.pipeline import StageName
from smart_filter_tests.bench import Bench

loaded = settings.load()
engine = sessions.open_engine(loaded.database, connections=2)
given = {
    "settings": loaded,
    "engine": engine,
    "worker_engine": engine,  # not in every version
    "store": None,  # its stages store nothing
    "doorbell": Doorbell(loaded.broker),
    "broker": redis.Redis.from_url(os.environ["SMART_FILTER_BROKER_URL"]),
}
known = {field.name for field in dataclasses.fields(Bench)}
bench = Bench(**{name: value for name, value in given.items() if name in known})
assert sessions.__file__.startswith(sys.argv[1]), sessions.__file__
job_id = bench.submit()
stages = [StageName(one) for one in "prepare segmentation face smile composite".split()]
bench.advance(*stages)
assert bench.job(job_id).state == "succeeded", bench.job(job_id)
"""
LATER = "9999"
SETTINGS = text("""
    SELECT current_setting('lock_timeout'),
        current_setting('idle_in_transaction_session_timeout'),
        current_setting('plan_cache_mode'), current_setting('enable_seqscan')
""")
DEPLOYING = Path(__file__).parents[2] / "docs" / "deploying.md"


@contextmanager
def a_database(servers: Stack, name: str) -> Iterator[Engine]:
    url = servers.addresses.database_url
    with an_empty_database(url, name) as settings, connect(settings) as engine:
        yield engine


def environment(servers: Stack, engine: Engine) -> dict[str, str]:
    url = engine.url.render_as_string(hide_password=False)
    return {**servers.addresses.environment(), "SMART_FILTER_DATABASE_URL": url}


def revision_of(path: Path) -> str:
    return path.name.partition("_")[0]


@dataclass(frozen=True, slots=True)
class Column:
    """A column.  kind: its type, with `?` when it may be null.

    is_demanded: whether a row cannot be written without a value for it.
    """

    table: str
    kind: str
    is_demanded: bool


def columns(engine: Engine) -> dict[str, Column]:
    with sessions.transaction(engine) as connection:
        rows = connection.execute(
            text("""
                SELECT table_name, column_name,
                    udt_name || CASE is_nullable WHEN 'YES' THEN '?' ELSE '' END AS kind,
                    is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO' AS demanded
                FROM information_schema.columns WHERE table_schema = 'public'
            """)
        )
        return {
            f"{row.table_name}.{row.column_name}": Column(row.table_name, row.kind, row.demanded)
            for row in rows
        }


def test_migrations_only_add_what_the_previous_version_can_ignore(servers: Stack) -> None:
    broken = []
    with a_database(servers, "growing") as engine:
        bring_to(engine, revision_of(VERSIONS[0]))
        for path in VERSIONS[1:]:
            before = columns(engine)
            bring_to(engine, revision_of(path))
            after = columns(engine)
            tables = {column.table for column in before.values()}
            broken += [
                (path.name, name, column.kind, after.get(name))
                for name, column in before.items()
                if name not in after or after[name].kind not in {column.kind, f"{column.kind}?"}
            ]
            broken += [
                (path.name, name, "needs a value", column)
                for name, column in after.items()
                if column.is_demanded
                and column.table in tables
                and not (name in before and before[name].is_demanded)
            ]

    assert broken == []


@pytest.mark.slow
def test_previous_version_works_on_the_new_schema(servers: Stack, tmp_path: Path) -> None:
    """The code before the newest migration comes from the repository's history."""
    unpack_version_before(VERSIONS[-1], tmp_path)
    first = VERSIONS[0].with_suffix(".sql")
    if (tmp_path / first.relative_to(ROOT)).read_bytes() != first.read_bytes():
        pytest.skip("nothing is published: the first schema was rewritten after that version")
    with a_database(servers, "upgraded") as engine:
        migrate.upgrade(engine)
        ended = subprocess.run(
            [sys.executable, "-c", JOURNEY, str(tmp_path)],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join(str(tmp_path / package) for package in PACKAGES),
                **environment(servers, engine),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    assert ended.returncode == 0, ended.stderr


def unpack_version_before(migration: Path, folder: Path) -> None:
    def git(*words: str) -> bytes:
        ended = subprocess.run(["git", *words], cwd=ROOT, check=False, capture_output=True)
        if ended.returncode != 0:
            # A copy without history, a shallow clone or another project's repository lacks the code
            # of before. Every full clone runs this test.
            why = " ".join(ended.stderr.decode().split())
            pytest.skip(f"needs the history (git fetch --unshallow): {why}")
        return ended.stdout

    came = git("log", "-1", "--diff-filter=A", "--format=%H", "--", str(migration)).decode().strip()
    archive = git("archive", f"{came}^" if came else "HEAD", *PACKAGES)
    # Python extracts archives safely from 3.11.4 on; Debian 12 has 3.11.2.
    subprocess.run(["tar", "--extract"], cwd=folder, input=archive, check=True)


@pytest.fixture
def settings(bench: Bench) -> Iterator[DatabaseSettings]:
    with an_empty_database(bench.settings.database.url.get_secret_value(), "versions") as settings:
        yield settings


@pytest.fixture
def engine(settings: DatabaseSettings) -> Iterator[Engine]:
    with connect(settings) as engine:
        migrate.upgrade(engine)
        yield engine


def at(connection: Connection, revision: str, *, served_from: str) -> None:
    connection.execute(text("UPDATE alembic_version SET version_num = :is"), {"is": revision})
    connection.execute(text(f"COMMENT ON TABLE alembic_version IS '{served_from}'"))


def test_database_without_tables_is_refused_with_the_command_to_run(
    settings: DatabaseSettings,
) -> None:
    with pytest.raises(SetupFailed, match=r"has no tables yet.*run `smart-filter prepare`"):
        schema.ensure_compatible(settings, wait_seconds=0)


def test_database_with_a_compatible_revision_is_accepted(
    settings: DatabaseSettings, engine: Engine
) -> None:
    schema.ensure_compatible(settings, wait_seconds=0)
    with engine.begin() as connection:
        at(connection, LATER, served_from=schema.newest_revision())

    schema.ensure_compatible(settings, wait_seconds=0)
    migrate.upgrade(engine)

    with engine.connect() as connection:
        assert schema.revision(connection) == LATER


def test_process_waits_until_the_migration_has_granted_its_rights(
    bench: Bench, settings: DatabaseSettings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = dataclasses.replace(bench.settings, database=settings)
    worker = as_role(everything, ProcessRole.WORKER).database
    with engine.connect() as migrating:
        migrating.execute(
            text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": schema.MIGRATION_LOCK}
        )
        with engine.begin() as connection:
            connection.execute(text(f"REVOKE ALL ON alembic_version FROM {ProcessRole.WORKER}"))

        def finish(_: float) -> None:
            with engine.begin() as connection:
                grants.apply(connection)
            migrating.commit()

        monkeypatch.setattr(schema, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=finish))
        schema.ensure_compatible(worker)


def test_database_that_fits_is_used_during_a_long_migration(
    settings: DatabaseSettings, engine: Engine
) -> None:
    with engine.connect() as migrating:
        migrating.execute(
            text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": schema.MIGRATION_LOCK}
        )

        schema.ensure_compatible(settings, wait_seconds=0)


def test_database_that_is_older_or_too_new_is_refused(
    settings: DatabaseSettings, engine: Engine
) -> None:
    with engine.begin() as connection:
        at(connection, "0000", served_from="0000")
    with pytest.raises(SetupFailed, match=r"at revision 0000.*run `smart-filter prepare`"):
        schema.ensure_compatible(settings, wait_seconds=0)

    with engine.begin() as connection:
        at(connection, LATER, served_from="9998")
    with pytest.raises(SetupFailed, match="install a version that knows 9998"):
        schema.ensure_compatible(settings)  # at once: waiting would not help
    with pytest.raises(SetupFailed, match="too old"):
        migrate.upgrade(engine)


def test_tables_of_another_version_are_refused_in_one_line(servers: Stack) -> None:
    with a_database(servers, "between_releases") as engine:
        bring_to(engine, "0001")
        with engine.begin() as connection:
            connection.execute(text("DROP VIEW all_stages"))
            connection.execute(text("ALTER TABLE jobs RENAME TO photos"))

        with pytest.raises(SetupFailed, match=r"^the database has .*another data folder.*$"):
            migrate.upgrade(engine)


def test_unreachable_database_is_not_waited_for() -> None:
    away = DatabaseSettings(url=SecretStr("postgresql+psycopg://u:p@127.0.0.1:1/d"))

    schema.ensure_compatible(away)


@contextmanager
def behind(url: str, *, connections: int, prepared: int | None) -> Iterator[DatabaseSettings]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with pgbouncer.pgbouncer(
            url, Path(folder), connections=connections, prepared_statements=prepared
        ) as pooled:
            yield DatabaseSettings(url=SecretStr(pooled))


@pytest.fixture(params=[False, True], ids=["forgets statements", "knows statements"])
def pooled(request: pytest.FixtureRequest, bench: Bench) -> Iterator[DatabaseSettings]:
    """The bench's database behind two connections that all clients share."""
    can_know = pgbouncer.tracks_prepared_statements()
    if request.param and not can_know:
        pytest.skip("this PgBouncer keeps no track of prepared statements: install 1.21 or newer")
    prepared = (100 if request.param else 0) if can_know else None
    url = bench.settings.database.url.get_secret_value()
    with behind(url, connections=2, prepared=prepared) as settings:
        yield settings


def test_pgbouncer_configuration_of_the_docs_starts(bench: Bench) -> None:
    url = bench.settings.database.url.get_secret_value()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with (
            pgbouncer.documented_pgbouncer(DEPLOYING, url, Path(folder)) as pooled,
            connect(DatabaseSettings(url=SecretStr(pooled))) as engine,
            sessions.transaction(engine) as connection,
        ):
            assert connection.scalar(text("SELECT 1")) == 1


def test_settings_apply_within_a_transaction_only(pooled: DatabaseSettings) -> None:
    with connect(pooled) as engine:
        with sessions.transaction(engine) as connection:
            usual = tuple(connection.execute(SETTINGS).one())
        with sessions.transaction(sessions.for_key_lookups(engine)) as connection:
            by_key = tuple(connection.execute(SETTINGS).one())
        url = pooled.url.get_secret_value().replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True) as other:
            left = other.execute("SHOW lock_timeout").fetchone()

    assert usual == ("10s", "5s", "auto", "on")
    assert by_key == ("10s", "5s", "force_generic_plan", "off")
    assert left == ("0",)


def test_database_is_prepared_through_it_by_two_at_once(bench: Bench) -> None:
    url = bench.settings.database.url.get_secret_value()
    with (
        an_empty_database(url, "behind_pooler") as own,
        behind(own.url.get_secret_value(), connections=4, prepared=None) as settings,
        connect(settings, connections=4) as engine,
    ):
        races.at_once([lambda: migrate.upgrade(engine)] * 2)

        with sessions.transaction(engine) as connection:
            assert schema.revision(connection) == schema.newest_revision()
