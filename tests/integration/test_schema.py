"""Code and database of different versions: which process starts, waits or is refused."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, Engine, text

from smart_filter_shared.db import migrate, schema
from smart_filter_shared.errors import SetupFailed
from smart_filter_shared.settings import DatabaseSettings
from smart_filter_tests.bench import Bench
from smart_filter_tests.databases import an_empty_database, connected

LATER = "9999"


@pytest.fixture
def settings(bench: Bench) -> Iterator[DatabaseSettings]:
    """A database of one's own, without tables."""
    with an_empty_database(bench.settings.database.url.get_secret_value(), "versions") as settings:
        yield settings


@pytest.fixture
def engine(settings: DatabaseSettings) -> Iterator[Engine]:
    """Connections to it, at the newest revision."""
    with connected(settings) as engine:
        migrate.upgrade(engine)
        yield engine


def at(connection: Connection, revision: str, *, served_from: str) -> None:
    connection.execute(text("UPDATE alembic_version SET version_num = :is"), {"is": revision})
    connection.execute(text(f"COMMENT ON TABLE alembic_version IS '{served_from}'"))


def test_database_without_tables_is_refused_with_what_to_run(settings: DatabaseSettings) -> None:
    with pytest.raises(SetupFailed, match=r"has no tables yet.*run `smart-filter prepare`"):
        schema.ensure_fits(settings, wait_seconds=0)


def test_database_of_this_version_serves_and_of_an_earlier_one_is_refused(
    settings: DatabaseSettings, engine: Engine
) -> None:
    schema.ensure_fits(settings, wait_seconds=0)

    with engine.begin() as connection:
        at(connection, "0001", served_from="0001")

    with pytest.raises(SetupFailed, match=r"at revision 0001.*run `smart-filter prepare`"):
        schema.ensure_fits(settings, wait_seconds=0)


def test_later_database_that_is_left_fit_serves(settings: DatabaseSettings, engine: Engine) -> None:
    with engine.begin() as connection:
        at(connection, LATER, served_from=schema.newest_revision())

    schema.ensure_fits(settings, wait_seconds=0)
    migrate.upgrade(engine)

    with engine.connect() as connection:
        assert schema.revision(connection) == LATER


def test_code_that_is_too_old_is_refused_at_once(
    settings: DatabaseSettings, engine: Engine
) -> None:
    with engine.begin() as connection:
        at(connection, LATER, served_from="9998")

    with pytest.raises(SetupFailed, match="install a version that knows 9998"):
        schema.ensure_fits(settings)
    with pytest.raises(SetupFailed, match="too old"):
        migrate.upgrade(engine)


def test_database_that_is_away_is_not_waited_for() -> None:
    away = DatabaseSettings(url=SecretStr("postgresql+psycopg://u:p@127.0.0.1:1/d"))

    schema.ensure_fits(away)


def test_served_code_is_a_revision_there_was() -> None:
    assert "0001" < schema.SERVED_FROM <= schema.newest_revision()
